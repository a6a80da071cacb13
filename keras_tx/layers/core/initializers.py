"""Initializers of several weights."""

from __future__ import annotations


def clone_initializer(initializer):
    """A copy that draws other numbers: one unseeded initializer gives every weight the same values."""
    return initializer.clone() if hasattr(initializer, "clone") else initializer
