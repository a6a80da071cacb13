"""What all models share: a config, inputs as a tensor or a dict, outputs as a dict, and the head's own loss."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import keras
from keras import ops

from keras_tx.models.core.config import Config
from keras_tx.models.core.pretrained import Pretrained
from keras_tx.ops.checks import require_integer, require_rank, require_shape


class Model(Pretrained, keras.Model):
    """A Keras model described by a frozen config and built when it is made.

    Subclasses name their `config_class`, make their layers in `__init__` and build them at its end, and implement
    `build` and `call`.

    Args:
        config: the hyperparameters; the config class's defaults unless given.
        name: as in Keras.
        dtype: a dtype or policy, passed on to every sublayer.
        overrides: fields of the config to replace.
    """

    config_class: ClassVar[type[Config]]

    def __init__(self, config: Config | None = None, *, name: str | None = None, dtype=None, **overrides: Any):
        super().__init__(name=name, dtype=dtype)
        self.config = (config or self.config_class()).replace(**overrides)

    @property
    def output_keys(self) -> tuple[str, ...]:
        """What the tensors that `call` gives are called, where it does not give a dict of them."""
        return ("logits",)

    def get_config(self) -> dict:
        return {"config": self.config.to_dict(), "name": self.name, "dtype": _serialized(self.dtype_policy)}

    @classmethod
    def from_config(cls, config: dict):
        config = dict(config)
        fields = cls.config_class.from_dict(config.pop("config"))
        dtype = config.pop("dtype", None)
        return cls(fields, dtype=keras.dtype_policies.get(dtype) if dtype else None, **config)

    def layer_depth(self, path: str) -> int | None:
        """How many layers lie below a weight: 0 for embeddings, i + 1 for block i, None for what is above all blocks.

        Args:
            path: of the weight, as Keras has it: "bert_model/block_3/attention/query/kernel".
        """
        _, _, path = path.partition("/")  # the model's own name says nothing
        block = re.search(r"(?:^|/)(?:block|layer)_(\d+)/", path)
        if block:
            return int(block[1]) + 1
        return 0 if "embedding" in path else None

    def input_signature(self) -> dict[str, keras.InputSpec]:
        """The model's input tensors by name, batch and length free: what an exporter traces with."""
        raise NotImplementedError


LOSSES = ("loss", "mc_loss")
"""The outputs that a model compiled without a loss trains on, all together."""


class HeadModel(Model):
    """A model whose outputs are a dict with logits, and losses when given labels.

    Compiled without a loss it trains with its own; the labels come as `y`, by name where there are several, or among
    the inputs. With a Keras loss or metrics, these are applied to the logits and `y` as they stand.
    """

    targets: ClassVar[dict[str, str]] = {"logits": "labels"}
    """The names of the logits, and of the labels that each is trained on; none for a model without a head."""

    def own_losses(self, outputs: dict, labels: dict) -> dict:
        """The head's own losses, scalars by name, of the labels that are given.

        Args:
            outputs: what `call` returns.
            labels: by name, None for those not given.
        """
        raise NotImplementedError

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if self.loss is not None:
            return super().compute_loss(x, self._as_predicted(y), self._predicted(y_pred), sample_weight, training)
        if not self.targets:
            raise ValueError("a model without a head has no loss of its own: compile it with a Keras loss.")
        if sample_weight is not None:
            raise ValueError(
                "the head's own loss takes no `sample_weight`: label what shall not count -100, or compile with a "
                "Keras loss."
            )
        losses = {name: y_pred[name] for name in LOSSES if name in y_pred}
        losses = losses or self.own_losses(y_pred, self._labels_by_name(y))
        if not losses:
            wanted = " and ".join(f'"{name}"' for name in self.targets.values())
            raise ValueError(f"no labels: pass them to `fit` as `y` or as {wanted} among the inputs.")
        return sum([*losses.values(), *self.losses])

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, self._as_predicted(y), self._predicted(y_pred), sample_weight)

    def _predicted(self, outputs):
        """What Keras's losses and metrics see: the logits, by name where there are several, or all without a head."""
        return _only({name: outputs[name] for name in self.targets}) if self.targets else outputs

    def _as_predicted(self, y):
        """The labels in the structure of `_predicted`."""
        if y is None or not self.targets:
            return y
        labels = self._labels_by_name(y)
        return _only({logits: labels[name] for logits, name in self.targets.items()})

    def _labels_by_name(self, y) -> dict[str, Any]:
        names = list(self.targets.values())
        if y is None:
            return dict.fromkeys(names)
        if not isinstance(y, dict) and len(names) == 1:
            return {names[0]: y}
        if not isinstance(y, dict) or not set(y) <= set(names):
            found = ", ".join(map(repr, y)) if isinstance(y, dict) else f"a {type(y).__name__}"
            raise ValueError(f"`y` must be a dict of {', '.join(map(repr, names))}; got {found}.")
        return {name: y.get(name) for name in names}


class TextModel(HeadModel):
    """A model of token ids."""

    padding_sides: ClassVar[tuple[str, ...]] = ("left", "right")
    """Where padding under the attention mask, with positions counted without it, changes nothing."""

    def input_signature(self) -> dict[str, keras.InputSpec]:
        ids = {"shape": (None, None), "dtype": "int32"}
        return {name: keras.InputSpec(name=name, **ids) for name in ("input_ids", "attention_mask")}


def inputs_by_name(inputs, main: str, named: dict[str, Any]) -> dict[str, Any]:
    """A model's inputs as tensors by name, None for those not given.

    Args:
        inputs: the main input, or a dict with it and others.
        main: its name.
        named: all other inputs the model takes, as they were given beside `inputs`.

    Raises:
        ValueError: for a dict without the main input or with a name the model does not take, or one given twice.
    """
    given = dict(inputs) if isinstance(inputs, dict) else {main: inputs}
    if main not in given:
        raise ValueError(f'the inputs must have "{main}"; got {", ".join(map(repr, given)) or "nothing"}.')
    for name in given:
        if name != main and name not in named:
            raise ValueError(f"this model takes no {name!r}; it takes {', '.join(map(repr, (main, *named)))}.")
        if named.get(name) is not None:
            raise ValueError(f"{name!r} was given twice, in the dict and as an argument.")
    given = {**named, **given}
    return {name: None if value is None else ops.convert_to_tensor(value) for name, value in given.items()}


def text_inputs(inputs, *, slots: int | None = None, choices: bool = False, **named) -> dict[str, Any]:
    """The inputs of a text model by name, from a tensor of ids or a dict, and keyword arguments beside it.

    Args:
        inputs: ids `(B, T)`, or a dict with `"input_ids"`.
        slots: length of the attention mask where it is not T: of the cache it is over; 0 for any.
        choices: whether the ids are `(B, C, T)`: C texts a row to choose from.
        named: all other inputs the model takes; None for those not given.

    Raises:
        ValueError: as `inputs_by_name`, for ids that are not `(batch, length)` integers, or an attention mask, `(B, S)`
            or `(B, T, S)`, or token types that do not fit them.
    """
    given = inputs_by_name(inputs, "input_ids", named)
    ids, mask, types = given["input_ids"], given.get("attention_mask"), given.get("token_type_ids")
    axes = ("batch", "choices", "length") if choices else ("batch", "length")
    require_rank(ids, len(axes), "input_ids", f"({', '.join(axes)})")
    require_integer(ids, "input_ids")
    if mask is not None:
        slots = ids.shape[-1] if slots is None else slots or None
        by_query = len(mask.shape) > len(ids.shape)
        require_shape(mask, (*ids.shape, slots) if by_query else (*ids.shape[:-1], slots), "attention_mask")
    if types is not None:
        require_integer(types, "token_type_ids")
        require_shape(types, tuple(ids.shape), "token_type_ids")
    return given


def _only(named: dict):
    """The value of a dict that has but one, otherwise the dict."""
    return named if len(named) > 1 else next(iter(named.values()))


def _serialized(policy):
    return keras.dtype_policies.serialize(policy)
