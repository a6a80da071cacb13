"""Spans left out of a text, or its end: what T5 learns to write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

from keras_tx.ops.checks import require_positive
from keras_tx.ops.losses import IGNORED
from keras_tx.text import SentencePieceTokenizer
from keras_tx.training.data.masked_batches import masked_batches


class Objective(Protocol):
    """Makes of a stretch of text a source and a target, both of which an `eos_token_id` ends."""

    eos_token_id: int

    def tokens_for(self, max_length: int) -> int:
        """The number of tokens of text that fill a source of `max_length`."""

    def __call__(self, ids, seed) -> tuple[Any, Any]:
        """Sources and targets, int32, of texts, int32 `(B, T)`."""


@dataclass(frozen=True)
class SpanCorruption:
    """Leaves spans out of a text, with a sentinel in place of each; the target is each sentinel and what it hides.

    The text begins with what stays and ends with what is left out; how it is divided between is drawn uniformly, once
    for the spans and once for what stays. So all sources of a length are as long as one another, and all targets.

    Source: Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", 2020,
    section 3.1.4, and google-research/text-to-text-transfer-transformer, `random_spans_noise_mask`.
    """

    sentinel_ids: Sequence[int]
    """Stand for the first span, the second one and so on."""

    eos_token_id: int
    """Ends sources and targets."""

    density: float = 0.15
    """The share of tokens that is left out."""

    mean_length: float = 3.0
    """Tokens of a span, on average."""

    def __post_init__(self):
        if not 0 < self.density < 1:
            raise ValueError(f"`density` must lie in (0, 1); got {self.density}.")
        if self.mean_length < 1:
            raise ValueError(f"`mean_length` must be 1 or above; got {self.mean_length}.")

    @classmethod
    def of(cls, tokenizer: SentencePieceTokenizer, **options: float) -> Self:
        """The corruption that goes with a tokenizer.

        Args:
            tokenizer: with sentinels and an `eos_token`.
            **options: `density` and `mean_length`.
        """
        if not tokenizer.sentinel_ids:
            raise ValueError("the tokenizer has no `<extra_id_0>`: spans have to be named by sentinels.")
        return cls(tuple(tokenizer.sentinel_ids), _end_of(tokenizer), **options)

    def counts(self, tokens: int) -> tuple[int, int]:
        """Returns how many tokens of a text are left out, and in how many spans.

        Raises:
            ValueError: if there are fewer than two tokens, or more spans than sentinels.
        """
        if tokens < 2:
            raise ValueError(f"a text must have two tokens, of which one is left out; got {tokens}.")
        noise = min(max(round(tokens * self.density), 1), tokens - 1)
        spans = min(max(round(noise / self.mean_length), 1), tokens - noise)
        if spans > len(self.sentinel_ids):
            raise ValueError(
                f"{tokens} tokens have {spans} spans, and there are {len(self.sentinel_ids)} sentinels: "
                "take shorter texts or longer spans."
            )
        return noise, spans

    def lengths(self, tokens: int) -> tuple[int, int]:
        """Returns how long the source and the target of a text are, sentinels and ends included."""
        noise, spans = self.counts(tokens)
        return tokens - noise + spans + 1, noise + spans + 1

    def tokens_for(self, max_length: int) -> int:
        """Returns how many tokens of text fill a source of `max_length`.

        Raises:
            ValueError: if none do, or they have more spans than there are sentinels.
        """
        if max_length < 3:
            raise ValueError(f"`max_length` must be 3 or above: a token, a sentinel and the end; got {max_length}.")
        tokens = 2
        while self.lengths(tokens + 1)[0] <= max_length:
            tokens += 1
        return tokens

    def __call__(self, ids, seed):
        """Corrupts TensorFlow's `ids`.

        Args:
            ids: int32 `(B, T)`, T static.
            seed: two integers; the same give the same.

        Returns:
            Sources `(B, S)` and targets `(B, U)`, int32, with S and U as `lengths` gives them.
        """
        import tensorflow as tf

        noise = self.noise(tf.shape(ids)[0], ids.shape[1], seed)
        before = tf.pad(noise, [[0, 0], [1, 0]])[:, :-1]
        opens = noise & ~before
        closes = tf.concat([tf.ones_like(noise[:, :1]), before[:, 1:]], 1) & ~noise  # what stays begins
        lengths = self.lengths(ids.shape[1])
        return self._with_sentinels(ids, ~noise, opens, lengths[0]), self._with_sentinels(
            ids, noise, closes, lengths[1]
        )

    def noise(self, rows, tokens: int, seed):
        """Draws which tokens are left out, booleans `(rows, tokens)`."""
        import tensorflow as tf

        left_out, spans = self.counts(tokens)
        first, second = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        stays = _random_division(rows, tokens - left_out, spans, first)
        goes = _random_division(rows, left_out, spans, second)
        ends = tf.cumsum(tf.reshape(tf.stack([stays, goes], 2), [rows, 2 * spans]), axis=1)
        before = tf.searchsorted(ends, tf.tile(tf.range(tokens)[None], [rows, 1]), side="right")
        return tf.ensure_shape(before % 2 == 1, (None, tokens))

    def _with_sentinels(self, ids, kept, spans, length: int):
        """Returns the tokens kept, `(B, length)`: a sentinel in the place of each span left out, then the end."""
        import tensorflow as tf

        number = tf.cumsum(tf.cast(spans, tf.int32), axis=1) - 1
        ids = tf.where(spans, tf.gather(tf.constant(self.sentinel_ids, tf.int32), tf.maximum(number, 0)), ids)
        rows = tf.reshape(tf.boolean_mask(ids, kept | spans), [-1, length - 1])
        return tf.pad(rows, [[0, 0], [0, 1]], constant_values=self.eos_token_id)


@dataclass(frozen=True)
class PrefixLM:
    """Parts a text at a random place; the source is what stands before it, and the target what comes after.

    Source: Raffel et al., 2020, section 3.2.1.
    """

    eos_token_id: int
    """Ends sources and targets."""

    pad_token_id: int
    """Fills sources up; targets are filled with -100."""

    @classmethod
    def of(cls, tokenizer: SentencePieceTokenizer) -> Self:
        """The objective that goes with a tokenizer, which has an `eos_token`."""
        return cls(_end_of(tokenizer), tokenizer.pad_token_id)

    def tokens_for(self, max_length: int) -> int:
        """The number of tokens of text that fill a source: `max_length`, for the end is in the target."""
        if max_length < 2:
            raise ValueError(f"`max_length` must be 2 or above: a token and the end; got {max_length}.")
        return max_length

    def __call__(self, ids, seed):
        """Parts TensorFlow's `ids`.

        Args:
            ids: int32 `(B, T)`, T static and 2 or above.
            seed: two integers; the same give the same.

        Returns:
            Sources and targets, int32 `(B, T)` both.
        """
        import tensorflow as tf

        rows, tokens = tf.shape(ids)[0], ids.shape[1]
        size = tf.random.stateless_uniform([rows, 1], seed, 1, tokens, tf.int32)
        place = tf.range(tokens)
        source = tf.where(place < size, ids, tf.where(place == size, self.eos_token_id, self.pad_token_id))
        ahead = tf.minimum(place + size, tokens - 1)
        target = tf.where(place + size < tokens, tf.gather(ids, ahead, batch_dims=1), self.eos_token_id)
        return source, tf.where(place + size > tokens, IGNORED, target)


def denoising_batches(
    ids: np.ndarray,
    objective: Objective,
    max_length: int,
    batch_size: int,
    *,
    max_target_length: int | None = None,
    seed: int,
    start: int = 0,
):
    """An endless `tf.data.Dataset` of sources and targets made of a stream of tokens, begun at step `start`.

    The stream is cut into stretches of one length, and what remains at its end is left out; each comes once an epoch,
    in an order of the epoch's own, and is divided anew each time. The batch of a step depends on `seed` and the step
    alone, so a run that resumes at a step sees what it would have seen.

    Args:
        ids: the tokens, integers `(N,)`, as `Documents.ids`.
        objective: `SpanCorruption` or `PrefixLM`.
        max_length: tokens of a source.
        batch_size: rows in a batch.
        max_target_length: fill the labels up to it with -100, as for a mixture of tasks.
        seed: of orders and divisions.
        start: the first step.

    Returns:
        A set of dicts: `input_ids` and `attention_mask`, int32 `(batch_size, S)`, and `labels`, `(batch_size, U)`.

    Raises:
        ValueError: if the stream is shorter than a stretch.
    """
    import tensorflow as tf

    require_positive(batch_size=batch_size)
    size = objective.tokens_for(max_length)
    count = len(ids) // size
    if not count:
        raise ValueError(
            f"{len(ids)} tokens are fewer than a stretch of {size}: give more text or a lower `max_length`."
        )
    rows = {"input_ids": np.asarray(ids[: count * size], "int32").reshape(count, size)}
    batches = masked_batches(rows, objective, batch_size, seed=seed, start=start)  # type: ignore[arg-type]

    def named(inputs, labels):
        source = inputs["input_ids"]
        # The last end is the source's own; a text may have others, between documents.
        ends_ahead = tf.cumsum(tf.cast(source == objective.eos_token_id, tf.int32), axis=1, reverse=True)
        target = labels["labels"]
        if max_target_length is not None:
            target = tf.pad(target, [[0, 0], [0, max_target_length - target.shape[1]]], constant_values=IGNORED)
        return {"input_ids": source, "attention_mask": tf.cast(ends_ahead > 0, tf.int32), "labels": target}

    return batches.map(named)


def _end_of(tokenizer: SentencePieceTokenizer) -> int:
    if tokenizer.eos_token_id is None:
        raise ValueError("the tokenizer has no `eos_token`: give it one among its `special_tokens`.")
    return tokenizer.eos_token_id


def _random_division(rows, items: int, parts: int, seed):
    """So many items in parts of one or more each, all divisions alike probable: int32 `(rows, parts)`."""
    import tensorflow as tf

    draws = tf.random.stateless_uniform([rows, items - 1], seed)
    cuts = tf.sort(tf.argsort(draws)[:, : parts - 1]) + 1
    return tf.pad(cuts, [[0, 0], [0, 1]], constant_values=items) - tf.pad(cuts, [[0, 0], [1, 0]])
