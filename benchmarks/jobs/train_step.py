"""A training step of GPT-2 small: forward, backward and AdamW in float32, compiled by XLA, with dropout."""

from __future__ import annotations

import keras
import numpy as np

from benchmarks.gpt2 import keras_hub_model, keras_tx_model, sizes
from benchmarks.jobs import Options, Work
from benchmarks.side import Side

UNIT = "step"


def keras_tx(side: Side, options: Options) -> Work:
    """Trained by the head's own loss, which shifts the labels itself."""
    model = keras_tx_model(options)
    model.compile(_optimizer(), jit_compile=side.jit)
    ids = _tokens(options)[:, :-1]
    return _work(model, ids, ids, options)


def keras_hub(side: Side, options: Options) -> Work:
    """Trained by the loss its documentation compiles with; without the accuracy, which we do not count either."""
    model = keras_hub_model(options)
    model.compile(
        _optimizer(),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=None,
        jit_compile=side.jit,
    )
    tokens = _tokens(options)
    ids, labels = tokens[:, :-1], tokens[:, 1:]
    return _work(model, {"token_ids": ids, "padding_mask": np.ones_like(ids)}, labels, options)


SIDES = {"keras_tx": keras_tx, "keras_hub": keras_hub}


def _optimizer():
    return keras.optimizers.AdamW(learning_rate=1e-4, weight_decay=0.01)


def _tokens(options: Options) -> np.ndarray:
    """One batch, `(B, T + 1)` int32, the same at every step."""
    shape = (options.batch_size or 4, 9 if options.tiny else 129)
    return np.random.default_rng(0).integers(0, sizes(options).vocabulary, shape, dtype="int32")


def _work(model, x, y, options: Options) -> Work:
    def step():
        before = int(model.optimizer.iterations)
        loss = float(model.train_on_batch(x, y, return_dict=True)["loss"])  # a number: the step has ended
        if not np.isfinite(loss) or int(model.optimizer.iterations) != before + 1:
            raise AssertionError(f"not a training step: loss {loss}")

    return Work(step, units=1, size=f"batch {y.shape[0]}, length {y.shape[1]}, {sizes(options).parameters} parameters")
