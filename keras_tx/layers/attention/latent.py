"""Multi-head latent attention: keys and values come from a short vector a position, which is all that is cached."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops

from keras_tx.layers.attention.base import Attention
from keras_tx.layers.core.base import register
from keras_tx.ops.attention import masks
from keras_tx.ops.attention.cache import LatentCache
from keras_tx.ops.attention.rotary import rotary, rotate
from keras_tx.ops.attention.softmax import attention
from keras_tx.ops.checks import require_positive, require_rank, require_rate, require_width


@register
class LatentAttention(Attention):
    """Multi-head latent attention (DeepSeek-V2, 2024, section 2.1): compressed keys and values, a rotary part apart.

    A position's latent c = norm(W x) gives each head's key and value, of widths `head_dim` and `value_dim`;
    `rotary_dim` more channels of queries, and of one key that all heads share, carry the position. With a cache the
    maps from latents to keys and values are absorbed into queries and output, so that all heads look at the latents
    themselves (section 2.1.3): the cache holds `latent_dim + rotary_dim` numbers a position.

    Args:
        dim: width in and out.
        num_heads: heads.
        latent_dim: width of the latent.
        head_dim: width of queries and keys without the rotary part; `dim / num_heads` unless given.
        rotary_dim: width of the rotary part, even; half of `head_dim`, made even, unless given.
        value_dim: width of values; `head_dim` unless given.
        query_dim: width of a latent for queries too; None for none.
        causal: whether a position sees only itself and those before it.
        rope_theta: of the rotary part.
        dropout: rate on the attention weights.
        norm_epsilon: added to the mean square in the latents' norms.
        kernel_initializer: of the projections' kernels.
        output_initializer: of the output projection's kernel, if other.

    Raises:
        ValueError: for sizes less than 1, heads that do not divide, an odd `rotary_dim`, a rate outside [0, 1); at
            call, for ranks, widths and masks that do not fit, a context, and more positions than the cache has.
    """

    without: ClassVar[tuple[str, ...]] = (
        "num_kv_heads",
        "context_dim",
        "rotary",
        "alibi",
        "scale",
        "soft_cap",
        "sinks",
        "chunk_size",
        "use_bias",
        "qkv_bias",
        "qk_norm",
        "query_initializer",
    )

    def __init__(
        self,
        dim: int,
        num_heads: int,
        latent_dim: int,
        *,
        head_dim: int | None = None,
        rotary_dim: int | None = None,
        value_dim: int | None = None,
        query_dim: int | None = None,
        causal: bool = True,
        rope_theta: float = 10000.0,
        dropout: float = 0.0,
        norm_epsilon: float = 1e-6,
        kernel_initializer="glorot_uniform",
        output_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_positive(dim=dim, num_heads=num_heads, latent_dim=latent_dim, head_dim=head_dim)
        require_positive(rotary_dim=rotary_dim, value_dim=value_dim, query_dim=query_dim)
        require_rate(dropout=dropout)
        if head_dim is None and dim % num_heads:
            raise ValueError(
                f"`dim` must be a multiple of `num_heads`, or `head_dim` given; got {dim} and {num_heads}."
            )
        if rotary_dim is not None and rotary_dim % 2:
            raise ValueError(f"`rotary_dim` must be even, pairs of channels that are turned; got {rotary_dim}.")
        self.dim = dim
        self.num_heads = num_heads
        self.latent_dim = latent_dim
        self.head_dim = head_dim or dim // num_heads
        self.rotary_dim = rotary_dim or 2 * -(-self.head_dim // 4)
        self.value_dim = value_dim or self.head_dim
        self.query_dim = query_dim
        self.causal = causal
        self.rope_theta = rope_theta
        self.dropout = dropout
        self.norm_epsilon = norm_epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)
        if query_dim is not None:
            self.query_latent = self._projection(query_dim, "query_latent", False)
            self.query_norm = self._norm("rms", "query_norm")
        self.query = self._projection(num_heads * (self.head_dim + self.rotary_dim), "query", False)
        self.latent = self._projection(latent_dim + self.rotary_dim, "latent", False)
        self.latent_norm = self._norm("rms", "latent_norm")
        self.key_value = self._projection(num_heads * (self.head_dim + self.value_dim), "key_value", False)
        self.output_projection = self._projection(dim, "output", False, self.output_initializer)
        self.seed_generator = keras.random.SeedGenerator() if dropout else None

    def build(self, input_shape=None):
        if self.query_dim is not None:
            self.query_latent.build((None, self.dim))
            self.query_norm.build((None, self.query_dim))
        self.query.build((None, self.query_dim or self.dim))
        self.latent.build((None, self.dim))
        self.latent_norm.build((None, self.latent_dim))
        self.key_value.build((None, self.latent_dim))
        self.output_projection.build((None, self.num_heads * self.value_dim))

    def call(
        self,
        x,
        context=None,
        attention_mask=None,
        bias=None,
        positions=None,
        segments=None,
        cache: LatentCache | None = None,
        return_attention: bool = False,
        training=None,
        mask=None,
        x_mask=None,
    ):
        """Attends from `x` to itself; arguments and results as of `MultiHeadAttention`, with a `LatentCache`."""
        require_rank(x, 3, "x", "(batch, length, dim)")
        require_width(x, self.dim, "x")
        if context is not None:
            raise ValueError("`context` has no meaning in LatentAttention, which is self-attention.")
        length = ops.shape(x)[1]
        new = ops.arange(length, dtype="int32") if cache is None else cache.query_positions(length)
        slots = new if cache is None else cache.key_positions()
        turns = rotary(new if positions is None else positions, self.rotary_dim, self.rope_theta)
        query, query_turned = self._queries(x, turns)
        mask = masks.with_keys(
            masks.given_to_layer(attention_mask, segments, lambda: (new, slots)), self._own_mask(mask, x_mask, cache)
        )
        keys = self._meet((self._latents(x, turns),), mask, cache, queries=length)
        options: dict[str, Any] = {
            "mask": keys.mask,
            "causal": keys.causal,
            "bias": bias,
            "scale": (self.head_dim + self.rotary_dim) ** -0.5,
            "dropout": self.dropout,
            "seed": self.seed_generator if training else None,
            "return_weights": return_attention,
        }
        (latents,) = keys.tensors
        if cache is None:
            key, value = self._expanded(latents)
        else:  # one head's keys, and values with the rotary part, which is cut off after
            key = value = latents
            to_keys, to_values = self._kernels(query.dtype)
            query = ops.einsum("bhtd,chd->bhtc", query, to_keys)
        attended = attention(ops.concatenate([query, query_turned], axis=-1), key, value, **options)
        output, *weights = attended if return_attention else (attended,)
        if cache is not None:
            output = ops.einsum("bhtc,chd->bhtd", output[..., : self.latent_dim], to_values)
        output = self.output_projection(self._merge(output))
        extras = (*weights, *(() if cache is None else (keys.cache,)))
        return (output, *extras) if extras else output

    def _queries(self, x, turns):
        """Returns each head's queries, `(B, H, T, head_dim)`, and their rotary parts, `(B, H, T, rotary_dim)`."""
        if self.query_dim is not None:
            x = self.query_norm(self.query_latent(x))
        query = self._split(self.query, x, self.num_heads)
        return query[..., : self.head_dim], rotate(query[..., self.head_dim :], *turns)

    def _latents(self, x, turns):
        """The latent and the rotated key of each position: `(B, 1, T, latent_dim + rotary_dim)`."""
        x = self.latent(x)[:, None]
        turned = rotate(x[..., self.latent_dim :], *turns)
        return ops.concatenate([self.latent_norm(x[..., : self.latent_dim]), turned], axis=-1)

    def _expanded(self, latent):
        """Returns each head's keys and values, `(B, H, S, ·)`."""
        both = self._split(self.key_value, latent[:, 0, :, : self.latent_dim], self.num_heads)
        batch, heads, length, _ = ops.shape(both)
        turned = ops.broadcast_to(latent[..., self.latent_dim :], (batch, heads, length, self.rotary_dim))
        return ops.concatenate([both[..., : self.head_dim], turned], axis=-1), both[..., self.head_dim :]

    def _kernels(self, dtype):
        """The maps from latents to keys and to values, `(latent_dim, H, ·)`."""
        kernel = ops.cast(self.key_value.kernel, dtype)
        kernel = ops.reshape(kernel, (self.latent_dim, self.num_heads, self.head_dim + self.value_dim))
        return kernel[..., : self.head_dim], kernel[..., self.head_dim :]

    def init_cache(self, batch_size, length: int) -> LatentCache:
        """An empty cache for `length` positions."""
        return LatentCache.empty(batch_size, length, self.latent_dim + self.rotary_dim, self.compute_dtype)
