"""RandAugment (Cubuk et al. 2019), of Keras's layers.

Keras's own `RandAugment` draws its operations for a whole batch and gives all of them one share of their ranges, which
turns images upside down long before their colours change. Here they are drawn for each image, from the paper's ranges.
"""

from __future__ import annotations

import keras

PIXELS = (0, 255)
"""The range of the values of images that are not yet normalized."""

OPERATIONS = 2
"""The number of operations applied to an image."""


def operations(magnitude: float, channels: int) -> list:
    """Returns all operations, as layers or functions, with the ranges of AutoAugment (Cubuk et al. 2018, table 6).

    Args:
        magnitude: the share of each range that is drawn from, in (0, 1]; the papers count it in tenths.
        channels: of the images; grey ones have no colour to lose.
    """
    m, layers, values = magnitude, keras.layers, {"value_range": PIXELS}
    moved = {"fill_mode": "constant"}
    made = [
        layers.RandomRotation(30 / 360 * m, **moved),
        layers.RandomShear(0.3 * m, 0.0, **moved),
        layers.RandomShear(0.0, 0.3 * m, **moved),
        layers.RandomTranslation(0.45 * m, 0.0, **moved),
        layers.RandomTranslation(0.0, 0.45 * m, **moved),
        layers.RandomBrightness(0.45 * m, **values),  # added, where the paper multiplies by 1 +- 0.9
        layers.RandomContrast(0.9 * m, **values),
        layers.RandomSharpness((0.5 - 0.45 * m, 0.5 + 0.45 * m), **values),  # 0.5 leaves an image as it is
        layers.RandomPosterization(8 - round(4 * m), **values),
        layers.Solarization(threshold_factor=(1 - m, 1), **values),
        layers.AutoContrast(value_range=PIXELS),
        equalize,
    ]
    if channels == 3:
        made.append(layers.RandomColorDegeneration((0.0, 0.9 * m), **values))
    return made


def equalize(images, training: bool = True):
    """Spreads the values of each channel so that all are as frequent, as far as can be.

    Keras's `Equalization` makes a graph of ten thousand nodes of this where TensorFlow is not the backend.

    Args:
        images: a TensorFlow tensor, float32 `(B, H, W, C)`, values in [0, 255].
        training: layers take this.
    """
    import tensorflow as tf

    batch, height, width, channels = tf.unstack(tf.shape(images))
    planes = tf.reshape(tf.transpose(images, (0, 3, 1, 2)), (batch * channels, height * width))
    values = tf.cast(tf.clip_by_value(tf.round(planes), *PIXELS), "int32")
    below = tf.cumsum(tf.math.bincount(values, minlength=256, maxlength=256, axis=-1), axis=-1)
    least = tf.gather(below, tf.reduce_min(values, axis=-1, keepdims=True), batch_dims=1)  # which becomes 0
    spread = (below - least) * 255 / tf.maximum(height * width - least, 1)
    equal = tf.gather(tf.cast(tf.round(spread), "float32"), values, batch_dims=1)
    equal = tf.where(least == height * width, planes, equal)  # of one value alone
    return tf.transpose(tf.reshape(equal, (batch, channels, height, width)), (0, 2, 3, 1))


def rand_augment(images, layers: list, seed):
    """Does `OPERATIONS` of the layers' operations, drawn for each image, one after the other.

    Args:
        images: a TensorFlow tensor, float32 `(B, H, W, C)`.
        layers: as `operations` gives them.
        seed: two integers; the same draw the same operations.
    """
    import tensorflow as tf

    drawn = tf.random.stateless_uniform((OPERATIONS, tf.shape(images)[0], 1, 1, 1), seed, 0, len(layers), "int32")
    for of_images in tf.unstack(drawn):
        before = images
        for number, layer in enumerate(layers):
            images = tf.where(of_images == number, layer(before, training=True), images)
    return images
