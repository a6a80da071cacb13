"""A checkpoint's directory: its config and its tensors, read with suspicion."""

from __future__ import annotations

import hashlib
from collections.abc import Container
from pathlib import Path
from typing import Any

from keras_tx.convert.google_bert import is_google_bert, read_google_bert
from keras_tx.convert.h5 import read_h5
from keras_tx.convert.npz import read_npz
from keras_tx.convert.other_formats import found_instead
from keras_tx.convert.preset import (
    PRESET_INDEX,
    PRESET_WEIGHTS,
    TASK,
    TASK_WEIGHTS,
    is_preset,
    preset_config,
    preset_shards,
    preset_tensors,
)
from keras_tx.convert.tensors import Tensor, read_safetensors, safetensors_metadata
from keras_tx.files import read_json

CONFIG = "config.json"
GENERATION_CONFIG = "generation_config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
H5_WEIGHTS = "tf_model.h5"
H5_INDEX = "tf_model.h5.index.json"
NPZ = ".npz"
SUMS = "SHA256SUMS"
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")


class CheckpointDirectory:
    """A directory with `config.json` and weights.

    Weights are `model.safetensors`, the shards that `model.safetensors.index.json` names, `tf_model.h5`, or the shards
    that `tf_model.h5.index.json` names, the first of these that is there. Pickles are never read: they can run any
    code.

    So is a preset of KerasHub's, whose weights are `model.weights.h5`, or the shards that `model.weights.json` names.

    A single file of arrays, `.npz`, counts as one, too; it has no config but its arrays' names and shapes. So does the
    folder that Google's BERT is published in, with `bert_config.json` and a TensorFlow checkpoint.

    Args:
        path: the directory, or the `.npz`.

    Attributes:
        config: what `config.json` holds, with the special tokens of `generation_config.json`, if there is one. Its
            `model_type` is "timm/ARCHITECTURE" for timm's, and of a preset "keras_hub/BACKBONE", with the arguments of
            its classes; of an `.npz` it is "npz", with `shapes` by name.
        generation: what `generation_config.json` holds; without one, `config.json`, where such options were once.
        tensors: the tensors by their names in the files; their data is not read yet.
        from_tensorflow: whether one of Transformers' TensorFlow classes wrote them, and so named and laid them out.

    Raises:
        FileNotFoundError: if the directory, the config or the weights are not there.
        ValueError: if a file is broken, leads out of the directory, or differs from its sum in `SHA256SUMS`.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.generation: dict[str, Any] = {}
        if self.path.suffix == NPZ and self.path.is_file():
            self.tensors = read_npz(self.path)
            self.config: dict[str, Any] = {
                "model_type": "npz",
                "shapes": {name: x.shape for name, x in self.tensors.items()},
            }
            self.from_tensorflow = self.is_preset = False
            return
        if not self.path.is_dir():
            raise FileNotFoundError(f"there is no directory {self.path}.")
        if is_google_bert(self.path) and not (self.path / CONFIG).exists():
            self.config, self.tensors = read_google_bert(self.path)
            self.from_tensorflow, self.is_preset = True, False
            return
        if not (self.path / CONFIG).exists():
            raise FileNotFoundError(f"there is no file {self.path / CONFIG}.{found_instead(self.path)}")
        if (self.path / SUMS).exists():
            self._check_sums()
        self.config = self._config()
        self.tensors = self._tensors()
        files = {tensor.file for tensor in self.tensors.values()}
        self.from_tensorflow = not self.is_preset and any(map(_is_from_tensorflow, files))

    def _check_sums(self) -> None:
        for line in self.inside(SUMS).read_text().splitlines():
            wanted, _, name = line.partition("  ")
            if sha256(self.inside(name)) != wanted:
                raise ValueError(
                    f"{self.path / name} is not as it was saved: {SUMS} has another checksum. If you changed it "
                    f"yourself, delete {SUMS}."
                )

    def _config(self) -> dict[str, Any]:
        config = self._json(CONFIG)
        self.is_preset = is_preset(config)
        if self.is_preset:
            return preset_config(config, self._json(TASK) if (self.path / TASK).exists() else None)
        if "architecture" in config:
            config.setdefault("model_type", f"timm/{config['architecture']}")
        self.generation = dict(config)
        if (self.path / GENERATION_CONFIG).exists():
            self.generation = self._json(GENERATION_CONFIG)
            config.update({key: value for key, value in self.generation.items() if key.endswith("_token_id")})
        return config

    def _tensors(self) -> dict[str, Tensor]:
        if self.is_preset:
            return self._preset_tensors()
        if (self.path / WEIGHTS).exists():
            return read_safetensors(self.inside(WEIGHTS))
        if (self.path / INDEX).exists():
            return self._sharded(INDEX)
        if (self.path / H5_WEIGHTS).exists():
            return read_h5(self.inside(H5_WEIGHTS))
        if (self.path / H5_INDEX).exists():
            return self._sharded(H5_INDEX)
        if any((self.path / name).exists() for name in _PICKLES):
            raise ValueError(f"{self.path} has its weights only as pickle. {self._how_to_convert_pickles()}")
        way_out = found_instead(self.path) or f" {self._how_to_convert_pickles()}"
        raise FileNotFoundError(f"{self.path} holds no {WEIGHTS}, {INDEX}, {H5_WEIGHTS} or {H5_INDEX}.{way_out}")

    def _how_to_convert_pickles(self) -> str:
        """Returns what to do about pickles, for an error: the class that the config names keeps the head."""
        architectures = self.config.get("architectures") or ["AutoModel"]
        name = str(architectures[0]).removeprefix("TF")
        root, source = self.path.resolve(), str(self.path)
        if root.parent.name == "snapshots":  # of a hub's cache, in "models--owner--name"
            source = root.parent.parent.name.removeprefix("models--").replace("--", "/")
        return (
            f"Pickles, such as {_PICKLES[0]}, can run any code and are never read here. Convert them where you trust "
            f"them, with Transformers: {name}.from_pretrained({source!r}).save_pretrained(DEST)."
        )

    def _preset_tensors(self) -> dict[str, Tensor]:
        task = self.inside(TASK_WEIGHTS) if (self.path / TASK_WEIGHTS).exists() else None
        if (self.path / PRESET_WEIGHTS).exists():
            return preset_tensors([self.inside(PRESET_WEIGHTS)], task)
        if (self.path / PRESET_INDEX).exists():
            return preset_tensors(map(self.inside, preset_shards(self.inside(PRESET_INDEX))), task)
        raise FileNotFoundError(f"{self.path} holds no {PRESET_WEIGHTS} or {PRESET_INDEX}.")

    def _sharded(self, index: str) -> dict[str, Tensor]:
        places = shard_places(self.inside(index))
        tensors: dict[str, Tensor] = {}
        for shard in sorted(set(places.values())):
            file = self.inside(shard)
            found = read_h5(file) if file.suffix == ".h5" else read_safetensors(file)
            expected = {name for name, place in places.items() if place == shard}
            if _is_from_tensorflow(file):  # whose index has the model's name in front of each tensor's
                expected = {_as_in_shard(name, found) for name in expected}
            if found.keys() - expected:
                surplus = ", ".join(sorted(found.keys() - expected))
                raise ValueError(f"{self.path / shard} holds {surplus}, which {index} does not place there.")
            if expected - found.keys():
                lacking = ", ".join(sorted(expected - found.keys()))
                raise ValueError(f"{self.path}: the shards lack {lacking}, which {index} names.")
            tensors |= found
        return tensors

    def _json(self, name: str) -> dict[str, Any]:
        content = read_json(self.inside(name))
        if not isinstance(content, dict):
            raise ValueError(f"{self.path / name} must hold a JSON object.")
        return content

    def inside(self, name: str) -> Path:
        """Returns the path of a file, which neither its name nor a link may lead out of the directory.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it lies elsewhere.
        """
        file, root = (self.path / name).resolve(), self.path.resolve()
        inside = file.is_relative_to(root)
        if root.parent.name == "snapshots":  # a hub's cache keeps the data of its snapshots beside them
            inside |= file.is_relative_to(root.parent.parent / "blobs")
        if not inside:
            raise ValueError(f"{self.path / name} leads out of its directory, to {file}: it is not read.")
        if not file.is_file():
            raise FileNotFoundError(f"there is no file {self.path / name}.")
        return file


def shard_places(index: Path) -> dict[str, str]:
    """Returns the file of each tensor, by an index of shards.

    Raises:
        ValueError: if it is no such index.
    """
    content = read_json(index)
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict) or not all(isinstance(shard, str) for shard in places.values()):
        raise ValueError(f'{index} must have a "weight_map" from tensors to files.')
    return places


def _is_from_tensorflow(file: Path) -> bool:
    return file.suffix == ".h5" or (file.suffix == ".safetensors" and safetensors_metadata(file).get("format") == "tf")


def _as_in_shard(name: str, tensors: Container[str]) -> str:
    """Returns a weight's name as a shard has it: without the model's name before it; in HDF5 from "/" on."""
    spellings = [name, f"/{name}", name.partition("/")[2], f"/{name.partition('/')[2]}"]
    return next((spelling for spelling in spellings if spelling in tensors), name)


def sha256(path: Path) -> str:
    """Returns the SHA-256 sum of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
