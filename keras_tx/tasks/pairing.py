"""What a model and its tokenizer need of each other, to work on strings together."""

from __future__ import annotations

import copy
from typing import Any

from keras_tx.models.core.backbone import Backbone
from keras_tx.models.core.head import HeadModel
from keras_tx.text import Tokenizer

LONGEST_ROW = 512
"""Tokens of a row at most, unless asked for more."""


def require_pair(model: HeadModel | Backbone, tokenizer: Tokenizer) -> None:
    """Raises ValueError for a tokenizer with ids that the model does not know."""
    known = model.prompt_vocab_size
    if tokenizer.vocab_size > known:
        raise ValueError(
            f"the tokenizer has {tokenizer.vocab_size} ids and the model knows {known}: they do not belong together."
        )


def default_max_length(model: HeadModel | Backbone, tokenizer: Tokenizer) -> int:
    """How many tokens a row may have: as many as both allow, and `LONGEST_ROW` at most."""
    return min(n for n in (model.max_positions, tokenizer.model_max_length, LONGEST_ROW) if n)


def default_stride(max_length: int) -> int:
    """How many tokens neighbouring windows of a long text have in common: a third of a row."""
    return max_length // 3


def tokenizer_for(model: HeadModel | Backbone, tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer, or a copy that gives token types too, where the model takes them and the tokenizer gives none."""
    if "token_type_ids" not in model.input_signature() or "token_type_ids" in tokenizer.model_input_names:
        return tokenizer
    tokenizer.encode("")  # its graph is made before it is copied, and so only once
    tokenizer = copy.copy(tokenizer)
    tokenizer.model_input_names = (*tokenizer.model_input_names, "token_type_ids")
    return tokenizer


def model_inputs(model: HeadModel | Backbone, batch: dict[str, Any]) -> dict[str, Any]:
    """The tensors of a batch that the model takes."""
    return {name: batch[name] for name in model.input_signature() if name in batch}
