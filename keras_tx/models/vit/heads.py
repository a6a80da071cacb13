"""The Vision Transformers' head: one vector of all tokens, and from it logits."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_tx.layers import AttentionPooling
from keras_tx.layers.core.base import register
from keras_tx.layers.core.initializers import clone_initializer
from keras_tx.models.core.classification import ImageClassificationHead
from keras_tx.ops.image.pooling import REDUCTIONS


@register
class ViTClassificationHead(ImageClassificationHead):
    """Pooling, dropout and a linear map: `(B, T, D)` to logits `(B, num_classes)`.

    With `distillation` the distillation token has features and a linear map of its own: in training `"logits"` are a
    pair, otherwise the mean of both, as `"features"` always are.

    Args:
        width: D.
        num_classes: of the logits; 0 for none, where the features stand for them.
        dropout: rate before the linear map.
        kernel_initializer: of all kernels.
        pooling: what is read, as `ViTConfig.pooling` has it.
        prefix_tokens: how many tokens come before the patches.
        pool_prefix: whether these are pooled too.
        norm_after_pooling: whether the backbone's final norm, which `call` takes, is of what was pooled.
        distillation: whether the second token, too, is read.
        representation_size: width of a linear map and tanh before the dropout; None for none.
        num_heads, d_ff, activation, norm_epsilon: of pooling by attention.
    """

    def __init__(
        self,
        width: int,
        num_classes: int,
        dropout: float = 0.0,
        kernel_initializer="glorot_uniform",
        pooling: str = "token",
        prefix_tokens: int = 1,
        pool_prefix: bool = False,
        norm_after_pooling: bool = False,
        distillation: bool = False,
        representation_size: int | None = None,
        num_heads: int = 1,
        d_ff: int = 1,
        activation: str = "gelu",
        norm_epsilon: float = 1e-6,
        **kwargs,
    ):
        super().__init__(width, num_classes, dropout, kernel_initializer, **kwargs)
        self.pooling = pooling
        self.prefix_tokens = prefix_tokens
        self.pool_prefix = pool_prefix
        self.norm_after_pooling = norm_after_pooling
        self.distillation = distillation
        self.representation_size = representation_size
        self.num_heads = num_heads
        self.d_ff = d_ff
        self.activation = activation
        self.norm_epsilon = norm_epsilon
        self.attention_pooling: Any = None
        if pooling == "attention":
            self.attention_pooling = AttentionPooling(
                width,
                num_heads,
                d_ff,
                activation,
                norm_epsilon,
                kernel_initializer=clone_initializer(self.kernel_initializer),
                dtype=self.dtype_policy,
                name="attention_pooling",
            )
        self.representation = self.linear(representation_size, "representation") if representation_size else None
        self.distillation_classifier: Any = None
        if distillation and num_classes:
            self.distillation_classifier = self.linear(num_classes, "distillation_classifier")

    @classmethod
    def of(cls, backbone, config, **options):
        return super().of(
            backbone,
            config,
            pooling=config.pooling,
            prefix_tokens=config.prefix_tokens,
            pool_prefix=config.pool_prefix,
            norm_after_pooling=config.norm_after_pooling,
            distillation=config.distillation_head,
            representation_size=config.representation_size,
            num_heads=config.num_heads,
            d_ff=config.d_ff,
            activation=config.activation,
            norm_epsilon=config.norm_epsilon,
            **options,
        )

    def build(self, input_shape=None):
        if self.attention_pooling is not None:
            self.attention_pooling.build()
        if self.representation is not None:
            self.representation.build((None, self.width))
        for layer in (self.classifier, self.distillation_classifier):
            if layer is not None:
                layer.build((None, self.representation_size or self.width))

    def call(self, outputs, inputs, training=None, norm=None):
        features = self.pool(outputs, norm)
        logits = [self.classifier_drop(x, training=training) for x in features]
        if self.classifier is not None:
            layers = (self.classifier, self.distillation_classifier)[: len(logits)]
            logits = [layer(x) for layer, x in zip(layers, logits, strict=True)]
        pair = training and self.classifier is not None and len(logits) > 1
        return {"logits": tuple(logits) if pair else mean(logits), "features": mean(features)}

    def pool(self, outputs, norm) -> list:
        """The features of an image, `(B, width)`, and those of the distillation token where it is read too."""
        x = outputs["hidden_states"][-1] if self.norm_after_pooling else outputs["last_hidden_state"]
        if self.distillation:
            features = [x[:, 0], x[:, 1]]
        elif self.pooling == "token":
            features = [x[:, 0]]
        else:
            pool = self.attention_pooling if self.pooling == "attention" else REDUCTIONS[self.pooling]
            features = [pool(x if self.pool_prefix else x[:, self.prefix_tokens :])]
        if self.norm_after_pooling:
            features = [norm(y) for y in features]
        return features if self.representation is None else [ops.tanh(self.representation(y)) for y in features]


def mean(tensors):
    """The mean of several tensors, or the one."""
    return tensors[0] if len(tensors) == 1 else sum(tensors) / len(tensors)
