"""What all models of images share: fields of their configs, checks of their inputs, losses of masked images."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any, Self

import keras
from keras import ops

from keras_tx.models.core.base import LOSSES, Model
from keras_tx.models.core.config import Config
from keras_tx.models.core.head import HeadModel
from keras_tx.models.core.inputs import inputs_by_name
from keras_tx.ops.checks import require_positive, require_rank, require_shape
from keras_tx.ops.image.patches import Size, grid, pair
from keras_tx.ops.image.resample import adapt_kernel


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageConfig(Config):
    """What the configs of all image families have."""

    image_size: Size = 224
    """Height and width of the images, or one number for both."""
    channels: int = 3
    num_classes: int = 1000
    """Classes to tell apart; 0 for a model without a head, whose output is the pooled features."""
    label_names: tuple[str, ...] | None = None
    """What the classes are called."""

    def __post_init__(self):
        height, width = pair(self.image_size)
        require_positive(image_size=height, channels=self.channels)
        require_positive(image_size=width)
        if not isinstance(self.num_classes, int) or self.num_classes < 0:
            raise ValueError(f"`num_classes` must be a whole number, 0 for no head; got {self.num_classes!r}.")
        if self.label_names is not None and len(self.label_names) != self.num_classes:
            raise ValueError(
                f"`label_names` must be as many as `num_classes` = {self.num_classes}; got {self.label_names}."
            )

    def replace(self, **fields: Any) -> Self:
        """As `Config.replace`; another `num_classes` drops the names of the old classes."""
        if fields.get("num_classes", self.num_classes) != self.num_classes:
            fields.setdefault("label_names", None)
        return super().replace(**fields)


_EMBEDDINGS = re.compile(
    r"(stem|patch_embedding|patch_norm|position_embedding|positions|embedding_norm"
    r"|(class|distillation|mask)_token|register_tokens)(/|$)"
)
"""What lies below the blocks."""


class ImageModel(Model):
    """A model of images, `(B, H, W, C)`: floating point, scaled as it was trained with."""

    config: ImageConfig

    @property
    def output_keys(self):
        return ("logits",) if self.config.num_classes else ("features",)

    def input_signature(self, image_size: Size | None = None) -> dict[str, keras.InputSpec]:
        """The input tensors by name, of images of this size; the config's unless given. The batch is free."""
        shape = (None, *pair(image_size or self.config.image_size), self.config.channels)
        return {"images": keras.InputSpec(name="images", shape=shape, dtype="float32")}

    def named_inputs(self, images, **named) -> dict[str, Any]:
        """`image_inputs` of this model."""
        return image_inputs(images, self.config.channels, **named)

    @classmethod
    def adapt(cls, path, values, before, after):
        if path == "patch_embedding/kernel":
            return adapt_kernel(values, after.patch_size, after.channels)
        return values

    def layer_depth(self, path):
        _, _, path = path.partition("/")
        block = re.match(r"block_(\d+)/", path)
        if block:
            return int(block[1]) + 1
        return 0 if _EMBEDDINGS.match(path) else None

    def get_attention_maps(self, images, block_idx: int = -1):
        """The attention map of one block.

        Args:
            images: as `call` takes its inputs.
            block_idx: which block, counted through all stages; from the end if negative.

        Returns:
            float32 `(B, heads, queries, keys)`, as `call` gives it with `return_attention`.

        Raises:
            ValueError: if there is no such block.
        """
        maps = self(images, return_attention=True)["attentions"]
        if not -len(maps) <= block_idx < len(maps):
            raise ValueError(f"`block_idx` must lie in [-{len(maps)}, {len(maps)}); got {block_idx}.")
        return maps[block_idx]


class ImageHeadModel(ImageModel, HeadModel):
    """A model of images whose outputs are a dict with logits, and a loss where there is one."""

    def predict_step(self, *arguments):
        """Without the losses: `predict` puts the rows of all batches together, and a loss has none."""
        result = super().predict_step(*arguments)
        outputs, *state = result if isinstance(result, tuple) else (result,)
        outputs = {name: x for name, x in outputs.items() if name not in LOSSES}
        return (outputs, *state) if state else outputs


class MaskedImageModel(ImageHeadModel):
    """A model that paints patches hidden from it."""

    config: Any

    def input_signature(self, image_size: Size | None = None) -> dict[str, keras.InputSpec]:
        patches = math.prod(grid(image_size or self.config.image_size, self.config.patch_size))
        masked = keras.InputSpec(name="bool_masked_pos", shape=(None, patches), dtype="bool")
        return {**super().input_signature(image_size), "bool_masked_pos": masked}

    def masked_inputs(self, images, bool_masked_pos) -> tuple[Any, Any]:
        """Images and what is hidden of them, `(B, N)` or None, from images or a dict and the keyword argument.

        Raises:
            ValueError: as `image_inputs`, and for `bool_masked_pos` that is not one for each patch.
        """
        given = self.named_inputs(images, bool_masked_pos=bool_masked_pos)
        images, masked = given["images"], given["bool_masked_pos"]
        if masked is not None:
            size = tuple(images.shape[1:3])
            patches = None if None in size else math.prod(grid(size, self.config.patch_size))
            require_shape(masked, (images.shape[0], patches), "bool_masked_pos")
        return images, masked

    def own_losses(self, outputs, labels):
        raise ValueError('give "bool_masked_pos" among the inputs: where no patch is hidden there is no loss.')


def image_inputs(inputs, channels: int, **named) -> dict[str, Any]:
    """The inputs of an image model by name, from images or a dict, and keyword arguments beside it.

    Args:
        inputs: images `(B, H, W, channels)`, or a dict with `"images"`.
        channels: of the images.
        named: all other inputs the model takes; None for those not given.

    Raises:
        ValueError: as `inputs_by_name`, and for images of another rank, order of axes, number of channels or dtype.
    """
    given = inputs_by_name(inputs, "images", named)
    require_images(given["images"], channels)
    return given


def require_images(images, channels: int) -> None:
    """Raise ValueError unless these are images `(B, H, W, channels)` in floating point."""
    require_rank(images, 4, "images", "(batch, height, width, channels)")
    shape = tuple(images.shape)
    if shape[3] is not None and shape[3] != channels:
        turned = shape[1] == channels
        raise ValueError(
            f"the last axis of `images` must be {channels}, the channels; got shape {shape}"
            + (": turn them, by `ops.transpose(images, (0, 2, 3, 1))`." if turned else ".")
        )
    if 0 in shape[1:3]:
        raise ValueError(f"`images` must have height and width; got shape {shape}.")
    dtype = keras.backend.standardize_dtype(images.dtype)
    if "float" not in dtype:
        raise ValueError(
            f"`images` must be floating point, scaled as the model was trained with, as by `images / 127.5 - 1` to "
            f"[-1, 1]; got dtype {dtype}."
        )


def hide_patches(x, masked, mask_token):
    """Embedded patches `(B, N, D)`, with the mask token, `(1, 1, D)`, for those that are masked, `(B, N)`."""
    hidden = ops.expand_dims(ops.cast(masked, "bool"), -1)
    return ops.where(hidden, ops.cast(mask_token, x.dtype), x)


def masked_pixel_loss(images, reconstruction, masked, patch_size: int):
    """The mean absolute error of the pixels that were hidden (SimMIM, Xie et al. 2021).

    Args:
        images, reconstruction: `(B, H, W, C)`.
        masked: `(B, H/p * W/p)`, True or not 0 where a patch was hidden.
        patch_size: p, height and width of a patch.

    Returns:
        float32 scalar.
    """
    batch, height, width, channels = ops.shape(images)
    shape = (batch, height // patch_size, width // patch_size, 1)
    mask = ops.cast(ops.reshape(masked, shape), "float32")
    mask = ops.repeat(ops.repeat(mask, patch_size, axis=1), patch_size, axis=2)
    errors = ops.abs(ops.cast(images, "float32") - ops.cast(reconstruction, "float32"))
    return ops.sum(errors * mask) / (ops.sum(mask) + 1e-5) / channels
