"""ALBERT (Lan et al. 2020) and its heads: BERT's on its backbone."""

from __future__ import annotations

from keras_tx.models.albert.backbone import AlbertBackbone
from keras_tx.models.albert.config import TINY, TINY_HEAD
from keras_tx.models.albert.heads import SentenceOrderHead
from keras_tx.models.bert.model import (
    BERTForMaskedLM,
    BERTForMultipleChoice,
    BERTForPreTraining,
    BERTForQuestionAnswering,
    BERTForSequenceClassification,
    BERTForTokenClassification,
    BERTModel,
)
from keras_tx.models.core.registry import register_model


@register_model(TINY)
class AlbertModel(BERTModel):
    """ALBERT without a head: gives what `BERTModel` does."""

    backbone_class = AlbertBackbone


@register_model(TINY_HEAD)
class AlbertForPreTraining(BERTForPreTraining):
    """Both tasks of ALBERT's pre-training (Lan et al. 2020, section 3.1).

    `model(input_ids)` gives `{"logits": (B, T, vocab_size), "sop_logits": (B, 2)}`: of the token at each place, and of
    two texts in their order (0) or swapped (1). With `labels`, `(B, T)`, and `sentence_order_label`, `(B,)`, also
    `"loss"`: the sum of both mean cross-entropies; it needs both.
    """

    backbone_class, head_class = AlbertBackbone, SentenceOrderHead

    def head_arguments(self):
        return {**super().head_arguments(), "dropout": self.config.classifier_rate}


@register_model(TINY_HEAD)
class AlbertForMaskedLM(BERTForMaskedLM):
    """What stands at each place of a text, masked or not: gives what `BERTForMaskedLM` does."""

    backbone_class = AlbertBackbone


@register_model(TINY_HEAD)
class AlbertForSequenceClassification(BERTForSequenceClassification):
    """A label for each text or pair of texts: gives what `BERTForSequenceClassification` does."""

    backbone_class = AlbertBackbone


@register_model(TINY_HEAD)
class AlbertForTokenClassification(BERTForTokenClassification):
    """A label for each token: gives what `BERTForTokenClassification` does."""

    backbone_class = AlbertBackbone


@register_model(TINY_HEAD)
class AlbertForQuestionAnswering(BERTForQuestionAnswering):
    """Where in a text the answer to a question starts and ends: gives what `BERTForQuestionAnswering` does."""

    backbone_class = AlbertBackbone


@register_model(TINY_HEAD)
class AlbertForMultipleChoice(BERTForMultipleChoice):
    """Which of several texts fits best: gives what `BERTForMultipleChoice` does."""

    backbone_class = AlbertBackbone
