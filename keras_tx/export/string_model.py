"""A model and its tokenizer, as the signatures on strings need them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from keras_tx.models.core.backbone import Backbone
from keras_tx.models.core.head import HeadModel
from keras_tx.tasks.labels import label_names
from keras_tx.tasks.pairing import default_max_length, default_stride, model_inputs, require_pair, tokenizer_for
from keras_tx.text import Tokenizer


@dataclass(frozen=True)
class StringModel:
    """A model that is asked with strings.

    Attributes:
        model: the model.
        tokenizer: whose ids it knows, and which gives all the tensors that it takes.
        max_length: the tokens of a row; what is longer is cut, or split into windows.
    """

    model: Any
    tokenizer: Tokenizer
    max_length: int

    @classmethod
    def of(cls, model: HeadModel | Backbone, tokenizer: Tokenizer) -> StringModel:
        """Raises ValueError for a tokenizer with ids that the model does not know."""
        require_pair(model, tokenizer)
        return cls(model, tokenizer_for(model, tokenizer), default_max_length(model, tokenizer))

    @cached_property
    def label_names(self) -> tuple[str, ...]:
        """What the model's labels are called."""
        return label_names(self.model.config)

    @property
    def stride(self) -> int:
        """How many tokens neighbouring windows of a text have in common."""
        return default_stride(self.max_length)

    def tokens(self, *texts) -> dict[str, Any]:
        """Texts, or pairs of texts, as the model's inputs, cut to `max_length`."""
        import tensorflow as tf

        batch = self.tokenizer(*texts, truncation=True, max_length=self.max_length, padding_side="right")
        tf.debugging.assert_positive(tf.reduce_sum(batch["attention_mask"], axis=1), "a text must have a token")
        return model_inputs(self.model, batch)

    def outputs(self, batch: dict[str, Any]) -> Any:
        """What the model gives for a batch that may have more tensors than it takes."""
        return self.model(model_inputs(self.model, batch))
