"""ALBERT's backbone (Lan et al. 2020): BERT's, whose layers share their blocks."""

from __future__ import annotations

from typing import ClassVar

from keras_tx.models.albert.config import AlbertConfig
from keras_tx.models.albert.huggingface import FAMILIES
from keras_tx.models.bert.backbone import BERTBackbone
from keras_tx.models.core.registry import register_model


@register_model()
class AlbertBackbone(BERTBackbone):
    """ALBERT's encoder.

    `backbone(input_ids)` gives what a `BERTBackbone` does, with the attention maps and hidden states of each time that
    a block runs.

    Args:
        config: an `AlbertConfig`; ALBERT base unless given.
        pooler, name, dtype, overrides: as `BERTBackbone` takes them.
    """

    config_class = AlbertConfig
    config: AlbertConfig
    formats: ClassVar = {"huggingface": FAMILIES}

    @property
    def num_blocks(self):
        return self.config.num_groups * self.config.blocks_per_group

    @property
    def block_sequence(self):
        c = self.config
        groups = [i * c.num_groups // c.num_layers for i in range(c.num_layers)]
        return [self.blocks[group * c.blocks_per_group + i] for group in groups for i in range(c.blocks_per_group)]
