"""The core install alone, in an environment of its own: what works, and what says which extra it needs."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import PACKAGE

pytestmark = pytest.mark.slow

CORE = {"h5py", "huggingface_hub", "keras", "ml_dtypes", "numpy", "safetensors", "tensorflow", "tokenizers", "typer"}
EXTRAS = {
    "datasets": {"tensorflow_datasets", "sklearn", "PIL", "importlib_resources"},
    "metrics": {"sacrebleu", "rouge_score"},
    "plot": {"matplotlib"},
    "tensorboard": {"tensorboard"},
    "litert": {"ai_edge_litert"},
    "onnx": {"onnx", "tf2onnx", "onnxruntime"},
    "serving": {"tensorflow_serving"},
    "keras-hub": {"keras_hub", "tensorflow_text"},
    "jax": {"jax"},
}

WITHOUT_EXTRAS = """
import json, sys
from importlib.util import find_spec
import keras_tx
model = keras_tx.GPTModel(vocab_size=13, max_positions=8, num_layers=1, num_heads=2, d_model=6)
tokenizer = keras_tx.CharTokenizer("abcdefghijk")
found = {
    "shape": tuple(model(tokenizer(["abc"])["input_ids"])["logits"].shape),
    "generated": tuple(model.generate([[1, 2]], max_new_tokens=2).shape),
    "typed": find_spec("keras_tx").origin.replace("__init__.py", "py.typed"),
    "modules": [name for name in sys.argv[2:] if find_spec(name)],
    "errors": {},
}
for what, ask in {
    "plot": lambda: keras_tx.analysis.plot_metric("loss.png", [{"step": 1, "loss": 2.0, "val_loss": 2.0}]),
    "BLEU": lambda: keras_tx.BLEU(),
    "ChrF": lambda: keras_tx.ChrF(),
    "ROUGE": lambda: keras_tx.ROUGE(),
    "LiteRT": lambda: keras_tx.export_litert(model, "model.tflite"),
    "ONNX": lambda: keras_tx.export_onnx(model, "model.onnx"),
    "text": lambda: keras_tx.text.dataset_text("tiny_shakespeare"),
    "pairs": lambda: keras_tx.training.dataset_pairs("ted_hrlr_translate/pt_to_en", "pt", "en"),
    "images": lambda: keras_tx.training.dataset_images("mnist", 8),
    "digits": lambda: keras_tx.training.digits(),
    "folders": lambda: keras_tx.training.folder_images(".", 8),
}.items():
    try:
        ask()
    except ImportError as error:
        found["errors"][what] = str(error)
with open(sys.argv[1], "w") as file:
    json.dump(found, file)
"""


@pytest.fixture(scope="module")
def core() -> Iterator[Path]:
    """The `bin` of an environment with the core install alone; gigabytes, gone after the tests."""
    with tempfile.TemporaryDirectory() as scratch:
        source, environment = Path(scratch) / "source", Path(scratch) / "environment"
        source.mkdir()
        for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
            shutil.copy(PACKAGE.parent / name, source)
        shutil.copytree(PACKAGE, source / "keras_tx", ignore=shutil.ignore_patterns("__pycache__"))
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        install = [str(environment / "bin/python"), "-m", "pip", "install", "--quiet", "--no-cache-dir", str(source)]
        subprocess.run(install, check=True)
        yield environment / "bin"


def run(*command: str | Path, cwd: Path) -> str:
    """What a program prints, in the environment that it lies in."""
    outside = ("PYTHONPATH", "KERAS_BACKEND")
    environment = {name: value for name, value in os.environ.items() if name not in outside}
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=environment, cwd=cwd, check=False
    )
    assert not done.returncode, done.stderr
    return done.stdout


def test_the_core_alone(core, tmp_path):
    (tmp_path / "ask.py").write_text(WITHOUT_EXTRAS)
    modules = [*CORE, *set().union(*EXTRAS.values())]
    run(core / "python", "ask.py", "found.json", *modules, cwd=tmp_path)
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["shape"] == [1, 3, 13] and found["generated"] == [1, 4]
    assert Path(found["typed"]).is_file() and Path(found["typed"]).with_name("__init__.pyi").is_file()
    assert {*found["modules"]} == CORE
    lines = {what: error.split("pip install ")[-1] for what, error in found["errors"].items()}
    needed = {"plot": "plot", "LiteRT": "litert", "ONNX": "onnx"}
    needed |= dict.fromkeys(("BLEU", "ChrF", "ROUGE"), "metrics")
    needed |= dict.fromkeys(("text", "pairs", "images", "digits", "folders"), "datasets")
    assert lines == {what: f'"keras_tx[{extra}]"`.' for what, extra in needed.items()}


def test_the_program(core, tmp_path):
    assert "Usage: keras-tx" in run(core / "keras-tx", "--help", cwd=tmp_path)
    for command in ("train", "train vit", "export", "inspect", "convert", "prepare", "generate"):
        assert f"keras-tx {command}" in run(core / "keras-tx", *command.split(), "--help", cwd=tmp_path)


def test_the_extras_are_those_that_the_project_declares(core, tmp_path):
    script = "from importlib.metadata import metadata; print(*metadata('keras_tx').get_all('Provides-Extra'))"
    assert {*run(core / "python", "-c", script, cwd=tmp_path).split()} == {*EXTRAS, "all", "dev", "examples"}
