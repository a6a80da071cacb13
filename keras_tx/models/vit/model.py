"""The Vision Transformer (Dosovitskiy et al. 2020), DeiT (Touvron et al. 2021, 2022) and their relatives."""

from __future__ import annotations

from typing import Any, ClassVar

from keras import ops

from keras_tx.layers import AttentionPooling
from keras_tx.layers.attention.variants import Linear
from keras_tx.layers.core.dropout import Dropout
from keras_tx.models.core.registry import register_model, register_variant
from keras_tx.models.vit import huggingface as vit
from keras_tx.models.vit import npz as vit_npz
from keras_tx.models.vit import timm as vit_timm
from keras_tx.models.vit.backbone import ViTBackbone
from keras_tx.models.vit.config import TINY, TINY_DISTILLED, TINY_HEADLESS, TINY_HYBRID, TINY_MEAN, VARIANTS
from keras_tx.ops.image.pooling import REDUCTIONS


@register_model(TINY, TINY_MEAN, TINY_DISTILLED, TINY_HYBRID, TINY_HEADLESS.replace(attention=Linear()))
class VisionTransformer(ViTBackbone):
    """The Vision Transformer as a classifier, or without a head as an encoder of images.

    `model(images)` gives the logits, `(B, num_classes)`; with `num_classes=0`, the features. It trains with
    `compile(loss=...)`.

    Images may be of any size that is a whole number of patches: the position table is resampled to it, bicubically.

    With `distillation_head`, a call in training gives two logits, of the class token and of the distillation token, and
    the loss is the mean of both losses; `y` may then be a pair, of labels and of what the teacher says. Metrics, and
    calls at inference, take the mean of both logits.

    Args:
        config: a `ViTConfig`; ViT-B/16 unless given.
        name, dtype: as in Keras.
        overrides: fields of the config to replace.
    """

    formats: ClassVar = {"huggingface": vit.FAMILIES, "timm": vit_timm.FAMILIES, "npz": vit_npz.FAMILIES}

    def make_head(self):
        c = self.config
        super().make_head()
        if c.pooling == "attention":
            self.attention_pooling = AttentionPooling(
                c.d_model,
                c.num_heads,
                c.d_ff,
                c.activation,
                c.norm_epsilon,
                kernel_initializer=self.initializer(),
                dtype=self.dtype_policy,
                name="attention_pooling",
            )
        if c.representation_size:
            self.representation = self.linear(c.representation_size, "representation")
        self.head_drop = Dropout(c.head_dropout, dtype=self.dtype_policy, name="head_drop")
        self.heads = [self.linear(c.num_classes, name) for name in self._head_names()]

    def _head_names(self) -> tuple[str, ...]:
        if not self.config.num_classes:
            return ()
        return ("head", "distillation_head") if self.config.distillation_head else ("head",)

    def build(self, input_shape=None):
        c = self.config
        super().build(input_shape)
        if c.pooling == "attention":
            self.attention_pooling.build()
        if c.representation_size:
            self.representation.build((None, c.d_model))
        for head in self.heads:
            head.build((None, c.representation_size or c.d_model))

    def call(
        self,
        images,
        return_features: bool = False,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
    ):
        """Classifies images.

        Args:
            images: `(B, H, W, C)`, floating point, or a dict with them as `"images"`.
            return_features: give the features in place of the logits.
            return_attention: also give every block's attention map, `(B, heads, T, T)`.
            return_hidden_states: also give the embeddings and every block's output, `(B, T, d_model)`.
            training: whether dropout is active.

        Returns:
            The logits, `(B, num_classes)`, or the features, `(B, d_model)`; with maps or hidden states, a dict of
            `"logits"` or `"features"`, `"attentions"` and `"hidden_states"`.

        Raises:
            ValueError: for images of another rank, order of axes, number of channels or dtype, or that are no whole
                number of patches.
        """
        x = self.embed(self.named_inputs(images)["images"], training=training)
        states, maps = self.run_blocks(x, return_attention=return_attention, training=training)
        pooled = self.pool(states[-1])
        answer = _mean(pooled) if return_features else self.classify(pooled, training)
        if not (return_attention or return_hidden_states):
            return answer
        outputs = {"features" if return_features else "logits": answer}
        if return_attention:
            outputs["attentions"] = maps
        if return_hidden_states:
            outputs["hidden_states"] = states
        return outputs

    def pool(self, x) -> list:
        """The features of an image, `(B, d_model)`, and those of the distillation token where it has a head."""
        c = self.config
        x = x if c.norm_after_pooling else self.norm(x)
        if c.distillation_head:
            features = [x[:, 0], x[:, 1]]
        elif c.pooling == "token":
            features = [x[:, 0]]
        else:
            pool = self.attention_pooling if c.pooling == "attention" else REDUCTIONS[c.pooling]
            features = [pool(x if c.pool_prefix else x[:, c.prefix_tokens :])]
        if c.norm_after_pooling:
            features = [self.norm(y) for y in features]
        return [ops.tanh(self.representation(y)) for y in features] if c.representation_size else features

    def classify(self, features: list, training=None):
        """The logits of the features; in training a pair, where there are two heads."""
        dropped = [self.head_drop(y, training=training) for y in features]
        logits = [head(y) for head, y in zip(self.heads, dropped, strict=True)] if self.heads else dropped
        return tuple(logits) if training and len(logits) > 1 else _mean(logits)

    # --- Training of two heads ---

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        labels = y if isinstance(y, tuple) else (y, y)
        loss = super().compute_loss
        if not isinstance(y_pred, tuple):
            return loss(x, labels[0], y_pred, sample_weight, training)
        both = [loss(x, of, logits, sample_weight, training) for of, logits in zip(labels, y_pred, strict=True)]
        return sum(both) / len(both)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        y = y[0] if isinstance(y, tuple) else y
        return super().compute_metrics(x, y, _mean(y_pred) if isinstance(y_pred, tuple) else y_pred, sample_weight)


def _mean(tensors):
    """The mean of several tensors, or the one."""
    return tensors[0] if len(tensors) == 1 else sum(tensors) / len(tensors)


# === Variants ===


def _build(name: str, num_classes: int, overrides: dict[str, Any]) -> VisionTransformer:
    return VisionTransformer(VARIANTS[name], num_classes=num_classes, **overrides)


@register_variant
def vit_tiny_patch16_224(num_classes: int = 1000, **overrides: Any) -> VisionTransformer:
    """ViT-Ti/16: 5.7 million parameters."""
    return _build("vit_tiny_patch16_224", num_classes, overrides)


@register_variant
def vit_small_patch16_224(num_classes: int = 1000, **overrides: Any) -> VisionTransformer:
    """ViT-S/16: 22.1 million parameters."""
    return _build("vit_small_patch16_224", num_classes, overrides)


@register_variant
def vit_base_patch16_224(num_classes: int = 1000, **overrides: Any) -> VisionTransformer:
    """ViT-B/16: 86.6 million parameters."""
    return _build("vit_base_patch16_224", num_classes, overrides)


@register_variant
def vit_base_patch32_224(num_classes: int = 1000, **overrides: Any) -> VisionTransformer:
    """ViT-B/32: 88.2 million parameters."""
    return _build("vit_base_patch32_224", num_classes, overrides)


@register_variant
def vit_large_patch16_224(num_classes: int = 1000, **overrides: Any) -> VisionTransformer:
    """ViT-L/16: 304.3 million parameters."""
    return _build("vit_large_patch16_224", num_classes, overrides)


@register_variant
def vit_huge_patch14_224(num_classes: int = 1000, **overrides: Any) -> VisionTransformer:
    """ViT-H/14: 632.0 million parameters."""
    return _build("vit_huge_patch14_224", num_classes, overrides)
