"""RandAugment (Cubuk et al. 2019), of Keras's layers.

Keras's own `RandAugment` draws its operations for a whole batch and gives all of them one share of their ranges, which
turns images upside down long before their colours change. Here they are drawn for each image, from the paper's ranges.
"""

from __future__ import annotations

import keras

OPERATIONS = 2
"""How many are done to an image."""


def operations(magnitude: float, value_range: tuple[float, float], channels: int, seed: int) -> list:
    """The layers of all operations, at the ranges of AutoAugment (Cubuk et al. 2018, table 6).

    Args:
        magnitude: the share of each range that is drawn from, in (0, 1]; the papers count it in tenths.
        value_range: of the images.
        channels: of the images; grey ones have no colour to lose.
        seed: of what the layers draw.
    """
    m, layers, values = magnitude, keras.layers, {"value_range": value_range, "seed": seed}
    moved = {"fill_mode": "constant", "seed": seed}
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
        layers.AutoContrast(value_range=value_range),
        layers.Equalization(value_range=value_range),
    ]
    if channels == 3:
        made.append(layers.RandomColorDegeneration((0.0, 0.9 * m), **values))
    return made


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
