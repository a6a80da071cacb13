"""Texts that an encoder-decoder generates, and their scores while it trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_tx.ops.checks import require_positive
from keras_tx.text import Tokenizer
from keras_tx.training.data.translation import TranslationPairs
from keras_tx.training.metrics.texts import TextMetric


def generate_texts(
    model,
    tokenizer: Tokenizer,
    sources: Sequence[str],
    *,
    target_tokenizer: Tokenizer | None = None,
    batch_size: int = 32,
    multiple: int = 8,
    max_source_length: int | None = None,
    **options: Any,
) -> list[str]:
    """The texts that a model makes of sources, in their order.

    Sources of like length are generated from together, filled up to a multiple of some length, and every batch is
    full, so that few shapes are compiled.

    Args:
        model: an encoder-decoder with `generate`.
        tokenizer: of the sources.
        sources: texts.
        target_tokenizer: of the targets; the same unless given.
        batch_size: sources of a batch.
        multiple: of what lengths the batches are.
        max_source_length: ids of a source; longer ones lose the rest. All count unless given.
        **options: of `generate`, as `num_beams` or `max_new_tokens`; one text of each source.

    Raises:
        ValueError: if a source has no tokens, or more than one text is asked for; as `generate` does.
    """
    require_positive(batch_size=batch_size, multiple=multiple)
    if options.get("num_return_sequences", 1) != 1 or options.get("return_dict_in_generate"):
        raise ValueError("one text is made of each source: leave `num_return_sequences` and the scores out.")
    if not len(sources):
        return []
    cut: dict[str, Any] = {} if max_source_length is None else {"truncation": True, "max_length": max_source_length}
    rows = tokenizer(list(sources), padding_side="right", **cut)
    ids, mask = rows["input_ids"], rows["attention_mask"]
    lengths = mask.sum(axis=1)
    if not lengths.all():
        raise ValueError(f"source {int(lengths.argmin())} has no tokens: leave empty sources out.")
    writer = target_tokenizer or tokenizer
    texts: dict[int, str] = {}
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        length = -(-int(lengths[places].max()) // multiple) * multiple
        filled = np.resize(places, batch_size)  # the last batch, some of its rows again
        batch = {
            name: _columns(x[filled], length, fill)
            for name, x, fill in (("input_ids", ids, tokenizer.pad_token_id), ("attention_mask", mask, 0))
        }
        found = ops.convert_to_numpy(model.generate(**batch, **options))[:, 1:]  # after the start token
        for place, row in zip(places.tolist(), found, strict=False):
            known = row[row < writer.vocab_size]  # T5's models have more rows than its tokenizer has tokens
            texts[place] = writer.decode(known.tolist(), skip_special_tokens=True)
    return [texts[i] for i in range(len(sources))]


def _columns(x: np.ndarray, length: int, fill: int) -> np.ndarray:
    """Returns the rows with `length` columns; what is cut off is padding."""
    return np.pad(x[:, :length], ((0, 0), (0, max(length - x.shape[1], 0))), constant_values=fill)


class ScoreGenerated(keras.callbacks.Callback):
    """Generates from validation sources at the end of each epoch, scores that and shows some of it.

    The scores are among the epoch's logs, under the metrics' names after `val_`, for callbacks that come after this
    one: put it before `CSVLogger`, `TensorBoard` and `EarlyStopping`.

    Args:
        pairs: a sample of the validation set.
        tokenizer: of the sources.
        metrics: of texts, as `[BLEU(), ChrF(), ExactMatch()]`.
        target_tokenizer: of the targets; the same unless given.
        examples: how many are shown.
        write: takes each line of them.
        **options: of `generate_texts`.

    Raises:
        ValueError: if there are no metrics, or two of one name.
    """

    def __init__(
        self,
        pairs: TranslationPairs,
        tokenizer: Tokenizer,
        metrics: Sequence[TextMetric],
        *,
        target_tokenizer: Tokenizer | None = None,
        examples: int = 3,
        write: Callable[[str], None] = print,
        **options: Any,
    ):
        super().__init__()
        names = [metric.name for metric in metrics]
        if not names or len({*names}) < len(names):
            raise ValueError(f"`metrics` must be one or more, each with a name of its own; got {names}.")
        self.pairs, self.tokenizer, self.metrics = pairs, tokenizer, list(metrics)
        self.examples, self.write = examples, write
        self.options = {"target_tokenizer": target_tokenizer, **options}

    def on_epoch_end(self, epoch, logs=None):
        texts = generate_texts(self.model, self.tokenizer, self.pairs.sources, **self.options)
        for metric in self.metrics:
            metric.reset_state()
            metric.update_state(self.pairs.targets, texts)
            if logs is not None:
                logs[f"val_{metric.name}"] = metric.result()
        shown = zip(self.pairs.sources, texts, self.pairs.targets, strict=True)
        for _, (source, text, target) in zip(range(self.examples), shown, strict=False):
            self.write(f"epoch {epoch + 1}: {source!r} -> {text!r}; reference {target!r}")
