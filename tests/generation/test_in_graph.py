"""`generate` as part of a function of the user's: its tokens, with all columns, saved or not, drawn anew each time."""

import keras
import numpy as np
import pytest
from helpers import numpy

from keras_tx import BigramModel, GPTModel
from keras_tx.models.gpt.config import TINY

on_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="its functions are TensorFlow's")
SUCCESSOR = np.array([3, 5, 0, 6, 2, 4, 1])


@pytest.fixture(scope="module")
def model() -> BigramModel:
    """After 0 comes mostly 3, then 6, 1, 5, 4, 2 and 0 again."""
    model = BigramModel(vocab_size=7)
    model.backbone.token_embedding.embeddings.assign(2.0 * np.eye(7)[SUCCESSOR])
    return model


ENDED = {"max_new_tokens": 5, "eos_token_id": 1, "pad_token_id": 2}
EXPECTED = [[0, 3, 6, 1, 2, 2], [6, 1, 2, 2, 2, 2]]
"""Rows as of `generate`, in all of the columns."""


@on_tensorflow
@pytest.mark.parametrize("shape", [(2, 1), (None, None)])
def test_in_a_tf_function(model, shape):
    import tensorflow as tf

    function = tf.function(
        lambda ids, mask: model.generate({"input_ids": ids, "attention_mask": mask}, **ENDED),
        input_signature=[tf.TensorSpec(shape, tf.int32)] * 2,
    )
    ids = tf.constant([[0], [6]])
    found = function(ids, tf.ones_like(ids))
    np.testing.assert_array_equal(found, EXPECTED)
    operations = {node.op for node in function.get_concrete_function().graph.as_graph_def().node}
    assert not [name for name in operations if name.startswith("Xla")]  # so that TensorFlow Serving runs it


@on_tensorflow
def test_saved(model, tmp_path):
    import tensorflow as tf

    ids = tf.TensorSpec((None, None), tf.int32)
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    options = {"max_new_tokens": 6, "do_sample": True, "eos_token_id": ()}
    module.draw = tf.function(lambda ids: model.generate(ids, **options), input_signature=[ids])
    module.again = tf.function(
        lambda ids, seed: model.generate(ids, seed=seed, **options),
        input_signature=[ids, tf.TensorSpec((), tf.int32)],
    )
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    prompts = tf.zeros((9, 1), tf.int32)
    assert not np.array_equal(loaded.draw(prompts), loaded.draw(prompts))
    seeded = [loaded.again(prompts, tf.constant(seed)).numpy() for seed in (3, 3, 4)]
    assert np.array_equal(seeded[0], seeded[1]) and not np.array_equal(seeded[0], seeded[2])
    np.testing.assert_array_equal(seeded[0][:, 0], 0)


@on_tensorflow
@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{"num_beams": 3, "length_penalty": 2.0}, {"min_new_tokens": 3, "forced_eos_token_id": 3}]
)
def test_other_methods_for_any_length(options):
    import tensorflow as tf

    model = GPTModel(TINY, eos_token_id=5)
    options |= {"max_new_tokens": 4, "repetition_penalty": 1.3, "return_dict_in_generate": True}
    function = tf.function(
        lambda ids: model.generate(ids, **options).sequences, input_signature=[tf.TensorSpec((None, None), tf.int32)]
    )
    for ids in ([[1, 2]], [[1, 2, 3, 4], [4, 3, 2, 1]]):
        expected = numpy(model.generate(ids, **options).sequences)
        np.testing.assert_array_equal(function(tf.constant(ids))[:, : expected.shape[1]], expected)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="its functions are JAX's")
def test_in_a_jax_function(model):
    import jax

    ids = np.array([[0], [6]], "int32")
    function = jax.jit(lambda ids: model.generate(ids, **ENDED))
    np.testing.assert_array_equal(function(ids), EXPECTED)
    with pytest.raises(ValueError, match="`seed` must be given to draw inside a compiled function"):
        jax.jit(lambda ids: model.generate(ids, do_sample=True, max_new_tokens=2))(ids)
