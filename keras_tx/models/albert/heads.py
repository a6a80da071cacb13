"""ALBERT's own head: of its pre-training."""

from __future__ import annotations

from typing import ClassVar

from keras_tx.layers.core.base import register
from keras_tx.models.bert.heads import PreTrainingHead


@register
class SentenceOrderHead(PreTrainingHead):
    """Both tasks of the pre-training: masked tokens, and the order of two texts as `"sop_logits"`.

    The loss is the sum of both mean cross-entropies; it needs the labels of both.
    """

    targets: ClassVar = {"logits": "labels", "sop_logits": "sentence_order_label"}
