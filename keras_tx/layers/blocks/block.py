"""The transformer block: encoder, decoder-only and encoder-decoder, pre- and post-norm."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Self

import keras

from keras_tx.layers.attention.multi_head import MultiHeadAttention
from keras_tx.layers.attention.variants import AttentionConfig, Given, of_layer
from keras_tx.layers.core.base import Layer, register
from keras_tx.layers.core.dropout import Dropout, DropPath
from keras_tx.layers.core.feedforward import FeedForward
from keras_tx.layers.core.mixture_of_experts import Experts, MixtureOfExperts
from keras_tx.layers.core.norm import make_norm
from keras_tx.layers.core.scale import LayerScale
from keras_tx.ops.attention.cache import Cache, LayerCache
from keras_tx.ops.attention.rotary import Rotary
from keras_tx.ops.checks import require_positive, require_rank, require_rate, require_width
from keras_tx.ops.fields import from_json


class _OfBlock(NamedTuple):
    attention: LayerCache
    cross: Any = ()


class BlockCache(_OfBlock, Cache):
    """The caches of one block.

    Attributes:
        attention: its layer's, of the positions before.
        cross: the `KVCache` of the context, which is only read; `()` for none.
    """

    __slots__ = ()

    @property
    def fill(self) -> Any:
        return self.attention.fill

    @property
    def capacity(self) -> int | None:
        return self.attention.capacity

    def rewind(self, index) -> Self:
        return self._replace(attention=self.attention.rewind(index))

    def until(self, end) -> Self:
        return self._replace(attention=self.attention.until(end))

    def filled(self, index) -> Self:
        return self._replace(attention=self.attention.filled(index))

    def repeat_rows(self, copies: int) -> Self:
        cross = self.cross.repeat_rows(copies) if self.cross else ()
        return self._replace(attention=self.attention.repeat_rows(copies), cross=cross)

    def take_rows(self, rows) -> Self:
        # The context's keys and values are most of what the cache holds, and the same in all rows of a prompt.
        return self._replace(attention=self.attention.take_rows(rows))


@register
class TransformerBlock(Layer):
    """Attention, cross attention if asked for, and a feed-forward network, each a residual branch.

    Post-norm is x = norm(x + branch(x)) (Vaswani et al. 2017, section 3.1); pre-norm is x = x + branch(norm(x))
    (Radford et al. 2019, section 2.3), after which a stack needs one more norm.

    Args:
        d_model: width in and out.
        num_heads: query heads.
        d_ff: width between the two maps of the feed-forward network; `4 * d_model` unless given.
        dropout: rate on each branch's output.
        num_kv_heads: key/value heads of self-attention; as many as `num_heads` unless given.
        head_dim: width of a head; `d_model / num_heads` unless given.
        scale: multiplies the attention scores; `head_dim ** -0.5` unless given.
        context_dim: width of the context for cross attention; None for a block without it.
        causal: whether self-attention looks only back.
        norm_position: "pre" or "post".
        norm: "layer", or "rms", which neither takes the mean off nor adds an offset (Zhang and Sennrich 2019).
        norm_epsilon: added to the variance, or mean square, in every norm.
        activation: of the feed-forward network, by name.
        gated: whether that is gated, as `FeedForward` has it.
        experts: an `Experts`, or its fields, for a `MixtureOfExperts` in that network's place; None for one network.
        attention_dropout: rate on the attention weights.
        activation_dropout: rate inside the feed-forward network.
        drop_path: rate at which a branch is dropped for a whole sample.
        rope_theta: base of rotary position embeddings in self-attention; None for none.
        rotary: these embeddings with more to say than a base, as `MultiHeadAttention` takes them.
        use_bias: whether linear maps have biases.
        qkv_bias: whether those to queries, keys and values have, if other.
        feed_forward_bias: whether those of the feed-forward network have, if other.
        qk_norm: whether queries and keys are normalized, as `MultiHeadAttention` has it.
        layer_scale: what each channel of a branch's output is first multiplied by, a weight (LayerScale, Touvron et
            al. 2021); None for none.
        kernel_initializer: of all kernels.
        output_initializer: of the kernels that end a residual branch, if other.
        query_initializer: of the kernels to queries, if other.
        attention_variant: another self-attention, as `AttentionConfig.of` takes it; multi-head unless given. Of
            several, in turn, the block has the one of its `layer_index`.
        layer_index: how many blocks stand before this one, which attention may depend on.
        residual_dtype: dtype of what the branches are added to, of the norms and of the feed-forward network's last
            map, if other than the block's: "float32" where float16 would overflow.

    Raises:
        ValueError: for another `norm_position` or `norm`, and as the sublayers do.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int | None = None,
        dropout: float = 0.0,
        *,
        num_kv_heads: int | None = None,
        head_dim: int | None = None,
        scale: float | None = None,
        context_dim: int | None = None,
        causal: bool = False,
        norm_position: Literal["pre", "post"] = "pre",
        norm: Literal["layer", "rms"] = "layer",
        norm_epsilon: float = 1e-5,
        activation: str = "relu",
        gated: bool = False,
        experts: Experts | dict | None = None,
        attention_dropout: float = 0.0,
        activation_dropout: float = 0.0,
        drop_path: float = 0.0,
        rope_theta: float | None = None,
        rotary: Rotary | dict | None = None,
        use_bias: bool = True,
        qkv_bias: bool | None = None,
        feed_forward_bias: bool | None = None,
        qk_norm: bool = False,
        layer_scale: float | None = None,
        kernel_initializer="glorot_uniform",
        output_initializer=None,
        query_initializer=None,
        attention_variant: Given = None,
        layer_index: int = 0,
        residual_dtype: str | None = None,
        **kwargs,
    ):
        super().__init__(**{"autocast": residual_dtype is None, **kwargs})
        self.supports_masking = True
        if norm_position not in ("pre", "post"):
            raise ValueError(f'`norm_position` must be "pre" or "post"; got {norm_position!r}.')
        if norm not in ("layer", "rms"):
            raise ValueError(f'`norm` must be "layer" or "rms"; got {norm!r}.')
        require_positive(d_model=d_model, num_heads=num_heads, d_ff=d_ff)
        require_rate(dropout=dropout, attention_dropout=attention_dropout)
        require_rate(activation_dropout=activation_dropout, drop_path=drop_path)
        self.d_model = d_model
        self.num_heads = num_heads
        self.d_ff = d_ff
        self.dropout = dropout
        self.num_kv_heads = num_kv_heads
        self.head_dim = head_dim
        self.scale = scale
        self.context_dim = context_dim
        self.causal = causal
        self.norm_position = norm_position
        self.norm = norm
        self.norm_epsilon = norm_epsilon
        self.activation = activation
        self.gated = gated
        self.experts: Experts | None = from_json(experts, Experts)
        self.attention_dropout = attention_dropout
        self.activation_dropout = activation_dropout
        self.drop_path = drop_path
        self.rope_theta = rope_theta
        self.rotary = Rotary.of(rotary)
        self.use_bias = use_bias
        self.qkv_bias = qkv_bias
        self.feed_forward_bias = feed_forward_bias
        self.qk_norm = qk_norm
        self.layer_scale = layer_scale
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)
        self.query_initializer = keras.initializers.get(query_initializer)
        self.attention_variant = AttentionConfig.of(attention_variant)
        self.layer_index = layer_index
        self.residual_dtype = residual_dtype

        linear = {
            "use_bias": use_bias,
            "kernel_initializer": self.kernel_initializer,
            "output_initializer": self.output_initializer,
            "dtype": self.dtype_policy,
        }
        heads = {
            "head_dim": head_dim,
            "scale": scale,
            "dropout": attention_dropout,
            "query_initializer": self.query_initializer,
            "qkv_bias": qkv_bias,
            "qk_norm": qk_norm,
            "norm_epsilon": norm_epsilon,
            **linear,
        }
        own = {"num_kv_heads": num_kv_heads, "causal": causal, "rope_theta": rope_theta, "rotary": rotary}
        variant = of_layer(self.attention_variant, layer_index)
        self.attention = variant.make(d_model, num_heads, layer=layer_index, name="attention", **own, **heads)
        self.attention_norm = self._norm("attention_norm")
        self.attention_scale = self._scale("attention_scale")
        if context_dim is not None:
            self.cross_attention = MultiHeadAttention(
                d_model, num_heads, context_dim=context_dim, name="cross_attention", **heads
            )
            self.cross_attention_norm = self._norm("cross_attention_norm")
            self.cross_attention_scale = self._scale("cross_attention_scale")
        inside: dict[str, Any] = {"activation": activation, "gated": gated, "activation_dropout": activation_dropout}
        inside["output_dtype"] = residual_dtype
        if feed_forward_bias is not None:
            linear["use_bias"] = feed_forward_bias
        kind: type[FeedForward] = FeedForward
        if self.experts is not None:
            kind, inside["experts"] = MixtureOfExperts, self.experts
        self.feed_forward = kind(d_model, d_ff or 4 * d_model, name="feed_forward", **inside, **linear)
        self.feed_forward_norm = self._norm("feed_forward_norm")
        self.feed_forward_scale = self._scale("feed_forward_scale")
        self.drop = Dropout(dropout, dtype=self._residual_policy, name="drop")
        self.stochastic_depth = DropPath(drop_path, dtype=self._residual_policy, name="drop_path")

    @property
    def _residual_policy(self):
        return self.residual_dtype or self.dtype_policy

    def _norm(self, name: str):
        return make_norm(self.norm, self.norm_epsilon, dtype=self._residual_policy, name=name)

    def _scale(self, name: str):
        if self.layer_scale is None:
            return None
        return LayerScale(self.d_model, self.layer_scale, dtype=self._residual_policy, name=name)

    def build(self, input_shape=None):
        shape = (None, None, self.d_model)
        self.attention.build(shape)
        self.attention_norm.build(shape)
        if self.context_dim is not None:
            self.cross_attention.build(shape)
            self.cross_attention_norm.build(shape)
        self.feed_forward.build(shape)
        self.feed_forward_norm.build(shape)
        if self.layer_scale is not None:
            self.attention_scale.build(shape)
            if self.context_dim is not None:
                self.cross_attention_scale.build(shape)
            self.feed_forward_scale.build(shape)

    def call(
        self,
        x,
        context=None,
        attention_mask=None,
        context_mask=None,
        bias=None,
        positions=None,
        global_attention_mask=None,
        cache: BlockCache | None = None,
        return_attention: bool = False,
        training=None,
        mask=None,
        x_mask=None,
        attention_inputs: dict[str, Any] | None = None,
    ):
        """One block.

        Args:
            x: `(B, T, d_model)`.
            context: `(B, S, context_dim)`; needed by a block with cross attention, unless `cache` holds it.
            attention_mask, bias, positions: as `MultiHeadAttention` takes them, for self-attention.
            context_mask: as `attention_mask`, over the context; Keras's mask of the context unless given.
            global_attention_mask: as `LongformerAttention` takes it, for self-attention of that kind.
            cache: from `init_cache`.
            return_attention: also return the maps.
            training: whether dropout is active.
            mask, x_mask: Keras's mask of `x`, as `MultiHeadAttention` takes it.
            attention_inputs: by name, what the layer of self-attention takes besides.

        Returns:
            `(B, T, d_model)`; with `return_attention`, then the map `(B, H, T, S)`, or a pair of it and the cross
            attention's; with `cache`, then the new cache.
        """
        require_rank(x, 3, "x", "(batch, length, d_model)")
        require_width(x, self.d_model, "x")
        if context is not None and self.context_dim is None:
            raise ValueError("`context` is for cross attention: make the block with `context_dim`.")
        asked = {"return_attention": return_attention, "training": training}
        mask = x_mask if mask is None else mask
        own_masks = {"x_mask": mask, "global_attention_mask": global_attention_mask}
        own, crossed = (None, None) if cache is None else cache
        x = x if self.residual_dtype is None else keras.ops.cast(x, self.residual_dtype)
        x, weights, own = self._attend(
            self.attention,
            self.attention_norm,
            self.attention_scale,
            x,
            attention_mask=attention_mask,
            bias=bias,
            positions=positions,
            cache=own,
            **{name: given for name, given in own_masks.items() if given is not None},
            **(attention_inputs or {}),
            **asked,
        )
        if self.context_dim is not None:
            x, cross_weights, crossed = self._attend(
                self.cross_attention,
                self.cross_attention_norm,
                self.cross_attention_scale,
                x,
                context=context,
                attention_mask=context_mask,
                cache=crossed,
                **asked,
            )
            weights = (weights, cross_weights)
        y = self.feed_forward(self._enter(x, self.feed_forward_norm), training=training)
        x = self._leave(x, y, self.feed_forward_norm, self.feed_forward_scale, training)
        extras = (weights,) if return_attention else ()
        if cache is not None:
            extras = (*extras, BlockCache(own, crossed))
        return (x, *extras) if extras else x

    def _attend(self, layer, norm, scale, x, *, cache, return_attention, training, **inputs):
        """One attention branch: the new `x`, the map and the cache, None for what was not asked for."""
        result = layer(
            self._enter(x, norm), cache=cache, return_attention=return_attention, training=training, **inputs
        )
        y, *extras = result if isinstance(result, tuple) else (result,)
        weights = extras.pop(0) if return_attention else None
        return self._leave(x, y, norm, scale, training), weights, (extras.pop() if extras else None)

    def _enter(self, x, norm):
        return norm(x) if self.norm_position == "pre" else x

    def _leave(self, x, y, norm, scale, training):
        y = self.drop(y, training=training)
        x = x + self.stochastic_depth(y if scale is None else scale(y), training=training)
        return x if self.norm_position == "pre" else norm(x)

    def init_cache(self, batch_size, length: int, context=None) -> BlockCache:
        """An empty cache for `length` positions; with the keys and values of `context`, if there is one."""
        own = self.attention.init_cache(batch_size, length)
        return BlockCache(own) if context is None else BlockCache(own, self.cross_attention.project_context(context))

    def compute_output_shape(self, input_shape):
        return input_shape
