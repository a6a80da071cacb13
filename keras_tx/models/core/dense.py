"""What models that say something of every place of an image share: maps of features, and a classifier's weights.

A head goes before a family's maps in a class's bases, as in `class ViTForSemanticSegmentation(SemanticSegmentation,
ViTFeatures)`. The backbone's constructor calls `make_head`, and the head's `call` asks for `features`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from keras_tx.convert import Head
from keras_tx.layers.core.linear import Linear
from keras_tx.models.core.base import Model
from keras_tx.models.core.images import ImageHeadModel
from keras_tx.models.core.pretrained import NATIVE


class DenseModel(ImageHeadModel):
    """A model that reads maps of features, with a head that no peer has: a classifier's checkpoint fills the rest."""

    config: Any
    backbone_class: ClassVar[type[Model]]
    """The family's classifier, whose checkpoints give the backbone."""

    @property
    def feature_widths(self) -> tuple[int, ...]:
        """The widths of the maps that `features` gives."""
        raise NotImplementedError

    def padded(self, images):
        """Images with zeros at the bottom and the right, so that they are made of whole patches."""
        raise NotImplementedError

    def features(
        self, images, *, return_attention: bool = False, return_hidden_states: bool = False, training=None
    ) -> tuple[tuple, dict[str, tuple]]:
        """The normalized maps, `(B, h, w, c)`, from fine to coarse, and what else was asked for, by name.

        Args:
            images: `(B, H, W, C)`, whole patches.
            return_attention, return_hidden_states: what is asked for.
            training: whether dropout is active.
        """
        raise NotImplementedError

    def initializer(self):
        """A new initializer of kernels."""
        raise NotImplementedError

    def linear(self, units: int, name: str) -> Linear:
        """A linear map."""
        return Linear(units, kernel_initializer=self.initializer(), dtype=self.dtype_policy, name=name)

    def make_head(self) -> None:
        """Makes the head's layers."""

    # --- From a classifier's checkpoint ---

    @classmethod
    def read_config(cls, checkpoint):
        saved = checkpoint.config
        if NATIVE in saved and saved.get("config_class") == cls.backbone_class.config_class.__name__:
            return cls.config_class.from_dict(saved["config"])
        return super().read_config(checkpoint)

    @classmethod
    def family(cls, config):
        family = cls.backbone_class.family(config)
        return dataclasses.replace(family, heads={**family.heads, cls.__name__: Head(architecture="")})
