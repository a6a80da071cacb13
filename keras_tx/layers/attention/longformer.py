"""Longformer's attention: to what is near, and to and from tokens that a mask makes global."""

from __future__ import annotations

from typing import Any, ClassVar

from keras import ops

from keras_tx.layers.attention.variant import AttentionVariant, of_keys, require_keys
from keras_tx.layers.core.base import register
from keras_tx.ops.attention import masks
from keras_tx.ops.attention.blocks import SharedKeys, band, band_attention
from keras_tx.ops.attention.softmax import attention
from keras_tx.ops.checks import require_positive, require_rank, require_shape, require_width
from keras_tx.ops.primitives import is_converted


@register
class LongformerAttention(AttentionVariant):
    """Self-attention to a window and to global tokens, which a mask marks (Beltagy et al. 2020, section 3.1).

    A token sees those at most `attention_window / 2` steps away, and all global tokens. A global token sees all tokens,
    by the queries, keys and values of the projections `query_global`, `key_global` and `value_global`; its key and
    value to other tokens are the usual ones. A token that `attention_mask` `(B, T)` hides sees nothing, as in
    Transformers.

    Time and memory are O(T * (attention_window + G)), where G bounds how many tokens of a text are global: it is the
    lesser of `max_global` and the length of `global_attention_mask`, or 0 without that mask. Where G is not below T,
    all pairs of positions are computed, as for an attention map, for a mask with a row for each query, and in LiteRT
    and ONNX.

    Args:
        dim: width in and out.
        num_heads: heads.
        attention_window: how many neighbours a token sees, half of them to each side; an even number.
        max_global: how many tokens of a text can be global, the first of those that the mask marks; None for any
            number.
        options: `head_dim`, `scale`, `dropout`, `use_bias`, `qkv_bias` and the initializers, as `MultiHeadAttention`
            takes them.

    Raises:
        ValueError: as `MultiHeadAttention` does; for an `attention_window` that is odd or less than 2, or a
            `max_global` less than 1; at call, for a `cache` or a `bias`, or a `global_attention_mask` that does not
            fit.
    """

    by_distance: ClassVar[bool] = True
    without: ClassVar[tuple[str, ...]] = (
        *AttentionVariant.without,
        *("num_kv_heads", "causal", "rope_theta", "rotary", "qk_norm"),
    )

    def __init__(
        self, dim: int, num_heads: int, attention_window: int = 512, *, max_global: int | None = None, **options: Any
    ):
        super().__init__(dim, num_heads, **options)
        require_window(attention_window)
        require_positive(max_global=max_global)
        self.attention_window = attention_window
        self.max_global = max_global
        bias = self.use_bias if self.qkv_bias is None else self.qkv_bias
        width = self.num_heads * self.head_dim
        self.query_global = self._projection(width, "query_global", bias, self.query_initializer)
        self.key_global = self._projection(width, "key_global", bias)
        self.value_global = self._projection(width, "value_global", bias)

    def build(self, input_shape=None):
        super().build(input_shape)
        for projection in (self.query_global, self.key_global, self.value_global):
            projection.build((None, self.dim))

    @property
    def _band(self) -> dict[str, Any]:
        return {"before": self.attention_window // 2, "after": self.attention_window // 2}

    def call(
        self,
        x,
        context=None,
        attention_mask=None,
        bias=None,
        positions=None,
        segments=None,
        cache=None,
        return_attention: bool = False,
        training=None,
        mask=None,
        x_mask=None,
        context_mask=None,
        global_attention_mask=None,
    ):
        """Attends from `x` to itself.

        Args:
            x: `(B, T, dim)`.
            attention_mask, segments, return_attention, training, mask, x_mask: as `MultiHeadAttention` takes them.
            context, bias, cache, context_mask: None: there are none here.
            positions: not used.
            global_attention_mask: True, or not 0, at global tokens: `(B, S)`, of the first S tokens, the others being
                local; so a text whose first token alone is global has a mask of ones `(B, 1)`.

        Returns:
            The output, `(B, T, dim)`; with `return_attention`, then the map `(B, H, T, T)`.
        """
        require_rank(x, 3, "x", "(batch, length, dim)")
        require_width(x, self.dim, "x")
        unknown = {"context": context, "bias": bias, "cache": cache, "context_mask": context_mask}
        for name, given in unknown.items():
            if given is not None:
                raise ValueError(f"`{name}` has no meaning in {type(self).__name__}: leave it out.")
        allowed = self._mask(attention_mask, segments, x, None, None)
        allowed = masks.with_keys(allowed, self._own_mask(mask, x_mask, None))
        real = None
        if of_keys(allowed) and allowed is not None:
            require_keys(allowed, x[:, None])
            real = allowed[:, 0, 0]
        marked = None if global_attention_mask is None else self._marked(global_attention_mask, real, x)
        near = _is_long(x.shape[1], self.attention_window) and not return_attention and of_keys(allowed)
        bound = 0 if marked is None else self._bound(marked)
        if near and bound is not None and bound < (x.shape[1] or bound + 1):
            found = (self._attend_near(x, real, marked, bound, training),)
        else:
            found = self._attend_all(x, allowed, marked, return_attention, training)
        if real is not None:
            found = tuple(ops.where(_of_queries(real), y, 0) for y in found)
        output = self.output_projection(self._merge(found[0]))
        return (output, *found[1:]) if return_attention else output

    def _marked(self, given, real, x):
        """Which of the first S tokens are global, boolean `(B, S)`: real ones, and no more than there can be."""
        require_rank(given, 2, "global_attention_mask", "(batch, first tokens)")
        require_shape(given, (x.shape[0], None), "global_attention_mask")
        count, length = given.shape[1], x.shape[1]
        if isinstance(count, int) and isinstance(length, int) and count > length:
            raise ValueError(f"`global_attention_mask` must be at most {length} long, as the texts are; got {count}.")
        marked = ops.cast(given, "bool")
        if real is not None:
            marked = ops.logical_and(marked, real[:, : ops.shape(marked)[1]])
        return marked if self.max_global is None else ops.logical_and(marked, _rank(marked) <= self.max_global)

    def _bound(self, marked) -> int | None:
        """How many tokens can be global at most, as far as it is known before they are seen."""
        known = [n for n in (marked.shape[1], self.max_global) if isinstance(n, int)]
        return min(known, default=None)

    def _local(self, x):
        return self._split(self.query, x, self.num_heads), *self._projected(x)

    def _global(self, tokens, x):
        """Queries of the global tokens, keys and values of all."""
        query = self._split(self.query_global, tokens, self.num_heads)
        return query, *(
            self._split(projection, x, self.num_heads) for projection in (self.key_global, self.value_global)
        )

    def _attend_near(self, x, real, marked, bound: int, training):
        """The output of each head, `(B, H, T, D)`, of at most `bound` global tokens, taken out of the text."""
        options = self._softmax_options(training) | self._band
        query, key, value = self._local(x)
        if marked is None:
            return band_attention(query, key, value, mask=real, **options)
        # Row g of `places` is 1 at the g-th global token: a product with it takes tokens out, and puts them back.
        places = ops.equal(_rank(marked)[:, None], ops.arange(1, bound + 1, dtype="int32")[:, None])
        places = _lengthened(ops.logical_and(places, marked[:, None]), ops.shape(x)[1])
        found, is_global = ops.any(places, axis=2), ops.any(places, axis=1)
        places = ops.cast(places, x.dtype)
        tokens = ops.matmul(places, x)
        shared_key, shared_value = self._projected(tokens)
        shared = SharedKeys(shared_key, shared_value, found[:, None])
        others = masks.combine(real, ops.logical_not(is_global))
        near = band_attention(query, key, value, mask=others, shared=shared, **options)
        mask = None if real is None else masks.per_head(real)
        far = attention(*self._global(tokens, x), mask=mask, **self._softmax_options(training))
        far = ops.matmul(ops.swapaxes(places, 1, 2)[:, None], far)
        return ops.where(_of_queries(is_global), far, near)

    def _attend_all(self, x, allowed, marked, return_attention: bool, training):
        """The output of each head and, if asked for, the map, by way of all pairs."""
        options = self._softmax_options(training) | {"return_weights": return_attention}
        positions = ops.arange(ops.shape(x)[1], dtype="int32")
        seen = band(positions, positions, **self._band)
        is_global = None if marked is None else _lengthened(marked, ops.shape(x)[1])
        if is_global is not None:
            seen = masks.either(seen, masks.per_head(is_global))
        near = _several(attention(*self._local(x), mask=masks.combine(seen, allowed), **options))
        if is_global is None:
            return near
        far = _several(attention(*self._global(x, x), mask=allowed, **options))
        return tuple(ops.where(_of_queries(is_global), *pair) for pair in zip(far, near, strict=True))


def require_window(window: int) -> None:
    """Raises ValueError for an attention window that is odd or less than 2."""
    require_positive(attention_window=window)
    if window % 2:
        raise ValueError(f"`attention_window` must be even, half of it to each side; got {window}.")


def _is_long(length, window: int) -> bool:
    """Whether a band is worth its while: not if all of a text is near.

    Converters, and JAX where a length is a symbol, confuse the shapes of bands of unknown length.
    """
    return not is_converted() and (length is None or (isinstance(length, int) and length > window))


def _of_queries(mask):
    """`(B, T)` as it broadcasts to `(B, H, T, D)`."""
    return ops.expand_dims(mask, (1, 3))


def _rank(marked):
    """How many are marked up to each place, `(B, S)`."""
    return ops.cumsum(ops.cast(marked, "int32"), axis=1)


def _lengthened(marked, length):
    """A mask of the first tokens as one of all `length`, of which the others are not marked."""
    missing = length - ops.shape(marked)[-1]
    return ops.pad(marked, (*((0, 0),) * (len(marked.shape) - 1), (0, missing)))


def _several(found) -> tuple:
    return found if isinstance(found, tuple) else (found,)
