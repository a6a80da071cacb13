"""What a user meets first: one list of public names, saved files that load, an import that brings nothing needless."""

import ast
import importlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from helpers import PACKAGE, run_python

import keras_tx

FOLDERS = (
    "analysis",
    "convert",
    "export",
    "generation",
    "layers",
    "models",
    "ops",
    "tasks",
    "text",
    "training",
    "vision",
)


def imported(path) -> dict[str, str | None]:
    """The names that the imports of a file bind, and the module that each is taken from."""
    names: dict[str, str | None] = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            names |= dict.fromkeys(importlib.import_module(node.module).__all__, node.module)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: node.module for alias in node.names}
    return names


STUB = imported(PACKAGE / "__init__.pyi")

# === Names ===


def test_names_at_run_time_are_those_of_the_stub():
    assert sorted(STUB) == dir(keras_tx) == keras_tx.__all__
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = keras_tx.no_such_name


@pytest.mark.parametrize("name", STUB)
def test_a_name_is_its_folders(name):
    """And public there too."""
    if (folder := STUB[name]) is None:
        assert getattr(keras_tx, name) is importlib.import_module(f"keras_tx.{name}")
        return
    module = importlib.import_module(f"keras_tx.{folder}")
    assert getattr(keras_tx, name) is getattr(module, name)
    assert name in module.__all__


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folders_names_are_those_that_it_imports(folder):
    module, path = importlib.import_module(f"keras_tx.{folder}"), PACKAGE / folder / "__init__.py"
    stub = path.with_suffix(".pyi")  # of a folder that imports its modules when they are asked for
    families = {path.name for path in (PACKAGE / folder).iterdir()} if folder == "models" else set()
    assert {*module.__all__} == {*imported(stub if stub.exists() else path)} - {"annotations"} - families
    assert all(getattr(module, name) is not None for name in module.__all__)


def test_every_folder_is_a_name():
    assert {name for name, module in STUB.items() if module is None} == {*FOLDERS, "attention"}


@pytest.mark.slow
def test_a_type_checker_sees_the_same_names(tmp_path):
    """Types included: nothing is `Any`, the package says that it is typed."""
    assert (PACKAGE / "py.typed").is_file()
    script = tmp_path / "user.py"
    used = "\n".join(f"keras_tx.{name}" for name in (*dir(keras_tx), "no_such_name"))
    script.write_text(f"import keras_tx\n{used}\nreveal_type(keras_tx.BERTConfig().d_model)\n")
    command = [sys.executable, "-m", "mypy", "--ignore-missing-imports", "--follow-imports=silent", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PACKAGE.parent, check=False)
    complaints = [line for line in done.stdout.splitlines() if "error:" in line]
    assert len(complaints) == 1 and 'Module has no attribute "no_such_name"' in complaints[0], done.stdout
    assert 'Revealed type is "int"' in done.stdout


# === Saved files ===

LOAD = """
import sys
{imports}
print(*keras.saving.get_custom_objects())
import numpy as np
model, ours = map(keras.models.load_model, sys.argv[1:3])
given = np.load(sys.argv[3])
np.save(sys.argv[4], keras.ops.convert_to_numpy(model(given)))
print(type(model.optimizer).__name__, type(model.optimizer._learning_rate).__name__, type(ours).__name__)
print(*model.evaluate(given, given, verbose=0, return_dict=True))
"""
ORDERS = {"keras_tx first": "import keras_tx, keras", "keras first": "import keras, keras_tx"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Files: a Keras model that holds layers, an optimizer, a schedule and a metric of ours; and a model of ours."""
    directory = tmp_path_factory.mktemp("saved")
    ids = keras.Input((7,), dtype="int32")
    hidden = keras_tx.TransformerBlock(6, 2, 8)(keras_tx.TokenEmbedding(13, 6)(ids))
    model = keras.Model(ids, keras.layers.Dense(13)(hidden))
    each = len(model.trainable_variables)
    schedule = keras_tx.training.LinearDecay(1e-3, steps=10, warmup_steps=2)
    optimizer = keras_tx.training.LayerwiseAdamW(schedule, scales=[1.0] * each, weight_decays=[0.0] * each)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=[keras_tx.Perplexity()], run_eagerly=True)
    given = np.arange(14, dtype="int32").reshape(2, 7) % 13
    optimizer.build(model.trainable_variables)
    model.save(directory / "model.keras")
    keras_tx.BigramModel(vocab_size=13).save(directory / "ours.keras")
    np.save(directory / "given.npy", given)
    return directory, keras.ops.convert_to_numpy(model(given))


def classes_to_save() -> set[str]:
    """Those with one of the decorators that say so."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                decorators = {ast.unparse(decorator).split("(")[0] for decorator in node.decorator_list}
                found |= {node.name} if decorators & {"register", "register_model"} else set()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
def test_keras_files_load_in_a_fresh_process(saved, order, tmp_path):
    """Keras's own `load_model` finds every class of ours after the two imports, in either order."""
    directory, expected = saved
    files = [directory / "model.keras", directory / "ours.keras", directory / "given.npy", tmp_path / "found.npy"]
    printed = run_python("-c", LOAD.format(imports=ORDERS[order]), *map(str, files)).splitlines()
    assert printed[-2:] == ["LayerwiseAdamW LinearDecay BigramModel", "loss perplexity"]
    np.testing.assert_allclose(np.load(files[-1]), expected, atol=1e-6)
    registered = set(re.findall(r"keras_tx>(\w+)", " ".join(printed)))
    assert len(classes_to_save()) > 50
    assert classes_to_save() <= registered


# === What is imported ===

OPTIONAL = "matplotlib sklearn PIL sacrebleu rouge_score tensorflow_datasets tensorboard keras_hub onnx torch typer"


def test_the_import_adds_nothing_heavy_to_keras():
    """On JAX, no TensorFlow either."""
    script = "import sys, keras; before = set(sys.modules); import keras_tx; print(*set(sys.modules) - before)"
    added = {name.split(".")[0] for name in run_python("-c", script).split()}
    assert not added & {*OPTIONAL.split(), "tensorflow"}
    if keras.backend.backend() == "jax":
        printed = run_python("-c", "import sys, keras_tx; print('tensorflow' in sys.modules)")
        assert printed.split()[-1] == "False"


def test_help_waits_for_no_keras(tmp_path):
    """By either way to start the program."""
    (tmp_path / "keras-tx").write_text("from keras_tx.cli import main\nmain()\n")
    for program in ([str(tmp_path / "keras-tx")], ["-m", "keras_tx.cli"]):
        command = [sys.executable, "-X", "importtime", *program, "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.startswith("Usage: ")
        imported = {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
        assert "keras_tx" in imported and not imported & {"keras", "tensorflow", "jax", "numpy"}


# === TensorFlow beside another backend ===

DEVICES = """
import numpy as np, tensorflow as tf
calls = []
tf.config.set_visible_devices = lambda *arguments: calls.append(arguments)
import keras_tx
{use}
print(calls)
"""
USES = {
    "tokenizer": "keras_tx.CharTokenizer('abc')",
    "blocks": "keras_tx.training.random_blocks(np.arange(9), 3, 2, seed=0, start=0)",
    "images": "keras_tx.training.folder_images('.', 8)",
}


@pytest.mark.slow
@pytest.mark.parametrize("use", USES)
def test_tensorflow_leaves_gpus_to_another_backend(use):
    """Before its first operation, and once."""
    script = DEVICES.format(use=f"for _ in range(2):\n    try: {USES[use]}\n    except ValueError: pass")
    assert run_python("-c", script, backend="jax").splitlines()[-1] == "[([], 'GPU')]"
    assert run_python("-c", script, backend="tensorflow").splitlines()[-1] == "[]"
