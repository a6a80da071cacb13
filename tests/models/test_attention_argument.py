"""`attention=` of the models: every variant, in a config and back, cached, and where it makes no sense."""

import dataclasses
import json
from typing import ClassVar

import keras
import numpy as np
import pytest
from helpers import compiled, normal, numpy, randomize

import keras_tx
from keras_tx import attention
from keras_tx.generation.rows import rewind
from keras_tx.layers.attention.multi_head import MultiHeadAttention
from keras_tx.layers.attention.variants import VARIANTS, AttentionConfig, MultiHead, named, of_layer
from keras_tx.models.bert import config as bert
from keras_tx.models.gpt import config as gpt
from keras_tx.models.t5 import config as t5_config
from keras_tx.models.transformer import config as transformer
from keras_tx.models.vit import config as vit_config

GPT = gpt.TINY.replace(num_layers=1, d_model=24, num_heads=4, d_ff=13)
BERT = bert.TINY.replace(num_layers=1, d_model=24, num_heads=4)
VIT = vit_config.TINY.replace(d_model=24, num_heads=4)

GIVEN = {
    "multi_head": attention.MultiHead(alibi=True, soft_cap=3.0, sinks=True, qk_norm="rms", num_kv_heads=1),
    "grouped_query": attention.GroupedQuery(num_kv_heads=2),
    "multi_query": "multi_query",
    "relative_position": {"variant": "relative_position", "max_relative_position": 3},
    "transformer_xl": "transformer_xl",
    "disentangled": attention.Disentangled(max_relative_positions=9, position_buckets=4, pos_att_type=("c2p", "p2c")),
    "sliding_window": attention.SlidingWindow(window_size=3, num_global=1),
    "longformer": attention.Longformer(attention_window=4),
    "block_sparse": attention.BlockSparse(block_size=2, random_blocks=1),
    "linear": attention.Linear(feature_map="favor", num_features=9, seed=1),
    "latent": {"variant": "latent", "latent_dim": 5},
    "linformer": attention.Linformer(max_length=40, rank=3),
    "nystrom": "nystrom",
}
ENCODERS_ALONE = ("linformer", "longformer", "nystrom")


def test_every_variant_is_here():
    ours = {name: cls for name, cls in VARIANTS.items() if cls.__module__ == AttentionConfig.__module__}
    assert GIVEN.keys() == ours.keys()
    assert all(getattr(attention, cls.__name__) is cls for cls in ours.values())


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


@pytest.mark.parametrize("name", [name for name in GIVEN if name not in ENCODERS_ALONE])
def test_batch_and_length_may_be_free(name):
    outputs = keras_tx.GPTModel(GPT, attention=GIVEN[name], num_layers=1)(keras.Input((None,), dtype="int32"))
    assert outputs["logits"].shape == (None, None, GPT.vocab_size)


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
    assert copy.config.attention == attention.Linear(feature_map="favor", num_features=9, seed=1)
    np.testing.assert_allclose(copy(images), model(images), atol=1e-6)
    with pytest.raises(ValueError, match=r"`attention=None`.*format=\"keras_tx\""):
        model.save_pretrained(tmp_path / "theirs", format="huggingface")


@pytest.mark.slow
def test_encoder_decoders(rng):
    t5 = keras_tx.T5Model(t5_config.TINY, attention="multi_query").backbone
    assert t5.encoder.blocks[0].attention.num_kv_heads == t5.decoder.blocks[0].attention.num_kv_heads == 1
    assert t5.decoder.blocks[0].cross_attention.num_kv_heads == t5_config.TINY.num_heads
    window = attention.SlidingWindow(window_size=2)
    model = randomize(keras_tx.Transformer(transformer.TINY, attention=window), rng, 0.3)
    ids = rng.integers(0, 61, (2, 5), dtype="int32")
    tokens = numpy(model.generate(ids, max_new_tokens=6))
    logits = numpy(model(ids, tokens[:, :-1])["logits"])
    np.testing.assert_array_equal(logits.argmax(axis=-1), tokens[:, 1:])


@pytest.mark.parametrize("given", [attention.SlidingWindow(window_size=3), "linear", ["multi_head", "linear"]])
def test_what_cannot_take_tokens_back_says_so(given):
    """As contrastive search and assistants would have it."""
    cache = keras_tx.GPTModel(GPT, num_layers=2, attention=given).init_cache(1, 5)
    with pytest.raises(ValueError, match="tokens cannot be taken back"):
        rewind(cache, 2)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"attention": "flash"},
            r"`attention` must be None, a variant, its name.*the names are 'multi_.*got 'flash'",
        ),
        ({"attention": {"variant": "linear", "window": 3}}, r"Linear attention has feature_map.*got .*'window': 3"),
        ({"attention": "grouped_query"}, "GroupedQuery attention has .*, and needs num_kv_heads"),
        ({"attention": attention.SlidingWindow(window_size=0)}, "`window_size` must be .*; got 0"),
        ({"attention": attention.GroupedQuery(num_kv_heads=3)}, "num_kv_heads=3"),
        (
            {"attention": attention.GroupedQuery(num_kv_heads=2), "num_kv_heads": 4},
            "`num_kv_heads` is 4 in the",
        ),
        ({"attention": "nystrom"}, "`causal` has no meaning with Nystrom attention"),
        ({"attention": attention.Latent(latent_dim=4), "num_kv_heads": 2}, "`num_kv_heads` has no meaning with Latent"),
        ({"attention": "linear", "scale_attention": False}, "have no meaning with Linear attention"),
        ({"attention": ["multi_head"] * 2, "num_layers": 1}, "at most as many variants as there are layers, 1; got 2"),
        ({"attention": []}, "`attention` must be at least one variant"),
        ({"attention": 3}, r"`attention` must be None, a variant.*got 3"),
        ({"attention": [3]}, r"`attention` must be None, a variant.*got 3"),
        ({"attention": [["linear"]]}, r"`attention` must be None, a variant.*got \['linear'\]"),
        ({"attention": ["nystrom"]}, "`causal` has no meaning with Nystrom attention"),
        (
            {"attention": ["multi_head", "linear"], "num_layers": 2, "scale_attention": False},
            "have no meaning with Linear attention",
        ),
    ],
)
def test_errors(fields, message):
    with pytest.raises(ValueError, match=message):
        keras_tx.GPTModel(GPT, **fields)


def test_t5_needs_scores():
    for given in ("linear", ["multi_head", "linear"]):
        with pytest.raises(ValueError, match=r"`attention` must have scores.*Linear"):
            t5_config.TINY.replace(attention=given)
    assert AttentionConfig.of(None) is None


# === Other attention in other layers ===

PATTERN = [attention.SlidingWindow(window_size=3, num_global=1), "multi_head", {"variant": "linear"}]
"""With a ring, all keys and a sum for caches."""


def test_patterns_to_json_and_back():
    config = GPT.replace(num_layers=4, attention=PATTERN)
    assert config.attention == (PATTERN[0], MultiHead(), attention.Linear())
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert GPT.replace(attention=[None]).attention == (MultiHead(),)
    assert [of_layer(config.attention, i).variant for i in (0, 2, 3, 7)] == [
        "sliding_window",
        "linear",
        "sliding_window",
        "multi_head",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("given", [PATTERN[:2], PATTERN])
def test_a_gpt_with_attention_in_turn_generates_what_it_says_without_a_cache(given, rng):
    model = randomize(keras_tx.GPTModel(GPT, num_layers=4, attention=given), rng)
    kinds = [type(block.attention) for block in model.backbone.blocks]
    assert kinds == [VARIANTS[of_layer(model.config.attention, i).variant].layer for i in range(4)]
    ids = rng.integers(0, GPT.vocab_size, (2, 7), dtype="int32")
    expected = ids
    run = compiled(lambda ids: model(ids)["logits"]) if keras.backend.backend() == "jax" else None
    for _ in range(8):
        filled = np.pad(expected, ((0, 0), (0, 15 - expected.shape[1])))  # one shape; what is ahead is not seen
        logits = numpy(run(filled) if run else model(filled)["logits"])[:, expected.shape[1] - 1]
        expected = np.concatenate([expected, logits.argmax(axis=-1)[:, None].astype("int32")], axis=1)
    np.testing.assert_array_equal(model.generate(ids, max_new_tokens=8), expected)
    if len(given) > 2:
        beams = numpy(model.generate(ids, max_new_tokens=8, num_beams=3))
        alone = [numpy(model.generate(row[None], max_new_tokens=8, num_beams=3)) for row in ids]
        np.testing.assert_array_equal(beams, np.concatenate(alone))
    with pytest.raises(ValueError, match="SlidingWindow attention counts how far apart tokens stand"):
        model.generate(ids, attention_mask=np.repeat([[1] * 6 + [0]], 2, axis=0), max_new_tokens=2)


def test_a_model_with_attention_in_turn_saved_and_loaded(rng, tmp_path):
    model = randomize(keras_tx.Transformer(transformer.TINY, attention=["multi_head", "transformer_xl"]), rng)
    ids = rng.integers(0, 61, (2, 5), dtype="int32")
    expected = model(ids, ids)["logits"]
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "model.keras")(ids, ids)["logits"], expected)
    model.save_pretrained(tmp_path / "model")
    copy = keras_tx.Transformer.from_pretrained(tmp_path / "model")
    assert copy.config == model.config
    np.testing.assert_allclose(copy(ids, ids)["logits"], expected, atol=1e-6)


def test_a_variant_may_depend_on_the_depth():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Deeper(AttentionConfig):
        layer: ClassVar = MultiHeadAttention
        variant: str = named("deeper")

        def of_depth(self, layer):
            return {"soft_cap": 2.0 + layer}

    config = BERT.replace(num_layers=3, attention=Deeper())
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config
    model = keras_tx.BERTModel(config)
    assert [block.attention.soft_cap for block in model.backbone.blocks] == [2.0, 3.0, 4.0]
