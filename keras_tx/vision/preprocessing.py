"""Image preprocessing as a checkpoint was trained with it: resizing, cropping, scaling and normalization."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Self

import numpy as np
from keras import ops

from keras_tx.files import read_json, write_json
from keras_tx.hub import locate_files
from keras_tx.ops.checks import require_positive, require_rank
from keras_tx.ops.image.patches import pair

FILE = "preprocessor_config.json"
INTERPOLATIONS = {0: "nearest", 1: "lanczos3", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers, which Transformers writes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImagePreprocessor:
    """Makes the images that a model takes of pictures of any size.

    `preprocessor(images)` takes arrays `(H, W, C)` or `(B, H, W, C)`, values in [0, 255], and gives a float32 tensor
    `(B, height, width, C)`. In a TensorFlow graph the height and width of images need not be known. It resizes with
    antialiasing: integer images first along rows, then along columns, rounded after each, as Pillow does, from whose
    values about one in two hundred then differs by one step of 255. (Where Pillow 13 takes the columns first it is one
    in five.)

    The defaults are those of the original Vision Transformers.
    """

    image_size: tuple[int, int] = (224, 224)
    """Height and width of the preprocessed images."""
    resize: int | tuple[int, int] | None = None
    """The length of the shorter side, or height and width, that an image is resized to before its centre is cut out;
    None to resize it to `image_size`."""
    interpolation: str = "bilinear"
    """One of "nearest", "bilinear", "bicubic" and "lanczos3"."""
    scale: float = 1 / 255
    """The factor that pixels are multiplied by."""
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    """The mean of each channel, or one for all, after scaling."""
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    """The standard deviation of each channel, or one for all, after scaling."""

    def __post_init__(self):
        for name in ("image_size", "mean", "std"):
            object.__setattr__(self, name, _tuple(getattr(self, name)))
        object.__setattr__(self, "image_size", pair(self.image_size))
        require_positive(image_size=self.image_size[0])
        require_positive(image_size=self.image_size[1])
        if self.interpolation not in INTERPOLATIONS.values():
            known = ", ".join(map(repr, INTERPOLATIONS.values()))
            raise ValueError(f"`interpolation` must be one of {known}; got {self.interpolation!r}.")
        if len(self.mean) != len(self.std) or not all(x > 0 for x in self.std):
            raise ValueError(f"`mean` and `std` must be as many, `std` above 0; got {self.mean} and {self.std}.")

    def __call__(self, images):
        """Preprocesses images.

        Raises:
            ValueError: for another rank or number of channels, or images smaller than what is cut out of them.
        """
        return self.normalize(self.resized(images))

    def resized(self, images):
        """Returns the images at `image_size`, not yet scaled: float32 `(B, height, width, C)`."""
        images = ops.convert_to_tensor(images)
        whole = "int" in str(images.dtype)
        images = ops.expand_dims(images, 0) if len(images.shape) == 3 else images
        require_rank(images, 4, "images", "(height, width, channels) or (batch, height, width, channels)")
        given = ops.shape(images)[1:3]
        size = self._resized_size(*given)
        images = ops.cast(images, "float32")
        if not (isinstance(given[0], int) and isinstance(given[1], int) and size == given):
            steps = [(given[0], size[1]), size] if whole else [size]
            for step in steps:
                images = self._resize(images, step)
                images = ops.clip(ops.floor(images + 0.5), 0.0, 255.0) if whole else images
        return self._centre(images)

    def _resize(self, images, size: tuple):
        smooth = self.interpolation != "nearest"
        if not all(isinstance(length, int) for length in size):  # Keras's takes numbers alone
            import tensorflow as tf

            return tf.image.resize(images, tf.stack(size), self.interpolation, antialias=smooth)
        return ops.image.resize(images, size, self.interpolation, antialias=smooth, data_format="channels_last")

    def _resized_size(self, height, width) -> tuple:
        """Returns the size that an image of this size is resized to; tensors where it is not known yet."""
        if not isinstance(self.resize, int):
            return self.resize or self.image_size
        known = isinstance(height, int) and isinstance(width, int)
        shorter = min(height, width) if known else ops.minimum(height, width)
        return self.resize * height // shorter, self.resize * width // shorter

    def _centre(self, images):
        (height, width), (rows, columns) = self.image_size, ops.shape(images)[1:3]
        if isinstance(rows, int) and isinstance(columns, int) and (rows < height or columns < width):
            raise ValueError(f"`image_size` {self.image_size} is larger than images resized to {(rows, columns)}.")
        top, left = (rows - height) // 2, (columns - width) // 2
        return images[:, top : top + height, left : left + width]

    def in_file(self, boxes, height, width):
        """Returns where boxes on a preprocessed image lie on the original image.

        Args:
            boxes: corners `(..., 4)`, `(x_min, y_min, x_max, y_max)` in pixels.
            height, width: of the image that went in, `(...)` or what broadcasts to it.
        """
        rows, columns = (ops.convert_to_tensor(x) for x in self._resized_size(height, width))
        top, left = (rows - self.image_size[0]) // 2, (columns - self.image_size[1]) // 2
        corner = ops.cast(ops.stack([left, top, left, top], axis=-1), "float32")
        scale = ops.cast(ops.stack([width, height, width, height], axis=-1), "float32") / ops.cast(
            ops.stack([columns, rows, columns, rows], axis=-1), "float32"
        )
        return (boxes + corner) * scale

    def normalize(self, images):
        """Scaled and normalized images, of images `(..., C)` of the right size; works on arrays and tensors alike."""
        if len(self.mean) not in (1, images.shape[-1]):
            raise ValueError(f"`mean` has {len(self.mean)} channels; got images of shape {tuple(images.shape)}.")
        mean, std = np.array(self.mean, "float32"), np.array(self.std, "float32")
        return images * (np.float32(self.scale) / std) - mean / std

    # --- Files ---

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
    ) -> Self:
        """Reads a checkpoint's preprocessing: Transformers' `preprocessor_config.json`, or timm's `config.json`.

        Args:
            source: a directory, or a hub id such as "google/vit-base-patch16-224", of which no weights are downloaded.
            revision: branch, tag or commit on the hub; "main" unless given.
            cache_dir: the hub's cache; as `huggingface_hub` has it unless given.
            local_files_only: take what is in the hub's cache and ask no server.
            token: for what is not public, as `huggingface_hub` takes it.

        Raises:
            FileNotFoundError: if there is neither file.
            ValueError: if it asks for what we do not have.
        """
        directory = locate_files(
            source,
            [(FILE,), ("config.json",)],
            what="preprocessor",
            revision=revision,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            token=token,
        )
        if (directory / FILE).exists():
            return cls(**_from_transformers(read_json(directory / FILE)))
        config = read_json(directory / "config.json") if (directory / "config.json").exists() else {}
        if "pretrained_cfg" not in config:
            raise FileNotFoundError(f'{directory} holds no {FILE}, and no config.json with "pretrained_cfg".')
        return cls(**_from_timm(config["pretrained_cfg"]))

    def save_pretrained(self, directory: str | Path) -> None:
        """Writes `preprocessor_config.json`, which Transformers reads too."""
        write_json(Path(directory) / FILE, _to_transformers(self))


def load_preprocessor(
    source: str | Path,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> ImagePreprocessor:
    """Reads the preprocessing that a checkpoint was trained with.

    Args:
        source: a directory, or a hub id such as "google/vit-base-patch16-224".
        revision, cache_dir, local_files_only, token: as `ImagePreprocessor.from_pretrained` takes them.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it asks for what we do not have.
    """
    return ImagePreprocessor.from_pretrained(
        source, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only, token=token
    )


def _tuple(value: Any) -> tuple:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


# === Other projects' files ===


def _from_transformers(config: dict[str, Any]) -> dict[str, Any]:
    if not config.get("do_resize", True):
        raise ValueError(f'"do_resize": false in {FILE} is not supported: images have to be of one size.')
    number = config.get("resample", 2)
    if number not in INTERPOLATIONS:
        raise ValueError(f'"resample" in {FILE} must be one of {", ".join(map(str, INTERPOLATIONS))}; got {number!r}.')
    size, crops = config.get("size", 224), config.get("do_center_crop", False)
    resize = size.get("shortest_edge") if isinstance(size, dict) else None
    resize = _size(size) if resize is None else resize
    if not crops and isinstance(resize, int):
        raise ValueError(f'"shortest_edge" without "do_center_crop" in {FILE} gives images of many sizes.')
    normalizes = config.get("do_normalize", True)
    return {
        "image_size": _size(config.get("crop_size", 224)) if crops else resize,
        "resize": resize if crops else None,
        "interpolation": INTERPOLATIONS[number],
        "scale": config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1.0,
        "mean": _tuple(config.get("image_mean", (0.5, 0.5, 0.5))) if normalizes else (0.0,),
        "std": _tuple(config.get("image_std", (0.5, 0.5, 0.5))) if normalizes else (1.0,),
    }


def _to_transformers(preprocessor: ImagePreprocessor) -> dict[str, Any]:
    p = preprocessor
    numbers = {name: number for number, name in INTERPOLATIONS.items()}
    height, width = p.image_size
    config: dict[str, Any] = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": height, "width": width},
        "resample": numbers[p.interpolation],
        "do_rescale": True,
        "rescale_factor": p.scale,
        "do_normalize": True,
        "image_mean": list(p.mean),
        "image_std": list(p.std),
    }
    if p.resize is None:
        return config
    cut = {"do_center_crop": True, "crop_size": config["size"]}
    if isinstance(p.resize, int):  # of the classes that cut, each knows one kind of size
        return {**config, **cut, "image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": p.resize}}
    size = dict(zip(("height", "width"), p.resize, strict=True))
    return {**config, **cut, "image_processor_type": "DeiTImageProcessor", "size": size}


def _from_timm(config: dict[str, Any]) -> dict[str, Any]:
    if config.get("crop_mode", "center") != "center":
        raise ValueError(f'"crop_mode" in config.json must be "center"; got {config["crop_mode"]!r}.')
    _, height, width = config["input_size"]
    share = config.get("crop_pct", 1.0)
    if height == width:
        resize: int | tuple[int, int] = int(height / share)
    else:
        resize = (int(height / share), int(width / share))
    return {
        "image_size": (height, width),
        "resize": resize,
        "interpolation": config.get("interpolation", "bicubic"),
        "mean": tuple(config["mean"]),
        "std": tuple(config["std"]),
    }


def _size(size: int | dict[str, int]) -> tuple[int, int]:
    """Height and width, as Transformers writes them."""
    return (size["height"], size["width"]) if isinstance(size, dict) else (size, size)
