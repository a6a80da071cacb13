"""Optional libraries: the core install does without them, and what needs one says how to install it."""

from __future__ import annotations

from importlib.util import find_spec


class MissingExtraError(ImportError):
    """An optional library is not installed; the message is the command that installs it."""


def has_extra(module: str) -> bool:
    """Whether an optional module is installed; it is not imported."""
    return find_spec(module) is not None


def require_extra(module: str, extra: str) -> None:
    """Raises MissingExtraError unless an optional module is installed.

    Args:
        module: as it is imported, without dots.
        extra: the extra of `pyproject.toml` that brings it.
    """
    if not has_extra(module):
        raise MissingExtraError(f'{module} is not installed: `pip install "keras_tx[{extra}]"`.')
