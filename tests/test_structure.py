"""What the source must stay: one softmax attention, folders that depend downward, an import that stays light."""

import ast
from collections.abc import Iterator
from pathlib import Path

import keras
import pytest
from helpers import PACKAGE, run_python

pytestmark = pytest.mark.any_backend

FILES = sorted(PACKAGE.rglob("*.py"))
FOLDERS = (
    "ops",
    "layers",
    "generation",
    "convert",
    "models",
    "text",
    "vision",
    "training",
    "tasks",
    "export",
    "analysis",
    "cli",
)
"""Each may import those before it."""

FAMILIES = sorted(
    path for path in (PACKAGE / "models").iterdir() if path.is_dir() and path.name not in ("core", "__pycache__")
)


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def imports(path: Path) -> Iterator[list[str]]:
    """The modules of this package that a file imports, as the parts after `keras_tx`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name_of(path)}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1:] for name in names if name.split(".")[0] == "keras_tx")


def folder(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


NORMALIZERS = {"softmax", "log_softmax", "logsumexp", "exp", "dot_product_attention", "scaled_dot_product_attention"}
"""What weights that sum to one can be made with."""
NORMALIZED = {
    "ops/attention/softmax.py": {"softmax", "exp", "dot_product_attention"},  # the one softmax attention
    "ops/attention/chunked.py": {"exp"},  # its schedule for long sequences, which it calls itself
    "ops/attention/linear.py": {"exp"},  # FAVOR+'s features
    "ops/image/detection.py": {"log_softmax", "exp"},  # classes of objects
    "ops/routing.py": {"softmax"},  # which experts a token goes to
    "ops/losses.py": {"logsumexp"},  # cross entropy
    "layers/image/window_attention.py": {"exp"},  # a learned scale, kept as its logarithm
    "generation/sampling.py": {"softmax", "log_softmax", "exp"},  # the next token's probabilities
    "generation/beam.py": {"log_softmax"},  # theirs too
    "tasks/base.py": {"exp"},  # probabilities of classes
    "tasks/fill_mask.py": {"exp"},  # perplexity
    "export/words.py": {"exp"},  # the probability of an answer
    "training/metrics/texts.py": {"log_softmax", "exp"},  # perplexity
    "vision/augmentation.py": {"exp"},  # aspect ratios
}
"""The files that use them, and what for."""


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_one_softmax_attention(path):
    """Whoever needs attention calls the one there is; nobody else computes anything like it, nor has Keras do so."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
        for node in nodes
        if isinstance(node, ast.Call)
    }
    assert called & NORMALIZERS <= NORMALIZED.get(name_of(path), set())
    keras_layers = {node.attr for node in nodes if isinstance(node, ast.Attribute) and "keras" in ast.unparse(node)}
    assert not [name for name in keras_layers if name.endswith("Attention")]


@pytest.mark.parametrize("path", [path for path in FILES if folder(path) in FOLDERS], ids=name_of)
def test_folders_depend_downward(path):
    own = folder(path)
    # A checkpoint's preprocessing is read by the engine of checkpoints, for models bring it along.
    alone = {"text": ("ops",), "vision": ("ops", "convert")}
    below = alone.get(own, FOLDERS[: FOLDERS.index(own)])
    files = [path.stem for path in PACKAGE.glob("*.py")]
    for parts in imports(path):
        assert parts and parts[0] in (own, *below, *files), f"{own} imports {'.'.join(['keras_tx', *parts])}"


def reached(path: Path) -> set[str]:
    """The files that a file needs, by what it imports and what these import in turn."""
    found, ahead = set[Path](), [path]
    while ahead:
        path = ahead.pop()
        if path in found:
            continue
        found.add(path)
        for parts in imports(path):
            module = PACKAGE.joinpath(*parts)
            files = (module.with_suffix(".py"), module / "__init__.py", module.parent.with_suffix(".py"))
            package = module.parent / "__init__.py"  # for a name that it gathers
            ahead.append(next((file for file in files if file.exists()), package))
    return {name_of(path) for path in found}


@pytest.mark.parametrize("path", sorted((PACKAGE / "export").glob("*.py")), ids=name_of)
def test_export_needs_no_training(path):
    """What it shares with the tasks stands in modules that do not train."""
    found = reached(path)
    assert not [name for name in found if name.startswith("training/")]
    if path.stem == "texts":
        assert {"export/words.py", "tasks/labels.py", "models/core/heads.py", "text/core/rows.py"} <= found


def extended(family: Path) -> set[str]:
    """The families that a family says it extends: `EXTENDS = ("bert",)` in its `__init__.py`."""
    for node in ast.parse((family / "__init__.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXTENDS":
            return set(ast.literal_eval(node.value))
    return set()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_imports_what_is_shared_and_what_it_extends(family):
    allowed = {family.name, "core"} | extended(family)
    for path in family.rglob("*.py"):
        imported = {parts[1] for parts in imports(path) if parts[0] == "models"}
        assert imported <= allowed, f"{name_of(path)} imports {imported - allowed}"


def test_folders_have_no_circles():
    """Of the innermost folders, each could be built after those it imports."""
    modules = {".".join(path.with_suffix("").relative_to(PACKAGE).parts): path.parent for path in FILES}
    needs: dict[Path, set[Path]] = {}
    for path in FILES:
        if path.stem == "__init__" or path.parent == PACKAGE:
            continue  # an `__init__` gathers what lies below it
        found = (modules.get(".".join(parts[:-1])) or modules.get(".".join(parts)) for parts in imports(path))
        needs.setdefault(path.parent, set()).update(set(found) - {path.parent, None, PACKAGE})
    while needs:
        built = [folder for folder, needed in needs.items() if not needed & needs.keys()]
        assert built, f"a circle among {', '.join(sorted(name_of(folder) for folder in needs))}"
        for folder in built:
            del needs[folder]


IMPORT_EACH_FIRST = """
import os, sys, {backend}
failed = []
for first in sys.argv[1:]:
    child = os.fork()
    if not child:
        exec(f"import keras_tx, {{first}}; {{first if '.' in first else 'keras_tx.GPTModel'}}")
        import keras
        assert keras.saving.get_registered_object("keras_tx>GPTModel").__name__ == "GPTModel"
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(first)
sys.exit(", ".join(failed) or 0)
"""
"""The backend is imported once, for it takes the time; each child then has neither Keras nor the package."""


@pytest.mark.slow
def test_any_module_may_be_imported_first():
    """And our classes are then known to Keras."""
    script = IMPORT_EACH_FIRST.format(backend=keras.backend.backend())
    run_python("-c", script, "keras_tx", *(f"keras_tx.{name}" for name in FOLDERS if name != "cli"))
