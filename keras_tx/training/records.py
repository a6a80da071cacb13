"""Rows to train on as sharded TFRecord files, which know the tokenizer that they were made with."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_tx.files import dump_json, read_json, whole_directory
from keras_tx.text import Tokenizer

MANIFEST = "manifest.json"
"""What lies beside the shards: how many rows they have, of what, made by which tokenizer and how."""


def write_records(
    directory: str | Path,
    rows: Mapping[str, np.ndarray],
    tokenizer: Tokenizer,
    *,
    shards: int = 1,
    settings: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Writes rows as TFRecord files of `tf.train.Example`s, the directory whole or not at all.

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
    with whole_directory(directory) as partial:
        for shard, places in enumerate(np.array_split(np.arange(count), shards)):
            name = f"rows-{shard:05}-of-{shards:05}.tfrecord"
            with tf.io.TFRecordWriter(str(partial / name)) as writer:
                for place in places:
                    writer.write(_example({key: array[place] for key, array in rows.items()}))
            manifest["shards"].append({"file": name, "rows": len(places)})
            progress(int(places[-1]) + 1, count)
        dump_json(partial / MANIFEST, manifest)
    return manifest


def read_records(directory: str | Path, tokenizer: Tokenizer) -> dict[str, np.ndarray]:
    """The rows that `write_records` wrote, int32 arrays `(R, ...)` by name, in memory.

    Raises:
        ValueError: if they are of another tokenizer, or files are missing or damaged.
    """
    import tensorflow as tf

    directory = Path(directory)
    manifest = read_manifest(directory)
    if manifest["tokenizer"] != fingerprint(tokenizer):
        raise ValueError(f"{directory} was made with another tokenizer: read it with that one, or prepare it anew.")
    files = [str(directory / shard["file"]) for shard in manifest["shards"]]
    features = {name: tf.io.FixedLenFeature(shape, tf.int64) for name, shape in manifest["features"].items()}
    data = tf.data.TFRecordDataset(files).batch(1024).map(lambda batch: tf.io.parse_example(batch, features))
    try:
        batches = list(data.as_numpy_iterator())
    except tf.errors.OpError as error:
        raise ValueError(f"{directory} is damaged, {error.message.splitlines()[0]}: prepare it anew.") from error
    rows = {name: np.concatenate([batch[name] for batch in batches]).astype("int32") for name in features}
    found = len(rows["input_ids"])
    if found != manifest["rows"]:
        raise ValueError(f"{directory} has {found} rows, and its manifest says {manifest['rows']}: prepare it anew.")
    return rows


def read_manifest(directory: str | Path) -> dict[str, Any]:
    """What lies beside the shards of a directory.

    Raises:
        ValueError: if there is none.
    """
    path = Path(directory) / MANIFEST
    if not path.exists():
        raise ValueError(f"there are no records in {directory}: write them with `keras-tx prepare`.")
    manifest = read_json(path)
    keys = {"rows", "features", "tokenizer", "shards"}
    if not isinstance(manifest, dict) or not keys <= manifest.keys():
        raise ValueError(f"{path} is damaged: prepare the records anew.")
    return manifest


def fingerprint(tokenizer: Tokenizer) -> str:
    """What tells a tokenizer from others that give other ids: a checksum of the file that it is kept in."""
    with tempfile.TemporaryDirectory() as directory:
        tokenizer.save_pretrained(directory)
        [path] = [*Path(directory).glob("*tokenizer.json")]
        return hashlib.sha256(path.read_bytes()).hexdigest()


def _example(row: Mapping[str, np.ndarray]) -> bytes:
    import tensorflow as tf

    lists = {name: tf.train.Int64List(value=np.ravel(values)) for name, values in row.items()}
    features = {name: tf.train.Feature(int64_list=values) for name, values in lists.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
