"""Rotary embeddings as Transformers' configs have them: up to version 4 in two entries, from version 5 on in one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from keras_tx.ops.attention.rotary import Rotary, RotaryScaling

_TYPES = ("linear", "dynamic", "yarn", "llama3")


def read_rotary(config: Mapping[str, Any], rope_theta: float = 10000.0) -> dict[str, Any]:
    """The fields `rotary` and, where the scaling lengthens what the config calls longest, `max_positions`.

    Args:
        config: Transformers'.
        rope_theta: what it takes where the config does not say.

    Raises:
        ValueError: for rotations that we do not have.
    """
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    share = rope.get("partial_rotary_factor", config.get("partial_rotary_factor")) or 1.0
    if share != 1:
        raise ValueError(f"the config says partial_rotary_factor={share}; only 1 is supported.")
    rope_theta = float(rope.get("rope_theta") or config.get("rope_theta") or rope_theta)
    rope_type = rope.get("rope_type", rope.get("type", "default"))
    if rope_type == "default":
        return {"rotary": Rotary(rope_theta=rope_theta)}
    if rope_type not in _TYPES:
        known = ", ".join(map(repr, ("default", *_TYPES)))
        raise ValueError(f"the config asks for rotary embeddings of type {rope_type!r}; known are {known}.")
    length = config.get("max_position_embeddings", 2048)
    fields: dict[str, Any] = {"rope_type": rope_type, "factor": rope.get("factor")}
    original = None if rope_type == "dynamic" else rope.get("original_max_position_embeddings")
    if rope_type != "linear":
        fields["original_max_positions"] = original or length
    if rope_type == "llama3":
        fields |= {name: rope[name] for name in ("low_freq_factor", "high_freq_factor")}
    if rope_type == "yarn":
        fields["factor"] = fields["factor"] or length / fields["original_max_positions"]
        fields |= {name: rope[name] for name in ("beta_slow", "beta_fast") if rope.get(name)}
        fields |= {
            "attention_factor": _attention_factor(rope, fields["factor"]),
            "truncate": rope.get("truncate", True),
        }
    read: dict[str, Any] = {"rotary": Rotary(rope_theta=rope_theta, scaling=RotaryScaling(**fields))}
    if rope_type != "linear" and not original:  # what the config calls the longest is that of training
        read["max_positions"] = int(length * fields["factor"])
    return read


def _attention_factor(rope: Mapping[str, Any], factor: float) -> float | None:
    """Returns YaRN's factor of queries and keys, where it is not the paper's."""
    if rope.get("attention_factor") is not None:
        return rope["attention_factor"]
    above, below = rope.get("mscale"), rope.get("mscale_all_dim")
    if not above or not below:
        return None
    return (0.1 * above * math.log(factor) + 1) / (0.1 * below * math.log(factor) + 1)


def write_rotary(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of Transformers' config, from the fields `rotary` and `max_positions` of ours.

    Raises:
        ValueError: for rotations that the format cannot hold.
    """
    rotary = Rotary.of(fields["rotary"])
    assert rotary is not None
    scaling = rotary.scaling
    types = _TYPES if scaling is None or scaling.attention_scaling == 1 else ("yarn",)
    unknown = scaling is not None and scaling.rope_type not in types
    if rotary.dim or rotary.interleaved or unknown:
        raise ValueError(f'`rotary={rotary}` cannot be said in this format: save it with format="keras_tx".')
    said: dict[str, Any] = {"rope_type": "default"} if scaling is None else _said(scaling)
    entries = {"rope_theta": rotary.rope_theta, "rope_parameters": {**said, "rope_theta": rotary.rope_theta}}
    if scaling is not None:
        entries["rope_scaling"] = said
        if scaling.rope_type == "dynamic":
            entries["max_position_embeddings"] = scaling.original_max_positions
    return entries


def _said(scaling: RotaryScaling) -> dict[str, Any]:
    said: dict[str, Any] = {"rope_type": scaling.rope_type, "factor": float(scaling.factor)}
    if scaling.rope_type in ("yarn", "llama3"):
        said["original_max_position_embeddings"] = scaling.original_max_positions
    if scaling.rope_type == "llama3":
        said |= {name: float(getattr(scaling, name)) for name in ("low_freq_factor", "high_freq_factor")}
    if scaling.rope_type == "yarn":
        said |= {name: float(getattr(scaling, name)) for name in ("beta_slow", "beta_fast")}
        said |= {"attention_factor": float(scaling.attention_scaling), "truncate": scaling.truncate}
    return said
