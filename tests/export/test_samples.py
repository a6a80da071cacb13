"""The texts that artifacts are checked with."""

import keras
import numpy as np
import pytest
from export_helpers import TEXT, sentencepiece, wordpiece

from keras_tx import BPETokenizer, CharTokenizer
from keras_tx.export.samples import sample_texts

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="SavedModels are made on TensorFlow")


def byte_pairs() -> BPETokenizer:
    """Of bytes alone, of which most texts are no characters, and one is NUL."""
    return BPETokenizer.train([TEXT], 257)


@pytest.mark.parametrize("kind", [byte_pairs, wordpiece, sentencepiece, lambda: CharTokenizer("ab \0c")])
def test_texts_have_tokens_and_no_more_than_asked_for(kind):
    tokenizer = kind()
    texts = [text.decode() for text in sample_texts(tokenizer, np.random.default_rng(0), 60, 5)]
    lengths = [len(tokenizer.encode(text, add_special_tokens=False)) for text in texts]
    assert min(lengths) >= 1 and max(lengths) == 5 and len({*texts}) > 9
    assert all(text.strip() and "\0" not in text for text in texts)


def test_a_vocabulary_without_texts_is_an_error():
    with pytest.raises(ValueError, match="no texts could be made of the tokens of `tokenizer`"):
        sample_texts(CharTokenizer(" \0"), np.random.default_rng(0), 1, 5)
