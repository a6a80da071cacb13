"""The data of a character model, and the baseline that it must beat."""

from __future__ import annotations

import dataclasses
from typing import Self

import keras
import numpy as np

from keras_tx.models import BigramModel
from keras_tx.text import CharTokenizer
from keras_tx.training.data.blocks import whole_stream
from keras_tx.training.metrics.tokens import BitsPerToken


@dataclasses.dataclass(frozen=True)
class CharacterText:
    """A text in ids.

    Attributes:
        tokenizer: whose alphabet is the text's.
        train_ids: the first 90 %, int32 `(N,)`.
        validation_ids: the rest.
    """

    tokenizer: CharTokenizer
    train_ids: np.ndarray
    validation_ids: np.ndarray

    @classmethod
    def split(cls, text: str) -> Self:
        """Splits a text 90/10, in order."""
        tokenizer = CharTokenizer.from_text(text)
        ids = np.array(tokenizer.encode(text), "int32")
        train = int(0.9 * len(ids))
        return cls(tokenizer, ids[:train], ids[train:])

    def __len__(self) -> int:
        return len(self.train_ids) + len(self.validation_ids)

    def bigram_bits(self, block_size: int, batch_size: int) -> float:
        """The validation loss, in bits a character, of the training part's most likely bigram model."""
        bigram = BigramModel.from_counts(self.train_ids, self.tokenizer.vocab_size)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        bigram.compile(loss=loss, weighted_metrics=[BitsPerToken()])
        validation = whole_stream(self.validation_ids, block_size, batch_size)
        return bigram.evaluate(validation, verbose=0, return_dict=True)["bits"]
