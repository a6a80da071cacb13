"""Keras's and TensorFlow's own ways to export: `model.export`, `tf.saved_model.save`, models of users around ours."""

import keras
import numpy as np
import pytest
from contract import CASES, inputs
from helpers import made_random, numpy

from keras_tx import BERTForSequenceClassification, BERTModel, GPTModel

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="exports are made on TensorFlow")

IDS = np.random.default_rng(0).integers(0, 31, (3, 7), "int32")
SIZES = {"vocab_size": 31, "num_layers": 1, "num_heads": 3, "d_model": 15, "max_positions": 17}


def bert(cls=BERTForSequenceClassification, **options):
    return made_random(lambda: cls(d_ff=19, **SIZES, **options), np.random.default_rng(1), scale=0.5)


class Pooled(keras.Model):
    """A model of a user's own around one of ours, of which Keras knows the shape of its ids alone."""

    def __init__(self):
        super().__init__()
        self.encoder = bert(BERTModel).backbone

    def call(self, ids):
        return keras.ops.mean(self.encoder(ids)["last_hidden_state"], axis=1)


def served(path):
    import tensorflow as tf

    return tf.saved_model.load(str(path)).signatures["serving_default"]


def answered(path, given) -> dict[str, np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    taken = {tensor.name for tensor in session.get_inputs()}
    answers = session.run(None, {name: x for name, x in given.items() if name in taken})
    names = [tensor.name.split(":")[0] for tensor in session.get_outputs()]
    return dict(zip(names, answers, strict=True))


def test_a_model_that_was_never_called(tmp_path):
    model = bert()
    model.export(tmp_path / "1", verbose=False)
    given = inputs(model)
    (found,) = served(tmp_path / "1")(**given).values()
    np.testing.assert_allclose(found, numpy(model(given)["logits"]), atol=1e-5)


def test_saved_by_tensorflow_after_generation(tmp_path):
    import tensorflow as tf

    model = made_random(lambda: GPTModel(**SIZES), np.random.default_rng(1), scale=0.5)
    model.generate(IDS, max_new_tokens=2)
    tf.saved_model.save(model, str(tmp_path / "1"))
    found = served(tmp_path / "1")(input_ids=IDS, attention_mask=np.ones_like(IDS))
    assert set(found) == {"logits"}
    np.testing.assert_allclose(found["logits"], numpy(model(IDS)["logits"]), atol=1e-5)


def test_a_model_of_ones_own_whose_ids_keras_makes_floats(tmp_path):
    model = Pooled()
    expected = numpy(model(IDS))
    model.export(tmp_path / "1", verbose=False)
    (found,) = served(tmp_path / "1")(args_0=IDS.astype("float32")).values()
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.slow
def test_litert_of_a_keras_model(tmp_path):
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    model = bert()
    model.export(str(tmp_path / "model.tflite"), format="litert", verbose=False)
    contents = [
        (tmp_path / "model.tflite").read_bytes(),
        tf.lite.TFLiteConverter.from_keras_model(model).convert(),
    ]
    for content, dtype in zip(contents, ("int32", "float32"), strict=True):
        given = {name: x.astype(dtype) for name, x in inputs(model).items()}
        (found,) = Interpreter(model_content=content).get_signature_runner("serving_default")(**given).values()
        np.testing.assert_allclose(found, numpy(model(inputs(model))["logits"]), atol=1e-5)


@pytest.mark.slow
def test_onnx_of_a_functional_model_around_ours(tmp_path):
    encoder = bert(BERTModel)
    ids = keras.Input((None,), dtype="int32", name="ids")
    model = keras.Model(ids, {"pooled": keras.layers.Dense(2)(encoder(ids)[1])})
    wanted = numpy(model(IDS)["pooled"])  # Keras exports no model that it has not seen called
    model.export(str(tmp_path / "model.onnx"), format="onnx", verbose=False)
    found = answered(tmp_path / "model.onnx", {"ids": IDS})
    np.testing.assert_allclose(found["pooled"], wanted, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case.is_first], ids=lambda case: case.name)
def test_onnx_of_every_model(case, tmp_path):
    model = case.make_random()
    model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    given = inputs(model, 2, 5)
    found = answered(tmp_path / "model.onnx", given)
    outputs = model(given)
    if not isinstance(outputs, dict):  # Keras names what has no name
        found, outputs = dict(enumerate(found.values())), dict(enumerate(keras.tree.flatten(outputs)))
    for name, x in outputs.items():
        wanted = numpy(x)
        np.testing.assert_allclose(found[name], wanted, atol=2e-5 * max(1, np.abs(wanted).max()))
