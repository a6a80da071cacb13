"""`attention=` of the models: every variant, in a config and back, cached, and where it makes no sense."""

import json

import keras
import numpy as np
import pytest
from helpers import compiled, normal, numpy, randomize

import keras_tx
from keras_tx import layers
from keras_tx.generation.rows import rewind
from keras_tx.layers.attention.config import VARIANTS, AttentionConfig
from keras_tx.models.bert import config as bert
from keras_tx.models.gpt import config as gpt
from keras_tx.models.t5 import config as t5_config
from keras_tx.models.transformer import config as transformer
from keras_tx.models.vit import config as vit_config

GPT = gpt.TINY.replace(num_layers=1, d_model=24, num_heads=4, d_ff=13)
BERT = bert.TINY.replace(num_layers=1, d_model=24, num_heads=4)
VIT = vit_config.TINY.replace(d_model=24, num_heads=4)

GIVEN = {
    "multi_head": layers.MultiHead(alibi=True, soft_cap=3.0, sinks=True, qk_norm="rms", num_kv_heads=1),
    "grouped_query": layers.GroupedQuery(num_kv_heads=2),
    "multi_query": "multi_query",
    "relative_position": {"variant": "relative_position", "max_relative_position": 3},
    "transformer_xl": "transformer_xl",
    "sliding_window": layers.SlidingWindow(window_size=3, num_global=1),
    "block_sparse": layers.BlockSparse(block_size=2, random_blocks=1),
    "linear": layers.Linear(feature_map="favor", num_features=9, seed=1),
    "latent": {"variant": "latent", "latent_dim": 5},
    "linformer": layers.Linformer(max_length=40, rank=3),
    "nystrom": "nystrom",
}
ENCODERS_ALONE = ("linformer", "nystrom")


def test_every_variant_is_here():
    assert GIVEN.keys() == VARIANTS.keys()
    assert all(isinstance(getattr(keras_tx, cls.__name__), type) for cls in VARIANTS.values())


@pytest.mark.parametrize("name", GIVEN)
def test_configs_to_json_and_back(name):
    config = GPT.replace(attention=GIVEN[name])
    assert config.attention.variant == name and isinstance(config.attention, VARIANTS[name])
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.replace(attention=None) == GPT


@pytest.mark.parametrize("name", [name for name in GIVEN if name not in ENCODERS_ALONE])
def test_gpt_step_by_step_equals_the_full_pass(name, rng):
    model = randomize(keras_tx.GPTModel(GPT, attention=GIVEN[name]), rng)
    ids = rng.integers(0, GPT.vocab_size, (2, 9), dtype="int32")
    run = compiled if keras.backend.backend() == "jax" else (lambda function: function)
    expected, cache = run(lambda ids: model(ids)["logits"])(ids), model.init_cache(2, 11)
    step = run(lambda ids, mask, cache: model(ids, mask, cache=cache))
    for part in (slice(0, 7), slice(7, 8), slice(8, 9)):
        outputs = step(ids[:, part], np.ones((2, 11), "int32"), cache)
        cache = outputs["cache"]
        np.testing.assert_allclose(outputs["logits"], expected[:, part], atol=5e-5)


@pytest.mark.parametrize("name", GIVEN)
def test_encoders_have_it_in_every_block(name, rng):
    model = keras_tx.BERTModel(BERT, attention=GIVEN[name])
    assert all(type(block.attention) is VARIANTS[name].layer for block in model.backbone.blocks)
    model = randomize(keras_tx.VisionTransformer(VIT, attention=GIVEN[name]), rng)
    images = normal(rng, 2, 9, 14, 2)
    run = compiled if keras.backend.backend() == "jax" else (lambda function: function)
    logits = numpy(run(model)(images))
    assert logits.shape == (2, VIT.num_classes) and np.isfinite(logits).all() and logits.std() > 0.1


def test_saved_and_loaded(rng, tmp_path):
    model = randomize(keras_tx.VisionTransformer(VIT, attention=GIVEN["linear"]), rng)
    images = normal(rng, 2, 9, 14, 2)
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "model.keras")(images), model(images), atol=1e-6)
    model.save_pretrained(tmp_path / "model")
    copy = keras_tx.VisionTransformer.from_pretrained(tmp_path / "model")
    assert copy.config.attention == layers.Linear(feature_map="favor", num_features=9, seed=1)
    np.testing.assert_allclose(copy(images), model(images), atol=1e-6)
    with pytest.raises(ValueError, match=r"`attention=None`.*format=\"keras_tx\""):
        model.save_pretrained(tmp_path / "theirs", format="huggingface")


@pytest.mark.slow
def test_encoder_decoders(rng):
    t5 = keras_tx.T5Model(t5_config.TINY, attention="multi_query").backbone
    assert t5.encoder.blocks[0].attention.num_kv_heads == t5.decoder.blocks[0].attention.num_kv_heads == 1
    assert t5.decoder.blocks[0].cross_attention.num_kv_heads == t5_config.TINY.num_heads
    model = randomize(keras_tx.Transformer(transformer.TINY, attention=layers.SlidingWindow(window_size=2)), rng, 0.3)
    ids = rng.integers(0, 61, (2, 5), dtype="int32")
    tokens = numpy(model.generate(ids, max_new_tokens=6))
    logits = numpy(model(ids, tokens[:, :-1])["logits"])
    np.testing.assert_array_equal(logits.argmax(axis=-1), tokens[:, 1:])


@pytest.mark.parametrize("attention", [layers.SlidingWindow(window_size=3), "linear"])
def test_what_cannot_take_tokens_back_says_so(attention):
    """As contrastive search and assistants would have it."""
    cache = keras_tx.GPTModel(GPT, attention=attention).init_cache(1, 5)
    with pytest.raises(ValueError, match="tokens cannot be taken back"):
        rewind(cache, 2)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"attention": "flash"},
            r"`attention` must be None, a variant, or the name of one, 'multi_.*got 'flash'",
        ),
        ({"attention": {"variant": "linear", "window": 3}}, r"Linear attention has feature_map.*got .*'window': 3"),
        ({"attention": "grouped_query"}, "GroupedQuery attention has .*, and needs num_kv_heads"),
        ({"attention": layers.SlidingWindow(window_size=0)}, "`window_size` must be .*; got 0"),
        ({"attention": layers.GroupedQuery(num_kv_heads=3)}, "num_kv_heads=3"),
        ({"attention": layers.GroupedQuery(num_kv_heads=2), "num_kv_heads": 4}, "`num_kv_heads` is 4 in the model's"),
        ({"attention": "nystrom"}, "`causal` has no meaning in NystromAttention"),
        ({"attention": layers.Latent(latent_dim=4), "num_kv_heads": 2}, "`num_kv_heads` has no meaning with Latent"),
        ({"attention": "linear", "scale_attention": False}, "have no meaning with Linear attention"),
    ],
)
def test_errors(fields, message):
    with pytest.raises(ValueError, match=message):
        keras_tx.GPTModel(GPT, **fields)


def test_t5_needs_scores():
    with pytest.raises(ValueError, match=r"`attention` must have scores.*Linear"):
        t5_config.TINY.replace(attention="linear")
    assert AttentionConfig.of(None) is None
