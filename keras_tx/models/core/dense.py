"""The base of models that predict for every place of an image: any size, with a classifier's weights."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from keras_tx.convert import Head
from keras_tx.models.core.images import ImageModel
from keras_tx.models.core.pretrained import NATIVE
from keras_tx.ops.image.windows import pad


class DenseModel(ImageModel):
    """A model that reads maps, with a head that no peer has: a classifier's checkpoint fills the backbone.

    Images may be of any size: they are padded with zeros at the bottom and the right, to whole patches.
    """

    backbone_options: ClassVar[dict[str, Any]] = {"mask_token": False}

    def run_backbone(self, given, **options):
        return super().run_backbone(self._padded(given), **options)

    def run_head(self, hidden, given, training=None):
        maps = self.backbone.feature_maps(hidden, self._padded(given)["images"], self.head.levels)
        return self.head({**hidden, "feature_maps": maps}, {"images": given["images"]}, training=training)

    def _padded(self, given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "images": pad(given["images"], self.config.stride)}

    # === From a classifier's checkpoint ===

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
