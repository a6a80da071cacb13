"""Classification of images: one vector of each, and a linear map of it to logits."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops

from keras_tx.layers.core.base import register
from keras_tx.layers.core.dropout import Dropout
from keras_tx.models.core.images import ImageHead, ImageModel


@register
class ImageClassificationHead(ImageHead):
    """The mean of a map, dropout and a linear map: `(B, h, w, D)` to logits `(B, num_classes)`.

    It gives `"logits"` and, as `"features"`, what they are made of, `(B, D)`.

    Args:
        width: D.
        num_classes: of the logits; 0 for none, where the features stand for them.
        dropout: rate before the linear map.
        kernel_initializer: of the linear map.
    """

    def __init__(
        self, width: int, num_classes: int, dropout: float = 0.0, kernel_initializer="glorot_uniform", **kwargs
    ):
        super().__init__(**kwargs)
        self.width = width
        self.num_classes = num_classes
        self.dropout = dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.classifier_drop = Dropout(dropout, dtype=self.dtype_policy, name="classifier_drop")
        self.classifier = self.linear(num_classes, "classifier") if num_classes else None

    @classmethod
    def of(cls, backbone, config, **options):
        return cls(backbone.width, config.num_classes, config.head_dropout, backbone.initializer(), **options)

    def build(self, input_shape=None):
        if self.classifier is not None:
            self.classifier.build((None, self.width))

    @property
    def num_classes_of(self):
        return {"labels": self.num_classes}

    def require_labels(self, labels, *, whole):
        """Looks at those that can only name a class: what others are, the Keras loss says."""
        found = labels.get("labels")
        if found is not None and self.num_classes > 1 and found.dtype.kind in "iu" and found.shape[1:] in ((), (1,)):
            super().require_labels(labels, whole=whole)

    def call(self, outputs, inputs, training=None):
        features = ops.mean(outputs["last_hidden_state"], axis=(1, 2))
        logits = self.classifier_drop(features, training=training)
        return {"logits": logits if self.classifier is None else self.classifier(logits), "features": features}


class ImageClassifier(ImageModel):
    """A classifier of images, or without classes an encoder of them.

    `model(images)` gives the logits, `(B, num_classes)`; with `num_classes=0`, the features; with attention maps or
    hidden states, a dict of `"logits"` (or `"features"`, without classes or where these are asked for) and those.
    """

    gives_features = True
    backbone_options: ClassVar[dict[str, Any]] = {"mask_token": False}

    @property
    def output_keys(self):
        return ("logits",) if self.config.num_classes else ("features",)

    def answer(self, outputs, *, return_features=False):
        features, logits = outputs.pop("features"), outputs.pop("logits")
        (name,) = ("features",) if return_features else self.output_keys
        outputs = {name: features if return_features else logits, **outputs}
        return outputs if len(outputs) > 1 else outputs[name]
