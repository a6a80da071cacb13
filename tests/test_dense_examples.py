"""The examples of segmentation and detection run to their metric and their picture, half of them on each backend."""

import re
from pathlib import Path

import keras
import pytest
from helpers import run_python

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "example", "model", "metric"),
    [
        ("tensorflow", "segmentation", "vit", "mean IoU"),
        ("jax", "segmentation", "swin", "mean IoU"),
        ("jax", "detection", "vit", "AP50"),
        ("tensorflow", "detection", "swin", "AP50"),
    ],
)
def test_example(backend, example, model, metric, tmp_path):
    if backend != keras.backend.backend():
        pytest.skip(f"runs on {backend}")
    options = ("--scenes", "64", "--epochs", "2", "--output", str(tmp_path))
    text = run_python(str(EXAMPLES / f"{example}.py"), model, *options)
    [value] = re.findall(rf"^{model}: (?:\w+ \S+, )*{metric} (\d\.\d\d\d)", text, re.MULTILINE)
    assert 0 <= float(value) <= 1
    assert (tmp_path / model / "predictions.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / model / "model.keras").exists()
