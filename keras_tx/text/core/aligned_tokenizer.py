"""The base of tokenizers whose tokens know which characters they stand for."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from keras_tx.text.core.vocabulary import VocabularyTokenizer
from keras_tx.text.graph.added_tokens import AddedToken


class AlignedTokenizer(VocabularyTokenizer):
    """A tokenizer that normalizes texts, finds added tokens before and after, and tells where its tokens come from.

    Subclasses implement `table` and `normalized_content`.
    """

    def table(self, texts):
        """Returns what `tokenize_with_offsets` does; called in a graph of its own."""
        raise NotImplementedError

    def normalized_content(self, content: str) -> str:
        """Returns an added token's content after normalization."""
        raise NotImplementedError

    def tokenize(self, texts):
        """The ids of TensorFlow strings `(B,)` of UTF-8, nothing put around them: a ragged int32 tensor `(B, None)`."""
        table = self._tokenize(texts)
        return table.with_values(table.values[:, 0])

    def tokenize_with_offsets(self, texts):
        """Ids, and where in the texts they come from.

        Args:
            texts: TensorFlow strings `(B,)` of UTF-8.

        Returns:
            A ragged int32 tensor `(B, None, 4)`: of each token its id, which word of the text it belongs to, and the
            characters `[begin, end)` of the text that it stands for.
        """
        return self._tokenize(texts)

    @cached_property
    def _tokenize(self):
        import tensorflow as tf

        return tf.function(self.table, input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)

    @cached_property
    def _added_tokens(self) -> tuple[list[AddedToken], list[AddedToken]]:
        """The tokens to find in the text as it is, and those to find in the normalized text."""
        first = [token for token in self.added_tokens if not token.normalized]
        then = [token for token in self.added_tokens if token.normalized]
        return first, [replace(token, content=self.normalized_content(token.content)) for token in then]
