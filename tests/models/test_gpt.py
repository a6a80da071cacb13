"""GPT-1, GPT-2 and the bigram model: exact sizes, initialization, where the norms stand."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from helpers import attend, count_parameters, dense, layer_norm, normal, numpy, randomize, softmax

import keras_tx
import keras_tx.models
from keras_tx.models.gpt.config import TINY, TINY_LLAMA, VARIANTS

COUNTS = {
    "gpt_small": 116534784,
    "gpt2_small": 124439808,
    "gpt2_medium": 354823168,
    "gpt2_large": 774030080,
    "gpt2_xl": 1557611200,
    "gpt_char": 65 * 384 + 256 * 384 + 6 * (12 * 384**2 + 13 * 384) + 2 * 384,
    "llama2_7b": 6738415616,
    "llama2_13b": 13015864320,
    "llama2_70b": 68976648192,
    "llama3_8b": 8030261248,
    "llama3_70b": 70553706496,
    "llama3_2_1b": 1235814400,
    "llama3_2_3b": 3212749824,
}


HEAD_COUNTS = {
    ("gpt_small", "GPTDoubleHeadsModel"): 116535553,
    ("gpt_small", "GPTForSequenceClassification"): 116536320,
    ("gpt2_small", "GPTDoubleHeadsModel"): 124440577,
    ("gpt2_small", "GPTForSequenceClassification"): 124441344,
    ("gpt2_small", "GPTForTokenClassification"): 124441346,
    ("gpt2_small", "GPTForQuestionAnswering"): 124441346,
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name):
    assert count_parameters(lambda: keras_tx.create_model(name)) == COUNTS[name]


@pytest.mark.parametrize(("name", "head"), HEAD_COUNTS)
def test_parameter_counts_of_heads(name, head):
    assert count_parameters(lambda: getattr(keras_tx.models, head)(VARIANTS[name])) == HEAD_COUNTS[name, head]


def test_every_variant_is_counted_and_public():
    assert set(COUNTS) == set(VARIANTS) <= set(keras_tx.list_models())
    for name in COUNTS:
        assert name in keras_tx.__all__


def test_paper_configs():
    table = {
        name: (c.num_layers, c.num_heads, c.d_model, c.vocab_size, c.max_positions) for name, c in VARIANTS.items()
    }
    assert table == {
        "gpt_small": (12, 12, 768, 40478, 512),
        "gpt2_small": (12, 12, 768, 50257, 1024),
        "gpt2_medium": (24, 16, 1024, 50257, 1024),
        "gpt2_large": (36, 20, 1280, 50257, 1024),
        "gpt2_xl": (48, 25, 1600, 50257, 1024),
        "gpt_char": (6, 6, 384, 65, 256),
        "llama2_7b": (32, 32, 4096, 32000, 4096),
        "llama2_13b": (40, 40, 5120, 32000, 4096),
        "llama2_70b": (80, 64, 8192, 32000, 4096),
        "llama3_8b": (32, 32, 4096, 128256, 8192),
        "llama3_70b": (80, 64, 8192, 128256, 8192),
        "llama3_2_1b": (16, 32, 2048, 128256, 131072),
        "llama3_2_3b": (28, 24, 3072, 128256, 131072),
    }
    for name, config in VARIANTS.items():
        assert config.norm_position == ("post" if name == "gpt_small" else "pre")
        assert config.norm_epsilon == 1e-5 and config.activation == ("silu" if config.gated else "gelu_tanh")


def test_builders_take_overrides():
    model = keras_tx.gpt_char(num_layers=1, d_model=30, num_heads=3, vocab_size=11)
    assert model.config == dataclasses.replace(
        VARIANTS["gpt_char"], num_layers=1, d_model=30, num_heads=3, vocab_size=11
    )
    with pytest.raises(ValueError, match=r"no model 'gpt7'; there are .*, gpt2_large, "):
        keras_tx.create_model("gpt7")


@pytest.mark.parametrize("name", ["gpt_small", "gpt_char"])
def test_initialization(name):
    layers = 5
    model = keras_tx.create_model(name, num_layers=layers, vocab_size=211, d_model=204, num_heads=6)
    residual = 0.02 if name == "gpt_small" else 0.02 / (2 * layers) ** 0.5
    for weight in model.trainable_weights:
        values = numpy(weight)
        if weight.name == "gamma":
            assert (values == 1).all()
        elif weight.name in ("beta", "bias"):
            assert not values.any()
        else:
            ends_branch = "/output/" in weight.path or "/down/" in weight.path
            assert values.std() == pytest.approx(residual if ends_branch else 0.02, rel=0.03), weight.path
            assert abs(values.mean()) < 5e-4


def test_initialization_draws_each_weight_anew():
    model = keras_tx.GPTModel(TINY)
    drawn = [numpy(w).ravel()[:15] for w in model.trainable_weights if w.name in ("kernel", "embeddings")]
    assert len(drawn) == 2 + 6 * TINY.num_layers
    assert all(not np.allclose(x / x.std(), y / y.std()) for i, x in enumerate(drawn) for y in drawn[:i])


@pytest.mark.parametrize("position", ["pre", "post"])
def test_where_the_norms_stand(position, rng):
    """The hidden states rebuilt from the embeddings by each block's own branches."""
    model = keras_tx.GPTModel(TINY, norm_position=position)
    ids = rng.integers(0, TINY.vocab_size, (2, 5))
    states = [numpy(x) for x in model(ids, return_hidden_states=True)["hidden_states"]]
    x = numpy(model.backbone.token_embedding.embeddings)[ids] + numpy(model.backbone.position_embedding.embeddings)[:5]
    np.testing.assert_allclose(states[0], x, atol=1e-6)
    for i, block in enumerate(model.backbone.blocks):
        for norm, branch in ((block.attention_norm, block.attention), (block.feed_forward_norm, block.feed_forward)):
            x = x + numpy(branch(layer_norm(x))) if position == "pre" else layer_norm(x + numpy(branch(x)))
            assert norm.epsilon == 1e-5
        last = i == TINY.num_layers - 1
        expected = layer_norm(x) if position == "pre" and last else x
        np.testing.assert_allclose(states[i + 1], expected, atol=1e-4)
    assert hasattr(model.backbone, "final_norm") == (position == "pre")


def test_the_head_is_the_transposed_table(rng):
    ids = rng.integers(0, TINY.vocab_size, (2, 5))
    tied, free = keras_tx.GPTModel(TINY), keras_tx.GPTModel(TINY, tie_embeddings=False)
    assert free.count_params() == tied.count_params() + TINY.vocab_size * TINY.d_model
    for model, head in (
        (tied, lambda: numpy(tied.backbone.token_embedding.embeddings).T),
        (free, lambda: numpy(free.head.output_projection.kernel)),
    ):
        outputs = model(ids, return_hidden_states=True)
        np.testing.assert_allclose(outputs["logits"], numpy(outputs["hidden_states"][-1]) @ head(), atol=1e-5)


def test_the_loss_is_the_mean_surprise_at_the_next_token(rng):
    model, ids = keras_tx.GPTModel(TINY), rng.integers(0, TINY.vocab_size, (2, 5))
    outputs = model(ids, labels=ids)
    probabilities = np.take_along_axis(softmax(numpy(outputs["logits"])[:, :-1]), ids[:, 1:, None], axis=-1)
    assert float(outputs["loss"]) == pytest.approx(-np.log(probabilities).mean(), abs=1e-5)


def test_positions_count_from_zero_unless_given(rng):
    ids = rng.integers(0, TINY.vocab_size, (2, 5))
    for positions in ("learned", "sinusoidal", "rotary"):
        model = keras_tx.GPTModel(TINY, positions=positions, d_model=18)
        for (
            block
        ) in model.backbone.blocks:  # at the small initial scale attention is nearly even, and positions hardly matter
            for projection in (block.attention.query, block.attention.key):
                projection.kernel.assign(normal(rng, 18, 18))
        counted = np.tile(np.arange(5), (2, 1))
        plain = numpy(model(ids)["logits"])
        np.testing.assert_allclose(model(ids, position_ids=counted)["logits"], plain, atol=1e-6)
        moved = numpy(model(ids, position_ids=counted[:, ::-1].copy())["logits"])
        assert np.abs(moved - plain).max() > 1e-3


def test_more_positions_where_they_are_no_table(rng, tmp_path):
    """What is rotary runs past what its config says if that is said anew; a table ends."""
    ids = rng.integers(0, TINY.vocab_size, (2, 41))
    with pytest.raises(ValueError, match=r"41 long, more than `max_positions` = 37: cut them\."):
        keras_tx.GPTModel(TINY)(ids)
    model = randomize(keras_tx.GPTModel(TINY_LLAMA), rng)
    with pytest.raises(ValueError, match="cut them, or make or load the model with more"):
        model(ids)
    model.save_pretrained(tmp_path)
    longer = keras_tx.GPTModel.from_pretrained(tmp_path, max_positions=41)
    np.testing.assert_allclose(longer(ids)["logits"][:, :37], model(ids[:, :37])["logits"], atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_heads": 4}, "`d_model` must be a multiple of `num_heads`"),
        ({"num_layers": 0}, "`num_layers` must be"),
        ({"vocab_size": -1}, "`vocab_size` must be"),
        ({"num_kv_heads": 2}, "`num_heads` must be a multiple of `num_kv_heads`"),
        ({"residual_dropout": 1.0}, "`residual_dropout` must be a rate"),
        ({"positions": "alibi"}, "`positions` must be"),
        ({"norm_position": "middle"}, "`norm_position` must be"),
        ({"activation": "swish7"}, "`activation` must be one of"),
        ({"positions": "rotary"}, "heads of width 5 have one too many.*`d_model` / `num_heads`"),
        ({"classifier_dropout": -0.1}, "`classifier_dropout` must be a rate"),
        ({"num_labels": 0}, "`num_labels` must be"),
        ({"problem_type": "ranking"}, "`problem_type` must be None or one of regression, "),
        ({"label_names": ("a", "b", "c")}, "`label_names` must be as many as `num_labels` = 2"),
    ],
)
def test_config_errors(fields, message):
    with pytest.raises(ValueError, match=message):
        keras_tx.GPTModel(TINY, **fields)


def test_attention_scales(rng):
    """By the map of each block, from the queries and keys of the hidden state before it."""
    ids = rng.integers(0, TINY.vocab_size, (2, 5))
    for scaled, by_layer in itertools.product((True, False), (True, False)):
        model = keras_tx.GPTModel(TINY, scale_attention=scaled, scale_attention_by_layer=by_layer)
        randomize(model, rng)
        outputs = model(ids, return_attention=True, return_hidden_states=True)
        for i, (block, x) in enumerate(zip(model.backbone.blocks, outputs["hidden_states"], strict=False)):
            x = numpy(block.attention_norm(x))
            query, key = (
                dense(projection, x).reshape(2, 5, 3, 5).swapaxes(1, 2)
                for projection in (block.attention.query, block.attention.key)
            )
            scale = (5**-0.5 if scaled else 1.0) / (i + 1 if by_layer else 1)
            _, expected = attend(query, key, key, mask=np.tri(5, dtype=bool), scale=scale)
            np.testing.assert_allclose(outputs["attentions"][i], expected, atol=1e-5)


# === Configs ===


def test_label_names_go_to_json_and_back():
    config = TINY.replace(num_labels=3, label_names=["a", "b", "c"], eos_token_id=[1, 2])
    assert config.label_names == ("a", "b", "c") and config.eos_token_id == (1, 2)
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.replace(num_labels=3).label_names == ("a", "b", "c")
    assert config.replace(num_labels=5).label_names is None
    assert config.replace(num_labels=2, label_names=["d", "e"]).label_names == ("d", "e")


# === Bigram ===


def test_bigram_from_counts(rng):
    """Its loss on the text is the cross-entropy of the smoothed counts, in closed form."""
    ids = rng.integers(0, 7, 501) ** 2 % 7
    model = keras_tx.BigramModel.from_counts(ids, 7)
    counts = np.ones((7, 7))
    for now, following in itertools.pairwise(ids):
        counts[now, following] += 1
    conditional = counts / counts.sum(axis=1, keepdims=True)
    expected = -((counts - 1) * np.log(conditional)).sum() / 500
    assert float(model(ids[None], labels=ids[None])["loss"]) == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(softmax(numpy(model(ids[None])["logits"])[0, 3]), conditional[ids[3]], atol=1e-6)


def test_bigram_starts_at_the_uniform_loss(rng):
    ids = rng.integers(0, 7, (2, 5))
    assert float(keras_tx.BigramModel(vocab_size=7)(ids, labels=ids)["loss"]) == pytest.approx(np.log(7), abs=1e-6)
