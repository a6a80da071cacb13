"""The base of every model: a Keras model described by a frozen config, and built when it is made."""

from __future__ import annotations

from typing import Any, ClassVar

import keras

from keras_tx.models.core.config import Config
from keras_tx.models.core.keras_export import KerasExport
from keras_tx.models.core.pretrained import Pretrained

LOSSES = ("loss", "mc_loss")
"""The outputs that a model compiled without a loss trains on, all together."""


class Model(Pretrained, KerasExport):
    """A Keras model described by a frozen config and built when it is made.

    Subclasses are a `Backbone`, or a backbone and a head: a `HeadModel`.

    Args:
        config: the hyperparameters; the config class's defaults unless given.
        name: as in Keras.
        dtype: a dtype or policy, passed on to every sublayer.
        overrides: fields of the config to replace.
    """

    config_class: ClassVar[type[Config]]
    input_names: tuple[str, ...]
    """The tensors that `call` takes, the first of which may be given by itself; labels apart."""

    padding_sides: ClassVar[tuple[str, ...]] = ("left", "right")
    """The sides at which padding under the attention mask changes nothing, with positions counted without it."""

    positions_skip_padding: ClassVar[bool] = False
    """Whether the positions of tokens, where none are given, are counted without padding."""

    def __init__(self, config: Config | None = None, *, name: str | None = None, dtype=None, **overrides: Any):
        super().__init__(name=name, dtype=dtype)
        self.config = (config or self.config_class()).replace(**overrides)

    @property
    def main_input(self) -> str:
        """The input that may be given by itself: `"input_ids"` or `"images"`."""
        return self.input_names[0]

    @property
    def max_positions(self) -> int | None:
        """The largest number of tokens in a text; None if there is no limit."""
        return None

    @property
    def output_keys(self) -> tuple[str, ...]:
        """Names for the tensors that `call` gives, where it does not give a dict."""
        return ("logits",)

    def named_outputs(self, outputs: Any, *asked: str) -> dict[str, Any]:
        """The tensors that `call` gives, flat and by name; without losses, which have no batch axis.

        Args:
            outputs: what it gave. Of several tensors under a name, number i is called NAME_i.
            asked: what was asked for beside the outputs, as "hidden_states", in the order of `call`.
        """
        if not isinstance(outputs, dict):
            several = outputs if isinstance(outputs, tuple) else (outputs,)
            outputs = dict(zip((*self.output_keys, *asked), several, strict=True))
        flat = dict[str, Any]()
        for name, x in outputs.items():
            flat |= {f"{name}_{i}": y for i, y in enumerate(x)} if isinstance(x, tuple) else {name: x}
        return {name: x for name, x in flat.items() if name not in LOSSES}

    def input_signature(self) -> dict[str, keras.InputSpec]:
        """The tensors that the model is exported with, by name, batch and length free."""
        raise NotImplementedError

    def layer_depth(self, path: str) -> int | None:
        """Returns how many layers lie below a weight: 0 for embeddings, i + 1 for block i, None above all blocks.

        Args:
            path: the weight's, as `weights_by_path` has it.
        """
        raise NotImplementedError

    @property
    def options(self) -> dict[str, Any]:
        """The constructor's arguments beside the config, as JSON has them: whether a backbone has a pooler, say."""
        return {}

    def get_config(self) -> dict:
        policy = keras.dtype_policies.serialize(self.dtype_policy)
        return {"config": self.config.to_dict(), **self.options, "name": self.name, "dtype": policy}

    @classmethod
    def from_config(cls, config: dict):
        config = dict(config)
        fields = cls.config_class.from_dict(config.pop("config"))
        dtype = config.pop("dtype", None)
        return cls(fields, dtype=keras.dtype_policies.get(dtype) if dtype else None, **config)


def paths_below(layer: keras.Layer, prefix: str) -> dict[str, keras.Variable]:
    """The weights of a layer by their paths below it, each under the prefix."""
    return {f"{prefix}/{weight.path.split('/', 1)[1]}": weight for weight in layer.weights}
