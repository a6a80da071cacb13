"""The bases of the models' configs: frozen dataclasses that go to JSON and back."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal, Self, get_args, get_type_hints

from keras_tx.ops.checks import require_positive
from keras_tx.ops.fields import from_json

ProblemType = Literal["regression", "single_label_classification", "multi_label_classification"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A model's hyperparameters. Subclasses check theirs in `__post_init__`."""

    head_fields: ClassVar[frozenset[str]] = frozenset()
    """The fields that only heads read: models that share a backbone may differ in them."""

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, in JSON's types."""
        fields = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """The config of these fields, the others at their defaults.

        Raises:
            ValueError: for a field the config does not have.
        """
        return cls().replace(**fields)

    @classmethod
    def of(cls, config: Config) -> Self:
        """A config of this class with the fields that it has in common with another, the others at their defaults."""
        if type(config) is cls:
            return config
        known = {field.name for field in dataclasses.fields(cls)}
        return cls.from_dict({name: value for name, value in config.to_dict().items() if name in known})

    def replace(self, **fields: Any) -> Self:
        """A copy with other values in some fields; these may be of JSON's types, which `to_dict` gives.

        Raises:
            ValueError: for a field the config does not have.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in fields:
            if name not in known:
                raise ValueError(f"{type(self).__name__} has no field `{name}`; it has {', '.join(known)}.")
        hints = get_type_hints(type(self))
        return dataclasses.replace(self, **{name: from_json(value, hints[name]) for name, value in fields.items()})


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenConfig(Config):
    """The base of the configs of texts: special tokens."""

    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | tuple[int, ...] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextConfig(TokenConfig):
    """The base of the configs of texts with heads: labels and special tokens."""

    head_fields = frozenset({"num_labels", "problem_type", "label_names", "classifier_dropout", "tie_embeddings"})

    num_labels: int = 2
    """Classes of a sequence or token classifier; numbers a row of a regression."""
    problem_type: ProblemType | None = None
    """The kind of a sequence classifier's loss; None to tell it from `num_labels` and the labels' dtype."""
    label_names: tuple[str, ...] | None = None
    """The names of the classes."""

    @property
    def classifier_rate(self) -> float:
        """Rate of the dropout before a classifier."""
        raise NotImplementedError

    def __post_init__(self):
        require_positive(num_labels=self.num_labels)
        require_problem_type(self.problem_type)
        if self.label_names is not None and len(self.label_names) != self.num_labels:
            raise ValueError(
                f"`label_names` must be as many as `num_labels` = {self.num_labels}; got {self.label_names}."
            )

    def replace(self, **fields: Any) -> Self:
        """Does what `Config.replace` does; another `num_labels` drops the names of the old labels."""
        if fields.get("num_labels", self.num_labels) != self.num_labels:
            fields.setdefault("label_names", None)
        return super().replace(**fields)


def require_problem_type(value: Any) -> None:
    """Raises ValueError unless a value is None or a `ProblemType`."""
    known = get_args(ProblemType)
    if value not in (None, *known):
        raise ValueError(f"`problem_type` must be None or one of {', '.join(known)}; got {value!r}.")
