"""Random changes of training images, batch by batch in tf.data, made of Keras's own layers."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from keras_tx.ops.checks import require_rate
from keras_tx.vision.rand_augment import PIXELS, operations, rand_augment


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmentation:
    """The augmentations of training images, in the order of application, with their strengths; off by default."""

    crop: tuple[float, float] | None = None
    """The least and the greatest share of the area that is cut out and resized (Szegedy et al. 2014, section 6)."""
    flip: bool = False
    """Whether half of the images are mirrored left to right."""
    rotation: float = 0.0
    """The largest turn either way, in degrees."""
    translation: float = 0.0
    """The largest shift either way along each axis, in whole pixels, as a share of the image's length."""
    zoom: float = 0.0
    """The largest change of scale either way."""
    rand_augment: float = 0.0
    """Magnitude in [0, 1], a tenth of the papers', of two operations drawn for each image (Cubuk et al. 2019)."""
    mixup: float = 0.0
    """Alpha of the shares in which two images and their labels are mixed (Zhang et al. 2017)."""
    cutmix: float = 0.0
    """Alpha of the area that one image pastes into another (Yun et al. 2019); with `mixup`, one of both a batch."""
    erasing: float = 0.0
    """Rate of images in which a rectangle becomes noise (Zhong et al. 2017)."""

    def __post_init__(self):
        if self.crop is not None:
            object.__setattr__(self, "crop", tuple(self.crop))  # a list, as JSON has it
            if len(self.crop) != 2 or not 0 < self.crop[0] <= self.crop[1] <= 1:
                raise ValueError(f"`crop` must be two shares of the area, rising, in (0, 1]; got {self.crop}.")
        if not 0 <= self.rotation <= 180:
            raise ValueError(f"`rotation` must be degrees in [0, 180]; got {self.rotation}.")
        require_rate(translation=self.translation, zoom=self.zoom)
        for name in ("rand_augment", "mixup", "cutmix", "erasing"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"`{name}` must lie in [0, 1]; got {getattr(self, name)}.")


def augment(batches, augmentation: Augmentation, *, seed: int = 0, start: int = 0):
    """Changes batches at random.

    What is done to a batch follows from the seed and the batch's number.

    Args:
        batches: a `tf.data.Dataset` of images `(B, H, W, C)`, values in [0, 255], and labels `(B, classes)`, each
            row's sum 1.
        augmentation: how.
        seed: of all changes.
        start: the number of the first batch.

    Returns:
        A data set of float32 images and labels of the same shapes.
    """
    import tensorflow as tf

    changes, mixers, erasing = _changes(augmentation), _mixers(augmentation), _erasing(augmentation)
    drawn = list[Any]()
    if augmentation.rand_augment:
        drawn = operations(augmentation.rand_augment, batches.element_spec[0].shape[-1])

    def change(step, batch):
        images, labels = (tf.cast(x, "float32") for x in batch)
        seeds = StepSeeds(seed, step)
        for layer in (*changes, *drawn, *mixers, *erasing):
            seeds.give_to(layer)
        if augmentation.crop is not None:
            images = resized_crops(images, augmentation.crop, seeds.next())
        for layer in changes:
            images = layer(images, training=True)
        if drawn:
            images = rand_augment(images, drawn, seeds.next())
        if mixers:
            mixed = [mixer({"images": images, "labels": labels}, training=True) for mixer in mixers]
            first = tf.random.stateless_uniform((), seeds.next()) < 1 / len(mixers)
            images, labels = (tf.where(first, mixed[0][name], mixed[-1][name]) for name in ("images", "labels"))
        for layer in erasing:
            images = layer(images, training=True)
        return images, labels

    return batches.enumerate(start).map(change, num_parallel_calls=tf.data.AUTOTUNE)


class StepSeeds(keras.random.SeedGenerator):
    """Seeds that follow from a step, for Keras's layers, whose own count how often they were asked.

    Args:
        seed: an integer.
        step: an int64 scalar, which may be a tensor.
    """

    def __init__(self, seed: int, step):
        import tensorflow as tf

        self.key = tf.stack([tf.constant(seed, "int64"), step])
        self.given = 0

    def next(self, ordered: bool = True):
        """Two integers, others each time it is called in a graph."""
        import tensorflow as tf

        self.given += 1
        return tf.random.fold_in(self.key, self.given)

    def give_to(self, layer) -> None:
        """Makes the layer draw from here; there is no public way to tell it from where, on every backend."""
        if isinstance(layer, keras.layers.Layer):
            layer._get_seed_generator = lambda backend=None: self


def resized_crops(images, area: tuple[float, float], seed):
    """Cuts a rectangle out of each image and resizes it to the image's size.

    Its share of the area is uniform in `area`, the logarithm of its shape in that of [3/4, 4/3] (Szegedy et al. 2014);
    sides that would be longer than the image's are as long.

    Args:
        images: a TensorFlow tensor, float32 `(B, H, W, C)`.
        area: the least and the greatest share.
        seed: two integers; the same give the same rectangles.
    """
    import tensorflow as tf

    shape = tf.shape(images)
    share, log_ratio, top, left = tf.unstack(tf.random.stateless_uniform((4, shape[0]), seed))
    share = area[0] + (area[1] - area[0]) * share
    ratio = tf.exp((2 * log_ratio - 1) * tf.math.log(4 / 3))
    height, width = (tf.minimum(tf.sqrt(part), 1.0) for part in (share / ratio, share * ratio))
    top, left = top * (1 - height), left * (1 - width)
    boxes = tf.stack([top, left, top + height, left + width], axis=1)
    cut = tf.image.crop_and_resize(images, boxes, tf.range(shape[0]), shape[1:3])
    return tf.ensure_shape(cut, images.shape)


def _changes(augmentation: Augmentation) -> list[keras.layers.Layer]:
    """Layers that change each image by itself."""
    a, layers = augmentation, keras.layers
    fill = {"fill_mode": "constant", "fill_value": 0.0}
    made: list[keras.layers.Layer] = []
    if a.flip:
        made.append(layers.RandomFlip("horizontal"))
    if a.rotation:
        made.append(layers.RandomRotation(a.rotation / 360, **fill))
    if a.translation:
        made.append(layers.RandomTranslation(a.translation, a.translation, **fill, interpolation="nearest"))
    if a.zoom:
        made.append(layers.RandomZoom(a.zoom, **fill))
    return made


def _mixers(augmentation: Augmentation) -> list[keras.layers.Layer]:
    """Layers that mix images, and their labels."""
    a, made = augmentation, list[keras.layers.Layer]()
    if a.mixup:
        made.append(keras.layers.MixUp(a.mixup))
    if a.cutmix:
        made.append(keras.layers.CutMix((a.cutmix, a.cutmix)))
    return made


def _erasing(augmentation: Augmentation) -> list[keras.layers.Layer]:
    rate = augmentation.erasing
    return [keras.layers.RandomErasing((rate, rate), value_range=PIXELS)] if rate else []
