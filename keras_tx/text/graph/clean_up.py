"""Transformers' `clean_up_tokenization`: blanks go that do not belong before punctuation marks and English endings."""

from __future__ import annotations

import re

_CLEANED = {" .": ".", " ?": "?", " !": "!", " ,": ",", " ' ": "'"}
_CLEANED |= {f" {end}": end for end in ("n't", "'m", "'s", "'ve", "'re")}


def cleaned(text: str) -> str:
    """Returns a text without such blanks."""
    for bad, good in _CLEANED.items():
        text = text.replace(bad, good)
    return text


def cleaned_in_graph(texts):
    """Returns TensorFlow strings without such blanks."""
    import tensorflow as tf

    for bad, good in _CLEANED.items():
        texts = tf.strings.regex_replace(texts, re.escape(bad), good)
    return texts
