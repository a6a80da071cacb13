"""Passes of models on JAX, each compiled as a whole.

Outside of `jit`, JAX compiles every operation for every shape that it meets: the first pass of a tiny model takes five
times as long as compiling it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import keras
import numpy as np
from keras.src.backend.common.stateless_scope import in_stateless_scope

_eager = keras.layers.Layer.__call__
_compiled: dict[int, tuple[dict[str, Callable], dict[str, Any]]] = {}
"""By a model's `id`: its passes, and the structures of what they give, by the arguments without their arrays."""


@contextmanager
def compiled_passes(model: keras.Model) -> Iterator[keras.Model]:
    """Has each call of the model compiled, unless it is itself a part of something that is being traced."""
    keras.layers.Layer.__call__ = _call
    _compiled[id(model)] = {}, {}
    yield model
    del _compiled[id(model)]


def _call(self, *args: Any, **kwargs: Any):
    leaves = keras.tree.flatten((args, kwargs))
    arrays = [x for x in leaves if _is_array(x)]
    plain = all(_is_array(x) or isinstance(x, bool | int | float | str | None) for x in leaves)
    if id(self) not in _compiled or not arrays or not plain or in_stateless_scope():
        return _eager(self, *args, **kwargs)
    variables = self.variables
    compiled, structures = _compiled[id(self)]
    key = repr((keras.tree.map_structure(lambda x: "" if _is_array(x) else x, (args, kwargs)), self.trainable))

    def run(values, arrays):
        arrays = iter(arrays)
        now = keras.tree.pack_sequence_as((args, kwargs), [next(arrays) if _is_array(x) else x for x in leaves])
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))) as scope:
            outputs = _eager(self, *now[0], **now[1])
        structures[key] = keras.tree.map_structure(lambda x: 0, outputs)
        return keras.tree.flatten(outputs), [scope.get_current_value(x) for x in variables if not x.trainable]

    outputs, changed = compiled.setdefault(key, jax.jit(run))([x.value for x in variables], arrays)
    for variable, value in zip((x for x in variables if not x.trainable), changed, strict=True):
        variable.assign(value)
    return keras.tree.pack_sequence_as(structures[key], outputs)  # JAX would give dicts in another order


def _is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray | jax.Array) and not isinstance(x, jax.core.Tracer)
