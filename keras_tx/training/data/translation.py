"""Pairs of sentences to learn translation from, and batches of them by number of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_tx.ops.checks import require_positive
from keras_tx.ops.losses import IGNORED
from keras_tx.text import Tokenizer, read_text
from keras_tx.tfds import load_tfds

# === Pairs ===


@dataclass(frozen=True)
class TranslationPairs:
    """Sentences of one language and what they are in another, in the same order."""

    sources: Sequence[str]
    targets: Sequence[str]

    def __post_init__(self):
        if len(self.sources) != len(self.targets) or not len(self.sources):
            raise ValueError(f"there are {len(self.sources)} sources and {len(self.targets)} targets: give pairs.")

    def __len__(self) -> int:
        return len(self.sources)


def parallel_files(source: str | Path, target: str | Path) -> TranslationPairs:
    """The lines of two UTF-8 files, of which each one of the first is the same in the second.

    Pairs of empty lines are left out.

    Raises:
        ValueError: if a file cannot be read, they are not as long, or a line is empty in one of them alone.
    """
    lines = [_lines(path) for path in (source, target)]
    if len(lines[0]) != len(lines[1]):
        raise ValueError(f"{source} has {len(lines[0])} lines, and {target} {len(lines[1])}: they are not of one text.")
    return _pairs(zip(*lines, strict=True), f"{source} and {target}")


def tab_separated(path: str | Path) -> TranslationPairs:
    """The lines of a UTF-8 file, each a source, a tabulator and a target. Empty lines are left out.

    Raises:
        ValueError: if the file cannot be read, a line is not of two columns, or one of them is empty.
    """
    rows = [line.split("\t") for line in _lines(path)]
    for number, row in enumerate(rows, start=1):
        if len(row) != 2 and row != [""]:
            raise ValueError(f"{path}, line {number}: {len(row)} columns; it takes two, with a tabulator between.")
    return _pairs(((row[0], row[-1]) for row in rows), str(path))


def folder_pairs(directory: str | Path, source: str, target: str, *, part: str = "train") -> TranslationPairs:
    """The pairs of a folder laid out as TFDS's `TranslateFolder`: a file a language and part, as `en.train.txt`.

    Args:
        directory: the folder.
        source, target: names of languages.
        part: as `"train"` or `"test"`.

    Raises:
        ValueError: if a file is missing or they do not go together; as `parallel_files`.
    """
    return parallel_files(*(Path(directory) / f"{language}.{part}.txt" for language in (source, target)))


def dataset_pairs(
    name: str, source: str, target: str, *, part: str = "train", data_dir: str | Path | None = None
) -> TranslationPairs:
    """The pairs of a TFDS set, as `ted_hrlr_translate/pt_to_en`.

    Args:
        name: of the set in TensorFlow Datasets' catalogue.
        source, target: its languages, as `"pt"` and `"en"`.
        part: as `"train"`, `"validation"` or `"test"`.
        data_dir: where prepared sets lie, and are put after a download; TFDS's own default unless given.

    Raises:
        ImportError: without the extra `datasets`.
        ValueError: if the set cannot be had, or has no such part or languages.
    """
    splits, _ = load_tfds(name, data_dir, "files")
    import tensorflow_datasets as tfds

    if part not in splits:
        raise ValueError(f"the TFDS set {name!r} has no part {part!r}; it has {', '.join(sorted(splits))}.")
    data = splits[part]
    languages = data.element_spec if isinstance(data.element_spec, dict) else {}
    for language in (source, target):
        if language not in languages:
            raise ValueError(
                f"the TFDS set {name!r} has no language {language!r}; it has {', '.join(sorted(languages))}."
            )
    rows = ([example[language].decode() for language in (source, target)] for example in tfds.as_numpy(data))
    return _pairs(rows, f"the TFDS set {name!r}")


def _lines(path: str | Path) -> list[str]:
    return [line.removesuffix("\r") for line in read_text(path).removesuffix("\n").split("\n")]


def _pairs(rows, where: str) -> TranslationPairs:
    """Pairs that are not empty."""
    sources, targets = [], []
    for number, (source, target) in enumerate(rows, start=1):
        if bool(source.strip()) != bool(target.strip()):
            raise ValueError(f"{where}, pair {number}: its {'target' if source.strip() else 'source'} is empty.")
        if source.strip():
            sources.append(source)
            targets.append(target)
    if not sources:
        raise ValueError(f"there are no pairs in {where}.")
    return TranslationPairs(sources, targets)


# === Batches ===


def length_buckets(max_length: int, *, smallest: int = 8, growth: float = 1.25) -> tuple[int, ...]:
    """Lengths that rows are filled up to, each `growth` times the one before, up to `max_length`."""
    require_positive(max_length=max_length, smallest=smallest)
    if not growth > 1:
        raise ValueError(f"`growth` must be above 1; got {growth}.")
    lengths = [min(smallest, max_length)]
    while lengths[-1] < max_length:
        lengths.append(min(max(int(lengths[-1] * growth), lengths[-1] + 1), max_length))
    return tuple(lengths)


class TranslationBatches:
    """Batches of pairs alike in length, each of about as many tokens, the batch of a step known by its number.

    A bucket's rows are filled up to one length and batches of it have one size, so that training is compiled once a
    bucket. Every pair comes once an epoch, in an order of the epoch's own; a bucket's last batch is filled up with
    empty rows, which count for nothing.

    Source: Vaswani et al., "Attention Is All You Need", 2017, section 5.1.

    Args:
        pairs: to learn from.
        tokenizer: of the sources.
        target_tokenizer: of the targets; the same unless given.
        tokens: of a batch's sources, and of its targets, padding included.
        max_length: ids of a source or a target, special ones included. Longer pairs are left out.
        buckets: lengths, ascending, of which the last is `max_length`; as `length_buckets` gives them unless given.
        seed: of the orders.

    Attributes:
        left_out: how many pairs are too long.

    Raises:
        ValueError: if no pair is short enough, or a batch cannot hold the longest.
    """

    def __init__(
        self,
        pairs: TranslationPairs,
        tokenizer: Tokenizer,
        target_tokenizer: Tokenizer | None = None,
        *,
        tokens: int = 4096,
        max_length: int = 256,
        buckets: Sequence[int] | None = None,
        seed: int = 0,
    ):
        self.tokenizer, self.seed = tokenizer, seed
        self.buckets = np.array(length_buckets(max_length) if buckets is None else buckets, "int64")
        if (np.diff(self.buckets, prepend=0) < 1).any() or self.buckets[-1] != max_length:
            raise ValueError(f"`buckets` must ascend to `max_length`, {max_length}; got {self.buckets.tolist()}.")
        if tokens < max_length:
            raise ValueError(f"`tokens` is {tokens}: a batch must hold a row of `max_length`, {max_length}.")
        rows = [_ids(pairs.sources, tokenizer), _ids(pairs.targets, target_tokenizer or tokenizer)]
        lengths = np.max([[len(row) for row in side] for side in rows], axis=0)
        bucket = np.searchsorted(self.buckets, lengths)
        order = np.argsort(bucket, kind="stable")
        order = order[: int((bucket < len(self.buckets)).sum())]
        self.left_out = len(pairs) - len(order)
        if not len(order):
            raise ValueError(f"all {len(pairs)} pairs are longer than `max_length`, {max_length}: raise it.")
        self._rows = [[side[i] for i in order] for side in rows]
        self._sizes = np.bincount(bucket[order], minlength=len(self.buckets))
        self._batch_sizes = tokens // self.buckets
        self._limits = np.cumsum(-(-self._sizes // self._batch_sizes))  # of batches

    def __len__(self) -> int:
        """Batches of an epoch."""
        return int(self._limits[-1])

    def dataset(self, start: int = 0):
        """An endless `tf.data.Dataset` begun at step `start`; what a step's batch is depends on its number alone.

        Returns:
            A set of dicts: `input_ids` and `attention_mask`, int32 `(rows, length)`, and `labels`, likewise, -100 where
            the target has ended.
        """
        import tensorflow as tf

        sources, targets = (
            tf.RaggedTensor.from_row_lengths(np.concatenate(side), [*map(len, side)]) for side in self._rows
        )
        buckets, sizes, batch_sizes, limits = map(
            tf.constant, (self.buckets, self._sizes, self._batch_sizes, self._limits)
        )
        first = tf.cumsum(sizes, exclusive=True)
        shuffle, seed = tf.random.experimental.index_shuffle, tf.constant(self.seed, tf.int64)

        def batch(step):
            key = tf.stack([seed, step // len(self)])
            place = shuffle(step % len(self), key, len(self) - 1)
            bucket = tf.searchsorted(limits, place[None], side="right", out_type=tf.int64)[0]
            number = place - tf.concat([[0], limits], 0)[bucket]  # in its bucket
            begin = number * batch_sizes[bucket]
            within = tf.range(begin, tf.minimum(begin + batch_sizes[bucket], sizes[bucket]))
            rows = first[bucket] + shuffle(within, key, sizes[bucket] - 1)
            shape = [batch_sizes[bucket], buckets[bucket]]
            source, target = tf.gather(sources, rows), tf.gather(targets, rows)
            return {
                "input_ids": source.to_tensor(self.tokenizer.pad_token_id, shape=shape),
                "attention_mask": tf.ones_like(source).to_tensor(0, shape=shape),
                "labels": target.to_tensor(IGNORED, shape=shape),
            }

        steps = tf.data.Dataset.range(start, np.iinfo("int64").max)
        return steps.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(4)


def _ids(texts: Sequence[str], tokenizer: Tokenizer, together: int = 1024) -> list[np.ndarray]:
    """The ids of texts, special ones included."""
    rows: list[np.ndarray] = []
    for start in range(0, len(texts), together):
        batch = tokenizer(list(texts[start : start + together]), padding_side="right")
        lengths = batch["attention_mask"].sum(1)
        rows += [row[:length] for row, length in zip(batch["input_ids"], lengths, strict=True)]
    return rows
