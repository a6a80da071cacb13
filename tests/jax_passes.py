"""Passes of layers and models on JAX, each compiled as a whole.

Outside of `jit`, JAX compiles every operation for every shape that it meets: the first pass of a tiny model takes five
times as long as compiling it.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import jax
import keras
import numpy as np
import pytest
from keras.src.backend.common.stateless_scope import in_stateless_scope


def compile_passes(patch: pytest.MonkeyPatch) -> None:
    """Has the outermost call of each built layer compiled; what is being traced stays as it is."""
    eager = keras.layers.Layer.__call__
    passes: WeakKeyDictionary[keras.layers.Layer, dict] = WeakKeyDictionary()

    def call(self, *args: Any, **kwargs: Any):
        leaves = keras.tree.flatten((args, kwargs))
        arrays = [x for x in leaves if _is_array(x)]
        plain = all(_is_array(x) or isinstance(x, bool | int | float | str | None) for x in leaves)
        if not (arrays and plain and self.built) or in_stateless_scope():
            return eager(self, *args, **kwargs)
        given = keras.tree.map_structure(lambda x: None if _is_array(x) else x, (args, kwargs))
        key = repr((given, list(map(_is_array, leaves))))

        variables = self.variables

        def run(values, arrays):
            arrays = iter(arrays)
            now = keras.tree.pack_sequence_as((args, kwargs), [next(arrays) if _is_array(x) else x for x in leaves])
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))) as scope:
                outputs = eager(self, *now[0], **now[1])
            return outputs, [scope.get_current_value(x) for x in variables if not x.trainable]

        compiled = passes.setdefault(self, {}).setdefault(key, jax.jit(run))
        outputs, changed = compiled([x.value for x in variables], arrays)
        for variable, value in zip((x for x in variables if not x.trainable), changed, strict=True):
            variable.assign(value)
        return outputs

    patch.setattr(keras.layers.Layer, "__call__", call)


def _is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray | jax.Array) and not isinstance(x, jax.core.Tracer)
