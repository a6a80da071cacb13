"""A model's inputs by name: from a tensor, a list or a dict, and keyword arguments beside it; checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from keras_tx.ops.checks import as_integers, require_rank, require_shape
from keras_tx.ops.losses import IGNORED
from keras_tx.tensorflow import is_ragged


def inputs_by_name(inputs, main: str, named: dict[str, Any], taken: Iterable[str]) -> dict[str, Any]:
    """A model's inputs as tensors by name, None for those not given.

    Args:
        inputs: the main input, or a dict with it and others.
        main: its name.
        named: inputs given beside `inputs`, None for those not given.
        taken: the names of all inputs and labels that the model takes.

    Raises:
        ValueError: for a dict without the main input, a name that the model does not take, or one given twice.
    """
    given = dict(inputs) if isinstance(inputs, dict) else {main: inputs}
    if main not in given:
        raise ValueError(f'the inputs must have "{main}"; got {", ".join(map(repr, given)) or "nothing"}.')
    taken = dict.fromkeys((main, *taken))
    named = {name: value for name, value in named.items() if value is not None or name in taken}
    for name in (*given, *named):
        if name not in taken:
            raise ValueError(f"this model takes no {name!r}; it takes {', '.join(map(repr, taken))}.")
    for name in given:
        if named.get(name) is not None:
            raise ValueError(f"{name!r} was given twice, in the dict and as an argument.")
    given = {**taken, **named, **given}
    return {name: None if value is None else ops.convert_to_tensor(value) for name, value in given.items()}


def text_inputs(
    inputs, named: dict[str, Any], taken: Iterable[str], *, slots: int | None = None, choices: bool = False
) -> dict[str, Any]:
    """The inputs of a text model by name.

    Args:
        inputs: ids `(B, T)`, or a dict with `"input_ids"`.
        named: inputs given beside `inputs`, None for those not given.
        taken: the names of all inputs and labels that the model takes.
        slots: length of the attention mask where it is not T: of the cache it is over; 0 for any.
        choices: whether the ids are `(B, C, T)`: C texts a row to choose from.

    Raises:
        ValueError: as `inputs_by_name`, for ids that are not `(batch, length)` integers, or an attention mask, `(B, S)`
            or `(B, T, S)`, a global one, or token types that do not fit them.
    """
    given = inputs_by_name(inputs, "input_ids", named, taken)
    for name in ("input_ids", "decoder_input_ids", "token_type_ids"):
        if given.get(name) is not None:
            given[name] = as_integers(given[name], name)
    ids, mask, types = given["input_ids"], given.get("attention_mask"), given.get("token_type_ids")
    axes = ("batch", "choices", "length") if choices else ("batch", "length")
    require_rank(ids, len(axes), "input_ids", f"({', '.join(axes)})")
    if mask is not None:
        slots = ids.shape[-1] if slots is None else slots or None
        by_query = len(mask.shape) > len(ids.shape)
        require_shape(mask, (*ids.shape, slots) if by_query else (*ids.shape[:-1], slots), "attention_mask")
    if given.get("global_attention_mask") is not None:
        require_shape(given["global_attention_mask"], (*ids.shape[:-1], None), "global_attention_mask")
    if types is not None:
        require_shape(types, tuple(ids.shape), "token_type_ids")
    return given


def image_inputs(inputs, named: dict[str, Any], taken: Iterable[str], channels: int) -> dict[str, Any]:
    """The inputs of an image model by name.

    Args:
        inputs: images `(B, H, W, channels)`, or a dict with `"images"`.
        named: inputs given beside `inputs`, None for those not given.
        taken: the names of all inputs and labels that the model takes.
        channels: of the images.

    Raises:
        ValueError: as `inputs_by_name`, and for images of another rank, order of axes, number of channels or dtype.
    """
    given = inputs_by_name(inputs, "images", named, taken)
    _require_images(given["images"], channels)
    return given


def _require_images(images, channels: int) -> None:
    require_rank(images, 4, "images", "(batch, height, width, channels)")
    shape = tuple(images.shape)
    if shape[3] is not None and shape[3] != channels:
        turned = shape[1] == channels
        raise ValueError(
            f"the last axis of `images` must be {channels}, the channels; got shape {shape}"
            + (": turn them, by `ops.transpose(images, (0, 2, 3, 1))`." if turned else ".")
        )
    if 0 in shape[1:3]:
        raise ValueError(f"`images` must have height and width; got shape {shape}.")
    dtype = keras.backend.standardize_dtype(images.dtype)
    if "float" not in dtype:
        raise ValueError(
            f"`images` must be floating point, scaled as the model was trained with, as by `images / 127.5 - 1` to "
            f"[-1, 1]; got dtype {dtype}."
        )


def known_length(ids, max_positions: int, *, in_table: bool = True):
    """The length T of ids `(B, T)`: a number, or a tensor where it is not known yet.

    Args:
        ids: `(B, T)`.
        max_positions: how long they may be.
        in_table: whether positions are rows of a table, which has no more.

    Raises:
        ValueError: if it is known to be more than `max_positions`.
    """
    length = ids.shape[1] or ops.shape(ids)[1]
    if isinstance(length, int) and length > max_positions:
        way_out = "cut them" if in_table else "cut them, or make or load the model with more: no weight depends on it"
        raise ValueError(f"`input_ids` are {length} long, more than `max_positions` = {max_positions}: {way_out}.")
    return length


def padded(named: dict[str, Any], pad_token_id: int) -> dict[str, Any]:
    """Inputs and labels of texts without ragged tensors: filled up on the right, with the mask of each text.

    Args:
        named: by name, some of them `tf.RaggedTensor`s.
        pad_token_id: of the ids.

    Raises:
        ValueError: for ragged tensors of anything else.
    """
    import tensorflow as tf

    fill = {"input_ids": pad_token_id, "decoder_input_ids": pad_token_id, "labels": IGNORED}
    found: dict[str, Any] = {}
    for name, x in named.items():
        if not is_ragged(x):
            found[name] = x
            continue
        if name not in (
            *fill,
            "attention_mask",
            "global_attention_mask",
            "decoder_attention_mask",
            "token_type_ids",
            "position_ids",
        ):
            raise ValueError(f"`{name}` must be a tensor, not a ragged one: only texts are filled up.")
        found[name] = x.to_tensor(fill.get(name, 0))
        if name.endswith("input_ids"):
            found.setdefault(name.replace("input_ids", "attention_mask"), tf.ones_like(x, "int32").to_tensor())
    return found | {name: x for name, x in named.items() if not is_ragged(x)}


def as_rows(x):
    """The texts of `(B, C, ...)`, C to choose from in each row, as rows of their own: `(B * C, ...)`; None stays."""
    return x if x is None else ops.reshape(x, (-1, *ops.shape(x)[2:]))


def present(named: dict[str, Any]) -> dict[str, Any]:
    """The inputs that were given, those that are None left out."""
    return {name: x for name, x in named.items() if x is not None}
