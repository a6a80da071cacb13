"""Longformer (Beltagy et al. 2020) and its heads: RoBERTa's on its backbone, and which tokens they make global."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_tx.models.core.registry import register_model
from keras_tx.models.core.text import TextModel
from keras_tx.models.longformer.backbone import LongformerBackbone
from keras_tx.models.longformer.config import TINY, TINY_HEAD
from keras_tx.models.roberta.model import (
    RobertaForMaskedLM,
    RobertaForMultipleChoice,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    RobertaModel,
)


@register_model(TINY)
class LongformerModel(RobertaModel):
    """Longformer without a head: gives what `BERTModel` does.

    No token is global unless `global_attention_mask` is given.
    """

    backbone_class = LongformerBackbone


@register_model(TINY_HEAD)
class LongformerForMaskedLM(RobertaForMaskedLM):
    """What stands at each place of a text, masked or not: gives what `BERTForMaskedLM` does.

    No token is global unless `global_attention_mask` is given.
    """

    backbone_class = LongformerBackbone


@register_model(TINY_HEAD)
class LongformerForTokenClassification(RobertaForTokenClassification):
    """A label for each token: gives what `BERTForTokenClassification` does.

    No token is global unless `global_attention_mask` is given.
    """

    backbone_class = LongformerBackbone


class _GlobalByTask(TextModel):
    """A model whose task says which tokens are global, where no mask does; it is exported without that mask."""

    def input_signature(self):
        signature = super().input_signature()
        return {name: spec for name, spec in signature.items() if name != "global_attention_mask"}

    def unless_given(self, given):
        if given["global_attention_mask"] is not None:
            return {}
        return {"global_attention_mask": self.global_tokens(given["input_ids"])}

    def global_tokens(self, ids) -> Any:
        """Returns the global attention mask of ids `(..., T)`, of the first tokens or of all."""
        raise NotImplementedError

    def first_separator(self, ids) -> tuple[Any, Any]:
        """Returns where the first separator stands, and whether there is one: `(..., 1)` each.

        Raises:
            ValueError: for a config without a `sep_token_id`.
        """
        if self.config.sep_token_id is None:
            raise ValueError(
                f"a {type(self).__name__} needs `global_attention_mask`, or a config with `sep_token_id`; that is None."
            )
        separators = ops.equal(ids, self.config.sep_token_id)
        place = ops.argmax(ops.cast(separators, "int32"), axis=-1)
        return ops.cast(place, "int32")[..., None], ops.any(separators, axis=-1, keepdims=True)


@register_model(TINY_HEAD)
class LongformerForSequenceClassification(_GlobalByTask, RobertaForSequenceClassification):
    """A label for each text or pair of texts: gives what `RobertaForSequenceClassification` does.

    The first token, whose hidden state is classified, is global unless `global_attention_mask` is given.
    """

    backbone_class = LongformerBackbone

    def global_tokens(self, ids):
        return ops.ones_like(ids[:, :1])


@register_model(TINY_HEAD)
class LongformerForQuestionAnswering(_GlobalByTask, RobertaForQuestionAnswering):
    """Where in a text the answer to a question starts and ends: gives what `BERTForQuestionAnswering` does.

    Unless `global_attention_mask` is given, the question is global, which is what stands before the first
    `sep_token_id`; nothing is where there is none.
    """

    backbone_class = LongformerBackbone

    def global_tokens(self, ids):
        first, _ = self.first_separator(ids)
        return ops.arange(ops.shape(ids)[-1], dtype="int32") < first


@register_model(TINY_HEAD)
class LongformerForMultipleChoice(_GlobalByTask, RobertaForMultipleChoice):
    """Which of several texts fits best: gives what `BERTForMultipleChoice` does.

    Unless `global_attention_mask` is given, the second text of each pair is global, which is what stands from two
    tokens after the first `sep_token_id` on; nothing is where there is none.
    """

    backbone_class = LongformerBackbone

    def global_tokens(self, ids):
        first, found = self.first_separator(ids)
        return ops.logical_and(ops.arange(ops.shape(ids)[-1], dtype="int32") > first + 1, found)
