"""Token and position embeddings."""

from __future__ import annotations

import keras
from keras import ops

from keras_tx.layers.core.base import Layer, register
from keras_tx.layers.core.dropout import Dropout
from keras_tx.ops.attention.positions import sinusoidal
from keras_tx.ops.attention.rotary import rotary
from keras_tx.ops.checks import (
    as_integers,
    require_below,
    require_even,
    require_positive,
    require_rank,
    require_rate,
    require_width,
)


@register
class TokenEmbedding(Layer):
    """A table of vectors, looked up by id, whose transpose can serve as the output projection.

    Its gradient is dense. On TensorFlow, `keras.layers.Embedding` hands optimizers a row for each occurrence of
    an id, unsummed, and Adam's second moment and clipping then come out wrong wherever an id repeats.

    Input: integer ids of any shape. Output: `(..., dim)`. An id outside the table raises when its value is known
    (eager calls); inside a compiled graph, which cannot raise, it gives NaN.

    Args:
        vocab_size: rows of the table.
        dim: width of the vectors.
        initializer: of the table.
        mask_zero: whether 0 is the id of padding, which Keras then tells the layers after this one by a mask.

    Raises:
        ValueError: for sizes less than 1; at call, for ids that are not integers or lie outside the table.
    """

    def __init__(self, vocab_size: int, dim: int, initializer="uniform", mask_zero: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = mask_zero
        require_positive(vocab_size=vocab_size, dim=dim)
        self.vocab_size = vocab_size
        self.dim = dim
        self.initializer = keras.initializers.get(initializer)
        self.mask_zero = mask_zero

    def build(self, input_shape=None):
        self.embeddings = self.add_weight(
            shape=(self.vocab_size, self.dim), initializer=self.initializer, name="embeddings"
        )

    def call(self, ids):
        ids = as_integers(ids, "ids")
        require_below(ids, self.vocab_size, "ids", "vocab_size")
        return lookup(self.embeddings, ids, self.compute_dtype)

    def compute_mask(self, inputs, previous_mask=None):
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def project(self, x):
        """Logits of the tied output projection: `(..., dim)` to `(..., vocab_size)`."""
        require_width(x, self.dim, "x")
        table = ops.cast(self.embeddings, self.compute_dtype)
        return ops.matmul(x, ops.transpose(table))

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.dim)


@register
class PositionEmbedding(Layer):
    """A learned vector for each position.

    Input: positions, integers `(..., T)`. Output: `(..., T, dim)`.

    Args:
        max_positions: rows of the table.
        dim: width of the vectors.
        initializer: of the table.

    Raises:
        ValueError: at call, for positions that are not integers, lie past the table, or are more than its rows.
    """

    def __init__(self, max_positions: int, dim: int, initializer="uniform", **kwargs):
        super().__init__(**kwargs)
        require_positive(max_positions=max_positions, dim=dim)
        self.max_positions = max_positions
        self.dim = dim
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape=None):
        self.embeddings = self.add_weight(
            shape=(self.max_positions, self.dim), initializer=self.initializer, name="embeddings"
        )

    def call(self, positions):
        positions = as_integers(positions, "positions")
        require_below(positions, self.max_positions, "positions", "max_positions")
        return lookup(self.embeddings, positions, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.dim)


@register
class PositionalEncoding(Layer):
    """Adds sinusoidal position encodings (Vaswani et al. 2017, section 3.5), then drops out.

    Input and output: `(B, T, d_model)`.

    Args:
        d_model: width, even.
        max_len: the longest sequence taken.
        dropout: rate on the sum.

    Raises:
        ValueError: for an odd `d_model`; at call, for another width or more than `max_len` positions.
    """

    def __init__(self, d_model: int, max_len: int = 5000, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        require_positive(d_model=d_model, max_len=max_len)
        require_even(d_model=d_model)
        require_rate(dropout=dropout)
        self.d_model = d_model
        self.max_len = max_len
        self.dropout = dropout
        self.supports_masking = True
        self.drop = Dropout(dropout, dtype=self.dtype_policy)

    def build(self, input_shape=None):
        """Nothing to make: the encodings are computed, not stored."""

    def call(self, x, start=0, training=None):
        """`start` is the position of the first vector: the number of those already in a cache."""
        require_rank(x, 3, "x", "(batch, length, d_model)")
        require_width(x, self.d_model, "x")
        _require_length(x.shape[1], self.max_len, "max_len")
        encoding = self.get_positional_encoding(ops.shape(x)[1], start)
        return self.drop(x + ops.cast(encoding, x.dtype), training=training)

    def get_positional_encoding(self, seq_len, start=0):
        """The encodings of positions `start` to `start + seq_len`, float32 `(seq_len, d_model)`."""
        return sinusoidal(start + ops.arange(seq_len), self.d_model)

    def compute_output_shape(self, input_shape):
        return input_shape


@register
class RotaryPositionalEmbedding(Layer):
    """Rotary position embedding (Su et al. 2021): the cosines and sines for `apply_rotary_pos_emb`.

    Args:
        dim: width of the heads to be rotated, even.
        max_seq_len: the longest sequence taken.
        rope_theta: the base: the slowest rotation turns by about 1 / rope_theta radians a position.

    Raises:
        ValueError: for an odd `dim`; at call, for more than `max_seq_len` positions.
    """

    def __init__(self, dim: int, max_seq_len: int = 2048, rope_theta: float = 10000.0, **kwargs):
        super().__init__(**kwargs)
        require_positive(dim=dim, max_seq_len=max_seq_len)
        require_even(dim=dim)
        self.dim = dim
        self.max_seq_len = max_seq_len
        self.rope_theta = rope_theta

    def build(self, input_shape=None):
        """Nothing to make: the tables are computed, not stored."""

    def call(self, x, seq_len: int | None = None):
        """`cos, sin`, float32 `(seq_len, dim)` each; `seq_len` is the second to last axis of `x` unless given."""
        length = x.shape[-2] if seq_len is None else seq_len
        _require_length(length, self.max_seq_len, "max_seq_len")
        return rotary(ops.arange(ops.shape(x)[-2] if seq_len is None else seq_len), self.dim, self.rope_theta)


def lookup(table, ids, dtype: str):
    """Rows of `table`, `(V, D)`, with a dense gradient; NaN for ids outside it."""
    ids = ops.cast(ids, "int32")  # TensorFlow's gather takes no small unsigned integers
    # The gradient of a reshape is dense on every backend, and a reshape to the same shape costs nothing.
    rows = ops.take(ops.reshape(table, table.shape), ids, axis=0)
    inside = ops.logical_and(ids >= 0, ids < table.shape[0])
    rows = ops.where(ops.expand_dims(inside, -1), rows, ops.cast(float("nan"), rows.dtype))
    return ops.cast(rows, dtype)


def _require_length(length: int | None, limit: int, limit_name: str) -> None:
    if isinstance(length, int) and length > limit:
        raise ValueError(f"a sequence of {length} is longer than `{limit_name}` = {limit}.")
