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


def augment(batches, augmentation: Augmentation, *, num_classes: int | None = None, seed: int = 0, start: int = 0):
    """Changes batches at random, in each pass over them otherwise.

    What is done to a batch follows from the seed and the batch's number, which counts on from pass to pass: training
    that goes on after k epochs of n batches takes `start=k * n` and sees what it would have seen. A pass counts once
    its last batch was taken: `take`, and `prefetch` of as many batches as a pass has, belong before.

    Args:
        batches: a `tf.data.Dataset` of images `(B, H, W, C)`, values in [0, 255], and labels: `(B, classes)`, each
            row's sum 1, or numbers of classes, `(B,)` or `(B, 1)`.
        augmentation: how.
        num_classes: of labels that are numbers, where `mixup` or `cutmix` mixes them; 1 if they say yes or no.
        seed: of all changes.
        start: the number of the first batch. Each pass over batches whose count is not known begins 2**32 later.

    Returns:
        A data set of float32 images and labels of the same shapes; labels that are mixed are float32 `(B, classes)`.

    Raises:
        ValueError: for numbers of classes to be mixed without `num_classes`.
    """
    import tensorflow as tf

    changes, mixers, erasing = _changes(augmentation), _mixers(augmentation), _erasing(augmentation)
    images_spec, labels_spec = batches.element_spec
    drawn = list[Any]()
    if augmentation.rand_augment:
        drawn = operations(augmentation.rand_augment, images_spec.shape[-1])
    one_each = labels_spec.shape[1:].num_elements() == 1
    if mixers and one_each and num_classes is None:
        raise ValueError(
            f"`mixup` and `cutmix` mix labels (B, classes); got numbers of classes, {tuple(labels_spec.shape)}: give "
            "`num_classes`, 1 if they say yes or no, or one-hot labels."
        )

    def change(step, batch):
        images, labels = tf.cast(batch[0], "float32"), batch[1]
        if not one_each:
            labels = tf.cast(labels, "float32")
        elif mixers and num_classes == 1:
            labels = tf.reshape(tf.cast(labels, "float32"), [-1, 1])
        elif mixers and num_classes is not None:
            labels = one_hot(tf.reshape(labels, [-1]), num_classes)
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

    return map_passes(batches, change, start)


def map_passes(batches, change, start: int = 0):
    """Maps the elements of a data set by a function of their number, which counts on from pass to pass.

    Keras takes a data set anew for each epoch, and a first batch of it more to see shapes, so passes are counted when
    their last element is taken.

    Args:
        batches: a `tf.data.Dataset`.
        change: a function of the number, int64, and the element.
        start: the number of the first element.
    """
    import tensorflow as tf

    count = int(batches.cardinality())
    if count == tf.data.INFINITE_CARDINALITY:
        return batches.enumerate(start).map(change, num_parallel_calls=tf.data.AUTOTUNE)
    stride = count if count > 0 else _UNKNOWN
    passes = tf.lookup.experimental.MutableHashTable("int64", "int64", 0)  # a variable would belong to a strategy
    key = tf.constant(0, "int64")

    def numbered(index, element):
        return index, change(start + passes.lookup(key) * stride + index, element)

    def advance():
        with tf.control_dependencies([passes.insert(key, passes.lookup(key) + 1)]):
            return tf.constant(True)

    changed = batches.enumerate().map(numbered, num_parallel_calls=tf.data.AUTOTUNE)

    def last_counts(index, element):
        with tf.control_dependencies([tf.cond(index == count - 1, advance, lambda: tf.constant(False))]):
            return tf.nest.map_structure(tf.identity, element)

    def end_counts(index):
        with tf.control_dependencies([advance()]):
            return changed.take(tf.zeros_like(index))

    if count < 0:  # unknown, and so is which batch is the last
        changed = changed.concatenate(tf.data.Dataset.range(1).flat_map(end_counts))
    # By itself tf.data reads ahead: to the end of a short pass, of which Keras looks at the first batch alone.
    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False
    return changed.map(last_counts).with_options(options)


_UNKNOWN = 2**32
"""The numbers that a pass of unknown length has to itself."""


def one_hot(labels, num_classes: int, on: float = 1.0, off: float = 0.0):
    """Does in a graph what `tf.one_hot` does, which gives no class to a label that is none; here that is an error."""
    import tensorflow as tf

    labels = tf.cast(labels, "int64")
    inside = tf.reduce_all((labels >= 0) & (labels < num_classes))
    message = f"labels must lie in [0, num_classes) = [0, {num_classes})."
    with tf.control_dependencies([tf.debugging.Assert(inside, [message])]):
        return tf.one_hot(labels, num_classes, on, off)


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
