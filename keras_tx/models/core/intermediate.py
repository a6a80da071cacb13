"""Models of what is inside a model: cut where a layer gives its output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from keras_tx.layers.core.base import register
from keras_tx.models.core.base import Model
from keras_tx.models.core.keras_export import KerasExport


def intermediate(model: Model, layers: Sequence[str]) -> Intermediate:
    """Returns a Keras model of what layers inside a model give: to predict, to put layers on, to save and to export.

    It takes what the model takes, and gives a dict of outputs by the layers' names. Of a layer that gives several
    tensors, as a block with attention maps does, it has the first, and of one that is called several times a tuple.

    Args:
        model: a model of keras_tx; its weights are shared.
        layers: names as "block_1", "pooler" or "block_1/attention": the ends of the layers' paths. Where several end
            so, as in an encoder-decoder, more of the path, as "encoder/block_1".

    Raises:
        ValueError: for a name that no layer has, or several have; at call, for a layer that was not called.
    """
    return Intermediate(model, layers)


@register
class Intermediate(KerasExport):
    """What `intermediate` returns.

    Args:
        model: the whole.
        layers: names of layers inside it.
        name, dtype: as in Keras.
    """

    def __init__(self, model: Model, layers: Sequence[str], *, name: str | None = None, dtype=None):
        super().__init__(name=name, dtype=dtype or model.dtype_policy)
        self.model = model
        self.cut = {layer: find_layer(model, layer).path for layer in layers}
        self.build()

    def build(self, input_shape=None):
        """Nothing: the model was built when it was made."""

    def input_signature(self) -> dict[str, keras.InputSpec]:
        return self.model.input_signature()

    def named_outputs(self, outputs: Any, *asked: str) -> dict[str, Any]:
        return outputs

    def call(self, inputs, training=None) -> dict[str, Any]:
        """The outputs of the layers by their names.

        Args:
            inputs: as the model takes them.
            training: whether dropout is active.
        """
        layers = {name: find_layer(self.model, path) for name, path in self.cut.items()}
        with recorded(layers) as found:
            self.model(inputs, training=training)
        for name, path in self.cut.items():
            if not found[name]:
                raise ValueError(f"`layers` has {name!r}, but the model does not call {path} for these inputs.")
        return {name: outputs[0] if len(outputs) == 1 else tuple(outputs) for name, outputs in found.items()}

    def get_config(self) -> dict:
        model = keras.saving.serialize_keras_object(self.model)
        policy = keras.dtype_policies.serialize(self.dtype_policy)
        return {"model": model, "layers": [*self.cut], "name": self.name, "dtype": policy}

    @classmethod
    def from_config(cls, config: dict):
        dtype = keras.dtype_policies.get(config["dtype"])
        return cls(**{**config, "model": keras.saving.deserialize_keras_object(config["model"]), "dtype": dtype})


def find_layer(model: keras.Model, name: str) -> keras.Layer:
    """Returns the layer inside a model whose path ends so.

    Raises:
        ValueError: if there is none, or several.
    """
    layers = model._flatten_layers(include_self=False)
    known = {layer.path: layer for layer in layers if layer.path}  # which those have that Keras built
    found = [path for path in known if path == name or path.endswith(f"/{name}")]
    if len(found) == 1:
        return known[found[0]]
    depth = min((path.count("/") for path in known if "block_" in path), default=1)
    shown = found or [path for path in known if path.count("/") <= depth]
    raise ValueError(
        f"{'several layers are' if found else 'no layer is'} called {name!r}: "
        f"there {'are' if found else 'are, for example,'} {', '.join(shown)}."
    )


@contextmanager
def recorded(layers: dict[str, keras.Layer]) -> Iterator[dict[str, list[Any]]]:
    """In this block, layers put what they give into the lists of their names."""
    found: dict[str, list[Any]] = {name: [] for name in layers}
    calls = {name: layer.call for name, layer in layers.items()}

    def recording(name: str):
        def call(*arguments: Any, **options: Any) -> Any:
            outputs = calls[name](*arguments, **options)
            found[name].append(outputs[0] if isinstance(outputs, tuple) else outputs)
            return outputs

        return call

    try:
        for name, layer in layers.items():
            layer.call = recording(name)
        yield found
    finally:
        for layer in layers.values():
            del layer.call
