"""From a model of ours to KerasHub's backbone with the same weights."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from keras_tx import convert
from keras_tx.convert.account import over_layers
from keras_tx.convert.keras_hub import KerasHubFamily
from keras_tx.convert.preset import PRESET_WEIGHTS, TASK_TENSORS, preset_tensors
from keras_tx.extras import require_extra
from keras_tx.models.core.backbone import Backbone
from keras_tx.models.core.base import Model
from keras_tx.models.core.head import HeadModel

FORMAT = "keras_hub"


def to_keras_hub(model: Model) -> Any:
    """KerasHub's backbone with the weights of a model's backbone.

    It gives the same hidden states for the same ids or images; a head is left behind. What KerasHub's has beyond ours,
    such as the pooler of a BERT for masked tokens, starts fresh, with a warning that names it.

    Args:
        model: a BERT, GPT-2, T5, ViT or Swin, with a head or without.

    Returns:
        A `keras_hub.models.BertBackbone`, say, of the model's dtype; its `save_to_preset` makes a preset.

    Raises:
        MissingExtraError: if KerasHub is not installed.
        ValueError: if KerasHub has no class that computes what the backbone does; the message names the field.
    """
    require_extra("keras_hub", "keras-hub")
    import keras_hub

    backbone = model.backbone if isinstance(model, HeadModel) else model
    family = _family(backbone)
    fields, defaults = backbone.config.to_dict(), type(backbone.config)().to_dict()
    unread = backbone.config.head_fields - {setting.field for setting in family.settings}
    arguments = family.arguments(fields | {name: defaults[name] for name in unread}, defaults)
    peer = getattr(keras_hub.models, family.backbone_name)(**arguments, dtype=backbone.dtype_policy)

    part = model if type(model).__name__ in family.heads else backbone
    weights = convert.effective_weights(part, part.weights_by_path())
    rules = [*family.backbone(fields), *family.head(type(part).__name__).rules(fields)]
    held = [rule for rule in rules if weights.keys() >= set(rule.weights) and not rule.tensor.startswith(TASK_TENSORS)]
    fresh = _fill(peer, held, weights)
    if fresh:
        warnings.warn(f"{family.backbone_name}: fresh, for the model lacks them: {', '.join(fresh)}.", stacklevel=2)
    return peer


def _family(backbone: Backbone | Model) -> KerasHubFamily:
    """KerasHub's family of a backbone."""
    name = type(backbone).__name__
    for family in backbone.formats.get(FORMAT, ()):
        if isinstance(family, KerasHubFamily) and family.whole and name in family.heads:
            return family
    raise ValueError(f"KerasHub has no backbone that is known to compute what a {name} does.")


def _fill(model: keras.Model, rules: list[convert.Rule], weights: Mapping[str, convert.Source]) -> list[str]:
    """Gives a Keras model our weights, by its weights' file; gives the names of what there are none for."""
    import h5py

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / PRESET_WEIGHTS
        model.save_weights(path)
        lacking = {name: x.dtype for name, x in preset_tensors([path], None).items() if "float" in x.dtype.name}
        with h5py.File(path, "r+") as file:
            for rule in rules:
                tensor = rule.to_tensor([weights[path][1]() for path in rule.weights])
                file[rule.tensor][...] = tensor.reshape(file[rule.tensor].shape).astype(lacking.pop(rule.tensor))
        model.load_weights(path)
    return over_layers(lacking)
