"""Embeddings of texts: a text backbone, and what makes one vector of its hidden states."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import keras
from keras import ops

from keras_tx.convert.sentence_transformers import (
    SentenceModules,
    locate_sentence_transformer,
    read_modules,
    transformer_directory,
    write_modules,
)
from keras_tx.layers.core.base import Layer, register
from keras_tx.layers.core.linear import Linear
from keras_tx.layers.core.token_pooling import TokenPooling
from keras_tx.models.core.auto import load_pretrained
from keras_tx.models.core.backbone import TextBackbone
from keras_tx.models.core.base import Model, paths_below
from keras_tx.models.core.inputs import inputs_by_name, present
from keras_tx.ops.activations import get_activation
from keras_tx.ops.checks import require_positive
from keras_tx.ops.fields import from_json

NORMALIZE = "normalize"
"""The step that makes vectors of length 1."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Projection:
    """A linear map of embeddings, and an activation."""

    units: int
    activation: str = "tanh"
    """By name, as of the library's own; "linear" for none."""
    use_bias: bool = True
    residual: bool = False
    """Whether its input is added to what it gives, by another linear map where the widths differ."""

    def __post_init__(self):
        require_positive(units=self.units)


@register
class EmbeddingHead(Layer):
    """Pools hidden states, and takes the vector through further steps: `(B, T, D)` to `(B, E)`.

    Args:
        width: D.
        pooling: as of `TokenPooling`.
        steps: `Projection`s, or their fields, and "normalize", in order.
        include_prompt: whether the tokens of a prompt are pooled, too.

    Raises:
        ValueError: for another step, and as `TokenPooling` does.
    """

    def __init__(
        self,
        width: int,
        pooling: Sequence[str] = ("mean",),
        steps: Sequence[Projection | dict[str, Any] | str] = (),
        include_prompt: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_positive(width=width)
        self.width = width
        self.pooling = tuple(pooling)
        self.steps: tuple[Projection | str, ...] = tuple(map(_step, steps))
        self.include_prompt = include_prompt
        self.pool = TokenPooling(self.pooling, dtype=self.dtype_policy, name="pool")
        self.projections: list[Linear] = []
        self.residuals: list[Linear | None] = []

    @property
    def dim(self) -> int:
        """E, the width of an embedding."""
        return self._widths()[-1]

    def _widths(self) -> list[int]:
        """The widths before the first step, and after each."""
        widths = [self.width * len(self.pooling)]
        for step in self.steps:
            widths.append(step.units if isinstance(step, Projection) else widths[-1])
        return widths

    def build(self, input_shape=None):
        widths = self._widths()
        for i, step in enumerate(self.steps):
            if not isinstance(step, Projection):
                continue
            options = {"dtype": self.dtype_policy}
            self.projections.append(Linear(step.units, use_bias=step.use_bias, name=f"projection_{i}", **options))
            self.projections[-1].build((None, widths[i]))
            residual = None
            if step.residual and step.units != widths[i]:
                residual = Linear(step.units, use_bias=False, name=f"residual_{i}", **options)
                residual.build((None, widths[i]))
            self.residuals.append(residual)

    def call(self, x, mask=None, skip: int = 0):
        """The embeddings; arguments as of `TokenPooling`."""
        x = self.pool(x, mask, skip=skip)
        projections = iter(zip(self.projections, self.residuals, strict=True))
        for step in self.steps:
            x = self._projected(x, step, *next(projections)) if isinstance(step, Projection) else _normalized(x)
        return x

    def projection_weights(self) -> list[dict[str, keras.Variable]]:
        """The weights of each projection, by "projection/kernel", "projection/bias" and "residual/kernel"."""
        found = []
        for projection, residual in zip(self.projections, self.residuals, strict=True):
            weights = {"projection/kernel": projection.kernel}
            weights |= {"projection/bias": projection.bias} if projection.use_bias else {}
            weights |= {} if residual is None else {"residual/kernel": residual.kernel}
            found.append(weights)
        return found

    def _projected(self, x, step: Projection, projection: Linear, residual: Linear | None):
        y = get_activation(step.activation)(projection(x))
        if not step.residual:
            return y
        return y + (x if residual is None else residual(x))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.dim)


def _step(step: Projection | dict[str, Any] | str) -> Projection | str:
    if step != NORMALIZE and not isinstance(step, Projection | dict):
        raise ValueError(f'`steps` must be Projections, their fields, and "{NORMALIZE}"; got {step!r}.')
    return step if isinstance(step, Projection | str) else from_json(step, Projection)


def _normalized(x):
    length = ops.sqrt(ops.sum(ops.square(ops.cast(x, "float32")), axis=-1, keepdims=True))
    return x / ops.cast(ops.maximum(length, 1e-12), x.dtype)


@register
class TextEmbeddingModel(Model):
    """Embeddings of texts, `(B, E)`: a backbone and a head, called as a layer of a larger model or by itself.

    `model(input_ids)`, or `model({"input_ids": ..., "attention_mask": ...})`, gives the embeddings.

    Args:
        backbone: a `TextBackbone`.
        head: an `EmbeddingHead` of its width; one that takes the mean unless given.
        name: as in Keras.

    Raises:
        ValueError: for parts that do not fit together.
    """

    def __init__(self, backbone: TextBackbone, head: EmbeddingHead | None = None, *, name: str | None = None):
        if not isinstance(backbone, TextBackbone):
            raise ValueError(f"`backbone` must be a TextBackbone; got a {type(backbone).__name__}.")
        super().__init__(backbone.config, name=name, dtype=backbone.dtype_policy)
        self.input_names = backbone.input_names
        self.backbone = backbone
        if not backbone.shared and (pooler := getattr(backbone, "pooler", None)) is not None:
            pooler.trainable = False  # nothing reads what it gives
        self.head = head or EmbeddingHead(backbone.width, dtype=backbone.dtype_policy, name="head")
        if self.head.width != backbone.width:
            raise ValueError(f"`head` is for a width of {self.head.width}; the backbone's is {backbone.width}.")
        if not self.head.built:
            self.head.build()
        self.build()

    def build(self, input_shape=None):
        """Nothing: backbone and head were built when they were made."""

    def call(self, inputs, attention_mask=None, token_type_ids=None, position_ids=None, skip: int = 0, training=None):
        """The embeddings, `(B, E)`.

        Args:
            inputs, attention_mask, token_type_ids, position_ids: as a `TextBackbone` takes them.
            skip: how many of a text's first tokens are a prompt's, which a head may leave out.
            training: whether dropout is active.
        """
        named = {"attention_mask": attention_mask, "token_type_ids": token_type_ids, "position_ids": position_ids}
        given = present(inputs_by_name(inputs, self.main_input, named, self.input_names))
        states = self.backbone(given, training=training)["last_hidden_state"]
        return self.head(states, given.get("attention_mask"), skip=0 if self.head.include_prompt else skip)

    @property
    def dim(self) -> int:
        """E, the width of an embedding."""
        return self.head.dim

    @property
    def max_positions(self):
        return self.backbone.max_positions

    @property
    def prompt_vocab_size(self) -> int:
        """The size of the vocabulary."""
        return self.backbone.prompt_vocab_size

    @property
    def output_keys(self):
        return ("embedding",)

    def input_signature(self):
        return self.backbone.input_signature()

    def weights_by_path(self) -> dict[str, keras.Variable]:
        return self.backbone.weights_by_path() | paths_below(self.head, "head")

    def layer_depth(self, path):
        return self.backbone.layer_depth(path) if path.startswith("backbone/") else None

    def get_config(self):
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in ("backbone", "head")}
        return {"name": self.name, **parts}

    @classmethod
    def from_config(cls, config) -> Self:
        parts = {name: keras.saving.deserialize_keras_object(config[name]) for name in ("backbone", "head")}
        return cls(**parts, name=config.get("name"))

    @classmethod
    def from_pretrained(cls, source: str | Path, *, dtype=None, **hub: Any) -> Self:
        """Returns the model of a sentence-transformers directory, or of a text model's, whose tokens' mean it takes.

        Args:
            source: a directory or a hub id.
            dtype: as in Keras.
            hub: `revision`, `cache_dir`, `local_files_only` and `token`, as `load_pretrained` takes them.

        Raises:
            FileNotFoundError: if there is nothing to load.
            ValueError: if a part of it is not supported.
        """
        directory = locate_sentence_transformer(source, **hub)
        return cls.of_modules(directory, read_modules(directory), dtype=dtype)

    @classmethod
    def of_modules(cls, directory: Path, modules: SentenceModules | None, *, dtype=None) -> Self:
        """Returns the model of a directory and what `read_modules` gave of it."""
        if modules is None:
            warnings.warn(f"{directory} says no pooling: the mean of its tokens is taken.", stacklevel=3)
            modules = SentenceModules()
        loaded: Any = load_pretrained(transformer_directory(directory), dtype=dtype)
        backbone = loaded if isinstance(loaded, TextBackbone) else getattr(loaded, "backbone", None)
        steps, include = modules.steps, modules.include_prompt
        if not isinstance(backbone, TextBackbone):
            raise ValueError(f"{directory} holds a {type(loaded).__name__}, which is no model of single texts.")
        model = cls(backbone, EmbeddingHead(backbone.width, modules.pooling, steps, include, dtype=dtype, name="head"))
        for name, arrays in zip(model.head.projection_weights(), modules.weights, strict=True):
            for part, weight in name.items():
                weight.assign(arrays[part])
        return model

    def save_pretrained(self, directory: str | Path, format: str = "huggingface", **options: Any) -> None:
        """Writes a directory that sentence-transformers reads, but for its tokenizer.

        `TextEmbeddingTask.save_pretrained` writes the tokenizer, too.

        Args:
            directory: where to.
            format: of the transformer in it, "huggingface" or "keras_tx".
            options: as of `Model.save_pretrained`.
        """
        self.backbone.save_pretrained(directory, format, **options)
        write_modules(Path(directory), self.modules(), self.backbone.width)

    def modules(self, **others: Any) -> SentenceModules:
        """Returns what a directory says of the model; `others` are fields that it does not have."""
        steps = tuple(step if isinstance(step, str) else dataclasses.asdict(step) for step in self.head.steps)
        arrays = [
            {part: ops.convert_to_numpy(weight).astype("float32") for part, weight in weights.items()}
            for weights in self.head.projection_weights()
        ]
        return SentenceModules(
            pooling=self.head.pooling,
            include_prompt=self.head.include_prompt,
            steps=steps,
            weights=tuple(arrays),
            **others,
        )
