"""A classifier's forward pass and its training step, of Keras models and of torch's."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.jobs import Work
from benchmarks.side import Side

LEARNING_RATE, WEIGHT_DECAY = 1e-4, 0.01


def keras_policy(dtype: str) -> str:
    """The dtype policy under which Keras's models compute in `dtype`, on float32 weights."""
    return "float32" if dtype == "float32" else f"mixed_{dtype}"


def keras_forward(model, inputs: Any, size: str, *, jit: bool) -> Work:
    """From NumPy arrays to NumPy logits."""
    model.compile(jit_compile=jit)
    return Work(lambda: _require_finite(model.predict_on_batch(inputs)), units=1, size=size)


def keras_train_step(model, inputs: Any, labels: np.ndarray, size: str, *, jit: bool) -> Work:
    """Forward, backward and AdamW; the loss is Keras's, on the logits."""
    import keras

    optimizer = keras.optimizers.AdamW(learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss=loss, jit_compile=jit)

    def step():
        before = int(model.optimizer.iterations)
        _require_finite(model.train_on_batch(inputs, labels, return_dict=True)["loss"])  # a number: the step has ended
        if int(model.optimizer.iterations) != before + 1:
            raise AssertionError("not a training step")

    return Work(step, units=1, size=size)


def torch_forward(side: Side, model, inputs: dict[str, np.ndarray], size: str, *, dtype: str) -> Work:
    """From NumPy arrays to NumPy logits; the weights are of `dtype` too, which is quicker than autocast."""
    _require_torch(side)
    import torch

    model = model.eval().to(getattr(torch, dtype))

    def forward():
        tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
        floats = {name: x.to(getattr(torch, dtype)) for name, x in tensors.items() if x.is_floating_point()}
        with torch.inference_mode():
            _require_finite(_logits(model(**tensors | floats)).float().numpy())

    return Work(forward, units=1, size=size)


def torch_train_step(
    side: Side, model, inputs: dict[str, np.ndarray], labels: np.ndarray, size: str, *, dtype: str
) -> Work:
    """Forward, backward and AdamW, under autocast if `dtype` is not float32."""
    _require_torch(side)
    import torch

    model = model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)

    def step():
        tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
        with torch.autocast("cpu", getattr(torch, dtype), enabled=dtype != "float32"):
            logits = _logits(model(**tensors))
        loss = torch.nn.functional.cross_entropy(logits.float(), torch.from_numpy(labels).long())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        _require_finite(loss.item())

    return Work(step, units=1, size=size)


def _require_torch(side: Side) -> None:
    if side.backend != "torch":
        raise ValueError(f"{side.library} is timed on torch here; got {side}.")


def _logits(outputs):
    """Those of Transformers' outputs; timm's are the logits."""
    return getattr(outputs, "logits", outputs)


def _require_finite(result) -> None:
    values = result["logits"] if isinstance(result, dict) else result
    if not np.isfinite(values).all():
        raise AssertionError(f"not finite: {values}")
