"""A model and its tokenizer, as the signatures on strings need them."""

from __future__ import annotations

from typing import Any

from keras_tx.tasks.inputs import TextInputs


class StringModel(TextInputs):
    """A model that is asked with strings, in a graph."""

    @property
    def stride(self) -> int:
        """How many tokens neighbouring windows of a text have in common."""
        return self.max_length // 3

    def tokens(self, *texts) -> dict[str, Any]:
        """Returns texts, or pairs of texts, as the model's inputs, cut to `max_length`."""
        import tensorflow as tf

        batch = self.tokenizer(*texts, truncation=True, max_length=self.max_length, padding_side="right")
        tf.debugging.assert_positive(tf.reduce_sum(batch["attention_mask"], axis=1), "a text must have a token")
        return self.model_inputs(batch)

    def outputs(self, batch: dict[str, Any]) -> Any:
        """Returns the model's outputs for a batch that may have more tensors than it takes."""
        return self.model(self.model_inputs(batch))
