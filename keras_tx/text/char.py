"""The character tokenizer: one id a character, in Python and in TensorFlow graphs alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from keras_tx.files import read_json, write_json
from keras_tx.text.core.base import Tokenizer
from keras_tx.text.core.locate import CHARACTERS
from keras_tx.text.core.rows import Tokens


class CharTokenizer(Tokenizer):
    """Maps each character of a fixed alphabet to its place in it.

    Characters outside the alphabet are an error, never dropped or replaced; so are bytes that are not UTF-8. There are
    no special tokens.

    Args:
        characters: the alphabet; a character's id is its place.

    Raises:
        ValueError: if the alphabet is empty or repeats a character.
    """

    def __init__(self, characters: str):
        super().__init__()
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
    def from_directory(cls, directory):
        path = directory / CHARACTERS
        content = read_json(path)
        if not isinstance(content, dict) or not isinstance(content.get("characters"), str):
            raise ValueError(f'{path} must hold {{"characters": "..."}}.')
        return cls(content["characters"])

    def save_pretrained(self, directory: str | Path) -> None:
        """Writes the alphabet into a directory."""
        write_json(Path(directory) / CHARACTERS, {"characters": self.characters})

    @property
    def vocab_size(self) -> int:
        """Number of characters."""
        return len(self.characters)

    # Python's own strings do for these two: they need no TensorFlow.

    def _encoded_strings(self, texts: Sequence[str], offsets: bool) -> Tokens:
        if offsets:
            return super()._encoded_strings(texts, offsets)
        unknown = sorted(set().union(*texts) - self._ids.keys())
        if unknown:
            raise ValueError(
                f"the vocabulary has no {', '.join(map(repr, unknown))}; it has {self.vocab_size} characters: "
                f"{self.characters!r}."
            )
        return Tokens.of_lists([[self._ids[character] for character in text] for text in texts])

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """The text of ids.

        Raises:
            ValueError: if an id is outside the alphabet.
        """
        return "".join(self.characters[i] for i in self._checked(ids))

    def tokenize(self, texts):
        """The ids of a TensorFlow string tensor `(B,)` of UTF-8: a ragged int32 tensor `(B, None)`.

        Raises:
            InvalidArgumentError: when run on characters outside the alphabet, or bytes that are not UTF-8.
        """
        import tensorflow as tf

        points = tf.strings.unicode_decode(texts, "UTF-8", errors="strict")  # ragged (B, None)
        ids, found = self._found(points.flat_values)
        unknown = tf.unique(tf.boolean_mask(points.flat_values, ~found)).y
        unknown = tf.strings.unicode_encode(unknown[:, None], "UTF-8")
        check = tf.debugging.Assert(
            tf.reduce_all(found), ["characters outside the vocabulary:", unknown], summarize=self.vocab_size
        )
        with tf.control_dependencies([check] if check is not None else []):  # None when run eagerly
            return points.with_flat_values(tf.identity(ids))

    def knows(self, texts):
        import tensorflow as tf

        points = tf.strings.unicode_decode(texts, "UTF-8", errors="replace")
        return tf.reduce_all(points.with_flat_values(self._found(points.flat_values)[1]), axis=1)

    def _found(self, points):
        """The ids of code points, and whether the alphabet has them."""
        import tensorflow as tf

        order = np.argsort([ord(c) for c in self.characters])
        known = tf.constant(np.array([ord(c) for c in self.characters], "int32")[order])
        place = tf.minimum(tf.searchsorted(known, points), self.vocab_size - 1)
        return tf.gather(tf.constant(order.astype("int32")), place), tf.gather(known, place) == points

    def detokenize(self, ids):
        """The texts of ids, `(B, T)` or ragged: a TensorFlow string tensor `(B,)`."""
        import tensorflow as tf

        points = tf.constant([ord(c) for c in self.characters], "int32")
        return tf.strings.unicode_encode(tf.gather(points, ids), "UTF-8")
