"""The variants of self-attention as data: what a model's `attention=` takes.

    from keras_tx import attention

    gpt2_small(attention=attention.GroupedQuery(num_kv_heads=4))
    vit_base_patch16_224(attention="linear")
    bert_base(attention={"variant": "sliding_window", "window_size": 64})
    gpt2_small(attention=[attention.SlidingWindow(window_size=128), "multi_head"])  # local and global in turn

The layers' classes document the fields, and have their defaults. What all variants have in common, the heads,
initializers and so on, comes from the model's own config.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

from keras_tx.layers.attention.base import Attention
from keras_tx.layers.attention.block_sparse import BlockSparseAttention
from keras_tx.layers.attention.disentangled import DisentangledAttention
from keras_tx.layers.attention.latent import LatentAttention
from keras_tx.layers.attention.linear import LinearAttention
from keras_tx.layers.attention.longformer import LongformerAttention
from keras_tx.layers.attention.low_rank import LinformerAttention, NystromAttention
from keras_tx.layers.attention.multi_head import MultiHeadAttention
from keras_tx.layers.attention.relative import RelativePositionAttention, TransformerXLAttention
from keras_tx.layers.attention.sliding_window import SlidingWindowAttention

OF_LAYER: Any = object()
"""A field's default where it is that of the layer's argument of the same name."""

OF_ALL_LAYERS = ("dropout", "use_bias", "qkv_bias", "query_initializer")
"""Options that a model gives to all its layers; a layer that lacks one of these ignores it."""

VARIANTS: dict[str, type[AttentionConfig]] = {}
"""All variants by name, those that are defined elsewhere too."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionConfig:
    """The base of the variants. `variant` is a variant's name, by which JSON and `of` know it."""

    layer: ClassVar[type[Attention]]

    variant: str

    def __init_subclass__(cls):
        VARIANTS[vars(cls)["variant"].default] = cls
        arguments = inspect.signature(cls.layer).parameters
        for name in [name for name, value in vars(cls).items() if value is OF_LAYER]:
            setattr(cls, name, arguments[name].default)

    @staticmethod
    def of(given: Given, num_layers: int | None = None) -> Pattern:
        """Returns a model's `attention` in its one form.

        Args:
            given: a variant, its name, or its fields with its name among them; or a sequence of these, which the
                layers have in turn, the first of all after the last, where None is multi-head attention. None alone
                is left so.
            num_layers: of the model; for an error where a sequence is longer.

        Returns:
            A variant, a tuple of variants, or None.

        Raises:
            ValueError: for a name that no variant has, fields that the named one does not have or needs, and a
                sequence of nothing, or of more than there are layers.
        """
        if given is None or isinstance(given, AttentionConfig):
            return given
        if isinstance(given, str | dict):
            return _variant(given)
        if not isinstance(given, Iterable):
            raise ValueError(_unknown(given))
        pattern = tuple(_variant("multi_head" if one is None else one) for one in given)
        if not pattern:
            raise ValueError("`attention` must be at least one variant, or None for multi-head attention; got none.")
        if num_layers is not None and len(pattern) > num_layers:
            raise ValueError(
                f"`attention` must be at most as many variants as there are layers, {num_layers}; got {len(pattern)}."
            )
        return pattern

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the variant, without its name."""
        fields = dataclasses.asdict(self)
        del fields["variant"]
        return fields

    @property
    def by_distance(self) -> bool:
        """Whether it counts how far apart two tokens stand in a row, so that padding between them changes it."""
        return self.layer.by_distance or bool(getattr(self, "alibi", False))

    @property
    def scales(self) -> bool:
        """Whether the layer has scores, for a `scale` to multiply."""
        return "scale" not in self.layer.without

    def of_depth(self, layer: int) -> dict[str, Any]:
        """Arguments of the layer that depend on how deep it stands: its block's index, counted from 0."""
        return {}

    def make(self, d_model: int, num_heads: int, *, layer: int = 0, **options: Any) -> Attention:
        """The layer.

        Args:
            d_model: width in and out.
            num_heads: query heads.
            layer: the index of its block, counted from 0.
            options: what else a block says of its attention, as `MultiHeadAttention` takes it.

        Raises:
            ValueError: for an option that has no meaning here, or that both sides give; and as the layer does.
        """
        for name in self.layer.without:
            if (value := options.pop(name, None)) and name not in OF_ALL_LAYERS:
                raise ValueError(f"`{name}` has no meaning with {type(self).__name__} attention; got {value!r}.")
        options = {name: value for name, value in options.items() if value is not None}
        own = {**self.fields, **self.of_depth(layer)}
        own = {name: value for name, value in own.items() if value or name not in options}
        for name in own.keys() & options.keys():
            if options[name] and options[name] != own[name]:
                raise ValueError(
                    f"`{name}` is {options[name]!r} in the model's config and {own[name]!r} in its `attention`: give "
                    "it in one place."
                )
        return self.layer(d_model, num_heads, **{**options, **own})


Pattern: TypeAlias = AttentionConfig | tuple[AttentionConfig, ...] | None
"""The attention of all layers: one variant, several in turn, or None for multi-head attention."""
Given: TypeAlias = Pattern | str | dict[str, Any] | Sequence[AttentionConfig | str | dict[str, Any] | None]


def variants_of(attention: Pattern) -> tuple[AttentionConfig, ...]:
    """Returns the variants that a pattern consists of, in order."""
    if attention is None:
        return (MultiHead(),)
    return (attention,) if isinstance(attention, AttentionConfig) else attention


def of_layer(attention: Pattern, layer: int) -> AttentionConfig:
    """The variant of the block of this index, counted from 0."""
    variants = variants_of(attention)
    return variants[layer % len(variants)]


# === The variants ===


def named(variant: str) -> Any:
    """The field `variant` of a variant of that name."""
    return dataclasses.field(default=variant, init=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiHead(AttentionConfig):
    """`MultiHeadAttention`, with what can be added to it."""

    layer: ClassVar = MultiHeadAttention
    variant: str = named("multi_head")
    num_kv_heads: int | None = OF_LAYER
    alibi: bool = OF_LAYER
    soft_cap: float | None = OF_LAYER
    sinks: bool = OF_LAYER
    qk_norm: bool | Literal["layer", "rms"] = OF_LAYER
    chunk_size: int | None = OF_LAYER


@dataclasses.dataclass(frozen=True, kw_only=True)
class GroupedQuery(MultiHead):
    """`MultiHeadAttention` whose query heads share fewer key/value heads."""

    variant: str = named("grouped_query")
    num_kv_heads: int = dataclasses.field()  # needed here, where the parent has a default


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiQuery(MultiHead):
    """`MultiHeadAttention` whose query heads share one key/value head."""

    variant: str = named("multi_query")
    num_kv_heads: int = dataclasses.field(default=1, init=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RelativePosition(AttentionConfig):
    """`RelativePositionAttention`."""

    layer: ClassVar = RelativePositionAttention
    variant: str = named("relative_position")
    max_relative_position: int = OF_LAYER
    relative_values: bool = OF_LAYER


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransformerXL(AttentionConfig):
    """`TransformerXLAttention`, without a memory."""

    layer: ClassVar = TransformerXLAttention
    variant: str = named("transformer_xl")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Disentangled(AttentionConfig):
    """`DisentangledAttention`, with vectors of relative positions in each layer unless the model gives them to all."""

    layer: ClassVar = DisentangledAttention
    variant: str = named("disentangled")
    max_relative_positions: int = OF_LAYER
    position_buckets: int | None = OF_LAYER
    pos_att_type: tuple[str, ...] = OF_LAYER
    share_att_key: bool = OF_LAYER
    position_dropout: float = OF_LAYER
    own_table: bool = OF_LAYER

    def __post_init__(self):
        if isinstance(self.pos_att_type, list):  # of JSON
            object.__setattr__(self, "pos_att_type", tuple(self.pos_att_type))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SlidingWindow(AttentionConfig):
    """`SlidingWindowAttention`."""

    layer: ClassVar = SlidingWindowAttention
    variant: str = named("sliding_window")
    window_size: int = OF_LAYER
    dilation: int = OF_LAYER
    num_global: int = OF_LAYER


@dataclasses.dataclass(frozen=True, kw_only=True)
class Longformer(AttentionConfig):
    """`LongformerAttention`."""

    layer: ClassVar = LongformerAttention
    variant: str = named("longformer")
    attention_window: int = OF_LAYER
    max_global: int | None = OF_LAYER


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockSparse(AttentionConfig):
    """`BlockSparseAttention`."""

    layer: ClassVar = BlockSparseAttention
    variant: str = named("block_sparse")
    block_size: int = OF_LAYER
    window_blocks: int = OF_LAYER
    random_blocks: int = OF_LAYER
    global_blocks: int = OF_LAYER
    seed: int = OF_LAYER


@dataclasses.dataclass(frozen=True, kw_only=True)
class Linear(AttentionConfig):
    """`LinearAttention`; no weights are there to be dropped, whatever the model's `attention_dropout`."""

    layer: ClassVar = LinearAttention
    variant: str = named("linear")
    feature_map: Literal["elu", "favor"] = OF_LAYER
    num_features: int | None = OF_LAYER
    seed: int | None = OF_LAYER

    @property
    def scales(self) -> bool:
        return self.feature_map == "favor"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Latent(AttentionConfig):
    """`LatentAttention`, which has no biases and turns a part of queries and keys by itself."""

    layer: ClassVar = LatentAttention
    variant: str = named("latent")
    latent_dim: int
    rotary_dim: int | None = OF_LAYER
    value_dim: int | None = OF_LAYER
    query_dim: int | None = OF_LAYER


@dataclasses.dataclass(frozen=True, kw_only=True)
class Linformer(AttentionConfig):
    """`LinformerAttention`."""

    layer: ClassVar = LinformerAttention
    variant: str = named("linformer")
    max_length: int
    rank: int = OF_LAYER
    share_projection: bool = OF_LAYER


@dataclasses.dataclass(frozen=True, kw_only=True)
class Nystrom(AttentionConfig):
    """`NystromAttention`; no weights are there to be dropped, whatever the model's `attention_dropout`."""

    layer: ClassVar = NystromAttention
    variant: str = named("nystrom")
    num_landmarks: int = OF_LAYER
    iterations: int = OF_LAYER


# === By name and fields ===


def _variant(given: AttentionConfig | str | dict[str, Any]) -> AttentionConfig:
    if isinstance(given, AttentionConfig):
        return given
    if not isinstance(given, str | dict):
        raise ValueError(_unknown(given))
    fields = {"variant": given} if isinstance(given, str) else dict(given)
    cls = VARIANTS.get(fields.pop("variant", ""))
    if cls is None:
        raise ValueError(_unknown(given))
    # The fields that the class decides may be named, as JSON has them.
    decided = [(field.name, field.default) for field in dataclasses.fields(cls) if not field.init]
    fields = {name: value for name, value in fields.items() if (name, value) not in decided}
    own = [field for field in dataclasses.fields(cls) if field.init]
    needed = [field.name for field in own if field.default is dataclasses.MISSING and field.name not in fields]
    if needed or not fields.keys() <= {field.name for field in own}:
        names = ", ".join(field.name for field in own) or "no fields"
        needs = f", and needs {', '.join(needed)}" if needed else ""
        raise ValueError(f"{cls.__name__} attention has {names}{needs}; got {given!r}.")
    return cls(**fields)


def _unknown(given) -> str:
    known = ", ".join(map(repr, VARIANTS))
    return (
        f"`attention` must be None, a variant, its name or fields, or a sequence of these, for the layers in turn; the "
        f"names are {known}; got {given!r}."
    )
