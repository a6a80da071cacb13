"""What all models share: a config, inputs as a tensor or a dict, outputs as a dict, and the head's own loss."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops

from keras_tx.models.config import Config
from keras_tx.ops.checks import require_integer, require_rank, require_shape


class Model(keras.Model):
    """A Keras model described by a frozen config and built when it is made.

    Subclasses name their `config_class`, make their layers in `__init__` before they call `finish`, and
    implement `build` and `call`.

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

    def get_config(self) -> dict:
        return {"config": self.config.to_dict(), "name": self.name, "dtype": _serialized(self.dtype_policy)}

    @classmethod
    def from_config(cls, config: dict):
        config = dict(config)
        fields = cls.config_class.from_dict(config.pop("config"))
        dtype = config.pop("dtype", None)
        return cls(fields, dtype=keras.dtype_policies.get(dtype) if dtype else None, **config)

    def input_signature(self) -> dict[str, keras.InputSpec]:
        """The model's input tensors by name, batch and length free: what an exporter traces with."""
        raise NotImplementedError


class TextModel(Model):
    """A model of token ids whose outputs are a dict with `"logits"`, and `"loss"` when given `labels`.

    Compiled without a loss it trains with its own; the labels come as `y` or as `"labels"` among the inputs. With a
    Keras loss or metrics, these are applied to the logits and `y` as they stand.
    """

    def input_signature(self) -> dict[str, keras.InputSpec]:
        ids = {"shape": (None, None), "dtype": "int32"}
        return {name: keras.InputSpec(name=name, **ids) for name in ("input_ids", "attention_mask")}

    def loss_from_logits(self, logits, labels):
        """The head's own loss, a scalar."""
        raise NotImplementedError

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if self.loss is not None:
            return super().compute_loss(x, y, y_pred["logits"], sample_weight, training)
        if sample_weight is not None:
            raise ValueError(
                "the head's own loss takes no `sample_weight`: label what shall not count -100, or compile with a "
                "Keras loss."
            )
        if "loss" in y_pred:
            loss = y_pred["loss"]
        elif y is not None:
            loss = self.loss_from_logits(y_pred["logits"], y)
        else:
            raise ValueError('no labels: pass them to `fit` as `y` or as "labels" among the inputs.')
        return ops.sum([loss, *self.losses]) if self.losses else loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, y_pred["logits"], sample_weight)


def text_inputs(inputs, *, slots: int | None = None, **named) -> dict[str, Any]:
    """The inputs of a text model by name, from a tensor of ids or a dict, and keyword arguments beside it.

    Args:
        inputs: ids `(B, T)`, or a dict with `"input_ids"`.
        slots: length of the attention mask where it is not T: of the cache it is over.
        named: all other inputs the model takes; None for those not given.

    Raises:
        ValueError: for a dict without `"input_ids"` or with a name the model does not take, one given twice, ids
            that are not `(batch, length)` integers, or an attention mask that does not fit them.
    """
    given = dict(inputs) if isinstance(inputs, dict) else {"input_ids": inputs}
    if "input_ids" not in given:
        raise ValueError(f'the inputs must have "input_ids"; got {", ".join(map(repr, given)) or "nothing"}.')
    for name in given:
        if name != "input_ids" and name not in named:
            raise ValueError(f"this model takes no {name!r}; it takes {', '.join(map(repr, ('input_ids', *named)))}.")
        if named.get(name) is not None:
            raise ValueError(f"{name!r} was given twice, in the dict and as an argument.")
    given = {**named, **given}
    given = {name: None if value is None else ops.convert_to_tensor(value) for name, value in given.items()}
    ids, mask = given["input_ids"], given.get("attention_mask")
    require_rank(ids, 2, "input_ids", "(batch, length)")
    require_integer(ids, "input_ids")
    if mask is not None:
        require_shape(mask, (ids.shape[0], slots or ids.shape[1]), "attention_mask")
    return given


def _serialized(policy):
    return keras.dtype_policies.serialize(policy)
