"""Patches of images: cut and put together, embedded, dropped."""

import numpy as np
import pytest
from helpers import normal, numpy, randomize
from keras import ops

from keras_tx.layers import PatchEmbedding
from keras_tx.layers.image.patch_dropout import PatchDropout, keep_lowest, part_of
from keras_tx.ops.image.patches import patchify, pixel_shuffle, unpatchify


def test_patches_row_by_row(rng):
    images = normal(rng, 2, 6, 15, 7)
    found = numpy(patchify(images, (2, 5)))
    assert found.shape == (2, 9, 70)
    for i in range(3):
        for j in range(3):
            expected = images[:, 2 * i : 2 * i + 2, 5 * j : 5 * j + 5].reshape(2, 70)
            np.testing.assert_array_equal(found[:, 3 * i + j], expected)
    np.testing.assert_array_equal(unpatchify(found, (2, 5), (6, 15)), images)


def test_pixel_shuffle(rng):
    """Each channel of the output has its pixels side by side in the input's channels."""
    x = normal(rng, 2, 3, 5, 7 * 4)
    found = numpy(pixel_shuffle(x, 2))
    assert found.shape == (2, 6, 10, 7)
    for channel, row, column in ((0, 0, 0), (6, 0, 1), (3, 1, 0), (5, 1, 1)):
        np.testing.assert_array_equal(found[:, row::2, column::2, channel], x[..., 4 * channel + 2 * row + column])


def test_embedding_is_a_strided_convolution(rng):
    layer = PatchEmbedding((2, 5), 11, 7)
    layer.build()
    randomize(layer, rng)
    images = normal(rng, 2, 6, 15, 7)
    expected = ops.conv(images, layer.kernel, strides=(2, 5), padding="valid") + layer.bias
    np.testing.assert_allclose(layer(images), ops.reshape(expected, (2, 9, 11)), atol=1e-4)
    larger = np.pad(images, ((0, 0), (0, 1), (0, 4), (0, 0)), constant_values=9.0)  # as by that convolution
    np.testing.assert_allclose(layer(larger), layer(images), atol=1e-6)
    assert layer.compute_output_shape((None, 6, 15, 7)) == (None, 9, 11)
    assert layer.compute_output_shape((None, None, 15, 7)) == (None, None, 11)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((6, 15, 7), "`images` must be"),
        ((2, 6, 15, 3), "the last axis of `images` must be 7"),
        ((2, 1, 15, 7), r"must be no smaller than a patch, \(2, 5\); got \(1, 15\): resize"),
    ],
)
def test_bad_images(shape, message, rng):
    layer = PatchEmbedding((2, 5), 11, 7)
    with pytest.raises(ValueError, match=message):
        layer(normal(rng, *shape))


def test_bad_sizes():
    for options in ({"patch_size": 0}, {"patch_size": (3, 0)}, {"dim": 0}, {"channels": 0}):
        with pytest.raises(ValueError, match=f"`{next(iter(options))}` must be"):
            PatchEmbedding(**{"patch_size": 2, "dim": 3, **options})


def test_keep_lowest(rng):
    x, noise = normal(rng, 2, 5, 3), np.array([[0.3, 0.1, 0.9, 0.2, 0.5], [0.5, 0.4, 0.3, 0.2, 0.1]], "float32")
    kept, ranks = keep_lowest(x, noise, 2)
    np.testing.assert_array_equal(kept, np.stack([x[0, [1, 3]], x[1, [4, 3]]]))
    np.testing.assert_array_equal(ranks, [[2, 0, 4, 1, 3], [4, 3, 2, 1, 0]])


def test_patch_dropout(rng):
    """In training each image keeps some of its own patches; otherwise all."""
    layer, x = PatchDropout(0.4, seed=3), normal(rng, 11, 7, 3)
    np.testing.assert_array_equal(layer(x, training=False), x)
    kept = numpy(layer(x, training=True))
    assert kept.shape == (11, 4, 3)
    order = [[int(np.flatnonzero((x[i] == row).all(axis=-1)).item()) for row in kept[i]] for i in range(11)]
    assert all(len(set(places)) == 4 for places in order)
    assert len({tuple(places) for places in order}) > 5
    assert not np.array_equal(numpy(layer(x, training=True)), kept)


@pytest.mark.parametrize(("count", "part", "expected"), [(7, 0.6, 4), (7, 0.01, 1), (196, 0.25, 49)])
def test_part_of(count, part, expected):
    assert part_of(count, part) == expected
    assert int(part_of(ops.convert_to_tensor(count, "int32"), part)) == expected
