"""What tests of exports share: a tokenizer and a preprocessor that fit any registered model."""

from __future__ import annotations

from functools import cache

from contract import Case

from keras_tx import SentencePieceTokenizer, WordPieceTokenizer
from keras_tx.export.pictures import takes_files
from keras_tx.export.texts import takes_strings
from keras_tx.models.core.images import ImageModel
from keras_tx.vision import ImagePreprocessor

TEXT = "anna smith of paris met anna and bob in rome. where does the old baker of oslo live? the film is good, not bad."


@cache
def wordpiece() -> WordPieceTokenizer:
    return WordPieceTokenizer.train([TEXT] * 2, 61, model_max_length=31)


@cache
def sentencepiece() -> SentencePieceTokenizer:
    """Of T5's kind, which ends texts."""
    return SentencePieceTokenizer.train([TEXT] * 9, 53, extra_ids=0)


def tokenizer_for(case: Case, model):
    """A tokenizer that fits; None for a model that takes no strings, and for one of too few tokens."""
    if not case.is_text or "Bigram" in case.name or not (case.generates or takes_strings(model)):
        return None
    return sentencepiece() if case.has_two_stacks or "T5" in case.name else wordpiece()


def preprocessor_for(model) -> ImagePreprocessor | None:
    if not isinstance(model, ImageModel) or not takes_files(model):
        return None
    return ImagePreprocessor(image_size=model.config.image_size, mean=(0.4,), std=(0.3,))
