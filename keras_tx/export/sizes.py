"""Sizes of an artifact's tensors that are fixed: delegates of phones, and LiteRT's fastest kernels, take no others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras_tx.models.core.base import Model
from keras_tx.models.core.images import ImageBackbone, ImageModel
from keras_tx.ops.checks import require_positive
from keras_tx.ops.image.patches import Size, pair


@dataclass(frozen=True)
class Sizes:
    """Sizes to be fixed, None for those to be left free.

    Attributes:
        batch_size: the number of rows.
        length: the number of tokens of a text; of an encoder-decoder, of both.
        num_choices: the number of texts to choose from in a row.
        image_size: height and width of images; as the model's config has it unless given.
    """

    batch_size: int | None = None
    length: int | None = None
    num_choices: int | None = None
    image_size: Size | None = None

    def __post_init__(self):
        require_positive(batch_size=self.batch_size, length=self.length, num_choices=self.num_choices)
        if self.image_size is not None:
            height, width = pair(self.image_size)
            require_positive(image_size=height)
            require_positive(image_size=width)

    def specs(self, model: Model) -> dict[str, Any]:
        """Returns the `tf.TensorSpec` of each input of a model, by name.

        Raises:
            ValueError: for a size that the model's inputs do not have.
        """
        import tensorflow as tf

        if isinstance(model, ImageModel | ImageBackbone):
            signature, rank = model.input_signature(self.image_size), 0
        else:
            signature = model.input_signature()
            rank = max(len(spec.shape) for spec in signature.values())
        for size, fits in (("length", rank > 1), ("num_choices", rank == 3), ("image_size", not rank)):
            if getattr(self, size) is not None and not fits:
                raise ValueError(f"`{size}` is no size of what a {type(model).__name__} takes: leave it out.")
        axes = (self.batch_size, *((self.num_choices,) if rank == 3 else ()), self.length)
        return {
            name: tf.TensorSpec([axes[i] if n is None else n for i, n in enumerate(spec.shape)], spec.dtype, name)
            for name, spec in signature.items()
        }
