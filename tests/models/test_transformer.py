"""The Transformer against torch's, whose numbers `golden/make_transformer.py` made, and by its definition."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from generation_helpers import eagerly
from helpers import count_parameters, numpy, randomize

from keras_tx.models import Transformer, TransformerConfig, create_model
from keras_tx.models.transformer.config import TINY

GOLDEN = Path(__file__).parents[1] / "golden" / "transformer"


# === torch.nn.Transformer ===


@pytest.mark.parametrize("case", ["post", "pre"])
def test_outputs(case):
    """With embeddings, positions, masks of both texts, logits and loss around it."""
    arrays = dict(np.load(GOLDEN / f"{case}.npz"))
    model = Transformer(**json.loads(str(arrays.pop("facts"))))
    weights = {path.split("/", 1)[1]: weight for path, weight in model.weights_by_path().items()}
    assert {f"weights/{path}" for path in weights} == {name for name in arrays if name.startswith("weights/")}
    for path, weight in weights.items():
        weight.assign(arrays[f"weights/{path}"])
    given = {name.removeprefix("given/"): x for name, x in arrays.items() if name.startswith("given/")}
    source, target = (given[name].astype(bool) for name in ("attention_mask", "decoder_attention_mask"))
    context = numpy(model.encode(given["input_ids"], given["attention_mask"]))
    np.testing.assert_allclose(context[source], arrays["context"][source], atol=2e-5)
    outputs = model(given)
    np.testing.assert_allclose(numpy(outputs["logits"])[target], arrays["logits"][target], atol=2e-5)
    assert float(outputs["loss"]) == pytest.approx(float(arrays["loss"]), abs=1e-5)


# === Making one ===


def block_parameters(width: int, inner: int, attentions: int) -> int:
    """Attentions, a feed-forward network, and a norm after each."""
    attention, feed_forward = 4 * (width**2 + width), 2 * width * inner + inner + width
    return attentions * attention + feed_forward + (attentions + 1) * 2 * width


@pytest.mark.parametrize(("name", "width", "inner"), [("transformer_base", 512, 2048), ("transformer_big", 1024, 4096)])
def test_parameters(name, width, inner):
    expected = 37000 * width + 6 * (block_parameters(width, inner, 1) + block_parameters(width, inner, 2))
    assert count_parameters(lambda: create_model(name)) == expected


def test_sizes_in_order_or_by_name():
    model = Transformer(31, 18, 3, 1, 29, 0.2)
    by_name = Transformer(vocab_size=31, d_model=18, num_heads=3, num_layers=1, dim_feedforward=29, dropout=0.2)
    of_config = Transformer(TransformerConfig(vocab_size=31, d_model=18, num_heads=3, num_layers=1, dim_feedforward=29))
    assert model.config == by_name.config == of_config.config.replace(dropout=0.2)
    assert Transformer(TINY, num_layers=3).config == TINY.replace(num_layers=3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_heads": 4}, "`d_model` must be a multiple of `num_heads`"),
        ({"d_model": 15}, "`d_model` must be even, a number of pairs of channels; got 15"),
        ({"label_smoothing": 1.0}, r"`label_smoothing` must be a rate in \[0, 1\)"),
        ({"norm_position": "middle"}, '`norm_position` must be "pre" or "post"'),
        ({"width7": 3}, "has no field `width7`"),
    ],
)
def test_configs_that_cannot_be(fields, message):
    with pytest.raises(ValueError, match=message):
        Transformer(TINY, **fields)


# === What it is made of ===


def test_one_table_or_two(rng):
    shared, own = Transformer(TINY), Transformer(TINY, source_vocab_size=67)
    assert shared.backbone.source_embedding is shared.backbone.token_embedding
    assert own.backbone.source_embedding.vocab_size == 67 and own.backbone.token_embedding.vocab_size == 61
    source, target = np.array([[66, 3]]), np.array([[0, 5, 60]])
    assert own(source, target)["logits"].shape == (1, 3, 61)
    with eagerly():
        assert own.generate(source, max_new_tokens=2).shape == (1, 3)
    with pytest.raises(ValueError, match=r"must lie in \[0, vocab_size\) = \[0, 61\)"):
        shared(source, target)


def test_embeddings_are_multiplied_and_positions_added():
    model = Transformer(TINY)
    ids = np.array([[5, 7, 5]])
    (first, *_) = model(ids, ids, return_hidden_states=True)["encoder_hidden_states"]
    table = numpy(model.backbone.token_embedding.embeddings)
    angles = np.arange(3)[:, None] / 10000 ** (np.arange(0, 18, 2) / 18)
    positions = np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(3, 18)
    np.testing.assert_allclose(first[0], table[ids[0]] * 18**0.5 + positions, atol=1e-5)


def test_initial_embeddings_have_the_size_of_positions():
    model = Transformer(TINY.replace(vocab_size=997))
    assert numpy(model.backbone.token_embedding.embeddings).std() == pytest.approx(18**-0.5, rel=0.05)


def test_label_smoothing(rng):
    """The cross-entropy against what is left of each label, and an equal share for every token."""
    source, target, labels = (rng.integers(0, 61, shape) for shape in ((3, 7), (3, 5), (3, 5)))
    labels[0, 3:] = -100
    model = randomize(Transformer(TINY, label_smoothing=0.3), rng)
    outputs = model(source, target, labels=labels)
    logits = numpy(outputs["logits"]).astype("float64")
    log_odds = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    wanted = 0.7 * np.eye(61)[np.maximum(labels, 0)] + 0.3 / 61
    losses = -(wanted * log_odds).sum(axis=-1)
    assert float(outputs["loss"]) == pytest.approx(losses[labels >= 0].mean(), rel=1e-5)
