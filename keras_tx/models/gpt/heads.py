"""The heads that GPT alone has: on a text's last token, and the choice beside a language model."""

from __future__ import annotations

from typing import Any, ClassVar

from keras import ops

from keras_tx.layers.core.base import register
from keras_tx.layers.core.dropout import Dropout
from keras_tx.models.core.config import ProblemType
from keras_tx.models.core.heads import CausalLanguageModelHead, SequenceHead
from keras_tx.ops.activations import get_activation
from keras_tx.ops.checks import as_integers, require_below, require_shape
from keras_tx.ops.gather import take_positions
from keras_tx.ops.losses import token_cross_entropy


@register
class LastTokenHead(SequenceHead):
    """A linear map of the last token's hidden state: `(B, T, D)` to logits `(B, N)`.

    Args:
        width: D.
        num_labels: N.
        problem_type: see `SequenceHead`.
        pad_token_id: the token that is none: the last one that is another is read. None to ask the attention mask.
        kernel_initializer: of the linear map.
    """

    def __init__(
        self,
        width: int,
        num_labels: int,
        problem_type: ProblemType | None = None,
        pad_token_id: int | None = None,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(width, num_labels, problem_type, kernel_initializer, use_bias=False, **kwargs)
        self.pad_token_id = pad_token_id

    @classmethod
    def of(cls, backbone, config, **options):
        sizes = (backbone.width, config.num_labels, config.problem_type, config.pad_token_id)
        return cls(*sizes, backbone.initializer(), **options)

    def call(self, outputs, inputs, training=None):
        last = self._last_token(inputs["input_ids"], inputs.get("attention_mask"))
        return {"logits": self.classifier(take_positions(outputs["last_hidden_state"], last))}

    def _last_token(self, ids, mask):
        """The position of the last token that counts, `(B,)`; 0 where none does."""
        if self.pad_token_id is not None:
            counts = ops.not_equal(ids, self.pad_token_id)
        elif mask is not None and len(mask.shape) > 2:
            raise ValueError(
                "`attention_mask` must be (batch, length): one that is (batch, queries, keys) does not say which token "
                "is the last. Set `pad_token_id` in the config."
            )
        else:
            counts = ops.ones_like(ids, "bool") if mask is None else ops.cast(mask, "bool")
        return ops.max(ops.where(counts, ops.arange(ops.shape(ids)[1], dtype="int32"), 0), axis=1)


@register
class DoubleHead(CausalLanguageModelHead):
    """Logits of tokens, and of the choice between C texts: a linear map of each text's summary, as `"mc_logits"`.

    The losses are the language model's, and the cross-entropy of the choice as `"mc_loss"`.

    Args:
        width, vocab_size, tied, scale, use_bias, kernel_initializer: as `LanguageModelHead` takes them.
        summary_dropout: rate on the hidden states that the choice reads.
        summary_activation: of the scores, by name.
    """

    targets: ClassVar = {"logits": "labels", "mc_logits": "mc_labels"}
    extra_inputs = ("mc_token_ids",)

    def __init__(
        self,
        width: int,
        vocab_size: int,
        tied: bool = True,
        scale: float = 1.0,
        use_bias: bool = False,
        kernel_initializer="glorot_uniform",
        summary_dropout: float = 0.0,
        summary_activation: str | None = None,
        **kwargs,
    ):
        super().__init__(width, vocab_size, tied, scale, use_bias, kernel_initializer, **kwargs)
        self.summary_dropout = summary_dropout
        self.summary_activation = summary_activation
        self.choice_drop = Dropout(summary_dropout, dtype=self.dtype_policy, name="choice_drop")
        self.choice_head = self.linear(1, "choice_head")
        self.choice_activation = get_activation(summary_activation or "linear")

    @classmethod
    def of(cls, backbone, config, **options):
        summary = {"summary_dropout": config.summary_dropout, "summary_activation": config.summary_activation}
        return super().of(backbone, config, **summary, **options)

    def build(self, input_shape=None):
        super().build(input_shape)
        self.choice_head.build((None, None, self.width))

    def call(self, outputs, inputs, training=None, token_embedding=None):
        ids, summary = inputs["input_ids"], inputs.get("mc_token_ids")
        batch, choices, length = ops.shape(ids)
        x = ops.reshape(outputs["last_hidden_state"], (batch, choices, length, self.width))
        if summary is None:
            summary = ops.full((batch, choices), length - 1, "int32")
        summary = as_integers(summary, "mc_token_ids")
        require_shape(summary, tuple(ids.shape)[:-1], "mc_token_ids")
        if ids.shape[-1] is not None:
            require_below(summary, ids.shape[-1], "mc_token_ids", "length")
        vectors = self.choice_drop(take_positions(x, summary), training=training)
        scores = self.choice_activation(self.choice_head(vectors))
        logits = super().call({"last_hidden_state": x}, inputs, training, token_embedding)
        return {**logits, "mc_logits": scores[..., 0]}

    def own_losses(self, outputs, labels, weights):
        losses: dict[str, Any] = super().own_losses(outputs, labels, weights)
        if labels["mc_labels"] is not None:
            losses["mc_loss"] = token_cross_entropy(
                outputs["mc_logits"], labels["mc_labels"], "mc_labels", sample_weight=weights.get("mc_labels")
            )
        return losses
