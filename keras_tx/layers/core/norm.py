"""The two norms of transformers."""

from __future__ import annotations

from typing import Literal

import keras


def make_norm(kind: Literal["layer", "rms"], epsilon: float, **options) -> keras.layers.Layer:
    """The norm of that kind, over the last axis."""
    norms = {"layer": keras.layers.LayerNormalization, "rms": keras.layers.RMSNormalization}
    return norms[kind](epsilon=epsilon, **options)
