"""Rotary embeddings as Transformers' configs have them: up to version 4 in two entries, from version 5 on in one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from keras_tx.ops.attention.rotary import Rotary, RotaryScaling

_KINDS = ("linear", "dynamic", "yarn", "llama3")


def read_rotary(config: Mapping[str, Any], base: float = 10000.0) -> dict[str, Any]:
    """The fields `rotary` and, where the scaling lengthens what the config calls longest, `max_positions`.

    Args:
        config: Transformers'.
        base: what it takes where the config does not say.

    Raises:
        ValueError: for rotations that we do not have.
    """
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    share = rope.get("partial_rotary_factor", config.get("partial_rotary_factor")) or 1.0
    if share != 1:
        raise ValueError(f"the config says partial_rotary_factor={share}; only 1 is supported.")
    base = float(rope.get("rope_theta") or config.get("rope_theta") or base)
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind == "default":
        return {"rotary": Rotary(base=base)}
    if kind not in _KINDS:
        known = ", ".join(map(repr, ("default", *_KINDS)))
        raise ValueError(f"the config asks for rotary embeddings of type {kind!r}; known are {known}.")
    length = config.get("max_position_embeddings", 2048)
    fields: dict[str, Any] = {"kind": kind, "factor": rope.get("factor")}
    original = None if kind == "dynamic" else rope.get("original_max_position_embeddings")
    if kind != "linear":
        fields["original_length"] = original or length
    if kind == "llama3":
        fields |= {"slow": rope["low_freq_factor"], "fast": rope["high_freq_factor"]}
    if kind == "yarn":
        fields["factor"] = fields["factor"] or length / fields["original_length"]
        fields |= {"slow": rope.get("beta_slow") or 1.0, "fast": rope.get("beta_fast")}
        fields |= {"magnitude": _magnitude(rope, fields["factor"]), "whole_channels": rope.get("truncate", True)}
    read: dict[str, Any] = {"rotary": Rotary(base=base, scaling=RotaryScaling(**fields))}
    if kind != "linear" and not original:  # what the config calls the longest is that of training
        read["max_positions"] = int(length * fields["factor"])
    return read


def _magnitude(rope: Mapping[str, Any], factor: float) -> float | None:
    """What YaRN multiplies queries and keys by, if other than it is by its paper."""
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
    unknown = scaling is not None and (scaling.kind not in _KINDS or (scaling.kind != "yarn" and scaling.gain != 1))
    if rotary.dim or rotary.interleaved or unknown:
        raise ValueError(f'`rotary={rotary}` cannot be said in this format: save it with format="keras_tx".')
    said: dict[str, Any] = {"rope_type": "default"} if scaling is None else _said(scaling)
    entries = {"rope_theta": rotary.base, "rope_parameters": {**said, "rope_theta": rotary.base}}
    if scaling is not None:
        entries["rope_scaling"] = said
        if scaling.kind == "dynamic":
            entries["max_position_embeddings"] = scaling.original_length
    return entries


def _said(scaling: RotaryScaling) -> dict[str, Any]:
    said: dict[str, Any] = {"rope_type": scaling.kind, "factor": float(scaling.factor)}
    if scaling.kind in ("yarn", "llama3"):
        said["original_max_position_embeddings"] = scaling.original_length
    if scaling.kind == "llama3":
        said |= {"low_freq_factor": float(scaling.slow), "high_freq_factor": float(scaling.turns_fast)}
    if scaling.kind == "yarn":
        said |= {"beta_slow": float(scaling.slow), "beta_fast": float(scaling.turns_fast)}
        said |= {"attention_factor": float(scaling.gain), "truncate": scaling.whole_channels}
    return said
