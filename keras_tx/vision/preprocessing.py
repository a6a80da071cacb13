"""Image preprocessing as a checkpoint was trained with it: resizing, cropping, scaling and normalization."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, Self, get_args

import numpy as np
from keras import ops

from keras_tx.convert.preprocessing import (
    INTERPOLATIONS,
    PREPROCESSOR,
    preprocessing_fields,
    read_preprocessing,
    to_transformers,
)
from keras_tx.files import write_json
from keras_tx.hub import locate_files
from keras_tx.ops.checks import require_positive, require_rank
from keras_tx.ops.image.patches import Size, pair

_ResizeMode = Literal["stretch", "cover", "contain", "cut", "exact"]
_CropRounding = Literal["floor", "even"]
_AS_THEY_ARE = ("cut", "exact")
"""The modes in which images are not resized."""


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

    image_size: Size = (224, 224)
    """Height and width of the preprocessed images, or one number for both."""
    resize: int | tuple[int, int] | None = None
    """The length of the shorter side, or height and width, that an image is resized to before its centre is cut out;
    None to resize it to `image_size`."""
    resize_mode: _ResizeMode = "stretch"
    """What a height and width in `resize` ask for: "stretch" for just these; "cover" and "contain" to keep the aspect
    ratio, with neither side shorter or neither side longer. Without `resize`, "cut" leaves images as they are before
    their centre is cut out, and "exact" takes images of `image_size` alone."""
    crop_rounding: _CropRounding = "floor"
    """How half a pixel is rounded where the centre is cut out: down, as Transformers does, or to even, as timm does."""
    fill: tuple[float, ...] = (0.0,)
    """The pixel, or one number for all channels, around images that are smaller than what is cut out of them."""
    interpolation: str = "bilinear"
    """One of "nearest", "bilinear", "bicubic" and "lanczos3"."""
    bgr: bool = False
    """Whether the order of the channels is reversed, before `mean` and `std`."""
    scale: float = 1 / 255
    """The factor that pixels are multiplied by."""
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    """The mean of each channel, or one for all, after scaling."""
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    """The standard deviation of each channel, or one for all, after scaling."""

    def __post_init__(self):
        for name in ("fill", "mean", "std"):
            object.__setattr__(self, name, _tuple(getattr(self, name)))
        height, width = pair(self.image_size)
        object.__setattr__(self, "image_size", (height, width))
        if isinstance(self.resize, list):
            object.__setattr__(self, "resize", tuple(self.resize))
        require_positive(image_size=height)
        require_positive(image_size=width)
        for name, known in (
            ("interpolation", INTERPOLATIONS.values()),
            ("resize_mode", get_args(_ResizeMode)),
            ("crop_rounding", get_args(_CropRounding)),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"`{name}` must be one of {', '.join(map(repr, known))}; got {getattr(self, name)!r}.")
        if self.resize is not None and self.resize_mode in _AS_THEY_ARE:
            raise ValueError(f"`resize` must be None with `resize_mode={self.resize_mode!r}`; got {self.resize}.")
        if len(self.mean) != len(self.std) or not all(x > 0 for x in self.std):
            raise ValueError(f"`mean` and `std` must be as many, `std` above 0; got {self.mean} and {self.std}.")

    @property
    def _size(self) -> tuple[int, int]:
        return pair(self.image_size)

    def __call__(self, images):
        """Preprocesses images.

        Raises:
            ValueError: for another rank or number of channels, and by `resize_mode="exact"` for another size; in a
                graph that does not know the size `InvalidArgumentError`, when run.
        """
        return self.normalize(self.resized(images))

    def resized(self, images):
        """Returns the images at `image_size`, not yet scaled: float32 `(B, height, width, C)`."""
        images = images if _is_tensorflow(images) else ops.convert_to_tensor(images)
        images = images[None] if len(images.shape) == 3 else images
        require_rank(images, 4, "images", "(height, width, channels) or (batch, height, width, channels)")
        whole = "int" in str(images.dtype)
        given = _sizes(images)
        if self.resize_mode == "exact":
            images = _of_size(images, given, self._size)
        size = self._resized_size(*given)
        images = _operations(images).cast(images, "float32")
        if self.resize_mode not in _AS_THEY_ARE and not (_known(*given) and size == given):
            steps = [(given[0], size[1]), size] if whole else [size]
            for step in steps:
                images = self._resize(images, step)
                images = _operations(images).clip((images + 0.5) // 1, 0.0, 255.0) if whole else images
        return self._centre(images)

    def _resize(self, images, size: tuple):
        smooth = self.interpolation != "nearest"
        return _operations(images).resize(images, size, self.interpolation, antialias=smooth)

    def _resized_size(self, height, width) -> tuple:
        """Returns the size that an image of this size is resized to; tensors where it is not known yet."""
        if self.resize_mode in _AS_THEY_ARE:
            return height, width
        if isinstance(self.resize, int):
            shorter = min(height, width) if _known(height, width) else _tensorflow().minimum(height, width)
            return self.resize * height // shorter, self.resize * width // shorter
        size = self.resize or self._size
        return size if self.resize_mode == "stretch" else _at_ratio((height, width), size, self.resize_mode)

    def _centre(self, images):
        """Returns the images' centre, `image_size`; images that are smaller in its midst."""
        sizes = _sizes(images)
        starts = [self._start(size, length) for size, length in zip(sizes, self._size, strict=True)]
        if not (_known(*sizes) and min(starts) >= 0):
            images = self._surrounded(images, starts)
            starts = [_at_least_0(start) for start in starts]
        (top, left), (height, width) = starts, self._size
        return images[:, top : top + height, left : left + width]

    def _start(self, size, length: int):
        """Returns the place in the image at which its centre begins: below 0 where the image is smaller."""
        surplus = size - length
        half, odd = surplus // 2, surplus % 2
        lacking = -(surplus // _FAR)  # 1 where the surplus is negative, of numbers and of tensors
        up = half % 2 if self.crop_rounding == "even" else 0
        return half + odd * (lacking + (1 - lacking) * up)

    def _surrounded(self, images, starts: list):
        """Returns the images with `fill` around them, where their centre begins or ends outside."""
        before = [_at_least_0(-start) for start in starts]
        ends = [start + length for start, length in zip(starts, self._size, strict=True)]
        after = [_at_least_0(end - size) for end, size in zip(ends, _sizes(images), strict=True)]
        around = [(0, 0), *zip(before, after, strict=True), (0, 0)]
        fill = np.array(self.fill, "float32")
        return _operations(images).pad(images - fill, around) + fill

    def in_file(self, boxes, height, width):
        """Returns where boxes on a preprocessed image lie on the original image.

        Args:
            boxes: corners `(..., 4)`, `(x_min, y_min, x_max, y_max)` in pixels.
            height, width: of the image that went in, `(...)` or what broadcasts to it.
        """
        rows, columns = (ops.convert_to_tensor(x) for x in self._resized_size(height, width))
        top, left = (self._start(x, length) for x, length in zip((rows, columns), self._size, strict=True))
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
        images = images[..., ::-1] if self.bgr else images
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
            [(PREPROCESSOR,), ("config.json",)],
            beside=("config.json",),
            what="preprocessor",
            revision=revision,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            token=token,
        )
        document = read_preprocessing(directory)
        if document is None:
            raise FileNotFoundError(f'{directory} holds no {PREPROCESSOR}, and no config.json with "pretrained_cfg".')
        return cls(**preprocessing_fields(document))

    def save_pretrained(self, directory: str | Path) -> None:
        """Writes `preprocessor_config.json`, which Transformers reads too.

        What none of Transformers' processors does, such as timm's rounding of the crop, is under a key of our own
        there, which Transformers ignores.
        """
        write_json(Path(directory) / PREPROCESSOR, to_transformers(dataclasses.asdict(self)))


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


_FAR = 2**30
"""More than any image is long."""


def _known(*lengths) -> bool:
    """Whether lengths are numbers, not tensors of a graph."""
    return all(isinstance(length, int) for length in lengths)


def _at_least_0(number):
    return max(number, 0) if _known(number) else _tensorflow().maximum(number, 0)


def _at_ratio(given: tuple, size: tuple[int, int], mode: str) -> tuple:
    """Returns the size, at the ratio of `given`, that covers `size` or is contained in it: rounded to even, as timm."""
    if _known(*given):
        ratio = (max if mode == "contain" else min)(given[0] / size[0], given[1] / size[1])
        return round(given[0] / ratio), round(given[1] / ratio)
    tf = _tensorflow()
    height, width = (tf.cast(length, "float64") for length in given)
    ratio = (tf.maximum if mode == "contain" else tf.minimum)(height / size[0], width / size[1])
    return tuple(tf.cast(tf.round(length / ratio), "int32") for length in (height, width))


# === TensorFlow's tensors, which tf.data has on every backend, and whose sizes a graph need not know ===


def _of_size(images, given: tuple, size: tuple[int, int]):
    """The images, if they have this size."""
    message = f"`images` must be of {size[0]} x {size[1]} pixels, for they are not resized"
    if _known(*given):
        if given != size:
            raise ValueError(f"{message}; got {given[0]} x {given[1]}.")
        return images
    tf = _tensorflow()
    with tf.control_dependencies([tf.debugging.assert_equal(tf.stack(given), tf.constant(size), message)]):
        return tf.identity(images)


def _is_tensorflow(images) -> bool:
    return type(images).__module__.startswith("tensorflow")


def _tensorflow() -> Any:
    import tensorflow

    return tensorflow


def _sizes(images) -> tuple:
    """Returns height and width: numbers where they are known."""
    static = images.shape[1:3]
    if not _is_tensorflow(images) or _known(*static):
        return tuple(static)
    return tuple(_tensorflow().unstack(_tensorflow().shape(images)[1:3]))


def _operations(images) -> SimpleNamespace:
    """Returns the operations for a tensor: TensorFlow's for its own."""
    if _is_tensorflow(images):
        tf = _tensorflow()
        return SimpleNamespace(cast=tf.cast, clip=tf.clip_by_value, pad=tf.pad, resize=tf.image.resize)
    resize = functools.partial(ops.image.resize, data_format="channels_last")
    return SimpleNamespace(cast=ops.cast, clip=ops.clip, pad=ops.pad, resize=resize)
