"""Rows of a model's input, made of texts in a TensorFlow graph: special tokens, pairs, truncation, windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Side = Literal["left", "right"]
Truncation = Literal["longest_first", "only_first", "only_second"]


@dataclass(frozen=True)
class Rows:
    """How one or two texts become rows: `prefix A suffix`, or `prefix A suffix B suffix`.

    Texts are ragged int32 tensors `(B, None, K)`: of each token its id, and K - 1 numbers more.
    """

    prefix: Sequence[int] = ()
    """Ids before the first text."""

    suffix: Sequence[int] = ()
    """Ids after each text."""

    max_length: int | None = None
    """Ids of a row, special ones included; None for as many as there are."""

    truncation: Truncation = "longest_first"
    """Which text of a pair is cut. `longest_first` cuts the longer one to the other's length, then both alike."""

    side: Side = "right"
    """Where a text loses ids."""

    stride: int | None = None
    """Given, a text too long is not cut but becomes several rows, each beginning with so many ids of the one before."""

    @property
    def _pair_target(self) -> int:
        return int(self.truncation == "only_second")

    def __call__(self, *texts):
        """Rows of one text each, or of two.

        Returns:
            The rows, ragged int32 `(R, None, K + 1)`, with the token's type last: 0, or 1 for the second text and what
            follows it; and which text each row is of, int32 `(R,)`. Special tokens have -1 for further numbers.

        Raises:
            InvalidArgumentError: when run, if there is no room for the text that is to be cut.
        """
        import tensorflow as tf

        samples = tf.range(texts[0].nrows(tf.int32))
        room = self.room(len(texts))
        if room is not None:
            if self.stride is None:
                texts = self._cut(texts, tf.constant(room, tf.int64))
            else:
                texts, samples = self._windows(texts, tf.constant(room, tf.int64), self.stride)
        return self._joined(texts), samples

    def room(self, texts: int) -> int | None:
        """How many ids so many texts may have together; None for as many as there are.

        Raises:
            ValueError: if that is less than an id of each text.
        """
        if self.max_length is None:
            return None
        special = len(self.prefix) + texts * len(self.suffix)
        if self.max_length < special + texts:
            raise ValueError(
                f"`max_length` is {self.max_length}, and {special} special tokens stand around every text: "
                "raise it, or set `add_special_tokens=False`."
            )
        return self.max_length - special

    def around(self, ids: list[int]) -> list[int]:
        """The row of one text, in Python."""
        room = self.room(1)
        kept = ids if room is None else ids[:room] if self.side == "right" else ids[-room:]
        return [*self.prefix, *kept, *self.suffix]

    def _cut(self, texts, room):
        import tensorflow as tf

        lengths = [text.row_lengths() for text in texts]
        kept = [tf.minimum(lengths[0], room)] if len(texts) == 1 else self._shares(lengths[0], lengths[1], room)
        return [
            _stretch(text, length - keep, length) if self.side == "left" else _stretch(text, tf.zeros_like(keep), keep)
            for text, length, keep in zip(texts, lengths, kept, strict=True)
        ]

    def _shares(self, first, second, room):
        """How many ids the texts of a pair keep."""
        import tensorflow as tf

        target, half = self._pair_target, room // 2
        if self.truncation == "longest_first":
            share = tf.where(first <= second, tf.minimum(first, half), room - tf.minimum(second, half))
        else:
            share = room - second if target == 0 else first
        whole = first + second <= room
        kept = [tf.where(whole, first, share), tf.where(whole, second, room - share)]
        if self.truncation != "longest_first":
            kept[target] = self._required(kept[target], tf.reduce_all(whole | (kept[target] > 0)))
        return kept

    def _windows(self, texts, room, stride: int):
        import tensorflow as tf

        target = self._pair_target if len(texts) == 2 else 0
        length = texts[target].row_lengths()
        size = room - sum(text.row_lengths() for i, text in enumerate(texts) if i != target)
        size += tf.zeros_like(length)
        step = self._required(size - stride, tf.reduce_all((size > stride) | (length <= size)))
        step = tf.maximum(step, 1)
        starts = tf.ragged.range(0, tf.maximum(length - stride, 1), step)
        samples = starts.value_rowids()
        texts = [tf.gather(text, samples) for text in texts]
        length, size = tf.gather(length, samples), tf.gather(size, samples)
        texts[target] = _stretch(texts[target], starts.values, tf.minimum(starts.values + size, length))
        return texts, tf.cast(samples, tf.int32)

    def _required(self, value, condition):
        return required(
            value,
            condition,
            f"`max_length` is {self.max_length}, which leaves no room for the text that is to be cut: "
            "raise it, or cut the other text too.",
        )

    def _joined(self, texts):
        import tensorflow as tf

        count, width = texts[0].nrows(), texts[0].flat_values.shape[-1]

        def special(ids, kind: int):
            return [tf.tile([[[i, *[-1] * (width - 1), kind] for i in ids]], [count, 1, 1])] if ids else []

        parts = special(self.prefix, 0)
        for kind, text in enumerate(texts):
            kinds = tf.fill([tf.shape(text.flat_values)[0], 1], kind)
            parts += [text.with_values(tf.concat([text.flat_values, kinds], 1)), *special(self.suffix, kind)]
        return tf.concat(parts, 1) if len(parts) > 1 else parts[0]


def padded(rows, fill: int, side: Side, length: int | None):
    """Ragged rows `(R, None)` filled up to the longest or to `length`: a tensor `(R, T)`."""
    import tensorflow as tf

    filled = rows.to_tensor(fill, shape=(None, length))
    if side == "left":  # turn each row round, then all columns
        filled = tf.reverse(tf.reverse_sequence(filled, rows.row_lengths(), seq_axis=1), [1])
    return tf.ensure_shape(filled, (None, length))


def required(value, condition, message: str):
    """A tensor that cannot be had unless a condition holds."""
    import tensorflow as tf

    check = tf.debugging.Assert(condition, [message])
    with tf.control_dependencies([check] if check is not None else []):  # None when run eagerly
        return tf.identity(value)


def _stretch(text, starts, limits):
    """The tokens `[start, limit)` of each row."""
    import tensorflow as tf

    begins = text.row_starts()
    return tf.gather(text.values, tf.ragged.range(begins + starts, begins + limits))
