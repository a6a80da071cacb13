"""MPNet (Song et al. 2020) and its heads: RoBERTa's on its backbone."""

from __future__ import annotations

from keras_tx.models.core.registry import register_model
from keras_tx.models.mpnet.backbone import MPNetBackbone
from keras_tx.models.mpnet.config import TINY, TINY_HEAD
from keras_tx.models.roberta.model import (
    RobertaForMaskedLM,
    RobertaForMultipleChoice,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    RobertaModel,
)


@register_model(TINY)
class MPNetModel(RobertaModel):
    """MPNet without a head: gives what `BERTModel` does."""

    backbone_class = MPNetBackbone


@register_model(TINY_HEAD)
class MPNetForMaskedLM(RobertaForMaskedLM):
    """What stands at each place of a text, masked or not: gives what `BERTForMaskedLM` does."""

    backbone_class = MPNetBackbone


@register_model(TINY_HEAD)
class MPNetForSequenceClassification(RobertaForSequenceClassification):
    """A label for each text or pair of texts: gives what `RobertaForSequenceClassification` does."""

    backbone_class = MPNetBackbone


@register_model(TINY_HEAD)
class MPNetForTokenClassification(RobertaForTokenClassification):
    """A label for each token: gives what `BERTForTokenClassification` does."""

    backbone_class = MPNetBackbone


@register_model(TINY_HEAD)
class MPNetForQuestionAnswering(RobertaForQuestionAnswering):
    """Where in a text the answer to a question starts and ends: gives what `BERTForQuestionAnswering` does."""

    backbone_class = MPNetBackbone


@register_model(TINY_HEAD)
class MPNetForMultipleChoice(RobertaForMultipleChoice):
    """Which of several texts fits best: gives what `BERTForMultipleChoice` does."""

    backbone_class = MPNetBackbone
