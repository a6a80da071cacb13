"""Which self-attention a model's blocks have, as data: what a model's `attention=` takes.

    gpt2_small(attention=GroupedQuery(num_kv_heads=4))
    vit_base_patch16_224(attention="linear")
    bert_base(attention={"variant": "sliding_window", "window_size": 64})

The layers' classes document the fields. What all variants have in common, the heads, initializers and so on, comes from
the model's own config.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

from keras_tx.layers.attention.block_sparse import BlockSparseAttention
from keras_tx.layers.attention.latent import LatentAttention
from keras_tx.layers.attention.linear import LinearAttention
from keras_tx.layers.attention.low_rank import LinformerAttention, NystromAttention
from keras_tx.layers.attention.multi_head import MultiHeadAttention
from keras_tx.layers.attention.relative import RelativePositionAttention, TransformerXLAttention
from keras_tx.layers.attention.sliding_window import SlidingWindowAttention
from keras_tx.layers.core.base import Layer


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionConfig:
    """The base of the variants. `variant` is a variant's name, by which JSON and `of` know it."""

    layer: ClassVar[type[Layer]]
    lacks: ClassVar[tuple[str, ...]] = ()
    """What a block may ask of its attention, and this one cannot give."""
    ignores: ClassVar[tuple[str, ...]] = ()
    """What a block says of weights that this one does not have."""

    scales: ClassVar[bool] = True
    """Whether the layer has scores, for a `scale` to multiply."""

    variant: str

    @staticmethod
    def of(given: AttentionConfig | str | dict[str, Any] | None) -> AttentionConfig | None:
        """The variant of that name, or with these fields and its name among them; None and variants as they are.

        Raises:
            ValueError: for a name that no variant has, and fields that the named one does not have or needs.
        """
        if given is None or isinstance(given, AttentionConfig):
            return given
        fields = {"variant": given} if isinstance(given, str) else dict(given)
        cls = VARIANTS.get(fields.pop("variant", ""))
        if cls is None:
            known = ", ".join(map(repr, VARIANTS))
            raise ValueError(f"`attention` must be None, a variant, or the name of one, {known}; got {given!r}.")
        own = [field for field in dataclasses.fields(cls) if field.init]
        fields = {name: value for name, value in fields.items() if (name, value) not in _fixed(cls)}
        needed = [field.name for field in own if field.default is dataclasses.MISSING and field.name not in fields]
        if needed or not fields.keys() <= {field.name for field in own}:
            names = ", ".join(field.name for field in own) or "no fields"
            needs = f", and needs {', '.join(needed)}" if needed else ""
            raise ValueError(f"{cls.__name__} attention has {names}{needs}; got {given!r}.")
        return cls(**fields)

    @property
    def fields(self) -> dict[str, Any]:
        """Those of the variant, without its name."""
        fields = dataclasses.asdict(self)
        del fields["variant"]
        return fields

    @property
    def by_distance(self) -> bool:
        """Whether it counts how far apart two tokens stand in a row, so that padding between them changes it."""
        counting = (RelativePositionAttention, TransformerXLAttention, SlidingWindowAttention, BlockSparseAttention)
        return self.layer in counting or bool(getattr(self, "alibi", False))

    def make(self, d_model: int, num_heads: int, **options: Any) -> Layer:
        """The layer.

        Args:
            d_model: width in and out.
            num_heads: query heads.
            options: what else a block says of its attention, as `MultiHeadAttention` takes it.

        Raises:
            ValueError: for an option that has no meaning here, or that both sides give; and as the layer does.
        """
        for name in self.lacks:
            if value := options.pop(name, None):
                raise ValueError(f"`{name}` has no meaning with {type(self).__name__} attention; got {value!r}.")
        options = {name: value for name, value in options.items() if name not in self.ignores}
        own = {name: value for name, value in self.fields.items() if value or name not in options}
        for name in own.keys() & options.keys():
            if options[name] and options[name] != own[name]:
                raise ValueError(
                    f"`{name}` is {options[name]!r} in the model's config and {own[name]!r} in its `attention`: give "
                    "it in one place."
                )
        return self.layer(d_model, num_heads, **{**options, **own})


def _named(variant: str) -> Any:
    return dataclasses.field(default=variant, init=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiHead(AttentionConfig):
    """`MultiHeadAttention`, with what can be added to it."""

    layer: ClassVar = MultiHeadAttention
    variant: str = _named("multi_head")
    num_kv_heads: int | None = None
    alibi: bool = False
    soft_cap: float | None = None
    sinks: bool = False
    qk_norm: bool | Literal["layer", "rms"] = False
    chunk_size: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class GroupedQuery(MultiHead):
    """`MultiHeadAttention` whose query heads share fewer key/value heads."""

    variant: str = _named("grouped_query")
    num_kv_heads: int = dataclasses.field()  # needed here, where the parent has a default


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiQuery(MultiHead):
    """`MultiHeadAttention` whose query heads share one key/value head."""

    variant: str = _named("multi_query")
    num_kv_heads: int = dataclasses.field(default=1, init=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RelativePosition(AttentionConfig):
    """`RelativePositionAttention`."""

    layer: ClassVar = RelativePositionAttention
    variant: str = _named("relative_position")
    max_relative_position: int = 16
    relative_values: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransformerXL(AttentionConfig):
    """`TransformerXLAttention`, without a memory."""

    layer: ClassVar = TransformerXLAttention
    variant: str = _named("transformer_xl")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SlidingWindow(AttentionConfig):
    """`SlidingWindowAttention`."""

    layer: ClassVar = SlidingWindowAttention
    variant: str = _named("sliding_window")
    window_size: int = 256
    dilation: int = 1
    num_global: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockSparse(AttentionConfig):
    """`BlockSparseAttention`."""

    layer: ClassVar = BlockSparseAttention
    variant: str = _named("block_sparse")
    block_size: int = 64
    window_blocks: int = 1
    random_blocks: int = 3
    global_blocks: int = 1
    seed: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Linear(AttentionConfig):
    """`LinearAttention`; no weights are there to be dropped, whatever the model's `attention_dropout`."""

    layer: ClassVar = LinearAttention
    ignores: ClassVar = ("dropout",)
    scales: ClassVar = False
    variant: str = _named("linear")
    feature_map: Literal["elu", "favor"] = "elu"
    num_features: int | None = None
    seed: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Latent(AttentionConfig):
    """`LatentAttention`, which has no biases and turns a part of queries and keys by itself."""

    layer: ClassVar = LatentAttention
    lacks: ClassVar = ("num_kv_heads", "qk_norm", "scale", "rotary_base", "rotary")
    ignores: ClassVar = ("use_bias", "qkv_bias", "query_initializer")
    scales: ClassVar = False
    variant: str = _named("latent")
    latent_dim: int
    rotary_dim: int | None = None
    value_dim: int | None = None
    query_dim: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Linformer(AttentionConfig):
    """`LinformerAttention`."""

    layer: ClassVar = LinformerAttention
    variant: str = _named("linformer")
    max_length: int
    rank: int = 64
    share_projection: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Nystrom(AttentionConfig):
    """`NystromAttention`; no weights are there to be dropped, whatever the model's `attention_dropout`."""

    layer: ClassVar = NystromAttention
    ignores: ClassVar = ("dropout",)
    variant: str = _named("nystrom")
    num_landmarks: int = 64
    iterations: int = 6


def _fixed(cls: type[AttentionConfig]) -> list[tuple[str, Any]]:
    """The fields that the variant's class decides, and their values."""
    return [(field.name, field.default) for field in dataclasses.fields(cls) if not field.init]


VARIANTS: dict[str, type[AttentionConfig]] = {
    dict(_fixed(cls))["variant"]: cls
    for cls in (
        MultiHead,
        GroupedQuery,
        MultiQuery,
        RelativePosition,
        TransformerXL,
        SlidingWindow,
        BlockSparse,
        Linear,
        Latent,
        Linformer,
        Nystrom,
    )
}
