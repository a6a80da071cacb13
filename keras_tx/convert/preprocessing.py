"""The preprocessing of images in checkpoints: Transformers' `preprocessor_config.json` and timm's `config.json`.

A document is what one of them holds; fields are those of `vision.ImagePreprocessor`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_tx.convert.image_processors import class_named, class_of_model
from keras_tx.files import read_json

PREPROCESSOR = "preprocessor_config.json"
INTERPOLATIONS = {0: "nearest", 1: "lanczos3", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers, which Transformers writes."""
_OURS = "keras_tx"
"""The key, in a file of Transformers', of the fields that none of its classes can say."""
_TIMM = "pretrained_cfg"


def read_preprocessing(directory: Path) -> dict[str, Any] | None:
    """Returns the document in a checkpoint's directory, which names its class; None if there is none."""
    config = read_json(directory / "config.json") if (directory / "config.json").is_file() else {}
    if (directory / PREPROCESSOR).is_file():
        document = read_json(directory / PREPROCESSOR)
        named = {"image_processor_type", "feature_extractor_type", _TIMM} & document.keys()
        known = None if named else class_of_model(config.get("model_type"))
        return document | ({"image_processor_type": f"{known}ImageProcessor"} if known else {})
    if _TIMM in config:
        return {_TIMM: config[_TIMM]}
    # Older directories of timm's have the same entries beside the architecture.
    return {_TIMM: config} if {"architecture", "input_size"} <= config.keys() else None


def preprocessing_fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields that a document says.

    Raises:
        ValueError: if it asks for what we do not have.
    """
    return _from_timm(document[_TIMM]) if _TIMM in document else _from_transformers(document)


def preprocessing_at_size(document: Mapping[str, Any], before: tuple, after: tuple) -> dict[str, Any]:
    """Returns the document for images of another size, of which the same share is cut out.

    Args:
        document: as `read_preprocessing` gives it.
        before: height and width of the model's images, so far.
        after: those from now on.
    """
    if _TIMM in document:
        channels = (document[_TIMM].get(_SIZE) or _TIMM_DEFAULTS[_SIZE])[0]
        return {_TIMM: {**document[_TIMM], _SIZE: [channels, *after]}}
    fields = preprocessing_fields(document)
    if fields["image_size"] != before:  # the model is used with images of other sizes than its config says
        return dict(document)
    resize = fields["resize"]
    if isinstance(resize, int):
        resize = round(resize * min(after) / min(before))
    elif resize is not None:
        resize = tuple(round(a * b / c) for a, b, c in zip(resize, after, before, strict=True))
    return to_transformers({**fields, "image_size": after, "resize": resize})


# === Transformers ===

_COMMON = {"crop_rounding": "floor", "fill": (0.0,)}
"""The fields that have the same value for all of Transformers' classes."""


def _from_transformers(document: Mapping[str, Any]) -> dict[str, Any]:
    processor = class_named(document.get("image_processor_type") or document.get("feature_extractor_type"))
    config = {**processor.defaults, **{name: value for name, value in document.items() if value is not None}}
    if config["resample"] not in INTERPOLATIONS:
        known = ", ".join(map(str, INTERPOLATIONS))
        raise ValueError(f'"resample" in {PREPROCESSOR} must be one of {known}; got {config["resample"]!r}.')
    image_size, resize = processor.geometry(config)
    not_resized = "cut" if config["do_center_crop"] else "exact"
    mean, std = _normalization(config)
    return {
        **_COMMON,
        "image_size": image_size,
        "resize": resize if config["do_resize"] else None,
        "resize_mode": "stretch" if config["do_resize"] else not_resized,
        "interpolation": INTERPOLATIONS[config["resample"]],
        "bgr": bool(config.get("do_flip_channel_order")),
        "scale": config["rescale_factor"] if config["do_rescale"] else 1.0,
        "mean": mean,
        "std": std,
        **{name: _hashable(value) for name, value in config.get(_OURS, {}).items()},
    }


def _normalization(config: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The mean and the standard deviation with which one step does all that a processor does after scaling."""
    mean, std = _several(config["image_mean"]), _several(config["image_std"])
    again = std if config.get("include_top") else (1.0,)  # EfficientNet divides once more
    if not config["do_normalize"]:
        mean, std = (0.0,), (1.0,)
    offset = 1.0 if config["do_rescale"] and config.get("rescale_offset") else 0.0
    channels = max(map(len, (mean, std, again)))
    mean, std, again = (x * channels if len(x) == 1 else x for x in (mean, std, again))
    return tuple(x + offset for x in mean), tuple(x * y for x, y in zip(std, again, strict=True))


def as_transformers(document: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the document that Transformers reads, the same one if it was Transformers'."""
    return to_transformers(preprocessing_fields(document)) if _TIMM in document else dict(document)


def to_transformers(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the document with which Transformers preprocesses so, as nearly as one of its classes does.

    What none of them does is under a key that it ignores and we read.
    """
    numbers = {name: number for number, name in INTERPOLATIONS.items()}
    height, width = fields["image_size"]
    document: dict[str, Any] = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": height, "width": width},
        "resample": numbers[fields["interpolation"]],
        "do_rescale": True,
        "rescale_factor": fields["scale"],
        "do_normalize": True,
        "image_mean": list(fields["mean"]),
        "image_std": list(fields["std"]),
    }
    if (resize := fields["resize"]) is not None:
        document |= {"do_center_crop": True, "crop_size": document["size"]}
        if isinstance(resize, int):  # of the classes that cut, each knows one kind of size
            document |= {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": resize}}
        else:
            size = dict(zip(("height", "width"), resize, strict=True))
            document |= {"image_processor_type": "DeiTImageProcessor", "size": size}
    elif fields["resize_mode"] == "cut":
        document |= {"image_processor_type": "DeiTImageProcessor", "do_resize": False}
        document |= {"do_center_crop": True, "crop_size": document["size"]}
    elif fields["resize_mode"] == "exact":
        document["do_resize"] = False
    if fields["bgr"]:
        document |= {"image_processor_type": "MobileViTImageProcessor", "do_flip_channel_order": True}
        document |= {"do_center_crop": resize is not None or fields["resize_mode"] == "cut"}
    if fields["mean"] == (0.0,) and fields["std"] == (1.0,):
        document = {name: x for name, x in document.items() if name not in ("image_mean", "image_std")}
        document["do_normalize"] = False
    said = _from_transformers(document)
    unsaid = {name: value for name, value in fields.items() if said[name] != value}
    return document | ({_OURS: unsaid} if unsaid else {})


# === timm ===

_TIMM_DEFAULTS: dict[str, Any] = {
    "input_size": (3, 224, 224),
    "interpolation": "bicubic",
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "crop_pct": 0.875,
    "crop_mode": "center",
}
_TIMM_INTERPOLATIONS = {"nearest": "nearest", "lanczos": "lanczos3", "bilinear": "bilinear", "bicubic": "bicubic"}
_CROP_MODES = {"center": "cover", "squash": "stretch", "border": "contain"}
"""timm's, and the `resize_mode` with which a height and a width do the same."""


def _from_timm(config: Mapping[str, Any]) -> dict[str, Any]:
    config = {**_TIMM_DEFAULTS, **{name: value for name, value in config.items() if value}}
    for name, known in (("crop_mode", _CROP_MODES), ("interpolation", _TIMM_INTERPOLATIONS)):
        if config[name] not in known:
            raise ValueError(
                f'"{name}" in config.json must be one of {", ".join(map(repr, known))}; got {config[name]!r}.'
            )
    mode, (_, *size) = config["crop_mode"], config["input_size"]
    height, width = (math.floor(length / config["crop_pct"]) for length in size)
    by_shorter_side = mode == "center" and height == width
    return {
        "image_size": tuple(size),
        "resize": height if by_shorter_side else (height, width),
        "resize_mode": "stretch" if by_shorter_side else _CROP_MODES[mode],
        "crop_rounding": "even",
        "fill": tuple(float(round(255 * x)) for x in config["mean"]) if mode == "border" else (0.0,),
        "interpolation": _TIMM_INTERPOLATIONS[config["interpolation"]],
        "bgr": False,
        "scale": 1 / 255,
        "mean": tuple(config["mean"]),
        "std": tuple(config["std"]),
    }


def as_timm(document: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the entries of timm's `pretrained_cfg` that say what a document says, but for the size of images.

    What timm cannot say is left out with a warning.
    """
    if _TIMM in document:
        return {name: document[_TIMM][name] for name in _TIMM_DEFAULTS if name in document[_TIMM] and name != _SIZE}
    fields = preprocessing_fields(document)
    size, resize = fields["image_size"], fields["resize"] or fields["image_size"]
    crop_modes = {ours: theirs for theirs, ours in _CROP_MODES.items()}
    interpolations = {ours: theirs for theirs, ours in _TIMM_INTERPOLATIONS.items()}
    entries = {
        "interpolation": interpolations[fields["interpolation"]],
        "mean": list(fields["mean"]),
        "std": list(fields["std"]),
        "crop_pct": _share(size, (resize, resize) if isinstance(resize, int) else resize),
        "crop_mode": "center" if isinstance(resize, int) else crop_modes.get(fields["resize_mode"], "squash"),
    }
    said = _from_timm({**entries, _SIZE: (3, *size)})
    lost = [name for name, value in {**fields, "resize": resize}.items() if said[name] != value and name != _ROUNDING]
    if lost:
        values = ", ".join(f"{name}={fields[name]!r}" for name in lost)
        warnings.warn(f"timm's format has no way to say {values} of the preprocessing of images.", stacklevel=2)
    return entries


_SIZE = "input_size"
_ROUNDING = "crop_rounding"
"""The field that `as_timm` does not warn of: both ways to round differ by one pixel at most."""


def _share(size: tuple[int, int], resized: tuple[int, int]) -> float:
    """The share of resized images that is kept, as few digits as say it."""
    share = size[0] / resized[0]
    shares = [whole(share * 10**digits) / 10**digits for digits in range(1, 9) for whole in (round, math.floor)]
    shares.append(share - 1e-9)  # 14 / 0.56 is 24.99, of which timm takes 24
    return next(
        (x for x in shares if x and all(math.floor(a / x) == b for a, b in zip(size, resized, strict=True))), shares[-1]
    )


def _several(value: Any) -> tuple:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
