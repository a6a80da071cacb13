"""TensorFlow beside another backend, for tokenizers and `tf.data`: it leaves the GPUs alone."""

from __future__ import annotations

import functools
import sys
from contextlib import suppress

import keras


@functools.cache
def leave_gpus() -> None:
    """Hides the GPUs from TensorFlow unless it is the backend, for it would take memory that the backend needs.

    To be called before TensorFlow's first operation; where the user's program was first, it stays as it is.
    """
    if keras.backend.backend() != "tensorflow":
        import tensorflow as tf

        with suppress(RuntimeError):  # TensorFlow has run already
            tf.config.set_visible_devices([], "GPU")


def is_dataset(x) -> bool:
    """Whether this is a `tf.data.Dataset`; TensorFlow is not imported for that."""
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(x, tensorflow.data.Dataset)


def is_ragged(x) -> bool:
    """Whether this is a `tf.RaggedTensor`, or the spec of one; TensorFlow is not imported for that."""
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(x, (tensorflow.RaggedTensor, tensorflow.RaggedTensorSpec))
