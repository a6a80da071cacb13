"""The directory of one training run: what it was asked to do, and what came of it."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from keras_tx.files import read_json, whole_file, write_json
from keras_tx.ops.image.patches import pair
from keras_tx.text import CharTokenizer
from keras_tx.vision import ImagePreprocessor

_MADE_ANEW = "training continued with --resume writes it anew"


@dataclasses.dataclass(frozen=True)
class Run:
    """Paths and contents of a run's directory.

    Attributes:
        directory: where everything lies.
    """

    directory: Path

    @property
    def record(self) -> Path:
        """`run.json`: the options, and a fingerprint of the data."""
        return self.directory / "run.json"

    @property
    def model_path(self) -> Path:
        """The trained model; there once training has ended."""
        return self.directory / "model.keras"

    @property
    def saved_model_path(self) -> Path:
        """The exported SavedModel, in a directory named by its version as TensorFlow Serving wants it."""
        return self.directory / "saved_model" / "1"

    def begin(self, options: dict[str, Any], data: dict[str, Any], *, overwrite: bool = False) -> None:
        """Makes the directory of a new run.

        Args:
            options: what it was asked to do.
            data: what tells its data from others, as `fingerprint`.
            overwrite: whether to move a run that is there already aside, to `NAME.previous`.

        Raises:
            ValueError: if there is a run already and `overwrite` is False.
        """
        if self.record.exists():
            if not overwrite:
                raise ValueError(
                    f"{self.directory} already holds a run: continue it with --resume, choose another --name, or "
                    "move it aside with --overwrite."
                )
            self._move_aside()
        write_json(self.record, {"options": options, "data": data})

    def options(self) -> dict[str, Any]:
        """The options the run was begun with.

        Raises:
            ValueError: if there is no run in the directory, or its record is damaged.
        """
        return self._read_record()["options"]

    def require(self, data: dict[str, Any]) -> None:
        """Raises ValueError unless these are the data the run was begun with."""
        if self._read_record()["data"] != data:
            raise ValueError(
                f"the data are not those {self.directory} was begun with: restore them, or begin another run."
            )

    @property
    def of_images(self) -> bool:
        """Whether the run trained a model of images; if not, one of texts."""
        return self.options().get("model") in ("vit", "swin")

    def save_model(self, model: keras.Model, beside: CharTokenizer | ImagePreprocessor) -> None:
        """Writes the trained model, and what makes its inputs of texts or of images."""
        beside.save_pretrained(self.directory)
        with whole_file(self.model_path) as partial:
            model.save(partial)

    def load_model(self) -> tuple[keras.Model, CharTokenizer]:
        """The trained model of texts, and its tokenizer.

        Raises:
            ValueError: if the run is of images or has not ended, or its files are damaged.
        """
        if self.of_images:
            raise ValueError(f"{self.directory} holds a model of images, not of texts.")
        model = self._load()
        with self._reading("tokenizer"):
            tokenizer = CharTokenizer.from_pretrained(self.directory)
        if tokenizer.vocab_size != model.config.vocab_size:
            raise ValueError(
                f"the tokenizer in {self.directory} has {tokenizer.vocab_size} characters and the model "
                f"{model.config.vocab_size}: {_MADE_ANEW}."
            )
        return model, tokenizer

    def load_image_model(self) -> tuple[keras.Model, ImagePreprocessor]:
        """The trained model of images, and its preprocessor.

        Raises:
            ValueError: if the run is of texts or has not ended, or its files are damaged.
        """
        if not self.of_images:
            raise ValueError(f"{self.directory} holds a model of texts, not of images.")
        model = self._load()
        with self._reading("preprocessor"):
            preprocessor = ImagePreprocessor.from_pretrained(self.directory)
        if preprocessor.image_size != pair(model.config.image_size):
            raise ValueError(
                f"the preprocessor in {self.directory} makes images of {preprocessor.image_size} and the model takes "
                f"{model.config.image_size}: {_MADE_ANEW}."
            )
        return model, preprocessor

    def _load(self) -> keras.Model:
        if not self.model_path.exists():
            raise ValueError(f"{self.directory} has no model yet: finish training with --resume.")
        try:
            return keras.models.load_model(self.model_path, compile=False)
        except Exception as error:  # of ZIP, HDF5, JSON or Keras
            raise ValueError(f"{self.model_path} is damaged: {_MADE_ANEW}.") from error

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise ValueError(f"the run's {what} is damaged, {error} {_MADE_ANEW}.") from error

    def _read_record(self) -> dict[str, dict[str, Any]]:
        if not self.record.exists():
            raise ValueError(f"there is no run in {self.directory}: begin one with `keras-tx train`.")
        record = read_json(self.record)
        if not isinstance(record, dict) or not all(isinstance(record.get(key), dict) for key in ("options", "data")):
            raise ValueError(f"{self.record} is damaged: restore it, or begin another run.")
        return record

    def _move_aside(self) -> None:
        previous = self.directory.with_name(f"{self.directory.name}.previous")
        shutil.rmtree(previous, ignore_errors=True)
        self.directory.replace(previous)


def fingerprint(text: str) -> dict[str, Any]:
    """Returns the length and checksum of a text, which tell it from others."""
    return {"characters": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}
