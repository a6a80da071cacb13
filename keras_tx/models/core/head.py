"""A head, and the model that is a backbone with a head."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import keras
import numpy as np

from keras_tx.layers.core.base import Layer
from keras_tx.layers.core.initializers import clone_initializer
from keras_tx.layers.core.linear import Linear
from keras_tx.models.core.backbone import Backbone
from keras_tx.models.core.base import paths_below
from keras_tx.models.core.config import Config
from keras_tx.models.core.fitting import FittedModel
from keras_tx.models.core.inputs import inputs_by_name, present
from keras_tx.models.core.labels import require_classes, weights_by_name
from keras_tx.ops.losses import IGNORED
from keras_tx.ops.replicas import num_replicas, reported_by_row, whole_batch


class Head(Layer):
    """A layer that turns a backbone's outputs into logits, and logits and labels into a loss.

    Subclasses implement `of`, `build`, `call` and, where there are labels, `own_losses`.
    """

    targets: ClassVar[dict[str, str]] = {"logits": "labels"}
    """The names of the logits, and of the labels that each is trained on."""
    extra_inputs: ClassVar[tuple[str, ...]] = ()
    """Inputs of the model that only the head reads."""
    binary: ClassVar[bool] = False
    """Whether each of the logits is a yes or a no by itself, with a label of its own, 1 or 0."""
    shared: bool = False
    """Whether several models may have it."""
    tied: bool = False
    """Whether it projects by the backbone's token table, which `call` then takes as `token_embedding`."""
    kernel_initializer: Any

    @classmethod
    def of(cls, backbone: Backbone, config: Any, **options: Any) -> Self:
        """A new head for a backbone, as the model's config has it."""
        raise NotImplementedError

    def call(self, outputs: dict[str, Any], inputs: dict[str, Any], training=None) -> dict[str, Any]:
        """The logits, by name.

        Args:
            outputs: what the backbone gave.
            inputs: what the model was called with, by name.
            training: whether dropout is active.
        """
        raise NotImplementedError

    def own_losses(self, outputs: dict[str, Any], labels: dict[str, Any], weights: dict[str, Any]) -> dict[str, Any]:
        """The head's own losses, scalars by name; none where labels are missing.

        Args:
            outputs: what the model gives.
            labels: by name, None for those not given.
            weights: of the samples, by the names of the labels, as `ops.losses.weighted` takes them; 1 unless given.
        """
        raise NotImplementedError

    @property
    def num_classes_of(self) -> dict[str, int]:
        """The numbers of classes that labels name, by the labels' names, where they are known."""
        return {}

    @property
    def ignored_labels(self) -> tuple[int, ...]:
        """The labels that do not count."""
        return (IGNORED,)

    @property
    def names_classes(self) -> bool:
        """Whether labels are certain to name one class each."""
        return True

    def classes_of(self, labels: Any) -> Any:
        """The classes that labels name, which `class_weight` weighs.

        Raises:
            ValueError: for labels that do not name one class each.
        """
        return labels

    def require_labels(self, labels: dict[str, np.ndarray], *, whole: bool) -> None:
        """Looks at labels that a compiled loss cannot refuse.

        Args:
            labels: by name, those given.
            whole: whether these are all of the data, and not a batch of it.

        Raises:
            ValueError: for labels that make the loss NaN, or another one than was meant.
        """
        for name, count in self.num_classes_of.items():
            if name in labels:
                require_classes(labels[name], count, name, self.ignored_labels)

    def linear(self, units: int, name: str, **options: Any) -> Linear:
        """A linear map with the head's `kernel_initializer`."""
        options = {
            "kernel_initializer": clone_initializer(self.kernel_initializer),
            "dtype": self.dtype_policy,
            **options,
        }
        return Linear(units, name=name, **options)


class HeadModel(FittedModel):
    """A backbone and a head.

    A subclass is the declaration of both: `backbone_class` and `head_class`. Compiled without a loss it trains with the
    head's own; the labels come as `y`, by their names or those of their logits where there are several, or among the
    inputs. A Keras loss is applied to the logits and the labels as they stand.

    Args:
        config: the hyperparameters; the config class's defaults unless given.
        backbone: a backbone to put the head on, which may have other heads too; a new one unless given.
        head: a head to put on the backbone; a new one unless given.
        name: as in Keras.
        dtype: a dtype or policy, passed on to every sublayer; the backbone's unless given.
        overrides: fields of the config to replace; with a `backbone`, those that only a head reads.

    Attributes:
        backbone: the backbone, a Keras model.
        head: the head, a Keras layer; None for a model that gives the backbone's outputs.
    """

    backbone_class: ClassVar[type[Backbone]]
    head_class: ClassVar[type[Head] | None] = None
    backbone_options: ClassVar[dict[str, Any]] = {}
    """Arguments of the backbone's class that this model needs."""
    config: Any
    backbone: Any
    head: Any

    def __init_subclass__(cls, **options):
        """Takes from the backbone's class what a declaration need not say again."""
        super().__init_subclass__(**options)
        if "backbone_class" in vars(cls):
            for name in ("config_class", "input_names", "formats", "adaptable", "positions_skip_padding"):
                if name not in vars(cls):
                    setattr(cls, name, getattr(cls.backbone_class, name))

    def __init__(
        self,
        config: Config | None = None,
        *,
        backbone: Backbone | None = None,
        head: Head | None = None,
        name: str | None = None,
        dtype=None,
        **overrides: Any,
    ):
        if backbone is not None:
            config = self._config_on(backbone, config, overrides)
            overrides, dtype = {}, dtype or backbone.dtype_policy
        super().__init__(config, name=name, dtype=dtype, **overrides)
        if backbone is None:
            options = {"name": "backbone", "dtype": self.dtype_policy, **self.backbone_options}
            backbone = self.backbone_class(self.backbone_class.config_class.of(self.config), **options)
        else:
            backbone.shared = True
        self.backbone = backbone
        self.head = self._checked(head, self.make_head())
        if self.head is not None and not self.head.built:
            self.head.build()
        self.build()

    def _config_on(self, backbone: Backbone, config: Config | None, overrides: dict[str, Any]) -> Config:
        """The config of a model on this backbone: the backbone's, but for what only heads read."""
        needed = self.backbone_class
        if not isinstance(backbone, needed) or backbone.config_class is not needed.config_class:
            raise ValueError(
                f"`backbone` of a {type(self).__name__} must be a {needed.__name__}; got a {type(backbone).__name__}."
            )
        for option, value in self.backbone_options.items():
            if value and not backbone.options[option]:
                raise ValueError(
                    f"a {type(self).__name__} needs a backbone with `{option}={value!r}`: make it with "
                    f"{type(backbone).__name__}(config, {option}={value!r})."
                )
        wanted = self.config_class.of(config or backbone.config).replace(**overrides)
        fields, own = wanted.to_dict(), backbone.config.to_dict()
        differing = [name for name in fields if name not in wanted.head_fields and fields[name] != own[name]]
        if differing:
            raise ValueError(
                f"the backbone has `{differing[0]}={own[differing[0]]!r}`; got {fields[differing[0]]!r}: make or load "
                f"another backbone, or leave it out. Of a head there are {', '.join(sorted(wanted.head_fields))}."
            )
        return wanted

    def _checked(self, head: Head | None, made: Head | None) -> Head | None:
        """The head that was given, which must be as the config has it; the one that was made if there is none."""
        if head is None:
            return made
        head.shared = True
        if type(head) is not type(made):
            needed = "no head" if made is None else f"a {type(made).__name__}"
            raise ValueError(f"a {type(self).__name__} has {needed}; got `head` = a {type(head).__name__}.")
        wanted, given = made.get_config(), head.get_config()
        for name in wanted.keys() - {"name", "dtype", "trainable", "kernel_initializer"}:
            if wanted[name] != given[name]:
                raise ValueError(f"`head` has `{name}={given[name]!r}`; the model's config asks for {wanted[name]!r}.")
        return head

    def take_parts(self, other: Self) -> None:
        """Takes the config, the backbone and the head of another model of this class in place of its own."""
        tracker = self._tracker  # Keras has no public way to put a layer in another's place in a model that is built
        tracker.unlock()
        for name in ("backbone", "head"):
            tracker.untrack(getattr(self, name))
            setattr(self, name, getattr(other, name))
        tracker.lock()
        self.config = other.config
        self.train_function = self.test_function = self.predict_function = None
        self.__dict__.pop("_loops", None)  # of `generate`

    def make_head(self) -> Head | None:
        """A new head for the model's backbone and config."""
        if self.head_class is None:
            return None
        return self.head_class.of(
            self.backbone, self.config, name="head", dtype=self.dtype_policy, **self.head_arguments()
        )

    def head_arguments(self) -> dict[str, Any]:
        """Arguments of the head's class that are this family's own."""
        return {}

    def build(self, input_shape=None):
        """Nothing: backbone and head were built when they were made."""

    @property
    def targets(self) -> dict[str, str]:
        """The names of the logits, and of the labels that each is trained on; none for a model without a head."""
        return {} if self.head is None else self.head.targets

    @classmethod
    def taken(cls) -> tuple[str, ...]:
        """The names of all inputs and labels that the model takes."""
        head = cls.head_class
        return (*cls.backbone_class.input_names, *((*head.extra_inputs, *head.targets.values()) if head else ()))

    @property
    def max_positions(self):
        return self.backbone.max_positions

    @property
    def output_keys(self):
        return self.backbone.output_keys if self.head is None else super().output_keys

    @property
    def prompt_vocab_size(self) -> int:
        """The size of the vocabulary of its text, or of its source."""
        return self.backbone.prompt_vocab_size

    def input_signature(self):
        return self.backbone.input_signature()

    @classmethod
    def adapt(cls, path, values, before, after):
        return cls.backbone_class.adapt(path, values, before, after)

    def layer_depth(self, path):
        return self.backbone.layer_depth(path) if path.startswith("backbone/") else None

    def weights_by_path(self) -> dict[str, keras.Variable]:
        """The weights that the model reads; a shared backbone may have a pooler, say, which it does not."""
        unread = {name for name, needed in self.backbone_options.items() if not needed}
        weights = self.backbone.weights_by_path()
        weights = {path: weight for path, weight in weights.items() if path.split("/")[1] not in unread}
        return weights if self.head is None else weights | paths_below(self.head, "head")

    def get_config(self):
        return {**super().get_config(), "backbone": _serialized(self.backbone), "head": _serialized(self.head)}

    @classmethod
    def from_config(cls, config):
        parts = {name: keras.saving.deserialize_keras_object(config[name]) for name in ("backbone", "head")}
        model = super().from_config({**config, **parts})
        for name, part in parts.items():
            if part is not None:
                part.shared = _SHARED in config[name]
        return model

    def run_head(self, hidden: dict[str, Any], given: dict[str, Any], training=None) -> dict[str, Any]:
        """The head's logits by name, of what the backbone gave and the model's inputs by name."""
        tied = {"token_embedding": self.backbone.token_embedding} if self.head.tied else {}
        return self.head(hidden, present(given), **tied, training=training)

    # === Losses ===

    def own_losses(
        self, outputs: dict[str, Any], labels: dict[str, Any], weights: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """The head's own losses, scalars by name, of the labels that are given, and the weights of the samples."""
        return {} if self.head is None else self.head.own_losses(outputs, labels, weights or {})

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        labels = self.labels_of(x, y)
        if self.loss is not None:
            y, weights = self._as_predicted(labels, y), self._as_predicted(self._weights(sample_weight), sample_weight)
            return super().compute_loss(x, y, self._predicted(y_pred), weights, training)
        if not self.targets:
            raise ValueError("this model has no loss of its own: compile it with a Keras loss.")
        loss = self._loss_of_batch(x, labels, y_pred, self._weights(sample_weight))
        if loss is None:
            wanted = " and ".join(f'"{name}"' for name in self.targets.values())
            raise ValueError(f"no labels: pass them to `fit` as `y` or as {wanted} among the inputs.")
        return loss

    def _loss_of_batch(self, x, labels: dict[str, Any], outputs, weights: dict[str, Any]):
        """All losses of a batch together, None where the head finds no labels; on several replicas, this one's part."""
        given = {} if x is None else inputs_by_name(x, self.main_input, {}, self.taken())
        labels = dict.fromkeys(self.targets.values()) | given | present(labels)
        replicas = num_replicas()
        added = [loss / replicas for loss in self.losses]
        with whole_batch():  # the loss that `call` gives, in whatever loop, is that of its own batch
            losses = list(self.own_losses(outputs, labels, weights).values())
            if losses and replicas > 1:
                losses = [reported_by_row(sum(losses), keras.ops.shape(keras.tree.flatten(x)[0])[0])]
        return sum([*losses, *added]) if losses else None

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        y = self._as_predicted(self.labels_of(x, y), y)
        weights = self._as_predicted(self._weights(sample_weight), sample_weight)
        return super().compute_metrics(x, y, self._predicted(y_pred), weights)

    def _weights(self, sample_weight) -> dict[str, Any]:
        return weights_by_name(sample_weight, self.targets)

    def _predicted(self, outputs):
        """Returns what Keras's losses and metrics see, by name if several: the logits; without a head, everything."""
        return _only({name: outputs[name] for name in self.targets} if self.targets else outputs)

    def _as_predicted(self, by_name: dict[str, Any], given):
        """Labels or weights in the structure of `_predicted`; as they were given to a model without a head."""
        if not self.targets or not by_name:
            return _only(given)
        return _only({logits: by_name.get(name) for logits, name in self.targets.items()})


_SHARED = "shared_object_id"
"""By this key Keras knows an object again that it has loaded already."""


def _serialized(part: Backbone | Head | None) -> dict[str, Any] | None:
    """The config of a part, by which models that share it have one again when they are loaded together."""
    config = keras.saving.serialize_keras_object(part)
    return config if part is None or not part.shared else {**config, _SHARED: id(part)}


def _only(named):
    """The value of a dict that has but one; anything else as it is."""
    return next(iter(named.values())) if isinstance(named, dict) and len(named) == 1 else named
