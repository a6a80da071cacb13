"""The character tokenizer: one id a character, in Python and in TensorFlow graphs alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np

from keras_tx.files import read_json, write_json

FILE_NAME = "char_tokenizer.json"


class CharTokenizer:
    """Maps each character of a fixed alphabet to its place in it.

    Characters outside the alphabet are an error, never dropped or replaced.

    Args:
        characters: the alphabet; a character's id is its place.

    Raises:
        ValueError: if the alphabet is empty or repeats a character.
    """

    def __init__(self, characters: str):
        if not characters:
            raise ValueError("`characters` must not be empty.")
        repeated = sorted({c for c in characters if characters.count(c) > 1})
        if repeated:
            raise ValueError(f"`characters` repeats {', '.join(map(repr, repeated))}.")
        self.characters = characters
        self._ids = {character: i for i, character in enumerate(characters)}

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The alphabet of a text, in code point order."""
        return cls("".join(sorted(set(text))))

    @classmethod
    def from_pretrained(cls, directory: str | Path) -> Self:
        """Reads what `save_pretrained` wrote."""
        path = Path(directory) / FILE_NAME
        content = read_json(path)
        if not isinstance(content, dict) or not isinstance(content.get("characters"), str):
            raise ValueError(f'{path} must hold {{"characters": "..."}}.')
        return cls(content["characters"])

    def save_pretrained(self, directory: str | Path) -> None:
        """Writes the alphabet into a directory."""
        write_json(Path(directory) / FILE_NAME, {"characters": self.characters})

    @property
    def vocab_size(self) -> int:
        """Number of characters."""
        return len(self.characters)

    # === Python ===

    def encode(self, text: str) -> list[int]:
        """The ids of a text.

        Raises:
            ValueError: if a character is outside the alphabet.
        """
        unknown = sorted(set(text) - self._ids.keys())
        if unknown:
            raise ValueError(
                f"the vocabulary has no {', '.join(map(repr, unknown))}; it has {self.vocab_size} characters: "
                f"{self.characters!r}."
            )
        return [self._ids[character] for character in text]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids.

        Raises:
            ValueError: if an id is outside the alphabet.
        """
        ids = [int(i) for i in ids]
        for i in ids:
            if not 0 <= i < self.vocab_size:
                raise ValueError(f"`ids` must lie in [0, {self.vocab_size}); got {i}.")
        return "".join(self.characters[i] for i in ids)

    def __call__(self, texts: str | Sequence[str], padding_side: Literal["left", "right"] = "right") -> dict:
        """A padded batch of texts.

        Args:
            texts: Python strings, or a TensorFlow string tensor `(B,)`, in a graph or not.
            padding_side: where shorter rows are filled, with id 0 under a mask of 0.

        Returns:
            `input_ids` and `attention_mask`, int32 `(B, T)`: NumPy arrays for Python strings, TensorFlow tensors for
            tensors.

        Raises:
            ValueError: as `encode`; a tensor's unknown characters raise TensorFlow's `InvalidArgumentError`.
        """
        if padding_side not in ("left", "right"):
            raise ValueError(f'`padding_side` must be "left" or "right"; got {padding_side!r}.')
        if isinstance(texts, str) or not hasattr(texts, "dtype"):
            return self._pad(
                [self.encode(text) for text in ([texts] if isinstance(texts, str) else texts)], padding_side
            )
        return self._pad_in_graph(self.tokenize(texts), padding_side)

    @staticmethod
    def _pad(rows: list[list[int]], padding_side: str) -> dict[str, np.ndarray]:
        length = max(map(len, rows), default=0)
        ids, mask = np.zeros((2, len(rows), length), "int32")
        for i, row in enumerate(rows):
            place = slice(length - len(row), None) if padding_side == "left" else slice(len(row))
            ids[i, place], mask[i, place] = row, 1
        return {"input_ids": ids, "attention_mask": mask}

    # === TensorFlow ===

    def tokenize(self, texts):
        """The ids of a TensorFlow string tensor `(B,)` of UTF-8: a ragged int32 tensor `(B, None)`.

        Raises:
            InvalidArgumentError: when run on characters outside the alphabet, or bytes that are not UTF-8.
        """
        import tensorflow as tf

        order = np.argsort([ord(c) for c in self.characters])
        known = tf.constant(np.array([ord(c) for c in self.characters], "int32")[order])
        points = tf.strings.unicode_decode(texts, "UTF-8", errors="strict")  # ragged (B, None)
        place = tf.minimum(tf.searchsorted(known, points.flat_values), self.vocab_size - 1)
        found = tf.gather(known, place) == points.flat_values
        unknown = tf.unique(tf.boolean_mask(points.flat_values, ~found)).y
        unknown = tf.strings.unicode_encode(unknown[:, None], "UTF-8")
        check = tf.debugging.Assert(
            tf.reduce_all(found), ["characters outside the vocabulary:", unknown], summarize=self.vocab_size
        )
        with tf.control_dependencies([check] if check is not None else []):  # None when run eagerly
            ids = tf.gather(tf.constant(order.astype("int32")), place)
        return points.with_flat_values(ids)

    def detokenize(self, ids):
        """The texts of ids, `(B, T)` or ragged: a TensorFlow string tensor `(B,)`."""
        import tensorflow as tf

        points = tf.constant([ord(c) for c in self.characters], "int32")
        return tf.strings.unicode_encode(tf.gather(points, ids), "UTF-8")

    @staticmethod
    def _pad_in_graph(rows, padding_side: str) -> dict:
        import tensorflow as tf

        ids = rows.to_tensor()
        mask = tf.sequence_mask(rows.row_lengths(), tf.shape(ids)[1], dtype="int32")
        if padding_side == "left":  # turn each row round, then all columns
            ids = tf.reverse(tf.reverse_sequence(ids, rows.row_lengths(), seq_axis=1), [1])
            mask = tf.reverse(mask, [1])
        return {"input_ids": ids, "attention_mask": mask}
