"""Transformers' classes of image processors: what each does where `preprocessor_config.json` does not say."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

Geometry = tuple[tuple[int, int], int | tuple[int, int] | None]
"""The fields `image_size` and `resize` of `vision.ImagePreprocessor`."""

_FILE = "preprocessor_config.json"
_HALF = (0.5, 0.5, 0.5)
_IMAGENET = {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}
_CLIP = {
    "image_mean": (0.48145466, 0.4578275, 0.40821073),
    "image_std": (0.26862954, 0.26130258, 0.27577711),
}
_BILINEAR, _BICUBIC = 2, 3


# === What images are resized to ===


def _plain(config: Mapping[str, Any], size: dict[str, int]) -> Geometry:
    shortest = size.get("shortest_edge")
    if config["do_center_crop"]:
        return _pair(config["crop_size"]), _pair(size) if shortest is None else shortest
    if shortest is not None:
        raise ValueError(f'"shortest_edge" without "do_center_crop" in {_FILE} gives images of many sizes.')
    return _pair(size), None


def _convnext(config: Mapping[str, Any], size: dict[str, int]) -> Geometry:
    """Images of 384 pixels and more are resized, smaller ones cut out of larger ones."""
    if "shortest_edge" not in size:
        raise ValueError(f'"size" of a ConvNextImageProcessor must be a "shortest_edge"; got {size}.')
    shortest = size["shortest_edge"]
    return (shortest, shortest), None if shortest >= 384 else int(shortest / config["crop_pct"])


def _poolformer(config: Mapping[str, Any], size: dict[str, int]) -> Geometry:
    scaled = {name: int(length / config["crop_pct"]) for name, length in size.items()}
    square = len(set(scaled.values())) == 1
    return _plain(config, {"shortest_edge": min(scaled.values())} if square else scaled)


def _levit(config: Mapping[str, Any], size: dict[str, int]) -> Geometry:
    return _plain(config, {name: int(256 / 224 * x) if name == "shortest_edge" else x for name, x in size.items()})


def _dpt(config: Mapping[str, Any], size: dict[str, int]) -> Geometry:
    multiple = config["ensure_multiple_of"]
    return _plain(config, {name: round(length / multiple) * multiple for name, length in size.items()})


def _pair(size: Any) -> tuple[int, int]:
    """Height and width, as Transformers writes them."""
    if isinstance(size, dict):
        return size["height"], size["width"]
    height, width = size if isinstance(size, list | tuple) else (size, size)
    return height, width


# === The classes ===

COMMON: dict[str, Any] = {
    "do_resize": True,
    "size": {"height": 224, "width": 224},
    "resample": _BILINEAR,
    "do_center_crop": False,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": _HALF,
    "image_std": _HALF,
}


@dataclasses.dataclass(frozen=True)
class ImageProcessor:
    """A class of Transformers'.

    Attributes:
        given: its entries where the file has none; others are `COMMON`'s.
        square: whether a number for `size` is height and width; otherwise it is the shortest edge.
        geometry_of: gives the size of the result, and what images are resized to before their centre is cut out.
    """

    given: Mapping[str, Any]
    square: bool = True
    geometry_of: Callable[[Mapping[str, Any], dict[str, int]], Geometry] = _plain

    @property
    def defaults(self) -> dict[str, Any]:
        return {**COMMON, **self.given}

    def geometry(self, config: Mapping[str, Any]) -> Geometry:
        """Returns the size of the preprocessed images, and what images are resized to before their centre is cut out.

        Raises:
            ValueError: where that is no one size.
        """
        if config.get("do_pad") or config.get("keep_aspect_ratio"):
            asked = "do_pad" if config.get("do_pad") else "keep_aspect_ratio"
            raise ValueError(f'"{asked}": true in {_FILE} is not supported: it gives images of many sizes.')
        size = config["size"]
        if not isinstance(size, dict):
            names = ("height", "width") if self.square or not isinstance(size, int) else ("shortest_edge",)
            size = dict(zip(names, size if isinstance(size, list | tuple) else (size,) * len(names), strict=True))
        if size.keys() not in ({"height", "width"}, {"shortest_edge"}):
            raise ValueError(
                f'"size" in {_FILE} must have "height" and "width", or "shortest_edge"; got {", ".join(size)}: others '
                "give images of many sizes."
            )
        return self.geometry_of(config, size)


_CUT = {"do_center_crop": True, "resample": _BICUBIC}
_TO_SHORTEST_EDGE = {**_CUT, "size": {"shortest_edge": 224}}

CLASSES = {
    "ViT": ImageProcessor({}),
    "DeiT": ImageProcessor({**_CUT, "size": {"height": 256, "width": 256}}),
    "Beit": ImageProcessor({"resample": _BICUBIC}),
    "Bit": ImageProcessor({**_TO_SHORTEST_EDGE, **_CLIP}, square=False),
    "Blip": ImageProcessor({"resample": _BICUBIC, "size": {"height": 384, "width": 384}, **_CLIP}),
    "CLIP": ImageProcessor({**_TO_SHORTEST_EDGE, **_CLIP}, square=False),
    "ChineseCLIP": ImageProcessor({**_TO_SHORTEST_EDGE, **_CLIP}, square=False),
    "ConvNext": ImageProcessor(
        {"resample": _BICUBIC, "size": {"shortest_edge": 384}, "crop_pct": 0.875}, square=False, geometry_of=_convnext
    ),
    "DPT": ImageProcessor(
        {"resample": _BICUBIC, "size": {"height": 384, "width": 384}, "ensure_multiple_of": 1}, geometry_of=_dpt
    ),
    "EfficientNet": ImageProcessor(
        {
            "resample": _BICUBIC,
            "size": {"height": 346, "width": 346},
            "crop_size": {"height": 289, "width": 289},
            "include_top": True,
        }
    ),
    "Flava": ImageProcessor({**_CUT, **_CLIP}),
    "Levit": ImageProcessor({**_TO_SHORTEST_EDGE, **_IMAGENET}, square=False, geometry_of=_levit),
    "MobileNetV1": ImageProcessor({**_CUT, "resample": _BILINEAR, "size": {"shortest_edge": 256}}, square=False),
    "MobileNetV2": ImageProcessor({**_CUT, "resample": _BILINEAR, "size": {"shortest_edge": 256}}, square=False),
    "MobileViT": ImageProcessor(
        {
            **_TO_SHORTEST_EDGE,
            "crop_size": {"height": 256, "width": 256},
            "do_normalize": False,
            "do_flip_channel_order": True,
        },
        square=False,
    ),
    "OwlViT": ImageProcessor(
        {
            "resample": _BICUBIC,
            "size": {"height": 768, "width": 768},
            "crop_size": {"height": 768, "width": 768},
            **_CLIP,
        }
    ),
    "PoolFormer": ImageProcessor(
        {**_TO_SHORTEST_EDGE, "crop_pct": 0.9, **_IMAGENET}, square=False, geometry_of=_poolformer
    ),
    "Pvt": ImageProcessor({"resample": _BICUBIC, **_IMAGENET}),
    "Segformer": ImageProcessor({"size": {"height": 512, "width": 512}, **_IMAGENET}),
    "Siglip": ImageProcessor({"resample": _BICUBIC}, square=False),
}
"""The classes, keyed by their names without "ImageProcessor"."""

OF_MODELS = {
    "vit": "ViT",
    "vit_mae": "ViT",
    "swin": "ViT",
    "swinv2": "ViT",
    "deit": "DeiT",
}
"""Those of the models that we have, by `model_type`: for files that name no class."""

_SUFFIX = re.compile(r"(FeatureExtractor|ImageProcessor)(Fast|Pil)?$")


def class_of_model(model_type: str | None) -> str | None:
    """Returns the class, without its suffix, with which Transformers reads a file that names none."""
    return OF_MODELS.get(model_type or "")


def class_named(name: str | None) -> ImageProcessor:
    """Returns the class of a name such as "ViTImageProcessor" or "ViTFeatureExtractor"; ViT's without a name.

    Raises:
        ValueError: for a class that we do not have.
    """
    known = CLASSES.get("ViT" if name is None else _SUFFIX.sub("", name))
    if known is None:
        raise ValueError(
            f"{_FILE} is of a {name}, and there are {', '.join(CLASSES)}: make an `ImagePreprocessor` of the values "
            "that it has."
        )
    return known
