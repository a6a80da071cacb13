"""DeBERTa, version 2 and 3 (He et al. 2020, 2021), and its heads."""

from __future__ import annotations

from keras_tx.models.bert.model import (
    POOLED,
    BERTForMaskedLM,
    BERTForQuestionAnswering,
    BERTForTokenClassification,
)
from keras_tx.models.core.first_token import FirstTokenChoiceHead, FirstTokenHead
from keras_tx.models.core.registry import register_model
from keras_tx.models.core.text import BareTextModel, TextModel
from keras_tx.models.deberta.backbone import DebertaV2Backbone
from keras_tx.models.deberta.config import TINY, TINY_HEAD


@register_model(TINY)
class DebertaV2Model(BareTextModel):
    """DeBERTa without a head: gives what `BareTextModel` does."""

    backbone_class = DebertaV2Backbone


@register_model(TINY_HEAD)
class DebertaV2ForMaskedLM(BERTForMaskedLM):
    """What stands at each place of a text, masked or not: gives what `BERTForMaskedLM` does."""

    backbone_class = DebertaV2Backbone

    def head_arguments(self):
        if not self.config.legacy and self.config.projects_embeddings:
            raise ValueError(
                f"`embedding_dim` must be `d_model` = {self.config.d_model} in a masked language model with "
                f"`legacy=False`; got {self.config.embedding_dim}."
            )
        return super().head_arguments()


class _OfFirstToken(TextModel):
    """A model whose head reads the first token's hidden state."""

    padding_sides = POOLED

    def head_arguments(self):
        return {"activation": self.config.pooler_activation, "first_dropout": self.config.pooler_dropout}


@register_model(TINY_HEAD)
class DebertaV2ForSequenceClassification(_OfFirstToken):
    """A label for each text or pair of texts: gives what `RobertaForSequenceClassification` does."""

    backbone_class, head_class = DebertaV2Backbone, FirstTokenHead


@register_model(TINY_HEAD)
class DebertaV2ForTokenClassification(BERTForTokenClassification):
    """A label for each token: gives what `BERTForTokenClassification` does."""

    backbone_class = DebertaV2Backbone

    def head_arguments(self):
        return {"dropout": self.config.hidden_dropout}


@register_model(TINY_HEAD)
class DebertaV2ForQuestionAnswering(BERTForQuestionAnswering):
    """Where in a text the answer to a question starts and ends: gives what `BERTForQuestionAnswering` does."""

    backbone_class = DebertaV2Backbone


@register_model(TINY_HEAD)
class DebertaV2ForMultipleChoice(_OfFirstToken):
    """Which of several texts fits best: gives what `BERTForMultipleChoice` does."""

    backbone_class, head_class = DebertaV2Backbone, FirstTokenChoiceHead
    choices = True
