"""Faults of single rows: a request's other rows are answered all the same.

A server may put the rows of several clients into one request, none of which may fail because of another.
"""

from __future__ import annotations

from typing import Any

from keras_tx.export.signature import after
from keras_tx.text import Tokenizer

LONGEST_TEXT = 2**20
"""Bytes of a text; a longer one is a fault, so that no request can take a server's memory."""


class Faults:
    """Collects the faults of a request's rows, in a graph.

    Args:
        rows: a tensor of the request, `(B, ...)`.
        name: of the input.

    Attributes:
        messages: the first fault of each row, strings `(B,)`; empty for a row that can be answered.

    Raises:
        InvalidArgumentError: when the graph runs, for a request without a row.
    """

    def __init__(self, rows: Any, name: str):
        import tensorflow as tf

        some = tf.debugging.assert_positive(tf.size(rows), f"`{name}` must hold something")
        self.messages: Any = tf.fill(tf.shape(after([some], rows))[:1], "")

    @property
    def none(self):
        """The rows without a fault, boolean `(B,)`."""
        return self.messages == ""

    def note(self, wrong: Any, message: str) -> None:
        """Notes a fault of the rows where `wrong`, boolean `(B, ...)`, which have no earlier one."""
        import tensorflow as tf

        wrong = tf.reduce_any(tf.reshape(wrong, [tf.size(self.messages), -1]), axis=1)
        self.messages = tf.where(wrong & self.none, message, self.messages)

    def without(self, x: Any, instead: Any) -> Any:
        """A tensor `(B, ...)` with something else in the rows that have a fault."""
        import tensorflow as tf

        none = tf.reshape(self.none, tf.concat([tf.shape(x)[:1], tf.ones([tf.rank(x) - 1], tf.int32)], 0))
        return tf.where(none, x, tf.cast(instead, x.dtype))

    def texts(self, texts: Any, name: str, tokenizer: Tokenizer) -> Any:
        """Texts `(B, ...)`, empty in the rows where one is too long, not UTF-8 or has no tokens."""
        import tensorflow as tf

        self.note(tf.strings.length(texts) > LONGEST_TEXT, f"`{name}` must be of {LONGEST_TEXT} bytes at most")
        texts = self.without(texts, "")
        valid = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", "ignore", replace_control_characters=False)
        self.note(texts != valid, f"`{name}` must be UTF-8")
        texts = self.without(texts, "")
        known = tokenizer.knows(tf.reshape(texts, [-1]))
        self.note(tf.reshape(~known, tf.shape(texts)), f"`{name}` must have characters of the vocabulary alone")
        return self.without(texts, "")

    def marked(self, outputs: dict[str, Any]) -> dict[str, Any]:
        """Returns outputs with "", -1 and NaN in the rows that have a fault, and an `error` of each row."""
        fills = {"string": "", "bool": False}
        marked = {
            name: self.without(x, fills.get(x.dtype.name, float("nan") if x.dtype.is_floating else -1))
            for name, x in outputs.items()
        }
        return {**marked, "error": self.messages}
