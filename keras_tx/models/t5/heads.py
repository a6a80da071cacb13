"""The head that T5 alone has: on the decoder's state at the text's end."""

from __future__ import annotations

import keras
from keras import ops

from keras_tx.layers.core.base import register
from keras_tx.layers.core.dropout import Dropout
from keras_tx.models.core.config import ProblemType
from keras_tx.models.core.heads import SequenceHead
from keras_tx.ops.checks import known_values, require_shape
from keras_tx.ops.gather import take_positions


@register
class EndTokenHead(SequenceHead):
    """A linear map, tanh and a linear map of the state at the text's end: `(B, T, D)` to logits `(B, N)`.

    A text without an end token gets NaN where a graph cannot raise.

    Args:
        width: D.
        num_labels: N.
        problem_type: see `SequenceHead`.
        eos_token_id: the token, or one of several, at whose last place a text is read; None for its last token under
            the attention mask.
        dropout: rate before each linear map.
        kernel_initializer: of both linear maps.
    """

    def __init__(
        self,
        width: int,
        num_labels: int,
        problem_type: ProblemType | None = None,
        eos_token_id: int | tuple[int, ...] | None = None,
        dropout: float = 0.0,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(width, num_labels, problem_type, kernel_initializer, **kwargs)
        self.eos_token_id = eos_token_id
        self.dropout = dropout
        self.classifier_drop = Dropout(dropout, dtype=self.dtype_policy, name="classifier_drop")
        self.transform = self.linear(width, "transform")

    @classmethod
    def of(cls, backbone, config, **options):
        sizes = (backbone.width, config.num_labels, config.problem_type, config.eos_token_id, config.classifier_rate)
        return cls(*sizes, backbone.initializer(), **options)

    def build(self, input_shape=None):
        self.transform.build((None, self.width))
        super().build(input_shape)

    def call(self, outputs, inputs, training=None):
        require_shape(inputs["decoder_input_ids"], tuple(inputs["input_ids"].shape), "decoder_input_ids")
        ends = self._ends(inputs["input_ids"], inputs.get("attention_mask"))
        last = ops.max(ops.where(ends, ops.arange(ops.shape(ends)[1], dtype="int32"), 0), axis=1)
        x = take_positions(outputs["last_hidden_state"], last)
        x = ops.tanh(self.transform(self.classifier_drop(x, training=training)))
        logits = self.classifier(self.classifier_drop(x, training=training))
        return {"logits": ops.where(ops.any(ends, axis=1, keepdims=True), logits, float("nan"))}

    def _ends(self, ids, mask):
        """Returns where the text may end, `(B, T)` boolean."""
        ends = self.eos_token_id
        if ends is None:
            return ops.ones_like(ids, "bool") if mask is None else ops.cast(mask, "bool")
        found = ops.any(ops.stack([ids == end for end in keras.tree.flatten(ends)]), axis=0)
        known = known_values(found)
        if known is not None and not known.any(axis=1).all():
            raise ValueError(f"each row of `input_ids` must hold `eos_token_id` = {ends}: there it is read.")
        return found
