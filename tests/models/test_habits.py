"""What Keras's users do with a model beside `fit`, of one model for each kind: the work of the common bases."""

import copy

import keras
import numpy as np
import pytest
from helpers import numpy

from keras_tx import BERTForSequenceClassification, GPTForSequenceClassification, T5Model, VisionTransformer
from keras_tx.models.core.outputs import Outputs

SIZES = {"vocab_size": 60, "num_layers": 1, "num_heads": 2, "d_model": 16, "max_positions": 20}
ROWS = [[5, 6, 7], [8, 9, 10, 11, 12], [13, 14, 15, 16]]
IDS = np.array([row + [0] * (5 - len(row)) for row in ROWS])
MASK = (IDS > 0).astype("int32")


@pytest.fixture(scope="module")
def bert() -> BERTForSequenceClassification:
    return BERTForSequenceClassification(d_ff=24, num_labels=3, **SIZES)


def test_outputs_are_attributes(bert):
    outputs = bert(IDS, MASK, labels=np.array([0, 1, 2]))
    assert outputs.logits is outputs["logits"] and outputs.loss is outputs["loss"] and isinstance(outputs, dict)
    assert bert.backbone(IDS).last_hidden_state.shape == (3, 5, 16)
    with pytest.raises(AttributeError, match="no 'maps'; they have 'logits', 'loss'"):
        outputs.maps  # noqa: B018
    assert copy.copy(outputs) == outputs


def test_outputs_are_seen_through():
    """In the order of a dict, by Keras and by the backend's transformations."""
    outputs = Outputs(b=np.ones(2), a=(np.zeros(3),))
    assert [x.shape for x in keras.tree.flatten(outputs)] == [x.shape for x in keras.tree.flatten(dict(outputs))]
    doubled = keras.tree.map_structure(lambda x: 2 * x, outputs)
    assert type(doubled) is Outputs and list(doubled) == ["b", "a"] and doubled.b.tolist() == [2, 2]
    if keras.backend.backend() == "jax":
        import jax

        assert jax.jit(lambda x: x)(outputs).a[0].shape == (3,)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        assert tf.function(lambda: Outputs(b=tf.ones(2)))().b.shape == (2,)


def test_a_functional_model_of_outputs_by_attribute(bert):
    ids = keras.Input((None,), dtype="int32")
    model = keras.Model(ids, keras.layers.Dense(2)(bert(ids).logits))
    assert model.predict(IDS, verbose=0).shape == (3, 2)


def test_inputs_in_a_list(bert):
    expected = numpy(bert(IDS, attention_mask=MASK)["logits"])
    np.testing.assert_allclose(numpy(bert([IDS, MASK])["logits"]), expected, atol=1e-6)
    np.testing.assert_allclose(bert.predict([IDS, MASK], verbose=0)["logits"], expected, atol=1e-5)
    with pytest.raises(ValueError, match=r"the inputs are input_ids, attention_mask, .*; got 5 of them in a list"):
        bert([IDS] * 5)


@pytest.mark.parametrize("cls", [BERTForSequenceClassification, GPTForSequenceClassification])
def test_ragged_ids_are_padded(cls):
    """With the model's padding and a mask; also in a `tf.data.Dataset`."""
    tf = pytest.importorskip("tensorflow")
    model = cls(num_labels=3, d_ff=24, pad_token_id=3, **SIZES)
    ragged = tf.RaggedTensor.from_row_lengths([i for row in ROWS for i in row], list(map(len, ROWS)))
    expected = numpy(model(np.where(MASK, IDS, 3), attention_mask=MASK)["logits"])
    if keras.backend.backend() == "tensorflow":
        np.testing.assert_allclose(numpy(model(ragged)["logits"]), expected, atol=1e-6)
        np.testing.assert_allclose(numpy(model({"input_ids": ragged})["logits"]), expected, atol=1e-6)
    batches = tf.data.Dataset.from_tensor_slices((ragged, [0, 1, 2])).batch(3)
    np.testing.assert_allclose(model.predict(batches, verbose=0)["logits"], expected, atol=1e-5)
    model.compile("sgd")
    loss = float(model(np.where(MASK, IDS, 3), attention_mask=MASK, labels=np.array([0, 1, 2]))["loss"])
    assert model.evaluate(batches, verbose=0) == pytest.approx(loss, rel=1e-5)


def test_ragged_images_are_refused():
    tf = pytest.importorskip("tensorflow")
    model = VisionTransformer(image_size=8, patch_size=4, d_model=16, num_layers=1, num_heads=2, d_ff=20)
    with pytest.raises(ValueError, match="`images` must be a tensor, not a ragged one"):
        model.given(tf.ragged.constant([[[[0.0]]], [[[0.0]], [[0.0]]]]))


def test_a_time_distributed_model():
    model = VisionTransformer(image_size=8, patch_size=4, d_model=16, num_layers=1, num_heads=2, d_ff=20, num_classes=3)
    frames = keras.Input((5, 8, 8, 3))
    video = keras.Model(frames, keras.layers.TimeDistributed(model)(frames))
    images = np.random.default_rng(1).normal(size=(2, 5, 8, 8, 3)).astype("float32")
    expected = numpy(model(images.reshape(10, 8, 8, 3))).reshape(2, 5, 3)
    np.testing.assert_allclose(numpy(video(images)), expected, atol=1e-5)


def test_the_shapes_of_outputs(bert):
    assert bert.compute_output_shape((None, 7)) == {"logits": (None, 3)}
    assert bert.compute_output_shape({"input_ids": (2, 7), "attention_mask": (2, 7)}) == {"logits": (2, 3)}
    assert keras.backend.standardize_dtype(bert(keras.Input((None,), dtype="int32")).logits.dtype) == "float32"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*does not have a `quantize` method:UserWarning")
def test_keras_quantizes_the_linear_maps():
    model = BERTForSequenceClassification(d_ff=24, num_labels=3, **SIZES)
    expected = numpy(model(IDS, MASK)["logits"])
    model.quantize("int8")
    kernels = [weight for weight in model.weights if weight.name == "kernel"]
    assert len(kernels) == 8 and {keras.backend.standardize_dtype(kernel.dtype) for kernel in kernels} == {"int8"}
    found = numpy(model(IDS, MASK)["logits"])
    assert 0 < np.abs(found - expected).max() < 0.05 * np.abs(expected).max()


def test_a_t5_is_fitted_to_targets_with_metrics():
    model = T5Model(vocab_size=60, d_model=16, num_layers=1, num_decoder_layers=1, num_heads=2, d_kv=8, d_ff=20)
    targets = np.where(MASK, IDS, -100)
    expected = float(model(IDS, labels=targets)["loss"])
    model.compile("sgd", metrics=["accuracy"])
    for given, y in (({"input_ids": IDS}, targets), ({"input_ids": IDS, "labels": targets}, None)):
        found = model.evaluate(given, y, verbose=0, return_dict=True)
        assert found["loss"] == pytest.approx(expected, rel=1e-5)
    right = numpy(model(IDS, labels=targets)["logits"]).argmax(axis=-1) == targets
    assert found["accuracy"] == pytest.approx(right[targets != -100].mean(), abs=1e-6)


def test_a_compiled_model_is_compiled_again_when_loaded(bert, tmp_path):
    bert.compile("adam", metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="two")])
    expected = bert.evaluate(IDS, np.array([0, -100, 2]), verbose=0, return_dict=True)
    bert.optimizer.build(bert.trainable_variables)  # as the first step does
    bert.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    found = loaded.evaluate(IDS, np.array([0, -100, 2]), verbose=0, return_dict=True)
    assert found == pytest.approx(expected, rel=1e-5) and set(found) == {"loss", "accuracy", "two"}
    assert type(loaded.optimizer) is type(bert.optimizer)


def test_floating_point_labels_of_a_text_classifier(bert):
    one_hot = np.eye(3, dtype="float32")
    bert.compile(run_eagerly=True)
    with pytest.raises(ValueError, match=r"have one 1 in each row: give the classes, as by `labels.argmax"):
        bert.fit(IDS, one_hot, verbose=0)
    with pytest.warns(UserWarning, match="say yes or no to each of 3 labels: set `problem_type="):
        bert(IDS, labels=np.ones((3, 3), "float32"))
    several = BERTForSequenceClassification(d_ff=24, num_labels=3, problem_type="multi_label_classification", **SIZES)
    several.compile(run_eagerly=True)
    several.fit(IDS, one_hot, verbose=0)
