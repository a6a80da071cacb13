"""A model and its tokenizer, as the signatures on strings need them."""

from __future__ import annotations

from typing import Any

from keras_tx.export.faults import Faults
from keras_tx.tasks.inputs import TextInputs


class StringModel(TextInputs):
    """A model that is asked with strings, in a graph."""

    @property
    def stride(self) -> int:
        """How many tokens neighbouring windows of a text have in common."""
        return self.max_length // 3

    def tokens(self, faults: Faults, **texts) -> dict[str, Any]:
        """Returns texts, or pairs of texts, by the names of the inputs, as the model's inputs, cut to `max_length`.

        A row with a fault, which one without a token is, has something to be read all the same.
        """
        read = {name: faults.texts(text, name, self.tokenizer) for name, text in texts.items()}
        return self.tokens_of(faults, **read)

    def tokens_of(self, faults: Faults, **texts) -> dict[str, Any]:
        """Returns what `tokens` does, of texts that `faults` has looked at."""
        import tensorflow as tf

        batch = self.tokenizer(*texts.values(), truncation=True, max_length=self.max_length, padding_side="right")
        mask = batch["attention_mask"]
        faults.note(tf.reduce_sum(mask, axis=1) == 0, f"`{next(iter(texts))}` must have a token")
        batch = {name: with_a_column(x) for name, x in batch.items()}
        mask = batch["attention_mask"]
        first = tf.range(tf.shape(mask)[1]) == 0
        batch["attention_mask"] = tf.where(first & (tf.reduce_sum(mask, axis=1, keepdims=True) == 0), 1, mask)
        return self.model_inputs(batch)

    def outputs(self, batch: dict[str, Any]) -> Any:
        """Returns the model's outputs for a batch that may have more tensors than it takes."""
        return self.model(self.model_inputs(batch))


def with_a_column(x):
    """`(B, T)` with at least one column."""
    import tensorflow as tf

    return tf.pad(x, [[0, 0], [0, tf.maximum(1 - tf.shape(x)[1], 0)]])
