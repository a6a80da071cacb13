"""What all tokenizers share: texts to padded batches of ids, in Python and in TensorFlow graphs alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np

Side = Literal["left", "right"]


class Tokenizer:
    """Texts to ids and back.

    A tokenizer is `tokenize` and `detokenize`, which are TensorFlow graphs of core operations without tables or files:
    they run eagerly, in a `tf.data` map and inside an exported SavedModel, with the same result. Everything else is
    made of them.

    Args:
        prefix: ids that stand before every text, unless `add_special_tokens=False`.
        suffix: ids that stand after it.
        pad_token_id: fills rows up; a mask of 0 lies over it.
        model_max_length: how many ids the model takes; `truncation=True` cuts to it unless told otherwise.
        padding_side: where rows are filled unless told otherwise.
        truncation_side: where long texts lose ids unless told otherwise.
    """

    def __init__(
        self,
        *,
        prefix: Sequence[int] = (),
        suffix: Sequence[int] = (),
        pad_token_id: int = 0,
        model_max_length: int | None = None,
        padding_side: Side = "right",
        truncation_side: Side = "right",
    ):
        self.prefix, self.suffix = list(prefix), list(suffix)
        self.pad_token_id = pad_token_id
        self.model_max_length = model_max_length
        self.padding_side = _side("padding_side", padding_side)
        self.truncation_side = _side("truncation_side", truncation_side)

    @classmethod
    def from_pretrained(cls, directory: str | Path) -> Self:
        """Reads the tokenizer that lies in a directory."""
        raise NotImplementedError

    def save_pretrained(self, directory: str | Path) -> None:
        """Writes the tokenizer into a directory; other files there stay."""
        raise NotImplementedError

    @property
    def vocab_size(self) -> int:
        """Number of ids, added tokens included."""
        raise NotImplementedError

    def tokenize(self, texts):
        """The ids of TensorFlow strings `(B,)` of UTF-8, nothing put around them: a ragged int32 tensor `(B, None)`."""
        raise NotImplementedError

    def detokenize(self, ids):
        """The texts of ids, `(B, T)` or ragged: a TensorFlow string tensor `(B,)`."""
        raise NotImplementedError

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """The ids of a text, with the prefix and suffix that the tokenizer puts around every text."""
        raise NotImplementedError

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """The text of ids."""
        raise NotImplementedError

    def __call__(
        self,
        texts: str | Sequence[str],
        *,
        add_special_tokens: bool = True,
        padding: Literal["longest", "max_length"] = "longest",
        padding_side: Side | None = None,
        truncation: bool = False,
        truncation_side: Side | None = None,
        max_length: int | None = None,
    ) -> dict:
        """A padded batch of texts.

        Args:
            texts: Python strings, or a TensorFlow string tensor `(B,)`, in a graph or not.
            add_special_tokens: whether to put the prefix and the suffix around each text.
            padding: fill rows up to the longest, or to `max_length`, which then is a static shape.
            padding_side: where shorter rows are filled, with `pad_token_id` under a mask of 0.
            truncation: cut rows, prefix and suffix kept, to `max_length`.
            truncation_side: where longer texts lose ids.
            max_length: `model_max_length` unless given.

        Returns:
            `input_ids` and `attention_mask`, int32 `(B, T)`: NumPy arrays for Python strings, TensorFlow tensors for
            tensors.

        Raises:
            ValueError: for arguments that do not fit together, and as `encode`; a tensor's text raises TensorFlow's
                `InvalidArgumentError` instead.
        """
        prefix, suffix = (self.prefix, self.suffix) if add_special_tokens else ([], [])
        side = _side("padding_side", self.padding_side if padding_side is None else padding_side)
        cut = _side("truncation_side", self.truncation_side if truncation_side is None else truncation_side)
        length = self._length(padding, truncation, max_length)
        room = length - len(prefix) - len(suffix) if length is not None and truncation else None
        if room is not None and room < 1:
            raise ValueError(
                f"`max_length` is {length}, and {len(prefix) + len(suffix)} special tokens stand around every text: "
                "raise it, or set `add_special_tokens=False`."
            )
        window = slice(None) if room is None else slice(room) if cut == "right" else slice(-room, None)
        length = length if padding == "max_length" else None
        if isinstance(texts, str) or not hasattr(texts, "dtype"):
            rows = self._encode_all([texts] if isinstance(texts, str) else texts)
            return self._pad([prefix + row[window] + suffix for row in rows], side, length)
        return self._pad_in_graph(_surrounded(prefix, self.tokenize(texts)[:, window], suffix), side, length)

    def _length(self, padding: str, truncation: bool, max_length: int | None) -> int | None:
        if padding not in ("longest", "max_length"):
            raise ValueError(f'`padding` must be "longest" or "max_length"; got {padding!r}.')
        if truncation:
            length = self.model_max_length if max_length is None else max_length
            if length is None:
                raise ValueError("`truncation=True` needs `max_length`: the tokenizer has no `model_max_length`.")
            return length
        if max_length is not None or padding == "max_length":
            raise ValueError("`max_length` and `padding='max_length'` need `truncation=True`: rows may be longer.")
        return None

    def _checked(self, ids: Iterable[int]) -> list[int]:
        ids = [int(i) for i in ids]
        for i in ids:
            if not 0 <= i < self.vocab_size:
                raise ValueError(f"`ids` must lie in [0, {self.vocab_size}); got {i}.")
        return ids

    def _encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.encode(text, add_special_tokens=False) for text in texts]

    def _pad(self, rows: list[list[int]], side: str, length: int | None) -> dict[str, np.ndarray]:
        length = max(map(len, rows), default=0) if length is None else length
        ids = np.full((len(rows), length), self.pad_token_id, "int32")
        mask = np.zeros_like(ids)
        for i, row in enumerate(rows):
            place = slice(length - len(row), None) if side == "left" else slice(len(row))
            ids[i, place], mask[i, place] = row, 1
        return {"input_ids": ids, "attention_mask": mask}

    def _pad_in_graph(self, rows, side: str, length: int | None) -> dict:
        import tensorflow as tf

        ids = rows.to_tensor(self.pad_token_id, shape=(None, length))
        mask = tf.sequence_mask(rows.row_lengths(), tf.shape(ids)[1], dtype="int32")
        mask = tf.ensure_shape(mask, (None, length))
        if side == "left":  # turn each row round, then all columns
            ids = tf.reverse(tf.reverse_sequence(ids, rows.row_lengths(), seq_axis=1), [1])
            mask = tf.reverse(mask, [1])
        return {"input_ids": ids, "attention_mask": mask}


def _side(name: str, side: str) -> Side:
    if side not in ("left", "right"):
        raise ValueError(f'`{name}` must be "left" or "right"; got {side!r}.')
    return side  # type: ignore[return-value]


def _surrounded(prefix: list[int], rows, suffix: list[int]):
    """Ragged rows with the same ids before and after each."""
    import tensorflow as tf

    if not prefix and not suffix:
        return rows
    before, after = (tf.tile(tf.constant([ids], "int32"), [rows.nrows(), 1]) for ids in (prefix, suffix))
    return tf.concat([before, rows, after], axis=1)
