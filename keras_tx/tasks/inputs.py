"""Texts as the inputs of a model."""

from __future__ import annotations

import copy
from typing import Any

from keras_tx.models.core.backbone import Backbone
from keras_tx.models.core.head import HeadModel
from keras_tx.tasks.labels import label_names
from keras_tx.text import Tokenizer

MOST_TOKENS = 512
"""The longest row where neither the model, nor the tokenizer, nor the user sets a limit."""


class TextInputs:
    """A model and its tokenizer, which makes the model's inputs of texts.

    Args:
        model: a model of texts.
        tokenizer: the tokenizer that the model was trained with.
        max_length: the longest row of tokens; as many as model and tokenizer allow, at most 512, unless given.

    Attributes:
        tokenizer: the tokenizer; for a model with token types, one that gives them.

    Raises:
        ValueError: if the tokenizer has ids that the model does not know, or `max_length` is more than the model's
            positions; of a model without such a limit, more than the tokenizer's `model_max_length`.
    """

    def __init__(self, model: HeadModel | Backbone, tokenizer: Tokenizer, *, max_length: int | None = None):
        require_known_ids(model, tokenizer)
        positions, tokens = model.max_positions, tokenizer.model_max_length
        limit, whose = (
            (positions, "the model's positions") if positions else (tokens, "the tokenizer's `model_max_length`")
        )
        if max_length is not None and limit and max_length > limit:
            raise ValueError(f"`max_length` must be at most {limit}, {whose}; got {max_length}.")
        self.model = model
        self.tokenizer = _with_token_types(tokenizer) if "token_type_ids" in model.input_signature() else tokenizer
        self.max_length = max_length or min(positions or MOST_TOKENS, tokens or MOST_TOKENS, MOST_TOKENS)

    def model_inputs(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Returns the tensors of a batch that the model takes."""
        return {name: batch[name] for name in self.model.input_signature() if name in batch}

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of the model's labels."""
        return label_names(self.model.config)


def require_known_ids(model: HeadModel | Backbone, tokenizer: Tokenizer) -> None:
    """Raises ValueError for a tokenizer with ids that the model does not know."""
    known = model.prompt_vocab_size
    if tokenizer.vocab_size > known:
        raise ValueError(
            f"the tokenizer has {tokenizer.vocab_size} ids, and the model's `vocab_size` is {known}: give the "
            "tokenizer that the model was trained with."
        )


def require_mask_token(tokenizer: Tokenizer) -> int:
    """Returns the id of a tokenizer's mask token.

    Raises:
        ValueError: if it has none.
    """
    mask_token_id: int | None = getattr(tokenizer, "mask_token_id", None)
    if mask_token_id is None:
        raise ValueError("`tokenizer` has no mask token, and a masked language model predicts what stands at one.")
    return mask_token_id


def _with_token_types(tokenizer: Tokenizer) -> Tokenizer:
    if "token_type_ids" in tokenizer.model_input_names:
        return tokenizer
    tokenizer.encode("")  # its graph is made before it is copied, and so only once
    tokenizer = copy.copy(tokenizer)
    tokenizer.model_input_names = (*tokenizer.model_input_names, "token_type_ids")
    return tokenizer
