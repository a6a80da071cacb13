"""Optional libraries: the core install does without them, and what needs one says how to install it."""

from __future__ import annotations

from importlib.util import find_spec


def has_extra(module: str) -> bool:
    """Whether an optional module is installed; it is not imported."""
    return find_spec(module) is not None


def require_extra(module: str, extra: str) -> None:
    """Raises ImportError with the command that installs it, unless an optional module is there.

    Args:
        module: as it is imported, without dots.
        extra: the extra of `pyproject.toml` that brings it.
    """
    if not has_extra(module):
        raise ImportError(f'{module} is not installed: `pip install "keras_tx[{extra}]"`.')
