"""Metrics of generated texts, and perplexity; each exact over batches of any sizes.

What compares texts works outside of graphs, on Python strings, arrays of them or TensorFlow's string tensors:

    metric = BLEU()
    for sources, targets in batches:
        metric.update_state(targets, translate(sources))
    metric.result()
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_tx.extras import require_extra
from keras_tx.layers.core.base import register
from keras_tx.ops.losses import IGNORED

Texts = Sequence[Any]
"""Strings `(B,)`; or of references `(B, R)`, as many of each text."""


class TextMetric(keras.metrics.Metric):
    """A metric of generated texts against their references.

    Args:
        name: as in Keras.
    """

    def __init__(self, name: str | None = None):
        super().__init__(name=name)
        self.reset_state()

    def update_state(self, y_true: Texts, y_pred: Texts, sample_weight=None) -> None:
        """Takes one batch.

        Args:
            y_true: references, strings `(B,)`, or `(B, R)` for several of each text.
            y_pred: generated texts `(B,)`.
            sample_weight: None; texts all count alike.

        Raises:
            ValueError: if they are not as many, or anything but strings; or for weights.
        """
        if sample_weight is not None:
            raise ValueError("texts all count alike: leave `sample_weight` out.")
        references, texts = _strings(y_true, "y_true"), _strings(y_pred, "y_pred")
        if texts.ndim != 1 or references.ndim not in (1, 2) or len(texts) != len(references) or not references.size:
            raise ValueError(
                f"`y_true` must be strings (B,) or (B, R) and `y_pred` (B,), with at least one text; got shapes "
                f"{references.shape} and {texts.shape}."
            )
        self.take(texts.tolist(), references.reshape(len(texts), -1).tolist())

    def result(self) -> float:
        """Returns the metric of all texts since the last reset; NaN if there were none."""
        raise NotImplementedError

    def reset_state(self) -> None:
        """Forgets what has been seen."""
        raise NotImplementedError

    def take(self, texts: list[str], references: list[list[str]]) -> None:
        """Takes the texts of a batch and the references of each, as many of each text."""
        raise NotImplementedError

    def get_config(self):
        return {"name": self.name}


def _strings(texts: Any, name: str) -> np.ndarray:
    """An array of Python strings."""
    array = np.array(texts.numpy() if hasattr(texts, "numpy") else texts, dtype=object)
    flat = [text.decode() if isinstance(text, bytes) else text for text in array.ravel().tolist()]
    if not all(isinstance(text, str) for text in flat):
        raise ValueError(f"`{name}` must be strings, as many of each text; got {texts!r}.")
    return np.array(flat, dtype=object).reshape(array.shape)


# === sacrebleu's ===


class CorpusMetric(TextMetric):
    """A metric of sacrebleu's, 0 to 100, of the corpus that all batches make together: it keeps their texts."""

    engine: Any

    def reset_state(self):
        self._texts: list[str] = []
        self._references: list[list[str]] = []

    def take(self, texts, references):
        self._texts += texts
        self._references += references

    def result(self):
        if not self._texts:
            return float("nan")
        streams = [list(stream) for stream in zip_longest(*self._references)]  # None where a text has fewer references
        return float(self.engine.corpus_score(self._texts, streams).score)


@register
class BLEU(CorpusMetric):
    """Corpus BLEU (Papineni et al. 2002) as sacrebleu computes it (Post 2018), 0 to 100.

    Args:
        tokenize: sacrebleu's tokenizer: "13a", as WMT has it, "intl", "zh", "ja-mecab", "char", "none" ...
        lowercase: whether case does not count.
        max_order: the longest n-grams.
        name: as in Keras.

    Raises:
        ImportError: without the extra `metrics`.
        ValueError: for a tokenizer that sacrebleu does not have.
    """

    def __init__(self, tokenize: str = "13a", *, lowercase: bool = False, max_order: int = 4, name: str = "bleu"):
        require_extra("sacrebleu", "metrics")
        from sacrebleu.metrics import BLEU as Engine

        self.tokenize, self.lowercase, self.max_order = tokenize, lowercase, max_order
        try:
            self.engine = Engine(tokenize=tokenize, lowercase=lowercase, max_ngram_order=max_order)
        except KeyError:
            raise ValueError(f"`tokenize` must name a tokenizer of sacrebleu's; got {tokenize!r}.") from None
        super().__init__(name)

    def get_config(self):
        options = {"tokenize": self.tokenize, "lowercase": self.lowercase, "max_order": self.max_order}
        return {**super().get_config(), **options}


@register
class ChrF(CorpusMetric):
    """chrF (Popović 2015), the F-score of character n-grams, as sacrebleu computes it, 0 to 100.

    Args:
        word_order: 2 for chrF++ (Popović 2017), which counts words and pairs of them as well.
        char_order: the longest n-grams of characters.
        beta: how many times as much recall counts as precision.
        name: as in Keras.

    Raises:
        ImportError: without the extra `metrics`.
    """

    def __init__(self, word_order: int = 0, *, char_order: int = 6, beta: int = 2, name: str = "chrf"):
        require_extra("sacrebleu", "metrics")
        from sacrebleu.metrics import CHRF as Engine

        self.word_order, self.char_order, self.beta = word_order, char_order, beta
        self.engine = Engine(word_order=word_order, char_order=char_order, beta=beta)
        super().__init__(name)

    def get_config(self):
        options = {"word_order": self.word_order, "char_order": self.char_order, "beta": self.beta}
        return {**super().get_config(), **options}


# === Means over texts ===


class MeanOverTexts(TextMetric):
    """A metric that is the mean of a score of each text."""

    def reset_state(self):
        self._sum, self._count = 0.0, 0

    def take(self, texts, references):
        self._sum += float(np.sum(self.scores(texts, references), dtype="float64"))
        self._count += len(texts)

    def result(self):
        return self._sum / self._count if self._count else float("nan")

    def scores(self, texts: list[str], references: list[list[str]]) -> Sequence[float]:
        """Returns the score of each text."""
        raise NotImplementedError


@register
class ROUGE(MeanOverTexts):
    """ROUGE (Lin 2004) as Google's `rouge_score` computes it: the mean F-measure of the texts, 0 to 1.

    Of several references the one with the highest F-measure counts.

    Args:
        kind: "rouge1", "rouge2" and so on, of n-grams; "rougeL", of the longest common subsequence; "rougeLsum", of
            summaries with a line a sentence.
        use_stemmer: whether words count as the same that differ by English endings.
        name: as in Keras; `kind` in lower case unless given.

    Raises:
        ImportError: without the extra `metrics`.
        ValueError: for another `kind`.
    """

    def __init__(self, kind: str = "rougeL", *, use_stemmer: bool = False, name: str | None = None):
        require_extra("rouge_score", "metrics")
        from rouge_score.rouge_scorer import RougeScorer

        if kind not in ("rougeL", "rougeLsum") and not (kind[:5] == "rouge" and kind[5:] in [*"123456789"]):
            raise ValueError(f'`kind` must be "rouge1" to "rouge9", "rougeL" or "rougeLsum"; got {kind!r}.')
        self.kind, self.use_stemmer = kind, use_stemmer
        self.engine = RougeScorer([kind], use_stemmer=use_stemmer)
        super().__init__(kind.lower() if name is None else name)

    def scores(self, texts, references):
        pairs = zip(texts, references, strict=True)
        return [self.engine.score_multi(targets, text)[self.kind].fmeasure for text, targets in pairs]

    def get_config(self):
        return {**super().get_config(), "kind": self.kind, "use_stemmer": self.use_stemmer}


@register
class ExactMatch(MeanOverTexts):
    """The share of texts that are one of their references, to the letter; blanks around them do not count."""

    def __init__(self, name: str = "exact_match"):
        super().__init__(name)

    def scores(self, texts, references):
        pairs = zip(texts, references, strict=True)
        return [text.strip() in [target.strip() for target in targets] for text, targets in pairs]


# === Of logits ===


@register
class Perplexity(keras.metrics.Mean):
    """The exponential of the mean cross-entropy of labels, -100 not counting, over all tokens seen.

    Unlike the mean of the batches' perplexities it does not depend on how texts are cut into batches. It takes labels
    `(...)` and logits `(..., V)`, in graphs too: `model.compile(optimizer, metrics=[Perplexity()])` needs a Keras loss,
    for with the head's own the labels are among the inputs.
    """

    def __init__(self, name: str = "perplexity", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Takes labels `(...)` and logits `(..., V)`; `sample_weight` as of `Mean`, of the labels that count."""
        y_true = ops.convert_to_tensor(y_true)
        counts = ops.not_equal(y_true, IGNORED)
        log_odds = ops.log_softmax(ops.cast(y_pred, "float32"), axis=-1)
        labels = ops.expand_dims(ops.where(counts, y_true, 0), -1)
        nats = -ops.squeeze(ops.take_along_axis(log_odds, ops.cast(labels, "int32"), axis=-1), -1)
        counts = ops.cast(counts, self.dtype)
        return super().update_state(nats, counts if sample_weight is None else counts * sample_weight)

    def result(self):
        return ops.exp(super().result())
