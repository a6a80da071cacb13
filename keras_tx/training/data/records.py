"""Rows to train on as sharded TFRecord files, which know the tokenizer that they were made with."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_tx.files import dump_json, read_json, whole_directory
from keras_tx.tensorflow import leave_gpus
from keras_tx.text import Tokenizer
from keras_tx.text.core.rows import required

MANIFEST = "manifest.json"
"""The file beside the shards: their sizes and rows, and the tokenizer and options that made them."""

INDEX = "index.npy"
"""Where each row's record begins in its shard, int64 `(R,)`."""

_FRAME = 16
"""Bytes around what is written: TFRecord's length and two checksums."""


def write_records(
    directory: str | Path,
    rows: Mapping[str, np.ndarray],
    tokenizer: Tokenizer,
    *,
    shards: int = 1,
    settings: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Writes rows as TFRecord files of `tf.train.Example`s and an index of them, the directory whole or not at all.

    Args:
        directory: new, or empty.
        rows: integers `(R, ...)` by name.
        tokenizer: that made them.
        shards: how many files, of as many rows as the others or one more.
        settings: kept in the manifest, in JSON's types.
        progress: called with the rows that are written, and all there are.

    Returns:
        The manifest.

    Raises:
        ValueError: if the directory holds something, or there are fewer rows than shards.
    """
    leave_gpus()
    import tensorflow as tf

    directory, count = Path(directory), len(rows["input_ids"])
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ValueError(f"{directory} exists and is not empty: choose a new directory.")
    if not 1 <= shards <= count:
        raise ValueError(f"`shards` must lie in [1, {count}], the number of rows; got {shards}.")
    manifest: dict[str, Any] = {
        "rows": count,
        "tokens": int(rows["attention_mask"].sum()),
        "features": {name: list(array.shape[1:]) for name, array in rows.items()},
        "tokenizer": fingerprint(tokenizer),
        "settings": dict(settings or {}),
        "shards": [],
    }
    index = np.zeros(count, "int64")
    with whole_directory(directory) as partial:
        for shard, places in enumerate(np.array_split(np.arange(count), shards)):
            name = f"rows-{shard:05}-of-{shards:05}.tfrecord"
            end = 0
            with tf.io.TFRecordWriter(str(partial / name)) as writer:
                for place in places:
                    example = _example({key: array[place] for key, array in rows.items()})
                    writer.write(example)
                    index[place] = end
                    end += len(example) + _FRAME
            manifest["shards"].append({"file": name, "rows": len(places), "bytes": end})
            progress(int(places[-1]) + 1, count)
        np.save(partial / INDEX, index)
        dump_json(partial / MANIFEST, manifest)
    return manifest


class Records:
    """The rows that `write_records` wrote, read from disk one by one, so that there may be more than memory holds.

    Of each row only 8 bytes are kept, which say where it is.

    Args:
        directory: of the records.
        tokenizer: that made them.

    Attributes:
        features: the shapes of a row's arrays, by name.

    Raises:
        ValueError: if they are of another tokenizer, or files are missing or damaged as far as their size tells.
    """

    def __init__(self, directory: str | Path, tokenizer: Tokenizer):
        self.directory = Path(directory)
        manifest = read_manifest(self.directory)
        if manifest["tokenizer"] != fingerprint(tokenizer):
            raise ValueError(f"{directory} was made with another tokenizer: read it with that one, or prepare it anew.")
        self.features = {name: tuple(shape) for name, shape in manifest["features"].items()}
        self._files = [self.directory / shard["file"] for shard in manifest["shards"]]
        for file, shard in zip(self._files, manifest["shards"], strict=True):
            if not file.exists() or file.stat().st_size != shard.get("bytes"):
                raise _damaged(file)
        self._limits = np.cumsum([shard["rows"] for shard in manifest["shards"]])
        self._index = _read_index(self.directory / INDEX, self._limits[-1])

    def __len__(self) -> int:
        return len(self._index)

    def batches(self, places, batch_size: int):
        """The rows at given places.

        Args:
            places: a `tf.data.Dataset` of int64 `(batch_size,)`.
            batch_size: rows in a batch.

        Returns:
            A `tf.data.Dataset` of int32 tensors `(batch_size, ...)` by name. A row that is damaged raises
            TensorFlow's `InvalidArgumentError` when its turn comes.
        """
        leave_gpus()
        import tensorflow as tf

        # By TensorFlow alone: Python's lock is held while an iterator is deleted, which waits for reads to end.
        examples = places.unbatch().interleave(
            self._reader(), cycle_length=16, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        return examples.batch(batch_size, drop_remainder=True).map(self._parsed)

    def read(self) -> dict[str, np.ndarray]:
        """All rows, int32 arrays `(R, ...)` by name.

        Raises:
            ValueError: if one is damaged.
        """
        leave_gpus()
        import tensorflow as tf

        data = tf.data.TFRecordDataset([str(file) for file in self._files]).batch(1024).map(self._parsed)
        try:
            batches = list(data.as_numpy_iterator())
        except tf.errors.OpError as error:
            raise _damaged(self.directory) from error
        return {name: np.concatenate([batch[name] for batch in batches]) for name in self.features}

    def _reader(self):
        """A function that gives the record at a place, "" if it is damaged, as a set of one."""
        import tensorflow as tf

        files = tf.constant([str(file) for file in self._files])
        limits, index = tf.constant(self._limits, tf.int64), tf.constant(self._index, tf.int64)
        nothing = tf.data.Dataset.from_tensors("")

        def record(place):
            place = place[None]
            from_there_on = tf.raw_ops.TFRecordDatasetV2(
                filenames=tf.gather(files, tf.searchsorted(limits, place, side="right")),
                compression_type="",
                buffer_size=1 << 14,
                byte_offsets=tf.gather(index, place),
            )
            data = tf.data.experimental.from_variant(from_there_on, tf.TensorSpec((), tf.string))
            return data.take(1).ignore_errors().concatenate(nothing).take(1)

        return record

    def _parsed(self, examples) -> dict[str, Any]:
        import tensorflow as tf

        examples = required(examples, tf.reduce_all(examples != ""), str(_damaged(self.directory)))
        features = {name: tf.io.FixedLenFeature(shape, tf.int64) for name, shape in self.features.items()}
        parsed = tf.io.parse_example(examples, features)
        return {name: tf.cast(parsed[name], tf.int32) for name in features}


def read_records(directory: str | Path, tokenizer: Tokenizer) -> dict[str, np.ndarray]:
    """The rows that `write_records` wrote, int32 arrays `(R, ...)` by name, all of them in memory.

    Raises:
        ValueError: if they are of another tokenizer, or files are missing or damaged.
    """
    return Records(directory, tokenizer).read()


def read_manifest(directory: str | Path) -> dict[str, Any]:
    """Reads the manifest beside the shards of a directory.

    Raises:
        ValueError: if there is none.
    """
    path = Path(directory) / MANIFEST
    if not path.exists():
        raise ValueError(f"there are no records in {directory}: write them with `keras-tx prepare`.")
    manifest = read_json(path)
    keys = {"rows", "features", "tokenizer", "shards"}
    if not isinstance(manifest, dict) or not keys <= manifest.keys():
        raise _damaged(path)
    return manifest


def fingerprint(tokenizer: Tokenizer) -> str:
    """Returns the checksum of a tokenizer's file, which tells it from others that give other ids."""
    with tempfile.TemporaryDirectory() as directory:
        tokenizer.save_pretrained(directory)
        [path] = [*Path(directory).glob("*tokenizer.json")]
        return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_index(path: Path, rows: int) -> np.ndarray:
    try:
        index = np.load(path)
    except (OSError, EOFError, ValueError) as error:
        raise _damaged(path) from error
    if index.shape != (rows,):
        raise _damaged(path)
    return index


def _damaged(path: Path) -> ValueError:
    return ValueError(f"{path} is {'damaged' if path.exists() else 'missing'}: prepare the records anew.")


def _example(row: Mapping[str, np.ndarray]) -> bytes:
    import tensorflow as tf

    lists = {name: tf.train.Int64List(value=np.ravel(values)) for name, values in row.items()}
    features = {name: tf.train.Feature(int64_list=values) for name, values in lists.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
