"""Sets of TensorFlow Datasets, the extra `datasets`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras_tx.extras import require_extra
from keras_tx.tensorflow import leave_gpus


def load_tfds(name: str, data_dir: str | Path | None, instead: str) -> tuple[dict[str, Any], Any]:
    """Returns the parts of a set by name, and TFDS's description of it.

    Args:
        name: the set's name in TensorFlow Datasets' catalogue.
        data_dir: where prepared sets lie, and are put after a download; TFDS's own default if None.
        instead: what can be given in its place, for the errors.

    Raises:
        ImportError: without the extra `datasets`.
        ValueError: if the set cannot be loaded.
    """
    require_extra("tensorflow_datasets", "datasets")
    leave_gpus()
    import requests
    import tensorflow_datasets as tfds

    try:
        with _fewer_retries():
            return tfds.load(name, data_dir=None if data_dir is None else str(data_dir), with_info=True)
    except requests.ConnectionError as error:
        raise ValueError(
            f"cannot download the TFDS set {name!r}: its source cannot be reached. Try later, or give {instead}."
        ) from error
    except Exception as error:  # TFDS raises whatever it meets
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ValueError(f"cannot load the TFDS set {name!r}: {reason}. Give {instead} instead.") from error


@contextmanager
def _fewer_retries() -> Iterator[None]:
    """Tries a download three times at most: TFDS's ten retries keep a machine without a network waiting for minutes.

    TFDS has no option for it, only this constant, which other users of TFDS find as it was.
    """
    from tensorflow_datasets.core.download import downloader

    before, downloader.MAX_RETRIES = downloader.MAX_RETRIES, 2
    try:
        yield
    finally:
        downloader.MAX_RETRIES = before
