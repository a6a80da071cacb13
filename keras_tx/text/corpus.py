"""Texts to train on: an embedded default, a file, or a TFDS set."""

from __future__ import annotations

from pathlib import Path

from keras_tx.tfds import load_tfds


def default_text() -> str:
    """The Python language reference, which Python ships for its `help()`: about 0.5 million characters of prose."""
    from pydoc_data.topics import topics

    return "\n".join(topics[name].strip("\n") + "\n" for name in sorted(topics))


def read_text(path: str | Path) -> str:
    """A UTF-8 text file.

    Raises:
        ValueError: if the file is missing, empty, a directory or not UTF-8.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}. Convert it first.") from None
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}. Give the path of a text file.") from None
    if not text:
        raise ValueError(f"{path} is empty. Give a file with text in it.")
    return text


def dataset_text(name: str, data_dir: str | Path | None = None) -> str:
    """The text of a TFDS set, as `tiny_shakespeare`: the `text` of all its examples, split by split in order.

    Args:
        name: of the set in TensorFlow Datasets' catalogue.
        data_dir: where prepared sets lie, and are put after a download; TFDS's own default unless given.

    Raises:
        ImportError: without the extra `datasets`.
        ValueError: if the set cannot be had, or has no text.
    """
    splits, _ = load_tfds(name, data_dir, "a text file")
    import tensorflow_datasets as tfds

    order: list[str] = [split for split in ("train", "validation", "test") if split in splits]
    order += sorted(set(splits) - set(order))
    texts = [example["text"] for split in order for example in tfds.as_numpy(splits[split]) if "text" in example]
    if not texts:
        raise ValueError(f"the TFDS set {name!r} has no feature `text`.")
    return b"".join(texts).decode("utf-8")
