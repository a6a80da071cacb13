"""RoBERTa (Liu et al. 2019) and its heads: BERT's on another backbone, but for the classifier of texts."""

from __future__ import annotations

from typing import ClassVar

from keras_tx.models.bert.model import (
    POOLED,
    BERTForMaskedLM,
    BERTForMultipleChoice,
    BERTForQuestionAnswering,
    BERTForTokenClassification,
    BERTModel,
)
from keras_tx.models.core.first_token import FirstTokenHead
from keras_tx.models.core.registry import register_model
from keras_tx.models.core.text import TextModel
from keras_tx.models.roberta.backbone import RobertaBackbone
from keras_tx.models.roberta.config import TINY, TINY_HEAD


@register_model(TINY)
class RobertaModel(BERTModel):
    """RoBERTa without a head: gives what `BERTModel` does."""

    backbone_class = RobertaBackbone


@register_model(TINY_HEAD)
class RobertaForMaskedLM(BERTForMaskedLM):
    """What stands at each place of a text, masked or not: gives what `BERTForMaskedLM` does."""

    backbone_class = RobertaBackbone

    def head_arguments(self):
        return {**super().head_arguments(), "activation": "gelu"}  # whatever the blocks have


@register_model(TINY_HEAD)
class RobertaForSequenceClassification(TextModel):
    """A label for each text or pair of texts, from the first token's hidden state.

    `model(input_ids)` gives `{"logits": (B, num_labels)}`. `labels` are `(B,)`, or `(B, num_labels)` for several
    labels a text; the loss is that of `SequenceHead`.
    """

    backbone_class, head_class = RobertaBackbone, FirstTokenHead
    backbone_options: ClassVar = {"pooler": False}
    padding_sides = POOLED


@register_model(TINY_HEAD)
class RobertaForTokenClassification(BERTForTokenClassification):
    """A label for each token: gives what `BERTForTokenClassification` does."""

    backbone_class = RobertaBackbone


@register_model(TINY_HEAD)
class RobertaForQuestionAnswering(BERTForQuestionAnswering):
    """Where in a text the answer to a question starts and ends: gives what `BERTForQuestionAnswering` does."""

    backbone_class = RobertaBackbone


@register_model(TINY_HEAD)
class RobertaForMultipleChoice(BERTForMultipleChoice):
    """Which of several texts fits best: gives what `BERTForMultipleChoice` does."""

    backbone_class = RobertaBackbone
