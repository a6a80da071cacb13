"""Swin's block: who looks at whom, at any size of map; and the merging of patches."""

import itertools

import keras
import numpy as np
import pytest
from helpers import compiled, dense, gelu, layer_norm, normal, numpy, randomize

from keras_tx.layers import PatchMerging, SwinBlock

DIM, HEADS, WINDOW = 15, 3, (3, 4)


def made(rng, window=WINDOW, **options) -> SwinBlock:
    block = SwinBlock(DIM, HEADS, window, **options)
    block.build()
    randomize(block, rng)
    block.attention.query.kernel.assign(0.1 * block.attention.query.kernel)  # so that all weights count
    return block


def reached(block: SwinBlock, x: np.ndarray, row: int, column: int) -> set[tuple[int, int]]:
    """The tokens whose output depends on one token's input."""
    other = x.copy()
    other[:, row, column, 0] += 1.0
    changed = np.abs(numpy(block(other)) - numpy(block(x))).max(axis=(0, 3)) > 1e-6
    return set(zip(*map(np.ndarray.tolist, np.nonzero(changed)), strict=True))


def window_of(position: int, size: int, window: int, shift: int, pad_first: bool) -> set[int]:
    """The positions of one axis that share a window with this one, and come from the same side of it."""
    padded = -(-size // window) * window
    length = padded if pad_first else size
    places = {p: (p - shift) % length for p in range(size)}  # after the roll
    segment = {p: (place // window, place >= padded - shift) for p, place in places.items()}
    return {p for p in places if segment[p] == segment[position]}


@pytest.mark.parametrize(
    ("size", "shift", "pad_first"),
    [
        ((7, 9), (0, 0), False),
        ((7, 9), (1, 2), False),
        ((7, 9), (1, 2), True),
        ((7, 9), (2, 0), True),
        ((6, 8), (1, 2), False),
    ],
)
def test_who_looks_at_whom(rng, size, shift, pad_first):
    block = made(rng, shift=shift, pad_first=pad_first)
    x = normal(rng, 2, *size, DIM)
    for row, column in ((0, 0), (3, 5), (size[0] - 1, size[1] - 1)):
        rows, columns = (
            window_of(place, *axis, pad_first)
            for place, axis in zip((row, column), zip(size, WINDOW, shift, strict=True), strict=True)
        )
        assert reached(block, x, row, column) == set(itertools.product(rows, columns))


def test_small_maps_may_be_left_unshifted(rng):
    options = {"shift": (1, 2), "pad_first": True}
    always, plain = made(rng, **options), made(rng)
    sometimes = SwinBlock(DIM, HEADS, WINDOW, shift_small_maps=False, **options)
    sometimes.build()
    for block in (plain, sometimes):
        block.set_weights(always.get_weights())
    for size, same in (((3, 9), plain), ((7, 2), plain), ((5, 4), always)):
        x = normal(rng, 2, *size, DIM)
        np.testing.assert_allclose(numpy(sometimes(x)), numpy(same(x)), atol=1e-6)
        assert not np.allclose(numpy(always(x)), numpy(plain(x)), atol=1e-3)


@pytest.mark.parametrize("norm_position", ["pre", "post"])
def test_residual_branches(rng, norm_position):
    """A map of one window, by definition around the attention's own output."""
    block = made(rng, norm_position=norm_position, d_ff=11)
    x = normal(rng, 2, *WINDOW, DIM)

    def branch(x, norm, run):
        weights = {"gamma": numpy(norm.gamma), "beta": numpy(norm.beta)}
        return run(layer_norm(x, **weights)) if norm_position == "pre" else layer_norm(run(x), **weights)

    def attend(x):
        return numpy(block.attention(x.reshape(2, -1, DIM).astype("float32"))).reshape(x.shape)

    def feed_forward(x):
        return dense(block.feed_forward.down, gelu(dense(block.feed_forward.up, x)))

    expected = x + branch(x, block.attention_norm, attend)
    expected = expected + branch(expected, block.feed_forward_norm, feed_forward)
    np.testing.assert_allclose(numpy(block(x)), expected, atol=1e-4)


def test_starts_as_the_identity_with_scales_of_zero(rng):
    block = SwinBlock(DIM, HEADS, WINDOW, norm_position="post", norm_scale=0.0)
    block.build()
    x = normal(rng, 2, 5, 7, DIM)
    np.testing.assert_array_equal(numpy(block(x)), x)


def test_drop_path_drops_either_branch_of_a_sample(rng):
    block = made(rng, drop_path=0.5)
    x = normal(rng, 1, *WINDOW, DIM).repeat(40, axis=0)
    kinds = np.unique(numpy(block(x, training=True)).round(3), axis=0)
    assert len(kinds) == 4
    np.testing.assert_array_equal(numpy(block(x, training=False))[0], numpy(block(x))[1])


@pytest.mark.parametrize("pad_first", [True, False])
def test_same_numbers_under_xla_and_at_free_sizes(rng, pad_first):
    options = {"pad_first": pad_first, "shift_small_maps": not pad_first}
    block = made(rng, shift=(1, 2), scores="cosine", position_bias="continuous", **options)
    x = normal(rng, 2, 7, 9, DIM)
    expected, weights = block(x, return_attention=True)
    assert weights.shape == (2 * 9, HEADS, 12, 12)
    np.testing.assert_allclose(numpy(compiled(block)(x)), numpy(expected), atol=1e-4)
    for size in ((7, 9), (None, None)):
        images = keras.Input((*size, DIM))
        model = keras.Model(images, block(images))
        assert model.output_shape == (None, *size, DIM)
        np.testing.assert_allclose(model.predict(x, verbose=0), numpy(expected), atol=1e-4)
    copy = SwinBlock.from_config(block.get_config())
    copy.build()
    copy.set_weights(block.get_weights())
    np.testing.assert_allclose(numpy(copy(x)), numpy(expected), atol=1e-4)


def test_bad_blocks(rng):
    for options, message in (
        ({"shift": (3, 0)}, r"`shift` must lie inside the window of \(3, 4\); got \(3, 0\)"),
        ({"norm_position": "both"}, '`norm_position` must be "pre" or "post"'),
        ({"drop_path": 1.0}, "`drop_path` must be a rate"),
    ):
        with pytest.raises(ValueError, match=message):
            SwinBlock(DIM, HEADS, WINDOW, **options)
    block = made(rng)
    with pytest.raises(ValueError, match=r"`x` must be \(batch, height, width, dim\)"):
        block(normal(rng, 2, 7, DIM))
    with pytest.raises(ValueError, match="the last axis of `x` must be 15"):
        block(normal(rng, 2, 7, 5, DIM + 1))


# === Merging ===


@pytest.mark.parametrize("norm_position", ["pre", "post"])
@pytest.mark.parametrize("size", [(4, 6), (5, 7)])
def test_merging_takes_the_left_column_first(rng, size, norm_position):
    layer = PatchMerging(DIM, norm_position)
    layer.build()
    randomize(layer, rng)
    x = normal(rng, 2, *size, DIM)
    padded = np.pad(x, ((0, 0), (0, size[0] % 2), (0, size[1] % 2), (0, 0)))
    rows, columns = (-(-length // 2) for length in size)
    four = np.zeros((2, rows, columns, 4 * DIM))
    for row, column in itertools.product(range(rows), range(columns)):
        square = padded[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        four[:, row, column] = square.swapaxes(1, 2).reshape(2, -1)
    weights = {"gamma": numpy(layer.norm.gamma), "beta": numpy(layer.norm.beta)}
    if norm_position == "pre":
        expected = dense(layer.reduction, layer_norm(four, **weights))
    else:
        expected = layer_norm(dense(layer.reduction, four), **weights)
    found = numpy(layer(x))
    assert found.shape == layer.compute_output_shape(x.shape) == (2, rows, columns, 2 * DIM)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_bad_mergings(rng):
    with pytest.raises(ValueError, match="`dim` must be a whole number"):
        PatchMerging(0)
    with pytest.raises(ValueError, match="`norm_position`"):
        PatchMerging(DIM, "none")
    layer = PatchMerging(DIM)
    with pytest.raises(ValueError, match=r"`x` must be \(batch, height, width, dim\)"):
        layer(normal(rng, 2, 7, DIM))
