"""Labelled images to train on: an embedded default, folders, a TFDS set, or arrays; and batches of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from keras_tx.extras import require_extra
from keras_tx.models.core.images import ImageConfig
from keras_tx.ops.image.patches import Size, pair
from keras_tx.tensorflow import leave_gpus
from keras_tx.tfds import load_tfds
from keras_tx.vision import ImagePreprocessor, augment
from keras_tx.vision.augmentation import one_hot

SHUFFLED = 10_000
"""The size of the buffer that images are shuffled in, when they are not all in memory."""


@dataclasses.dataclass(frozen=True)
class LabelledImages:
    """Images of known classes, in two parts.

    Attributes:
        train: images `(N, H, W, C)`, values in [0, 255], and labels, int32 `(N,)`; or a `tf.data.Dataset` of single
            ones.
        validation: likewise.
        label_names: of the classes.
    """

    train: Any
    validation: Any
    label_names: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image: height, width, channels."""
        of_part = self.train[0].shape[1:] if isinstance(self.train, tuple) else self.train.element_spec[0].shape
        height, width, channels = of_part
        return height, width, channels

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The classes and the number of images, which tell these images from others."""
        return {
            "classes": list(self.label_names),
            "train": _count(self.train),
            "validation": _count(self.validation),
        }


def _count(part: Any) -> int:
    return len(part[1]) if isinstance(part, tuple) else int(part.cardinality())


def digits() -> LabelledImages:
    """1,797 handwritten digits of 8 x 8 grey pixels (Alpaydin & Kaynak 1998), which scikit-learn ships.

    A fifth of each class, the same each time, is for validation.

    Raises:
        ImportError: without the extra `datasets`.
    """
    require_extra("sklearn", "datasets")
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    found = load_digits()
    images = (found.images * (255 / 16)).astype("float32")[..., None]
    labels = found.target.astype("int32")
    parts = train_test_split(images, labels, test_size=0.2, stratify=labels, random_state=0)
    return LabelledImages((parts[0], parts[2]), (parts[1], parts[3]), tuple(map(str, found.target_names)))


def folder_images(
    directory: str | Path, image_size: Size, channels: int = 3, *, validation: float = 0.2, seed: int = 0
) -> LabelledImages:
    """Images in a folder for each class, resized. All are decoded once to see that they are whole.

    Args:
        directory: of the folders, which are named as their classes.
        image_size: height and width to resize to.
        channels: 1 for grey, 3 for colour.
        validation: the share of all images, drawn at random, that is for validation.
        seed: of that draw.

    Raises:
        ImportError: without the extra `datasets`.
        ValueError: if there is no such directory, fewer than two folders or images, or a file is no image.
    """
    require_extra("PIL", "datasets")
    leave_gpus()
    import keras

    root = Path(directory)
    if not root.is_dir():
        raise ValueError(f"there is no directory {root}: give one that holds a folder of images for each class.")
    if sum(path.is_dir() for path in root.iterdir()) < 2:
        raise ValueError(f"{root} must hold two folders of images or more, one for each class.")
    try:
        train, held_out = keras.utils.image_dataset_from_directory(
            root,
            color_mode=_COLOURS[channels],
            batch_size=None,
            image_size=pair(image_size),
            seed=seed,
            validation_split=validation,
            subset="both",
            verbose=False,
        )
    except ValueError as error:
        raise ValueError(f"cannot take the images in {root}: {' '.join(str(error).split())}") from None
    for path in (*train.file_paths, *held_out.file_paths):
        _require_image(path)
    return LabelledImages(train, held_out, tuple(train.class_names))


_COLOURS = {1: "grayscale", 3: "rgb"}


def _require_image(path: str) -> None:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=("JPEG", "PNG", "GIF", "BMP")) as image:  # what TensorFlow decodes
            image.load()
    except (UnidentifiedImageError, OSError, SyntaxError) as error:  # a broken PNG is the last, to Pillow
        raise ValueError(f"{path} is not a whole JPEG, PNG, GIF or BMP image: replace or remove it.") from error


def dataset_images(name: str, image_size: Size, data_dir: str | Path | None = None) -> LabelledImages:
    """The images of a TFDS set, as `mnist`, resized: its training part, and its validation or test part.

    Args:
        name: of the set in TensorFlow Datasets' catalogue.
        image_size: height and width to resize to.
        data_dir: where prepared sets lie, and are put after a download; TFDS's own default unless given.

    Raises:
        ImportError: without the extra `datasets`.
        ValueError: if the set cannot be had, has no such parts, or no images with labels.
    """
    import tensorflow as tf

    splits, info = load_tfds(name, data_dir, "a folder of images")
    held_out = next((part for part in ("validation", "test") if part in splits), None)
    if "train" not in splits or held_out is None:
        raise ValueError(f"the TFDS set {name!r} has the parts {', '.join(splits)}: it needs train, and one to test.")
    if not {"image", "label"} <= set(info.features):
        raise ValueError(f"the TFDS set {name!r} holds {', '.join(info.features)}: it needs image and label.")
    size = pair(image_size)

    def resized(example):
        image = tf.image.resize(tf.cast(example["image"], "float32"), size, antialias=True)
        return image, tf.cast(example["label"], "int32")

    parts = [splits[part].map(resized, num_parallel_calls=tf.data.AUTOTUNE) for part in ("train", held_out)]
    return LabelledImages(parts[0], parts[1], tuple(info.features["label"].names))


# === Batches ===


def epoch_steps(data, config: ImageConfig, recipe) -> int:
    """Returns how many batches are an epoch. Takes the arguments of `training_batches`."""
    _, count = _examples(data, config)
    return max(count // recipe.batch_size, 1)


def training_batches(data, config: ImageConfig, preprocessor: ImagePreprocessor, recipe, *, start: int = 0):
    """Shuffled, augmented, preprocessed batches without end, as a `tf.data.Dataset` of `(images, soft labels)`.

    Args:
        data: as `train_image_classifier` takes it.
        config: of the model.
        preprocessor: of which `normalize` is used.
        recipe: an `ImageRecipe`.
        start: how many batches to leave out at the beginning.
    """
    import tensorflow as tf

    examples, count = _examples(data, config)
    among = count if isinstance(data, tuple) else min(count, SHUFFLED)
    first, seen = divmod(start * recipe.batch_size, count)

    def one_pass(number):
        """Gives all images, in an order that follows from the epoch's number, however often Keras asks for it."""
        tf.compat.v1.set_random_seed(1)  # of this function's graph: else the program's, which must not be 0 here
        seed = tf.random.fold_in(tf.constant([recipe.seed, 0], "int64"), number)[0]
        return examples.shuffle(among, seed=seed, reshuffle_each_iteration=False)

    shuffled = tf.data.Dataset.range(first, np.iinfo("int64").max).flat_map(one_pass).skip(seen)

    def soft(images, labels):
        spread = recipe.label_smoothing / config.num_classes
        return images, one_hot(labels, config.num_classes, 1 - recipe.label_smoothing + spread, spread)

    batches = shuffled.batch(recipe.batch_size, drop_remainder=True).map(soft)
    batches = augment(batches, recipe.augmentation, seed=recipe.seed, start=start)
    batches = batches.map(lambda images, labels: (preprocessor.normalize(images), labels))
    return batches.prefetch(tf.data.AUTOTUNE)


def validation_batches(data, config: ImageConfig, preprocessor: ImagePreprocessor, batch_size: int):
    """Gives all images once, in order, preprocessed, with one-hot labels."""
    import tensorflow as tf

    def prepared(images, labels):
        return preprocessor.normalize(tf.cast(images, "float32")), one_hot(labels, config.num_classes)

    examples, _ = _examples(data, config)
    return examples.batch(batch_size).map(prepared).prefetch(tf.data.AUTOTUNE)


def _examples(data, config: ImageConfig):
    """A data set of single images and labels, checked as far as is known; and how many there are."""
    leave_gpus()
    import tensorflow as tf

    if isinstance(data, tuple):
        images, labels = (np.asarray(part) for part in data)
        if len(images) != len(labels):
            raise ValueError(f"images and labels must be as many; got {len(images)} and {len(labels)}.")
        if len(labels) and not 0 <= labels.min() <= labels.max() < config.num_classes:
            raise ValueError(
                f"labels must lie in [0, num_classes) = [0, {config.num_classes}); got values from {labels.min()} to "
                f"{labels.max()}."
            )
        data = tf.data.Dataset.from_tensor_slices((images, labels))
    shape = (*pair(config.image_size), config.channels)
    if tuple(data.element_spec[0].shape) != shape:
        raise ValueError(f"images must have the shape {shape} of the model's; got {data.element_spec[0].shape}.")
    count = int(data.cardinality())
    if count == 0:
        raise ValueError("there are no images.")
    if count < 0:
        raise ValueError(
            "it is not known how many images there are: tell it by `tf.data.experimental.assert_cardinality`."
        )
    return data, count
