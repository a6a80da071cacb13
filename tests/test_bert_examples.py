"""The fine-tuning examples run to their metrics; half of them on each backend."""

import re
from pathlib import Path

import keras
import pytest
from helpers import run_python

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "name", "metric", "said"),
    [
        ("tensorflow", "text_classification", "accuracy", r"The film is not bad at all. (nega|posi)tive"),
        ("jax", "token_classification", "accuracy", ""),
        ("tensorflow", "question_answering", "f1", r"What did she become\? \w+"),
        ("jax", "multiple_choice", "accuracy", r": The .*, .* \(0\.\d\d\)"),
    ],
)
def test_example(backend, name, metric, said):
    if backend != keras.backend.backend():
        pytest.skip(f"runs on {backend}")
    text = run_python(str(EXAMPLES / f"bert_{name}.py"), "--epochs", "2")
    [value] = re.findall(rf"^(?:\w+ \S+, )*{metric} (\d\.\d\d\d)", text, re.MULTILINE)
    assert 0.2 < float(value) <= 1
    assert re.search(said, text)
