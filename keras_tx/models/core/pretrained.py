"""`from_pretrained` and `save_pretrained`, for every model."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import keras
import numpy as np

from keras_tx import convert
from keras_tx.models.core.config import Config
from keras_tx.version import __version__

NATIVE = "keras_tx"
"""Our own format, and the key in its `config.json` that tells the version which wrote it."""

_VERSION = re.compile(r"(\d+)\.(\d+)")


@dataclass(frozen=True)
class Examined:
    """A checkpoint compared with a class: what would load, and what is missing or left.

    Attributes:
        model: of the class, with the checkpoint's config and what overrides it; its weights have no values yet.
        saved: the checkpoint's config.
        tensors: the checkpoint's, by the names that the account has.
        account: which tensor fills which weights, and what is missing or left.
    """

    model: Any
    saved: Config
    tensors: Mapping[str, convert.Tensor]
    account: convert.Account


class Pretrained:
    """Loads a model from a checkpoint's directory and saves it to one.

    Attributes:
        formats: the peers' formats that the class can be read from and written in, each with its families.
        config_class: of the model.
        adaptable: fields of the config in which a model may differ from its checkpoint, for `adapt` makes it fit.
        config: the model's.
    """

    formats: ClassVar[Mapping[str, tuple[convert.Family, ...]]] = {}
    config_class: ClassVar[type[Config]]
    adaptable: ClassVar[tuple[str, ...]] = ()
    config: Config
    weights: list[keras.Variable]

    if TYPE_CHECKING:

        @property
        def options(self) -> dict[str, Any]: ...

        def __init__(self, config: Config | None = None, *, name: str | None = None, dtype=None): ...

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
        name: str | None = None,
        dtype=None,
        progress: convert.Progress | None = None,
        **overrides: Any,
    ) -> Self:
        """Returns the model that a checkpoint holds.

        It may be in Transformers' format (`model.safetensors` or `tf_model.h5`, of its PyTorch and its TensorFlow
        classes, in one file or several), in timm's, in KerasHub's (a preset), or in ours; for some models also in the
        `.npz` of their authors. Every tensor is accounted for: the backbone must be whole, and no tensor may be there
        that the family does not know. A head that the checkpoint lacks starts fresh, and one that this class lacks is
        left out, each with a warning that names it. Pickles are never read.

        Args:
            source: a directory, or a hub id such as "openai-community/gpt2"; with KerasHub installed also one of its
                presets, as "bert_base_en" or "kaggle://keras/bert/keras/bert_base_en".
            revision: branch, tag or commit on the hub; "main" unless given.
            cache_dir: the hub's cache; as `huggingface_hub` has it unless given.
            local_files_only: take what is in the hub's cache and ask no server.
            token: for what is not public, as `huggingface_hub` takes it.
            name, dtype: as in Keras; the weights are float32 unless `dtype` says otherwise.
            progress: called with the number of tensors done, and of all.
            overrides: fields of the config to replace. With another `num_labels` the head starts fresh.

        Raises:
            FileNotFoundError: if there is nothing to load.
            ValueError: if the files are broken, or do not fit this class: the message lists each tensor that is
                missing, left over or of the wrong shape.
        """
        path = convert.locate(
            source, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only, token=token
        )
        return cls.from_checkpoint(
            convert.CheckpointDirectory(path), name=name, dtype=dtype, progress=progress, **overrides
        )

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: convert.CheckpointDirectory,
        *,
        name: str | None = None,
        dtype=None,
        progress: convert.Progress | None = None,
        **overrides: Any,
    ) -> Self:
        """Returns the model as `from_pretrained` does, of a directory that is open already."""
        with keras.StatelessScope():  # a model's weights have no values in it, and get them when it ends
            found = cls.examine(checkpoint, name=name, dtype=dtype, **overrides)
            convert.load(
                found.model.weights_by_path(),
                found.tensors,
                found.account,
                adapt=lambda path, values: cls.adapt(path, values, found.saved, found.model.config),
                progress=progress,
            )
        for note in [*found.account.notes, *found.model.restore(checkpoint, found.saved)]:
            warnings.warn(f"{cls.__name__} from {checkpoint.path}: {note}.", stacklevel=3)
        return found.model

    def restore(self, checkpoint: convert.CheckpointDirectory, saved: Config) -> list[str]:
        """Takes what a checkpoint holds for the model besides config and weights.

        Args:
            checkpoint: the directory.
            saved: its config.

        Returns:
            What is to be warned of.
        """
        return []

    def generation_options(self) -> dict[str, Any]:
        """Returns what `generation_config.json` is to hold; nothing of a model that does not generate."""
        return {}

    @classmethod
    def examine(
        cls, checkpoint: convert.CheckpointDirectory, *, name: str | None = None, dtype=None, **overrides: Any
    ) -> Examined:
        """Returns what a checkpoint has for this class, by names, shapes and dtypes, and so whether it would load.

        Call it in a `keras.StatelessScope`, in which the model that it makes takes no memory.

        Args:
            checkpoint: the directory.
            name, dtype, overrides: as `from_pretrained` takes them.

        Raises:
            ValueError: if the class cannot be read from it, or the config asks for what we do not have.
        """
        options: dict[str, Any] = {"name": name, "dtype": dtype}
        tensors: Mapping[str, convert.Tensor] = checkpoint.tensors
        if NATIVE in checkpoint.config:
            saved = cls.read_config(checkpoint)
            if checkpoint.config.get("class") == cls.__name__:
                options |= checkpoint.config.get("options", {})
            model = cls(saved.replace(**overrides), **options)
            account = model._own_account(checkpoint, overrides.keys())
        else:
            family = cls.family(checkpoint.config)
            fields, tensors = family.read(checkpoint, cls.__name__)
            saved = cls.config_class.from_dict(fields)
            model = cls(saved.replace(**overrides), **options)
            account = model._peers_account(family, saved, tensors)
        account.what = f"{checkpoint.path} does not fit {cls.__name__}"
        return Examined(model, saved, tensors, account)

    @classmethod
    def adapt(cls, path: str, values: np.ndarray, before: Any, after: Any) -> np.ndarray:
        """Returns a weight's values for a config that differs in `adaptable` fields from the one they were saved with.

        Args:
            path: the weight's, below the model.
            values: those of the checkpoint, in our layout.
            before: the checkpoint's config.
            after: the model's.
        """
        return values

    def with_kept(self, config: dict[str, Any], format: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Returns a `config.json` with what was kept of a checkpoint, and the contents of further files by name."""
        return config, {}

    def _peers_account(
        self, family: convert.Family, saved: Config, tensors: Mapping[str, convert.Tensor]
    ) -> convert.Account:
        """The account of a peer's tensors for this model."""
        name, before, fields = type(self).__name__, saved.to_dict(), self.config.to_dict()
        new_head = fields[family.classes] != before[family.classes]
        held = fields | {field: before[field] for field in self.adaptable if field in before}
        account = convert.account(family, name, held, tensors, new_head=new_head)
        if not family.head(name).architecture:
            read = [*family.backbone(held), *family.head(name).rules(held)]
            account.fresh += _own_parts(self.weights_by_path(), read)
        return account

    def _own_account(self, checkpoint: convert.CheckpointDirectory, overridden: Collection[str]) -> convert.Account:
        """The account of a checkpoint in our own format for this model."""
        tensors, rules = checkpoint.tensors, self.native_rules()
        if any(name in overridden for name in self.adaptable):  # what does not fit then is an error of `adapt`
            shapes = {name: tuple(map(str, tensor.shape)) for name, tensor in tensors.items()}
            rules = [replace(rule, shape=shapes.get(rule.tensor, rule.shape)) for rule in rules]
        other_head = checkpoint.config.get("class") != type(self).__name__
        if other_head or "num_labels" in overridden or "num_classes" in overridden:
            # It is whole for its own class: what it lacks, or has too much, is a head.
            return convert.match(tensors, [], rules, other_heads=tensors, new_head=True)
        return convert.match(tensors, rules, [])

    @classmethod
    def read_config(cls, checkpoint: convert.CheckpointDirectory) -> Config:
        """Returns the config that a checkpoint has for this class.

        Raises:
            ValueError: if the class cannot be read from it, or the config asks for what we do not have.
        """
        if NATIVE not in checkpoint.config:
            fields, _ = cls.family(checkpoint.config).read(checkpoint, cls.__name__)
            return cls.config_class.from_dict(fields)
        saved = checkpoint.config
        require_known_version(saved)
        if not isinstance(saved.get("config"), dict):
            raise ValueError(f'{checkpoint.path}: config.json must hold a "config".')
        if saved.get("config_class") != cls.config_class.__name__:
            raise ValueError(f"{checkpoint.path} holds a {saved.get('class')}: it cannot be loaded as {cls.__name__}.")
        return cls.config_class.from_dict(saved["config"])

    @classmethod
    def family(cls, config: Mapping[str, Any]) -> convert.Family:
        """Returns the family that a peer's `config.json` names; the class's own, if it names none.

        Raises:
            ValueError: if the class cannot be read from it.
        """
        families = [family for families in cls.formats.values() for family in families]
        family = convert.choose(families, config)
        own = cls.formats.get("huggingface", ())
        if family is None and len(own) == 1 and not (config.get("model_type") or config.get("architectures")):
            return own[0]
        if family is None:
            known = dict.fromkeys(repr(family.model_type) for family in families)
            raise ValueError(
                f"the checkpoint's {convert.kind(config)}; {cls.__name__} can be read from "
                f"{', '.join(known) or 'our own format alone'}."
            )
        return family

    def save_pretrained(
        self,
        directory: str | Path,
        format: str = NATIVE,
        *,
        max_shard_size: int | str = "5GB",
        progress: convert.Progress | None = None,
    ) -> None:
        """Saves config and weights so that `from_pretrained` reads them, or the peer.

        What is saved is what the model computes with: a LoRA (`enable_lora` of Keras's layers) is merged into the
        weights that it is on. Other files in the directory, such as a tokenizer's, stay as they are. A model of images
        brings its checkpoint's preprocessing along, unless the directory has one.

        Args:
            directory: where to; made if need be.
            format: "keras_tx", which holds any model, or a peer's: "huggingface" for a directory that Transformers
                loads with no key missing and none left over, "timm" likewise.
            max_shard_size: bytes, or as "500MB"; weights of more than that are split into several files.
            progress: called with the number of tensors done, and of all.

        Raises:
            ValueError: for an unknown format, or a model that the format cannot hold; none holds quantized weights.
            OSError: if the disk is full or cannot be written; what was there before is intact.
        """
        fields, name = self.config.to_dict(), type(self).__name__
        options: dict[str, Any] = {"max_shard_size": max_shard_size, "progress": progress}
        if format == NATIVE:
            config = {
                NATIVE: __version__,
                "class": name,
                "config_class": type(self.config).__name__,
                "config": fields,
                **({"options": self.options} if self.options else {}),
            }
            config, beside = self.with_kept(config, format)
            generation = self.generation_options() or None
            weights = self._effective_weights()
            options |= {"beside": beside, "generation_config": generation}
            convert.write_directory(directory, config, weights, sums=True, **options)
            return
        writable = {
            format: [family for family in families if not family.read_only] for format, families in self.formats.items()
        }
        if not writable.get(format):
            known = ", ".join(repr(format) for format, families in {NATIVE: [None], **writable}.items() if families)
            raise ValueError(f"`format` of a {name} must be one of {known}; got {format!r}.")
        family = min(writable[format], key=lambda family: len(family.differences(fields)))
        config, beside = self.with_kept(family.config(fields, name), format)
        rules = [*family.backbone(fields), *family.head(name).rules(fields)]
        tokens = {key: value for key, value in config.items() if key.endswith("_token_id")}
        tensors = convert.sources(self._effective_weights(), rules)
        generation = tokens | self.generation_options()
        options |= {"beside": beside, "generation_config": generation or None}
        convert.write_directory(directory, config, tensors, **options)

    def weights_by_path(self) -> dict[str, keras.Variable]:
        """Returns the weights by their paths below the model."""
        return {weight.path.split("/", 1)[1]: weight for weight in self.weights}

    def _effective_weights(self) -> dict[str, convert.Source]:
        return convert.effective_weights(self, self.weights_by_path())

    def native_rules(self) -> list[convert.Rule]:
        """Returns the rules of our own format, in which every tensor has its weight's path for a name."""
        return [
            convert.Rule(path, tuple(map(str, weight.shape)), (path,))
            for path, weight in self.weights_by_path().items()
        ]


def require_known_version(config: Mapping[str, Any]) -> None:
    """Raises ValueError for a `config.json` of our own format that a newer version wrote: its format may be another.

    Formats change with the first two numbers of a version alone.
    """
    written = _VERSION.match(config[NATIVE]) if isinstance(config[NATIVE], str) else None
    if not written:
        raise ValueError(f'config.json says "{NATIVE}": {config[NATIVE]!r}, which is no version: the file is damaged.')
    if [int(number) for number in written.groups()] > [int(number) for number in __version__.split(".")[:2]]:
        raise ValueError(f"the checkpoint was written by keras_tx {config[NATIVE]}, this is {__version__}: upgrade.")


def _own_parts(weights: Iterable[str], read: Iterable[convert.Rule]) -> list[convert.Rule]:
    """Returns a rule for each part of a model beyond what is read: such parts start fresh."""
    filled = {path for rule in read for path in rule.weights}
    parts: dict[str, list[str]] = {}
    for path in weights:
        if path not in filled:
            parts.setdefault(path.removeprefix("head/").split("/")[0], []).append(path)
    return [convert.Rule(part, (), tuple(paths)) for part, paths in sorted(parts.items())]
