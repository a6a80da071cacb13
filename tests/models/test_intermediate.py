"""Models that are cut where a layer inside gives its output."""

import keras
import numpy as np
import pytest
from helpers import numpy

import keras_tx

IDS = np.random.default_rng(0).integers(0, 31, (3, 7), "int32")
SIZES = {"vocab_size": 31, "num_layers": 2, "num_heads": 3, "d_model": 15, "d_ff": 19}


@pytest.fixture(scope="module")
def model():
    return keras_tx.BERTForSequenceClassification(max_positions=17, **SIZES)


def test_outputs_of_layers_by_name(model):
    cut = keras_tx.intermediate(model, ["block_1", "backbone/pooler", "block_0/attention"])
    states = model.backbone(IDS, return_hidden_states=True)
    found = cut(IDS)
    assert list(found) == ["block_1", "backbone/pooler", "block_0/attention"]
    np.testing.assert_allclose(found["block_1"], states["hidden_states"][2], atol=1e-6)
    np.testing.assert_allclose(np.tanh(numpy(found["backbone/pooler"])), states["pooler_output"], atol=1e-6)
    given = {"input_ids": IDS, "attention_mask": np.ones_like(IDS)}
    np.testing.assert_allclose(cut.predict(given, verbose=0)["block_1"], found["block_1"], atol=1e-5)
    np.testing.assert_allclose(model(IDS)["logits"], model(IDS)["logits"])  # nothing of it stays on the layers


def test_it_is_a_keras_model(model, tmp_path):
    cut = keras_tx.intermediate(model, ["block_0"])
    cut.save(tmp_path / "cut.keras")
    copy = keras.models.load_model(tmp_path / "cut.keras")
    np.testing.assert_allclose(copy(IDS)["block_0"], cut(IDS)["block_0"], atol=1e-6)
    ids = keras.Input((None,), dtype="int32")
    whole = keras.Model(ids, keras.layers.Dense(2)(cut(ids)["block_0"]))
    assert whole(IDS).shape == (3, 7, 2) and len(whole.trainable_weights) == len(model.trainable_weights) + 2


def test_images_and_several_calls():
    sizes = {"num_layers": 1, "num_heads": 1, "d_model": 4, "d_ff": 4}
    images = np.zeros((2, 6, 6, 3), "float32")
    vit = keras_tx.VisionTransformer(image_size=6, patch_size=3, **sizes)
    assert keras_tx.intermediate(vit, ["block_0"])(images)["block_0"].shape == (2, 5, 4)
    t5 = keras_tx.T5Model(vocab_size=31, d_kv=4, **sizes)
    found = keras_tx.intermediate(t5, ["encoder/block_0", "token_embedding"])
    outputs = found({"input_ids": IDS, "decoder_input_ids": IDS[:, :2]})
    assert outputs["encoder/block_0"].shape == (3, 7, 4)
    assert [x.shape[1] for x in outputs["token_embedding"]] == [7, 2]
    with pytest.raises(ValueError, match=r"several layers are called 'block_0': there are .*decoder/block_0.*encoder"):
        keras_tx.intermediate(t5, ["block_0"])


def test_what_is_not_there_is_told(model):
    with pytest.raises(ValueError, match=r"no layer is called 'block_7': .*backbone/block_1"):
        keras_tx.intermediate(model, ["block_7"])
    with pytest.raises(
        AttributeError, match=r'is no functional model.*`keras_tx.intermediate\(model, \["block_1"\]\)`'
    ):
        keras.Model(model.inputs, model.backbone.blocks[1].output)
