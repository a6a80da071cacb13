"""Bits a token, exact over the whole of a text, and their record."""

import keras
import numpy as np
import pytest
from helpers import normal, numpy, softmax
from keras import ops
from small_run import IDS, RECIPE, small_model

from keras_tx.training import (
    BitsPerToken,
    LabelAccuracy,
    MetricsTable,
    compile_language_model,
    read_table,
    whole_stream,
)


def test_bits_are_the_mean_over_weighted_tokens(rng):
    metric = BitsPerToken()
    bits, weights = [], []
    for batch in (2, 5):
        logits, targets = normal(rng, batch, 3, 7), rng.integers(0, 7, (batch, 3))
        weight = rng.integers(0, 3, (batch, 3)).astype("float32")
        metric.update_state(targets, logits, weight)
        chosen = np.take_along_axis(softmax(logits.astype("float64")), targets[..., None], axis=-1)[..., 0]
        bits.append(-np.log2(chosen).ravel())
        weights.append(weight.ravel())
    assert float(metric.result()) == pytest.approx(np.average(np.concatenate(bits), weights=np.concatenate(weights)))


def test_uniform_logits_cost_log2_of_the_vocabulary():
    metric = BitsPerToken()
    metric.update_state(np.array([[0, 5, 7]]), np.zeros((1, 3, 8)))
    assert float(metric.result()) == pytest.approx(3, rel=1e-6)


def test_the_metric_is_saved_by_its_config():
    metric = keras.metrics.deserialize(keras.metrics.serialize(BitsPerToken(name="b")))
    assert isinstance(metric, BitsPerToken) and metric.name == "b"


def test_accuracy_of_the_labels_that_count(rng):
    metric = LabelAccuracy()
    right = []
    for batch in (2, 5):
        logits, labels = normal(rng, batch, 3, 7), rng.integers(0, 7, (batch, 3))
        labels[0, 1] = -100
        logits[0, 0, labels[0, 0]] = 9.0
        metric.update_state(ops.convert_to_tensor(labels), logits)
        right += [bool(logits[i].argmax() == labels[i]) for i in np.ndindex(labels.shape) if labels[i] != -100]
    assert 0 < sum(right) < len(right) == 19
    assert float(metric.result()) == pytest.approx(sum(right) / len(right))


@pytest.mark.parametrize("length", [78, 80])  # the last block full, and not
def test_validation_is_the_exact_mean_over_a_text(length):
    ids = IDS[:length]
    model = small_model()
    compile_language_model(model, RECIPE)
    result = model.evaluate(whole_stream(ids, 7, 5), verbose=0, return_dict=True)
    losses = []
    for start in range(0, length - 1, 7):
        targets = ids[start + 1 : start + 8]
        logits = numpy(model(ids[None, start : start + len(targets)])["logits"])[0].astype("float64")
        losses.extend(-np.log(np.take_along_axis(softmax(logits), targets[:, None], axis=1)[:, 0]))
    assert len(losses) == length - 1
    assert result["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert result["bits"] * np.log(2) == pytest.approx(np.mean(losses), rel=1e-5)


class FakeModel:
    class optimizer:
        iterations = 0


def test_the_table_goes_on_where_the_saved_state_is(tmp_path):
    def record(start, epochs):
        table = MetricsTable(tmp_path / "metrics.csv", start)
        table.set_model(FakeModel)
        table.on_train_begin()
        for step in epochs:
            FakeModel.optimizer.iterations = step
            table.on_epoch_end(0, {"loss": step / 7, "val_loss": np.float32(step)})

    assert read_table(tmp_path / "metrics.csv") == []
    record(0, [10, 20, 30])
    old = read_table(tmp_path / "metrics.csv")
    assert [(row["step"], row["loss"], row["val_loss"]) for row in old] == [(s, s / 7, s) for s in (10, 20, 30)]
    record(20, [30, 40])  # the state of step 30 was not saved
    new = read_table(tmp_path / "metrics.csv")
    assert [row["step"] for row in new] == [10, 20, 30, 40]
    assert new[:2] == old[:2]
    assert new[2]["seconds"] >= old[1]["seconds"]
    record(0, [10])  # a new run in the place of the old
    assert [row["step"] for row in read_table(tmp_path / "metrics.csv")] == [10]
