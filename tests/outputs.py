"""All that a text model gives, by name, held against what a peer gave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from contract import named
from helpers import numpy


def all_outputs(model, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Logits, losses, and the attention maps and hidden states of each layer, numbered."""
    outputs = named(model(given, return_attention=True, return_hidden_states=True), "attentions", "hidden_states")
    for name, layers in list(outputs.items()):
        if isinstance(layers, tuple):
            outputs |= {f"{name}/{i}": x for i, x in enumerate(outputs.pop(name))}
    return {name: numpy(x) for name, x in outputs.items()}


def read_golden(path: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What a peer was given, and its outputs."""
    expected = dict(np.load(path / "expected.npz"))
    given = {key.removeprefix("given/"): expected.pop(key) for key in list(expected) if key.startswith("given/")}
    return given, expected


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
