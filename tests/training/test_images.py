"""Training image classifiers: recipes, averages, what is left in the directory."""

import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
import small_image_run
from helpers import numpy
from small_run import After, step_of

from keras_tx.models import SwinTransformer, VisionTransformer, ViTForSemanticSegmentation
from keras_tx.models.core.registry import MODELS
from keras_tx.training.data.images import digits, epoch_steps, training_batches, validation_batches
from keras_tx.training.metrics.tokens import read_table
from keras_tx.training.recipes.finetune import layer_scales
from keras_tx.training.recipes.images import (
    BEST,
    LAST,
    METRICS,
    PREPROCESSOR,
    RECIPES,
    ImageRecipe,
    predicted_classes,
    train_image_classifier,
)
from keras_tx.training.resume.state import Interrupted
from keras_tx.vision import Augmentation

SHAPE = {"image_size": (4, 6), "channels": 1, "num_classes": 3}
RECIPE = ImageRecipe(
    epochs=4, batch_size=8, learning_rate=1e-2, label_smoothing=0.1, ema=0.8, augmentation=Augmentation(translation=0.1)
)


def vit() -> VisionTransformer:
    return VisionTransformer(
        patch_size=2, num_layers=1, num_heads=2, d_model=10, d_ff=14, initializer_range=0.1, **SHAPE
    )


@pytest.fixture
def data() -> tuple[tuple, tuple]:
    return small_image_run.small_images()


class Weights(keras.callbacks.Callback):
    """The first weight after each step, and what validation sees of it."""

    def __init__(self):
        super().__init__()
        self.after_steps, self.validated = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.after_steps.append(numpy(self.model.trainable_variables[0]).copy())

    def on_test_batch_end(self, batch, logs=None):
        self.validated.append(numpy(self.model.trainable_variables[0]).copy())


@pytest.mark.slow
def test_training_leaves_averages_and_metrics(data, tmp_path):
    train, validation = data
    model, seen = vit(), Weights()
    train_image_classifier(model, train, validation, RECIPE, tmp_path, callbacks=[seen], verbose=0)
    assert model.jit_compile
    table = read_table(tmp_path / METRICS)
    assert [row["step"] for row in table] == [3, 6, 9, 12]
    assert table[-1]["val_loss"] < table[0]["val_loss"]

    average, averages = seen.after_steps[0], []
    for step, weight in enumerate(seen.after_steps):
        average = 0.8 * average + 0.2 * weight if step else weight
        averages.append(average)
    np.testing.assert_allclose(seen.validated, averages[2::3], atol=1e-6)
    ended = [numpy(weight).copy() for weight in model.trainable_variables]
    np.testing.assert_allclose(ended[0], averages[-1], atol=1e-6)

    labels, predictions = predicted_classes(model, validation, batch_size=5)
    np.testing.assert_array_equal(labels, validation[1])
    assert np.mean(labels == predictions) == pytest.approx(table[-1]["val_accuracy"])
    fresh = vit()
    fresh.load_weights(tmp_path / LAST)
    for weight, want in zip(fresh.trainable_variables, ended, strict=True):
        np.testing.assert_array_equal(numpy(weight), want)
    fresh.load_weights(tmp_path / BEST)
    best = max(row["val_accuracy"] for row in table)
    assert np.mean(np.equal(*predicted_classes(fresh, validation))) == pytest.approx(best)


@pytest.mark.slow
def test_killed_stopped_and_resumed(tmp_path):
    """Averages, what is dropped and augmentation too are at the end what they are without a stop."""

    def weights(model) -> list[np.ndarray]:
        return [numpy(weight) for weight in model.variables]

    def stopped(number: int, steps: int) -> None:
        with pytest.raises(Interrupted):
            small_image_run.train(broken, resume=True, callbacks=[After(steps, lambda: signal.raise_signal(number))])

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    want = weights(small_image_run.train(whole))
    for moment, steps in (("after the step", 2), ("after the step", 4), ("before the next step", 3)):
        given = [sys.executable, small_image_run.__file__, broken, moment, str(steps)]
        killed = subprocess.run(given, capture_output=True, check=False)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert step_of(broken) == 6  # of 12
    for number, steps in ((signal.SIGTERM, 1), (signal.SIGINT, 4)):
        stopped(number, steps)
    for _ in range(2):  # the second time there is nothing left to do
        for weight, wanted in zip(weights(small_image_run.train(broken, resume=True)), want, strict=True):
            np.testing.assert_array_equal(weight, wanted)
    assert step_of(broken) == 12
    losses = [[row["val_loss"] for row in read_table(directory / METRICS)] for directory in (broken, whole)]
    assert losses[0] == losses[1] and len(losses[0]) == 4
    for name in (BEST, LAST):
        loaded = []
        for directory in (broken, whole):
            model = small_image_run.small_model()
            model.load_weights(directory / name)
            loaded.append([numpy(weight) for weight in model.trainable_variables])
        for weight, wanted in zip(*loaded, strict=True):
            np.testing.assert_array_equal(weight, wanted)


def test_the_same_seed_gives_the_same_batches(data):
    def batches(start: int = 0, **fields) -> list[np.ndarray]:
        recipe = RECIPE.replace(**fields)
        assert epoch_steps(data[0], vit().config, recipe) == 29 // 8
        found = training_batches(data[0], vit().config, PREPROCESSOR, recipe, start=start)
        return [part.numpy() for batch in found.take(6 - start) for part in batch]

    first = batches()
    keras.utils.set_random_seed(0)  # the program's seed has no say
    for late, x in zip(batches(start=4), first[8:], strict=True):
        np.testing.assert_array_equal(late, x)
    assert {x.shape for x in first[::2]} == {(8, 4, 6, 1)}
    assert min(x.min() for x in first[::2]) >= -1 and max(x.max() for x in first[::2]) <= 1
    np.testing.assert_allclose(np.unique(first[1]), [0.1 / 3, 0.9 + 0.1 / 3], atol=1e-6)
    for again, x in zip(batches(), first, strict=True):
        np.testing.assert_array_equal(again, x)
    assert not np.array_equal(batches(seed=1)[0], first[0])


def test_recipes_go_to_json_and_back():
    for recipe in RECIPES.values():
        assert ImageRecipe.from_dict(recipe.to_dict()) == recipe
    assert RECIPES["swin"].augmentation == RECIPES["deit"].augmentation
    assert RECIPES["swin"].warmup * RECIPES["swin"].epochs == pytest.approx(20)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"epochs": 0}, "`epochs` must be a whole number of at least 1"),
        ({"learning_rate": 0.0}, "`learning_rate` must be above 0; got 0.0"),
        ({"warmup": 1.0}, "`warmup` must be a rate"),
        ({"label_smoothing": -0.1}, "`label_smoothing` must be a rate"),
        ({"layer_decay": 0.0}, r"`layer_decay` must lie in \(0, 1\]"),
        ({"ema": 1.0}, r"`ema` must lie in \(0, 1\), or be None; got 1.0"),
    ],
)
def test_bad_recipes(fields, words):
    with pytest.raises(ValueError, match=words):
        ImageRecipe(**fields)


# === Layers ===


def depths(model) -> dict[str, int | None]:
    trainable = {path for path, weight in model.weights_by_path().items() if weight.trainable}
    return {path.partition("/")[2]: model.layer_depth(path) for path in trainable}


def test_depths_of_a_vit():
    found = depths(VisionTransformer(patch_size=2, num_layers=3, num_heads=2, d_model=10, d_ff=14, **SHAPE))
    assert found["class_token"] == found["position_embedding"] == 0
    assert {depth for path, depth in found.items() if path.startswith("patch_embedding")} == {0}
    assert {depth for path, depth in found.items() if path.startswith("block_2")} == {3}
    assert {depth for path, depth in found.items() if path.startswith(("norm", "classifier"))} == {None}


def test_depths_of_a_swin():
    swin = {"patch_size": 2, "embed_dim": 4, "depths": (2, 1), "num_heads": (1, 2), "window_size": 2}
    model = SwinTransformer(**swin, **SHAPE)
    found = depths(model)
    assert {depth for path, depth in found.items() if path.startswith("patch")} == {0}
    assert {depth for path, depth in found.items() if path.startswith("stage_0_block_1")} == {2}
    assert {depth for path, depth in found.items() if path.startswith(("merging_0", "stage_1_block_0"))} == {3}
    assert {depth for path, depth in found.items() if path.startswith(("final_norm", "classifier"))} == {None}
    scales = layer_scales(model, 0.5)
    assert set(scales) == {0.125, 0.25, 0.5, 1.0}


def test_depths_of_dense_heads():
    """They learn at the highest rate, as all above the blocks."""
    found = depths(ViTForSemanticSegmentation(MODELS["ViTForSemanticSegmentation"].tiny[0]))
    heads = {path.split("/")[0] for path, depth in found.items() if depth is None}
    assert {"decoder", "pixel_classifier", "neck"} <= heads and not {"patch_embedding", "class_token"} & heads


# === Data ===


def test_images_that_do_not_fit_are_errors(data, tmp_path):
    train, validation = data

    def fails(of_train, words: str):
        with pytest.raises(ValueError, match=words):
            train_image_classifier(vit(), of_train, validation, RECIPE, tmp_path, verbose=0)

    fails((train[0][:, :3], train[1]), r"images must have the shape \(4, 6, 1\) of the model's; got \(3, 6, 1\)")
    fails((train[0], train[1][:5]), "images and labels must be as many; got 29 and 5")
    fails((train[0], train[1] + 1), r"labels must lie in \[0, num_classes\) = \[0, 3\); got values from 1 to 3")
    fails((train[0], train[1] - 1), r"labels must lie in \[0, num_classes\) = \[0, 3\); got values from -1 to 1")
    fails((train[0][:0], train[1][:0]), "there are no images")
    import tensorflow as tf

    endless = tf.data.Dataset.from_tensor_slices(train).repeat()
    fails(endless, "it is not known how many images there are")


@pytest.mark.parametrize("step", [-1, 1])
def test_labels_of_a_data_set_that_are_no_classes(data, step):
    import tensorflow as tf

    images, labels = data[0]
    wrong = tf.data.Dataset.from_tensor_slices((images, labels + step))
    config = vit().config
    for batches in (
        training_batches(wrong, config, PREPROCESSOR, RECIPE),
        validation_batches(wrong, config, PREPROCESSOR, 7),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"labels must lie in \[0, num_classes\) = \[0, 3\)"):
            list(batches.take(5))


def test_digits_are_split_by_class():
    data = digits()
    (x, y), (x_held_out, y_held_out) = data.train, data.validation
    assert data.shape == (8, 8, 1) and data.label_names == tuple("0123456789")
    assert len(x) + len(x_held_out) == 1797 and len(x_held_out) == 360
    assert x.min() == 0 and x.max() == 255
    assert np.ptp(np.bincount(y_held_out) / np.bincount(y)) < 0.01
    for again, part in zip(digits().validation, data.validation, strict=True):
        np.testing.assert_array_equal(again, part)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit", "swin"])
def test_the_example_knows_most_digits(name, tmp_path, monkeypatch, capsys):
    import re
    import runpy
    import sys
    from pathlib import Path

    example = Path(__file__).parents[2] / "examples" / "digits.py"
    monkeypatch.setattr(sys, "argv", ["digits.py", name, "--seeds", "1", "--output", str(tmp_path)])
    runpy.run_path(str(example), run_name="__main__")
    (accuracy,) = re.findall(r"mean accuracy of 1 seeds: (\S+)%", capsys.readouterr().out)
    assert float(accuracy) > 97
    assert {"confusion.png", "attention.png", "accuracy.png"} <= {
        path.name for path in (tmp_path / f"{name}-0").iterdir()
    }
