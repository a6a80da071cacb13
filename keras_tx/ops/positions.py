"""Position encodings without weights: sinusoids, and rotations of queries and keys."""

from __future__ import annotations

from keras import ops

from keras_tx.ops.checks import require_divides, require_positive


def sinusoidal(positions, dim: int, base: float = 10000.0):
    """Sinusoidal encodings (Vaswani et al. 2017, section 3.5): sine at even channels, cosine at odd ones.

    Args:
        positions: integers, `(..., T)`.
        dim: width of the encodings, even.
        base: the longest wavelength is `2 * pi * base`, in positions.

    Returns:
        float32, `(..., T, dim)`.
    """
    angles = _angles(positions, dim, base)
    pairs = ops.stack([ops.sin(angles), ops.cos(angles)], axis=-1)  # (..., T, dim/2, 2)
    return ops.reshape(pairs, (*ops.shape(angles)[:-1], dim))


def rotary(positions, dim: int, base: float = 10000.0):
    """Cosines and sines for rotary embeddings (Su et al. 2021), channels split in halves as LLaMA has them.

    Args:
        positions: integers, `(..., T)`.
        dim: width of the heads to be rotated, even.
        base: the slowest rotation turns by about 1 / base radians a position.

    Returns:
        `cos, sin`: float32, `(..., T, dim)` each, the second half of the channels equal to the first.
    """
    angles = _angles(positions, dim, base)
    angles = ops.concatenate([angles, angles], axis=-1)
    return ops.cos(angles), ops.sin(angles)


def rotate(x, cos, sin):
    """Rotates each pair of channels (i, i + D/2) of `x` by its position's angle.

    Args:
        x: `(B, H, T, D)`.
        cos, sin: from `rotary`, `(T, D)` or `(B, T, D)`.

    Returns:
        `(B, H, T, D)` in the dtype of `x`.
    """
    if len(cos.shape) == 3:
        cos, sin = ops.expand_dims(cos, 1), ops.expand_dims(sin, 1)  # over the heads
    half = x.shape[-1] // 2
    turned = ops.concatenate([-x[..., half:], x[..., :half]], axis=-1)
    return x * ops.cast(cos, x.dtype) + turned * ops.cast(sin, x.dtype)


def apply_rotary_pos_emb(q, k, cos, sin):
    """Rotates queries `(B, H, T, D)` and keys `(B, K, T, D)` by the tables of `RotaryPositionalEmbedding`."""
    return rotate(q, cos, sin), rotate(k, cos, sin)


def _angles(positions, dim: int, base: float):
    """`(..., T, dim/2)` radians: position / base ** (2i / dim)."""
    require_positive(dim=dim)
    require_divides(dim, 2, "dim", "pair of channels")
    rates = ops.power(float(base), -ops.arange(0, dim, 2, dtype="float32") / dim)
    return ops.expand_dims(ops.cast(positions, "float32"), -1) * rates
