"""ESM (Rives et al. 2021, Lin et al. 2022) and its heads: RoBERTa's on a backbone that reads proteins."""

from __future__ import annotations

from keras_tx.models.bert.model import BERTModel
from keras_tx.models.core.registry import register_model
from keras_tx.models.esm.backbone import EsmBackbone
from keras_tx.models.esm.config import TINY, TINY_HEAD, TINY_LEARNED
from keras_tx.models.roberta.model import (
    RobertaForMaskedLM,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
)


@register_model(TINY, TINY_LEARNED)
class EsmModel(BERTModel):
    """ESM without a head: gives what `BERTModel` does."""

    backbone_class = EsmBackbone

    def predict_contacts(self, input_ids, attention_mask=None):
        """The probabilities that two residues touch: those of `EsmBackbone.predict_contacts`."""
        return self.backbone.predict_contacts(input_ids, attention_mask)


@register_model(TINY_HEAD)
class EsmForMaskedLM(RobertaForMaskedLM):
    """What stands at each place of a protein, masked or not: gives what `BERTForMaskedLM` does."""

    backbone_class = EsmBackbone

    def predict_contacts(self, input_ids, attention_mask=None):
        """The probabilities that two residues touch: those of `EsmBackbone.predict_contacts`."""
        return self.backbone.predict_contacts(input_ids, attention_mask)


@register_model(TINY_HEAD)
class EsmForSequenceClassification(RobertaForSequenceClassification):
    """A label for each protein: gives what `RobertaForSequenceClassification` does."""

    backbone_class = EsmBackbone


@register_model(TINY_HEAD)
class EsmForTokenClassification(RobertaForTokenClassification):
    """A label for each residue: gives what `BERTForTokenClassification` does."""

    backbone_class = EsmBackbone
