"""Disentangled attention (DeBERTa): by contents, and by the content of one token and how far off the other is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, ClassVar, NamedTuple

import keras
from keras import ops

from keras_tx.layers.attention.variant import AttentionVariant
from keras_tx.layers.core.base import register
from keras_tx.layers.core.dropout import Dropout
from keras_tx.ops.attention.disentangled import content_to_position, position_to_content, relative_rows
from keras_tx.ops.checks import require_positive, require_rate, require_shape

POSITION_TERMS = ("c2p", "p2c")
"""The terms of the scores: content to position, position to content."""


class _Added(NamedTuple):
    """What is added to the scores: the caller's bias, and what follows from vectors of relative positions."""

    given: Any
    relative: Any


@register
class DisentangledAttention(AttentionVariant):
    """Multi-head attention to contents and relative positions apart from each other (DeBERTa, He et al. 2021).

    The score of query i and key j is `scale * (q_i k_j + q_i K_{i-j} + k_j Q_{i-j})` (equation 4), where K and Q are
    linear maps of vectors of relative positions, the query's less the key's from -k to k - 1: `(2k, d_model)`, k being
    `position_buckets` or else `max_relative_positions`.

    Args:
        d_model: width in and out.
        num_heads: heads.
        max_relative_positions: the offset from which on all are alike.
        position_buckets: buckets of offsets in each direction, as `ops.relative_rows` takes them; None for a vector of
            its own for each offset.
        pos_att_type: the terms besides that of contents: "c2p", content to position, and "p2c", position to content.
        share_att_key: whether the maps of relative positions are those of contents.
        position_dropout: rate on the vectors of relative positions.
        own_table: whether the layer has these vectors; otherwise `call` is given them, as where layers share them.
        table_initializer: of the vectors.
        scale: multiplies the scores; `(head_dim * (1 + len(pos_att_type))) ** -0.5` unless given (section 3.1).
        options: those of `MultiHeadAttention` but `num_kv_heads`, `context_dim`, `rotary`, `rope_theta`, `alibi`,
            `qk_norm` and `chunk_size`.

    Raises:
        ValueError: as `MultiHeadAttention` does; for sizes less than 1, other terms; at call, for vectors of relative
            positions that are missing, not wanted, or of another shape.
    """

    without: ClassVar = ("num_kv_heads", "context_dim", "rotary", "rope_theta", "alibi", "qk_norm", "chunk_size")
    width_name: ClassVar[str] = "d_model"
    by_distance: ClassVar[bool] = True

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        max_relative_positions: int = 512,
        position_buckets: int | None = None,
        *,
        pos_att_type: Sequence[str] = POSITION_TERMS,
        share_att_key: bool = False,
        position_dropout: float = 0.0,
        own_table: bool = True,
        table_initializer="glorot_uniform",
        scale: float | None = None,
        **options: Any,
    ):
        super().__init__(d_model, num_heads, scale=scale, **options)
        require_positive(max_relative_positions=max_relative_positions)
        require_rate(position_dropout=position_dropout)
        require_position_terms(pos_att_type)
        require_buckets(position_buckets)
        self.max_relative_positions = max_relative_positions
        self.position_buckets = position_buckets
        self.pos_att_type = tuple(pos_att_type)
        self.share_att_key = share_att_key
        self.position_dropout = position_dropout
        self.own_table = own_table
        self.table_initializer = keras.initializers.get(table_initializer)
        width = self.num_heads * self.head_dim
        self.position_key, self.position_query = (
            self._projection(width, name, True) if term in self.pos_att_type and not share_att_key else None
            for term, name in (("c2p", "position_key"), ("p2c", "position_query"))
        )
        self.position_drop = Dropout(position_dropout, dtype=self.dtype_policy, name="position_drop")

    @property
    def table_shape(self) -> tuple[int, int]:
        """Of the vectors of relative positions."""
        return 2 * (self.position_buckets or self.max_relative_positions), self.d_model

    def build(self, input_shape=None):
        super().build(input_shape)
        for projection in (self.position_key, self.position_query):
            if projection is not None:
                projection.build((None, self.d_model))
        if self.own_table:
            self.table = self.add_weight(name="table", shape=self.table_shape, initializer=self.table_initializer)

    def call(  # type: ignore[override]  # the vectors stand where a context would
        self,
        x,
        relative_embeddings=None,
        attention_mask=None,
        bias=None,
        positions=None,
        segments=None,
        cache=None,
        return_attention: bool = False,
        training=None,
        mask=None,
        x_mask=None,
    ):
        """Attends from `x` to itself.

        Args:
            x: `(B, T, d_model)`.
            relative_embeddings: the vectors of relative positions, of a layer without a table of its own.
            attention_mask, bias, segments, cache, return_attention, training: as in `MultiHeadAttention`.
            positions: not looked at, for what counts is how far apart two tokens stand.
            mask, x_mask: Keras's mask of `x`, as in `MultiHeadAttention`.

        Returns:
            As `MultiHeadAttention`.
        """
        added = _Added(bias, self.position_drop(self._vectors(relative_embeddings), training=training))
        asked: dict[str, Any] = {"cache": cache, "return_attention": return_attention, "training": training}
        mask = x_mask if mask is None else mask
        return super().call(x, None, attention_mask, added, segments=segments, mask=mask, **asked)

    def _vectors(self, given):
        if (given is None) != self.own_table:
            way_out = "leave it out" if self.own_table else "give it, or make the layer with `own_table=True`"
            raise ValueError(
                f"`relative_embeddings` is for a layer without a table of its own; `own_table` is {self.own_table}: "
                f"{way_out}."
            )
        if given is None:
            given = self.table
        require_shape(given, self.table_shape, "relative_embeddings")
        return ops.cast(given, self.compute_dtype)

    def _attend(self, query, key, value, mask, bias, cache, **asked):
        queries = ops.shape(query)[2]
        start = 0 if cache is None else cache.fill
        keys = self._meet((key, value), mask, cache, queries=queries)
        terms = self._position_scores(query, keys.tensors[0], bias.relative, start)
        terms += [] if bias.given is None else [ops.cast(bias.given, query.dtype)]
        return self._softmax(query, keys, bias=reduce(ops.add, terms) if terms else None, **asked), keys.cache

    def _position_scores(self, query, key, relative, start) -> list:
        """The terms of the scores besides that of contents, `(B, H, T, S)` each."""
        scale = ops.cast(self.score_scale, query.dtype)
        terms = []
        if "c2p" in self.pos_att_type:
            keys = self._of_heads(self.position_key or self.key, relative)
            terms.append(content_to_position(query * scale, keys, self._rows, start, ops.shape(key)[2]))
        if "p2c" in self.pos_att_type:
            queries = self._of_heads(self.position_query or self.query, relative)
            terms.append(position_to_content(key * scale, queries, self._rows, start, ops.shape(query)[2]))
        return terms

    def _of_heads(self, project, relative):
        """Projected vectors of relative positions, `(H, 2k, D)`."""
        return self._split(project, relative[None], self.num_heads)[0]

    def _rows(self, offsets):
        return relative_rows(offsets, self.max_relative_positions, self.position_buckets)

    @property
    def score_scale(self) -> float:
        """What multiplies the scores."""
        return (self.head_dim * (1 + len(self.pos_att_type))) ** -0.5 if self.scale is None else self.scale

    def _softmax_options(self, training):
        return super()._softmax_options(training) | {"scale": self.score_scale}


def require_position_terms(given: Sequence[str]) -> None:
    """Raises ValueError unless these are terms of the scores, each at most once."""
    if isinstance(given, str) or not set(given) <= set(POSITION_TERMS) or len(set(given)) < len(given):
        raise ValueError(f'`pos_att_type` must be of "c2p" and "p2c", in a tuple or list; got {given!r}.')


def require_buckets(position_buckets: int | None) -> None:
    """Raises ValueError for fewer than two buckets of offsets in a direction."""
    if position_buckets is not None and position_buckets < 2:
        raise ValueError(f"`position_buckets` must be at least 2, or None for none; got {position_buckets}.")
