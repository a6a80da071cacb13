"""The base of every model: a Keras model described by a frozen config, and built when it is made."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np

from keras_tx.models.core.config import Config
from keras_tx.models.core.inputs import padded
from keras_tx.models.core.keras_export import KerasExport
from keras_tx.models.core.outputs import Outputs
from keras_tx.models.core.pretrained import Pretrained
from keras_tx.models.core.training_step import TrainingStep
from keras_tx.tensorflow import is_ragged

LOSSES = ("loss", "mc_loss")
"""The outputs that a model compiled without a loss trains on, all together."""


class Model(Pretrained, TrainingStep, KerasExport):
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

    def __call__(self, *arguments, **options):
        outputs = super().__call__(*map(self.given, arguments[:1]), *arguments[1:], **options)
        return Outputs(outputs) if isinstance(outputs, dict) else outputs

    def stateless_call(self, trainable_variables, non_trainable_variables, *arguments, **options):
        inputs = (*map(self.given, arguments[:1]), *arguments[1:])  # JAX's steps do not come by `__call__`
        return super().stateless_call(trainable_variables, non_trainable_variables, *inputs, **options)

    def given(self, inputs):
        """The inputs as `call` takes them: those given as a list by name, ragged ones padded, with a mask.

        Raises:
            ValueError: for ragged tensors of what is not text.
        """
        if isinstance(inputs, (list, tuple)) and all(map(_is_tensor, inputs)):
            inputs = self._by_place(inputs)
        if not any(map(is_ragged, keras.tree.flatten(inputs))):
            return inputs
        named = inputs if isinstance(inputs, dict) else {self.main_input: inputs}
        return padded(named, self.config.to_dict().get("pad_token_id") or 0)

    def _by_place(self, inputs):
        """Inputs in the order of `input_signature`, then of `input_names`; one cut into its rows stays as it is."""
        signature = self.input_signature()
        if not inputs or len(inputs[0].shape) != len(signature[self.main_input].shape):
            return inputs
        names = [*signature, *(name for name in self.input_names if name not in signature)]
        if len(inputs) > len(names):
            raise ValueError(f"the inputs are {', '.join(names)}; got {len(inputs)} of them in a list.")
        return dict(zip(names, inputs, strict=False))

    def compute_output_spec(self, *arguments, **options):
        return keras.Operation.compute_output_spec(self, *arguments, **options)  # its dtypes, too, which shapes lack

    def compute_output_shape(self, input_shape):
        """The shapes of what `call` gives, for that of the main input or a dict of shapes by name."""
        shapes = input_shape if isinstance(input_shape, dict) else {self.main_input: input_shape}
        signature = self.input_signature()
        inputs = {name: keras.KerasTensor(shape, dtype=signature[name].dtype) for name, shape in shapes.items()}
        return keras.tree.map_structure(lambda x: x.shape, self.compute_output_spec(inputs))

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
        kept: dict[str, Any] = {} if self.trainable else {"trainable": False}
        kept |= {"frozen": frozen} if (frozen := _frozen(self.weights_by_path())) else {}
        return {"config": self.config.to_dict(), **self.options, "name": self.name, "dtype": policy, **kept}

    @classmethod
    def from_config(cls, config: dict):
        config = dict(config)
        fields = cls.config_class.from_dict(config.pop("config"))
        dtype, frozen = config.pop("dtype", None), config.pop("frozen", ())
        trainable = config.pop("trainable", True)
        model = cls(fields, dtype=keras.dtype_policies.get(dtype) if dtype else None, **config)
        if not trainable:
            model.trainable = False
        weights = model.weights_by_path()
        for path in weights.keys() & set(frozen):  # quantized layers have had more
            weights[path].trainable = False
        return model


def _frozen(weights: dict[str, keras.Variable]) -> list[str]:
    """The paths of the weights that are not trained; not of those under a LoRA, which saving merges into them."""
    lora = {path.rpartition("/")[0] for path in weights if "/lora_" in path}
    return [path for path, x in weights.items() if not x.trainable and path.rpartition("/")[0] not in lora]


def _is_tensor(x) -> bool:
    return isinstance(x, (np.ndarray, keras.KerasTensor)) or keras.ops.is_tensor(x)


def paths_below(layer: keras.Layer, prefix: str) -> dict[str, keras.Variable]:
    """The weights of a layer by their paths below it, each under the prefix."""
    return {f"{prefix}/{weight.path.split('/', 1)[1]}": weight for weight in layer.weights}
