"""Sets of TensorFlow Datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def load_tfds(name: str, data_dir: str | Path | None, instead: str) -> tuple[dict[str, Any], Any]:
    """The parts of a set by name, and what TFDS knows of it.

    Args:
        name: of the set in TensorFlow Datasets' catalogue.
        data_dir: where prepared sets lie, and are put after a download; TFDS's own default if None.
        instead: what may be given in its place, as errors say.

    Raises:
        ValueError: if the set cannot be had.
    """
    import requests
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import downloader

    downloader.MAX_RETRIES = 2  # ten, with growing pauses, keep a machine without a network waiting for minutes
    try:
        return tfds.load(name, data_dir=None if data_dir is None else str(data_dir), with_info=True)
    except requests.ConnectionError as error:
        raise ValueError(
            f"cannot download the TFDS set {name!r}: its source cannot be reached. Try later, or give {instead}."
        ) from error
    except Exception as error:  # TFDS raises whatever it meets
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ValueError(f"cannot load the TFDS set {name!r}: {reason}. Give {instead} instead.") from error
