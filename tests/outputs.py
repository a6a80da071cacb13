"""All that a text model gives, by name, held against what a peer gave."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from contract import named
from helpers import numpy


def all_outputs(model, given: dict[str, np.ndarray], *, return_attention: bool = True) -> dict[str, np.ndarray]:
    """Logits, losses, and the attention maps, if asked for, and hidden states of each layer, numbered."""
    asked = (*(("attentions",) if return_attention else ()), "hidden_states")
    outputs = named(model(given, return_attention=return_attention, return_hidden_states=True), *asked)
    for name, layers in list(outputs.items()):
        if isinstance(layers, tuple):
            outputs |= {f"{name}/{i}": x for i, x in enumerate(outputs.pop(name))}
    return {name: numpy(x) for name, x in outputs.items()}


def read_golden(path: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What a peer was given, and its outputs."""
    expected = dict(np.load(path / "expected.npz"))
    given = {key.removeprefix("given/"): expected.pop(key) for key in list(expected) if key.startswith("given/")}
    return given, expected


def assert_outputs(model, given: dict[str, np.ndarray], expected: dict[str, np.ndarray], **asked: bool) -> None:
    """All of them, at padding too; `steps` are no output."""
    wanted = {name: x for name, x in expected.items() if name != "steps"}
    found = all_outputs(model, given, **asked)
    assert set(found) == set(wanted)
    for name, want in wanted.items():
        np.testing.assert_allclose(found[name], want, atol=1e-5, rtol=1e-5, err_msg=name)


def assert_steps_of_adamw(
    model, given: dict[str, np.ndarray], expected: np.ndarray, *, jit_compile: bool = True
) -> None:
    """Each step's loss on the first two rows, which are not padded at the left."""
    optimizer = keras.optimizers.AdamW(3e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.1)
    model.compile(optimizer, jit_compile=jit_compile)
    given = {key: x[:2] for key, x in given.items()}
    losses = [model.train_on_batch(given, return_dict=True)["loss"] for _ in expected]
    np.testing.assert_allclose(losses, expected, atol=1e-4)


def assert_equal_at_tokens(found: dict, wanted: dict, mask: np.ndarray, atol: float) -> None:
    """Padding does not count: where it sees no token it attends to nothing here, and to anything in a peer."""
    assert found.keys() == wanted.keys()
    real = mask.astype(bool)
    for name, want in wanted.items():
        got = found[name]
        if name.startswith("attentions"):
            got, want = (np.swapaxes(x, 1, 2) for x in (got, want))  # queries before heads
        if "loss" not in name and want.size % real.size == 0:  # something for each token
            got, want = (x.reshape(*real.shape, -1)[real] for x in (got, want))
        np.testing.assert_allclose(got, want, atol=atol, rtol=0, err_msg=name)
