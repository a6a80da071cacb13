"""Blocks of a token stream as tf.data sets whose position is a step number."""

from __future__ import annotations

import numpy as np

from keras_tx.tensorflow import leave_gpus


def random_blocks(ids: np.ndarray, block_size: int, batch_size: int, *, seed: int, start: int = 0):
    """An endless `tf.data.Dataset` of training batches, begun at step `start`.

    The batch of a step depends on `seed` and the step alone, so a run that resumes at a step sees what it would have
    seen.

    Args:
        ids: the tokens, integers `(N,)`.
        block_size: tokens in a block.
        batch_size: blocks in a batch, drawn with replacement.
        seed: of the draws.
        start: the first step.

    Returns:
        A set of `(inputs, targets)`, int32 `(batch_size, block_size)` each, the targets one token further on.

    Raises:
        ValueError: if the stream is shorter than a block and one more token.
    """
    leave_gpus()
    import tensorflow as tf

    _require_block(ids, block_size)
    stream = tf.constant(ids, "int32")
    window = tf.range(block_size + 1)

    def batch(step):
        starts = tf.random.stateless_uniform(
            (batch_size,), seed=tf.stack([tf.cast(seed, "int64"), step]), maxval=len(ids) - block_size, dtype="int32"
        )
        blocks = tf.gather(stream, starts[:, None] + window)
        return blocks[:, :-1], blocks[:, 1:]

    return tf.data.Dataset.range(start, np.iinfo("int64").max).map(batch).prefetch(4)


def whole_stream(ids: np.ndarray, block_size: int, batch_size: int):
    """A `tf.data.Dataset` of consecutive blocks in which every token but the first is a target once.

    Returns:
        A set of `(inputs, targets, weights)`, `(batch_size, block_size)` each, int32, int32 and float32. Where the
        last blocks reach past the end the weights are 0; elsewhere they make up for it, so that Keras's mean over
        all positions is the mean over the targets.

    Raises:
        ValueError: if the stream is shorter than a block and one more token.
    """
    leave_gpus()
    import tensorflow as tf

    _require_block(ids, block_size)
    targets = len(ids) - 1
    blocks = -(-targets // block_size)
    rows = -(-blocks // batch_size) * batch_size  # whole batches: one shape, compiled once
    padded = np.zeros(rows * block_size + 1, "int32")
    padded[: len(ids)] = ids
    weights = (np.arange(rows * block_size) < targets) * np.float32(rows * block_size / targets)
    shape = (rows, block_size)
    arrays = padded[:-1].reshape(shape), padded[1:].reshape(shape), weights.reshape(shape)
    return tf.data.Dataset.from_tensor_slices(arrays).batch(batch_size)


def _require_block(ids: np.ndarray, block_size: int) -> None:
    if len(ids) <= block_size:
        raise ValueError(
            f"{len(ids)} tokens are too few for blocks of {block_size} and a target after them: "
            "take a longer text or a smaller `block_size`."
        )
