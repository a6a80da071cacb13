"""BERT base as a classifier of texts, in three libraries of equal sizes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.classifiers import (
    keras_forward,
    keras_policy,
    keras_train_step,
    torch_forward,
    torch_train_step,
)
from benchmarks.jobs import Options, Work
from benchmarks.side import Side


class Sizes(NamedTuple):
    vocabulary: int
    positions: int
    layers: int
    heads: int
    width: int
    parameters: int
    """How many all of these come to, with a head of two classes."""


BASE = Sizes(vocabulary=30522, positions=512, layers=12, heads=12, width=768, parameters=109_483_778)
TINY = Sizes(vocabulary=97, positions=24, layers=2, heads=2, width=16, parameters=8_866)
CLASSES = 2


def forward(side: Side, options: Options) -> Work:
    inputs, _ = batch(side, options)
    if side.library == "transformers":
        return torch_forward(side, transformers_model(options), inputs, describe(options), dtype=options.dtype)
    return keras_forward(KERAS_MODELS[side.library](options), inputs, describe(options), jit=side.jit)


def train_step(side: Side, options: Options) -> Work:
    inputs, labels = batch(side, options)
    if side.library == "transformers":
        return torch_train_step(
            side, transformers_model(options), inputs, labels, describe(options), dtype=options.dtype
        )
    return keras_train_step(KERAS_MODELS[side.library](options), inputs, labels, describe(options), jit=side.jit)


def sizes(options: Options) -> Sizes:
    return TINY if options.tiny else BASE


def describe(options: Options) -> str:
    rows, length = _shape(options)
    return f"batch {rows}, length {length}, {sizes(options).parameters} parameters, {options.dtype}"


def batch(side: Side, options: Options) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The inputs by the library's names, and the labels; no padding."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, sizes(options).vocabulary, _shape(options), dtype="int32")
    names = ("token_ids", "padding_mask", "segment_ids")
    names = names if side.library == "keras_hub" else ("input_ids", "attention_mask", "token_type_ids")
    arrays = (ids, np.ones_like(ids), np.zeros_like(ids))
    return dict(zip(names, arrays, strict=True)), rng.integers(0, CLASSES, len(ids), dtype="int32")


def keras_tx_model(options: Options):
    import keras_tx

    s = sizes(options)
    model = keras_tx.BERTForSequenceClassification(
        vocab_size=s.vocabulary,
        max_positions=s.positions,
        num_layers=s.layers,
        num_heads=s.heads,
        d_model=s.width,
        d_ff=4 * s.width,
        num_labels=CLASSES,
        dtype=keras_policy(options.dtype),
    )
    return _counted(model, model.count_params(), s)


def keras_hub_model(options: Options):
    import keras_hub

    s = sizes(options)
    policy = keras_policy(options.dtype)
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=s.vocabulary,
        num_layers=s.layers,
        num_heads=s.heads,
        hidden_dim=s.width,
        intermediate_dim=4 * s.width,
        dropout=0.1,
        max_sequence_length=s.positions,
        dtype=policy,
    )
    model = keras_hub.models.BertTextClassifier(backbone, num_classes=CLASSES, preprocessor=None, dtype=policy)
    return _counted(model, model.count_params(), s)


def transformers_model(options: Options):
    from transformers import BertConfig, BertForSequenceClassification

    s = sizes(options)
    config = BertConfig(
        vocab_size=s.vocabulary,
        max_position_embeddings=s.positions,
        num_hidden_layers=s.layers,
        num_attention_heads=s.heads,
        hidden_size=s.width,
        intermediate_size=4 * s.width,
        num_labels=CLASSES,
    )
    model = BertForSequenceClassification(config)
    return _counted(model, sum(p.numel() for p in model.parameters()), s)


KERAS_MODELS = {"keras_tx": keras_tx_model, "keras_hub": keras_hub_model}


def _shape(options: Options) -> tuple[int, int]:
    return options.batch_size or 8, 8 if options.tiny else 128


def _counted(model, parameters: int, s: Sizes):
    if parameters != s.parameters:
        raise AssertionError(f"{type(model).__name__} has {parameters} parameters, not {s.parameters}")
    return model
