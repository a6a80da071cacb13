"""What a model gives by name: a dict whose entries are attributes, too."""

from __future__ import annotations

from typing import Any

import keras
import optree


class Outputs(dict[str, Any]):
    """A dict of a model's outputs, `outputs["logits"]` or `outputs.logits`, as Transformers' are.

    Keras, `tf.function` and JAX's transformations look inside, as they do of a dict.
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the outputs have no {name!r}; they have {', '.join(map(repr, self))}.") from None


def _flatten(outputs: Any) -> Any:
    """The values, ordered by their names as those of a dict are; the names as they stand; the names in that order."""
    names = sorted(outputs)
    return [outputs[name] for name in names], tuple(outputs), tuple(names)


def _unflatten(names: Any, values: Any) -> Any:
    by_name = dict(zip(sorted(names), values, strict=True))
    return Outputs({name: by_name[name] for name in names})


optree.register_pytree_node(Outputs, _flatten, _unflatten, namespace="keras")
if keras.backend.backend() == "jax":
    import jax

    jax.tree_util.register_pytree_node(Outputs, lambda outputs: _flatten(outputs)[:2], _unflatten)
