"""Rows of a model's input, made of tokens: special tokens, pairs, truncation, windows and padding.

The same code runs on NumPy's arrays, for Python strings, and on TensorFlow's tensors, in a graph or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple, Self

import numpy as np

from keras_tx.text.core.template import Template

Side = Literal["left", "right"]
Truncation = Literal["longest_first", "only_first", "only_second"]


class Tokens(NamedTuple):
    """The tokens of texts, one text after another.

    Attributes:
        values: int32 `(N, K)`, of each token its id and K - 1 further numbers.
        splits: int64 `(B + 1,)`; text `i` has the tokens `[splits[i], splits[i + 1])`.
    """

    values: Any
    splits: Any

    @classmethod
    def of_ragged(cls, tokens) -> Self:
        """The tokens in a ragged tensor, ids `(B, None)` or tables `(B, None, K)`."""
        return cls(_as_table(tokens.values), tokens.row_splits)

    @classmethod
    def of_eager(cls, tokens) -> Self:
        """The same of an eager tensor, as NumPy's arrays."""
        return cls(_as_table(tokens.values.numpy()), tokens.row_splits.numpy())

    @classmethod
    def of_lists(cls, texts: Sequence[Sequence], width: int = 1) -> Self:
        """Tokens given as lists of ids, or of rows of `width` numbers."""
        tokens = [np.asarray(text, "int32").reshape(-1, width) for text in texts]
        splits = np.cumsum([0, *map(len, tokens)], dtype="int64")
        return cls(np.concatenate([np.zeros((0, width), "int32"), *tokens]), splits)


def _as_table(values):
    return values if len(values.shape) == 2 else values[:, None]


class Spans(NamedTuple):
    """The tokens `[begin, end)` that rows have of a text, int64 `(R,)` each."""

    begin: Any
    end: Any

    @property
    def size(self):
        return self.end - self.begin


@dataclass(frozen=True)
class Rows:
    """Makes padded rows of one text each, or of two."""

    template: Template
    """The special tokens around the texts."""

    pad_token_id: int = 0
    """The id that fills rows up."""

    max_length: int | None = None
    """Ids of a row, special ones included; None for as many as there are."""

    truncation: Truncation = "longest_first"
    """The text of a pair that is cut. `longest_first` cuts the longer one to the other's length, then both alike."""

    truncation_side: Side = "right"
    """The side on which a text loses ids."""

    stride: int | None = None
    """Given, a text too long is not cut but becomes several rows, each beginning with so many ids of the one before."""

    padding_side: Side = "right"
    """The side on which rows are padded."""

    pad_to_max_length: bool = False
    """Whether rows are filled up to `max_length`, which then is a static shape, rather than to the longest."""

    def __call__(self, *texts: Tokens):
        """Makes rows of one text each, or of two.

        Returns:
            Int32 `(K + 2, R, T)`: ids, the further numbers, token types and attention mask; special tokens and padding
            have -1 for further numbers. And which text each row is of, int32 `(R,)`.

        Raises:
            ValueError: if there is no room for the text that is to be cut; of tensors `InvalidArgumentError`, when run.
        """
        spans, samples = self._spans([Spans(text.splits[:-1], text.splits[1:]) for text in texts])
        return self._filled(texts, spans), samples

    def room(self, texts: int) -> int | None:
        """Returns how many ids so many texts may have together; None for any number.

        Raises:
            ValueError: if that is less than an id of each text.
        """
        if self.max_length is None:
            return None
        special = self.template.special_tokens(texts)
        if self.max_length < special + texts:
            raise ValueError(
                f"`max_length` is {self.max_length}, and {special} special tokens stand around every text: "
                "raise it, or set `add_special_tokens=False`."
            )
        return self.max_length - special

    # === Which tokens each row has ===

    def _spans(self, texts: Sequence[Spans]) -> tuple[list[Spans], Any]:
        """The tokens of each text that each row has, and which text the row is of."""
        xp = functions_of(texts[0].begin)
        room = self.room(len(texts))
        if room is not None and self.stride is not None:
            return self._windows(texts, room, self.stride)
        samples = xp.arange(xp.size(texts[0].begin), dtype="int32")
        return (list(texts) if room is None else self._cut(texts, room)), samples

    def _cut(self, texts: Sequence[Spans], room: int) -> list[Spans]:
        xp = functions_of(texts[0].begin)
        if len(texts) == 1:
            kept = [xp.minimum(texts[0].size, room)]
        else:
            kept = self._shares(texts[0].size, texts[1].size, room)
        if self.truncation_side == "left":
            return [Spans(text.end - size, text.end) for text, size in zip(texts, kept, strict=True)]
        return [Spans(text.begin, text.begin + size) for text, size in zip(texts, kept, strict=True)]

    def _shares(self, first, second, room: int) -> list:
        """Returns how many ids the texts of a pair keep."""
        xp = functions_of(first)
        target, half = self._pair_target, room // 2
        if self.truncation == "longest_first":
            share = xp.where(first <= second, xp.minimum(first, half), room - xp.minimum(second, half))
        else:
            share = room - second if target == 0 else first
        whole = first + second <= room
        kept = [xp.where(whole, first, share), xp.where(whole, second, room - share)]
        if self.truncation != "longest_first":
            message = f"`max_length` is {self.max_length}, which leaves no room for the text that is to be cut"
            kept[target] = required(
                kept[target], whole | (kept[target] > 0), f"{message}: raise it, or cut the other text too."
            )
        return kept

    def _windows(self, texts: Sequence[Spans], room: int, stride: int) -> tuple[list[Spans], Any]:
        xp = functions_of(texts[0].begin)
        target = self._pair_target if len(texts) == 2 else 0
        length = texts[target].size
        size = room - sum((text.size for i, text in enumerate(texts) if i != target), xp.zeros_like(length))
        message = f"`stride` is {stride}, no less than what a row of {self.max_length} tokens has room for"
        step = required(
            size - stride, (size > stride) | (length <= size), f"{message}: lower it, or raise `max_length`."
        )
        step = xp.maximum(step, 1)
        counts = -(-xp.maximum(length - stride, 1) // step)
        samples = xp.repeat(xp.arange(xp.size(length), dtype="int32"), counts)
        number = xp.arange(xp.size(samples), dtype="int64") - xp.take(xp.cumsum(counts) - counts, samples, axis=0)
        spans = [Spans(*(xp.take(edge, samples, axis=0) for edge in text)) for text in texts]
        begin = spans[target].begin + number * xp.take(step, samples, axis=0)
        end = xp.minimum(begin + xp.take(size, samples, axis=0), spans[target].end)
        spans[target] = Spans(begin, end)
        return spans, samples

    @property
    def _pair_target(self) -> int:
        return int(self.truncation == "only_second")

    # === The rows themselves ===

    def _filled(self, texts: Sequence[Tokens], spans: Sequence[Spans]):
        """Int32 `(K + 2, R, T)`, taken from a pool that has a padding token first, then all tokens of each piece."""
        xp = functions_of(spans[0].begin)
        none = [-1] * (texts[0].values.shape[-1] - 1)  # for a special token's further numbers
        begin = xp.zeros_like(spans[0].begin)
        one_token, offset = Spans(begin, begin + 1), 1
        pool, places = [np.array([[self.pad_token_id, *none, 0, 0]], "int32")], []
        for content, type_id in self.template.of(len(texts)):
            if isinstance(content, str):
                values, count, span = *texts["AB".index(content)], spans["AB".index(content)]
                count = count[-1]
            else:
                values, count, span = np.array([[content, *none]], "int32"), 1, one_token
            one = xp.ones_like(values[:, :1])
            pool.append(xp.concatenate([values, type_id * one, one], axis=1))
            places.append((begin, offset + span.begin - begin))
            begin, offset = begin + span.size, offset + count
        columns = xp.transpose(xp.concatenate(pool, axis=0))
        return xp.take(columns, self._index(places, begin), axis=1)

    def _index(self, places: Sequence[tuple[Any, Any]], lengths):
        """Returns where in the pool each cell's token stands, int64 `(R, T)`; padding stands at 0.

        Args:
            places: of each piece, where it begins in the rows and how much further it stands in the pool, `(R,)`.
            lengths: of the rows, `(R,)`.
        """
        xp = functions_of(lengths)
        longest = self.max_length if self.pad_to_max_length else xp.max(xp.concatenate([[0], lengths], axis=0))
        column = xp.arange(longest, dtype="int64")[None]
        if self.padding_side == "left":
            column = column - (longest - lengths)[:, None]
        index = xp.zeros_like(column)
        for begin, further in places:
            index = xp.where(column >= begin[:, None], column + further[:, None], index)
        return xp.where((column >= 0) & (column < lengths[:, None]), index, 0)


def functions_of(array):
    """NumPy's functions for its arrays; for tensors, TensorFlow's functions of the same meaning, by NumPy's names."""
    if isinstance(array, np.ndarray):
        return np
    import tensorflow as tf

    renamed = {"concatenate": tf.concat, "take": tf.gather, "arange": tf.range, "max": tf.reduce_max}
    same = ("cumsum", "maximum", "minimum", "ones_like", "repeat", "size", "stack", "transpose", "where", "zeros_like")
    return SimpleNamespace(**renamed, **{name: getattr(tf, name) for name in same})


def required(value, condition, message: str):
    """A value that cannot be had unless a condition holds everywhere.

    Raises:
        ValueError: where the condition is NumPy's; of tensors `InvalidArgumentError`, when run.
    """
    if isinstance(condition, np.ndarray | np.bool_):
        if not condition.all():
            raise ValueError(message)
        return value
    import tensorflow as tf

    check = tf.debugging.Assert(tf.reduce_all(condition), [message])
    with tf.control_dependencies([check] if check is not None else []):  # None when run eagerly
        return tf.identity(value)
