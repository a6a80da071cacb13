"""TensorFlow beside another backend, for tokenizers and `tf.data`: it leaves the GPUs alone."""

from __future__ import annotations

import functools
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
