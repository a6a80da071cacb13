"""Masked tokens: what BERT learns to predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from keras_tx.ops.losses import IGNORED
from keras_tx.text.core.vocabulary import VocabularyTokenizer
from keras_tx.text.graph.longest_match import PREFIX


@dataclass(frozen=True, eq=False)
class Masking:
    """Chooses tokens to predict, and hides them.

    Of the chosen ones, 80 % become the mask token, 10 % a token drawn from the whole vocabulary, and 10 % stay.
    Special tokens, padding among them, are never chosen.

    Sources: Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", 2019, appendix A.1; whole words as
    in google-research/bert.
    """

    mask_token_id: int
    """The id that hides a token."""

    special: np.ndarray
    """The ids that are never chosen, as booleans `(V,)`."""

    continues: np.ndarray | None = None
    """The ids that continue a word, as booleans `(V,)`, to choose whole words; None chooses token by token."""

    probability: float = 0.15
    """The probability that a token, or a word, is chosen."""

    masked: float = 0.8
    """The share of the chosen tokens that the mask token hides."""

    random: float = 0.1
    """The share of the chosen tokens that a random token hides."""

    def __post_init__(self):
        if not 0 < self.probability <= 1:
            raise ValueError(f"`probability` must lie in (0, 1]; got {self.probability}.")
        if min(self.masked, self.random) < 0 or self.masked + self.random > 1:
            raise ValueError(f"`masked` and `random` must be shares of one; got {self.masked} and {self.random}.")

    @classmethod
    def of(cls, tokenizer: VocabularyTokenizer, *, whole_words: bool = False, **options: float) -> Self:
        """The masking that goes with a tokenizer.

        Args:
            tokenizer: with a `mask_token`.
            whole_words: whether all pieces of a word are hidden together, for `WordPieceTokenizer`.
            **options: `probability`, `masked` and `random`.
        """
        if tokenizer.mask_token_id is None:
            raise ValueError("the tokenizer has no `mask_token`: give it one among its `special_tokens`.")
        special, continues = np.zeros((2, tokenizer.vocab_size), bool)
        special[tokenizer.all_special_ids] = True
        if whole_words:
            continues[:] = [token.startswith(PREFIX) for token in tokenizer.tokens]
            if not continues.any():
                raise ValueError(f"`whole_words=True` needs tokens that begin with {PREFIX!r}, as WordPiece has them.")
        return cls(tokenizer.mask_token_id, special, continues if whole_words else None, **options)

    def __call__(self, ids, seed):
        """Hides tokens of TensorFlow's `ids`.

        Args:
            ids: int32 `(B, T)`.
            seed: two integers; the same give the same.

        Returns:
            The ids with tokens hidden, and the labels: the ids that were chosen, -100 elsewhere; int32 `(B, T)` both.
        """
        import tensorflow as tf

        chance, fate, replacement = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
        shape = tf.shape(ids)
        fates = tf.random.stateless_uniform(shape, fate)
        random = tf.random.stateless_uniform(shape, replacement, maxval=len(self.special), dtype=tf.int32)
        kept = tf.where(fates < self.masked + self.random, random, ids)
        chosen = self._chosen(ids, chance) & ~tf.gather(self.special, ids)
        hidden = tf.where(fates < self.masked, self.mask_token_id, kept)
        return tf.where(chosen, hidden, ids), tf.where(chosen, ids, IGNORED)

    def _chosen(self, ids, seed):
        """One draw for each token, or for each word."""
        import tensorflow as tf

        shape = tf.shape(ids)
        if self.continues is None:
            return tf.random.stateless_uniform(shape, seed) < self.probability
        starts = tf.cast(~tf.gather(self.continues, ids), tf.int32)
        draws = tf.random.stateless_uniform(shape + tf.constant([0, 1]), seed)  # a row may begin within a word
        words = tf.cumsum(starts, axis=1)
        return tf.gather(draws, words, batch_dims=1) < self.probability
