"""`from_pretrained` and `save_pretrained`, for every model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import keras
import numpy as np

from keras_tx import convert
from keras_tx.models.core.config import Config
from keras_tx.version import __version__

Progress = Callable[[int, int], None]

NATIVE = "keras_tx"
"""Our own format, and the key in its `config.json` that tells the version which wrote it."""


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
        progress: Progress | None = None,
        **overrides: Any,
    ) -> Self:
        """The model that a checkpoint holds.

        It may be in Transformers' format (`model.safetensors`, its shards, or `tf_model.h5`), in timm's, or in ours; of
        some models also the `.npz` of their authors. Every tensor is accounted for: the backbone must be whole, and
        nothing may be left that the family does not know. A head that the checkpoint lacks starts fresh, and one that
        this class lacks is left out, each with a warning that names it. Pickles are never read.

        Args:
            source: a directory, or a hub id such as "openai-community/gpt2".
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
        progress: Progress | None = None,
        **overrides: Any,
    ) -> Self:
        """As `from_pretrained`, of a directory that is open already."""
        options = {"name": name, "dtype": dtype}
        read = cls._native if NATIVE in checkpoint.config else cls._foreign
        if NATIVE not in checkpoint.config:
            checkpoint.tensors = dict(cls.family(checkpoint.config).respelled(checkpoint.tensors))
        with convert.filling(checkpoint.tensors, progress) as filling:
            before = cls.read_config(checkpoint)
            model, account = read(checkpoint, before, overrides, options)
            filling.supply(
                model.weights_by_path(), account, lambda path, values: cls.adapt(path, values, before, model.config)
            )
        for note in account.notes:
            warnings.warn(f"{cls.__name__} from {checkpoint.path}: {note}.", stacklevel=3)
        return model

    @classmethod
    def adapt(cls, path: str, values: np.ndarray, before: Any, after: Any) -> np.ndarray:
        """A weight's values for a config that differs in `adaptable` fields from the one they were saved with.

        Args:
            path: the weight's, below the model.
            values: those of the checkpoint, in our layout.
            before: the checkpoint's config.
            after: the model's.
        """
        return values

    @classmethod
    def _foreign(cls, checkpoint: convert.CheckpointDirectory, before: Config, overrides: dict, options: dict):
        """A model to be filled from a peer's checkpoint, and the account of that."""
        family = cls.family(checkpoint.config)
        config = before.replace(**overrides)
        fields, saved = config.to_dict(), before.to_dict()
        new_head = fields[family.classes] != saved[family.classes]
        held = fields | {name: saved[name] for name in cls.adaptable}
        account = convert.account(family, cls.__name__, held, checkpoint.tensors, new_head=new_head)
        cls._require(account, checkpoint)  # before memory is taken for a model
        return cls(config, **options), account

    @classmethod
    def _native(cls, checkpoint: convert.CheckpointDirectory, before: Config, overrides: dict, options: dict):
        """A model to be filled from a checkpoint in our own format, and the account of that."""
        model = cls(before.replace(**overrides), **options)
        rules = model.native_rules()
        if any(name in overrides for name in cls.adaptable):  # what does not fit then is an error of `adapt`
            shapes = {name: tuple(map(str, tensor.shape)) for name, tensor in checkpoint.tensors.items()}
            rules = [replace(rule, shape=shapes.get(rule.theirs, rule.shape)) for rule in rules]
        if checkpoint.config.get("class") == cls.__name__ and not overrides.keys() & {"num_labels", "num_classes"}:
            account = convert.match(checkpoint.tensors, rules, [])
        else:  # the checkpoint is whole for its own class: what it lacks, or has too much, is a head
            account = convert.match(checkpoint.tensors, [], rules, other_heads=checkpoint.tensors, new_head=True)
        cls._require(account, checkpoint)
        return model, account

    @classmethod
    def read_config(cls, checkpoint: convert.CheckpointDirectory) -> Config:
        """The config that a checkpoint has for this class.

        Raises:
            ValueError: if the class cannot be read from it, or the config asks for what we do not have.
        """
        if NATIVE in checkpoint.config:
            saved = checkpoint.config
            if not isinstance(saved.get("config"), dict):
                raise ValueError(f'{checkpoint.path}: config.json must hold a "config".')
            if saved.get("config_class") != cls.config_class.__name__:
                raise ValueError(
                    f"{checkpoint.path} holds a {saved.get('class')}: it cannot be loaded as {cls.__name__}."
                )
            return cls.config_class.from_dict(saved["config"])
        family = cls.family(checkpoint.config)
        fields = family.fields(checkpoint.config, cls.__name__)
        if checkpoint.is_h5:
            fields.update(family.tensorflow)
        fields.update(family.shown(fields, checkpoint.tensors))
        return cls.config_class.from_dict(fields)

    @classmethod
    def _require(cls, account: convert.Account, checkpoint: convert.CheckpointDirectory) -> None:
        if account.problems:
            raise ValueError("\n".join([f"{checkpoint.path} does not fit {cls.__name__}:", *account.problems]))

    @classmethod
    def family(cls, config: Mapping[str, Any]) -> convert.Family:
        """The family that a peer's `config.json` names.

        Raises:
            ValueError: if the class cannot be read from it.
        """
        families = [family for families in cls.formats.values() for family in families]
        family = convert.choose(families, config)
        if family is None:
            known = dict.fromkeys(repr(family.model_type) for family in families)
            raise ValueError(
                f"the checkpoint's `model_type` is {config.get('model_type')!r}; {cls.__name__} can be read from "
                f"{', '.join(known) or 'our own format alone'}."
            )
        return family

    def save_pretrained(
        self,
        directory: str | Path,
        format: str = NATIVE,
        *,
        max_shard_size: int | str = "5GB",
        progress: Progress | None = None,
    ) -> None:
        """Saves config and weights so that `from_pretrained` reads them, or the peer.

        Other files in the directory, such as a tokenizer's, stay as they are.

        Args:
            directory: where to; made if need be.
            format: "keras_tx", which holds any model, or a peer's: "huggingface" for a directory that Transformers
                loads with no key missing and none left over, "timm" likewise.
            max_shard_size: bytes, or as "500MB"; weights of more than that are split into several files.
            progress: called with the number of tensors done, and of all.

        Raises:
            ValueError: for an unknown format, or a model that the format cannot hold.
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
            }
            tensors = convert.sources(self.weights_by_path(), self.native_rules())
            convert.write_directory(directory, config, tensors, sums=True, **options)
            return
        writable = {
            format: [family for family in families if not family.read_only] for format, families in self.formats.items()
        }
        if not writable.get(format):
            known = ", ".join(repr(format) for format, families in {NATIVE: [None], **writable}.items() if families)
            raise ValueError(f"`format` of a {name} must be one of {known}; got {format!r}.")
        family = min(writable[format], key=lambda family: len(family.differences(fields)))
        config = family.config(fields, name)
        rules = [*family.backbone(fields), *family.head(name).rules(fields)]
        tokens = {key: value for key, value in config.items() if key.endswith("_token_id")}
        tensors = convert.sources(self.weights_by_path(), rules)
        convert.write_directory(directory, config, tensors, generation_config=tokens or None, **options)

    def weights_by_path(self) -> dict[str, keras.Variable]:
        """The weights by their paths below the model."""
        return {weight.path.split("/", 1)[1]: weight for weight in self.weights}

    def native_rules(self) -> list[convert.Rule]:
        """The table of our own format: every tensor is called as the weight is."""
        return [
            convert.Rule(path, tuple(map(str, weight.shape)), (path,))
            for path, weight in self.weights_by_path().items()
        ]
