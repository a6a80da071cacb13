"""Transformers as Keras 3 layers and models.

The public names are those of `__init__.pyi`, for editors and type checkers and at run time alike; the module that
holds one is imported when it is first asked for.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import lazy_loader

from keras_tx.version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def _is_program() -> bool:
    """Tells whether `keras-tx` or `python -m keras_tx.cli` runs, whose commands import Keras themselves."""
    return "keras_tx.cli" in sys.orig_argv or Path(sys.argv[0] if sys.argv else "").stem == "keras-tx"


if not _is_program():
    # Keras loads a `.keras` file only if the classes in it are registered: it imports no module that a file names.
    for _folder in ("layers", "models", "training"):
        import_module(f"keras_tx.{_folder}")
