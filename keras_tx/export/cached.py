"""Generation with an explicit cache: the steps that a host calls, first for the prompts and then for each token.

Shape letters: B batch, P tokens of the prompts, S slots of the cache, K key/value heads, D head width.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from keras import ops

from keras_tx.export.samples import sample_tensors
from keras_tx.export.signature import Signature
from keras_tx.layers import BlockCache
from keras_tx.models.core.seq2seq import EncoderDecoderModel, SourceCache
from keras_tx.ops.attention.cache import LayerCache
from keras_tx.ops.primitives import converted_graph

Tensors = Mapping[str, Any]


def cached_signatures(
    model,
    *,
    batch_size: int | None = None,
    length: int | None = None,
    cache_length: int | None = None,
    tokens: int | None = 1,
) -> dict[str, Signature]:
    """`prefill`, which reads prompts, and `decode`, which reads one token more; names end in `_i` for layer i.

    prefill:
        `input_ids` and `attention_mask` `(B, P)`, to `logits` `(B, V)` of the next token, and `present_key_i` and
        `present_value_i` `(B, K, P, D)`, which the host puts into a cache of as many slots as it likes. Instead of
        these, latent attention has `present_latent_i` `(B, 1, P, D)`, and linear attention `present_sums_i`
        `(B, K, F, D)`, whose size is fixed. The prompts of an encoder-decoder are its sources: it gives `cross_key_i`
        and `cross_value_i` `(B, K, P, D)` too, and as its decoder has read the start token alone, `present_...` have
        one slot.
    decode:
        `input_ids` `(B, 1)`; `cache_position`, the slot that they go to; `attention_mask` `(B, S)`, 0 at padding of the
        prompts and 1 elsewhere; and `past_key_i` and `past_value_i` `(B, K, S, D)`, to `logits`, and the whole cache as
        `present_key_i` and `present_value_i`. An encoder-decoder takes the mask of the source instead, as
        `encoder_attention_mask` `(B, P)`, and `cross_key_i` and `cross_value_i`.

    Args:
        model: a model that generates.
        batch_size, length, cache_length: B, P and S, if they are to be fixed.
        tokens: how many `decode` reads at a time; None for any number.
    """
    generation = (
        _EncoderDecoderGeneration(model) if isinstance(model, EncoderDecoderModel) else _DecoderGeneration(model)
    )
    return generation.signatures(batch_size, length, cache_length, tokens)


def encode_signature(model) -> Signature:
    """The part of an encoder-decoder's `prefill` that depends on the source alone: `cross_key_i`, `cross_value_i`."""
    generation = _EncoderDecoderGeneration(model)
    return dataclasses.replace(generation.signatures(None, None, None, 1)["prefill"], function=generation.encode)


class _DecoderGeneration:
    """The steps of a decoder alone."""

    mask = "attention_mask"

    def __init__(self, model):
        self.model = model
        self.caches = [block.attention for block in self.empty(1, 1)]

    @property
    def sums(self) -> set[str]:
        """The names of the tensors that have no slot for each position."""
        return {
            f"past_{part}_{i}"
            for i, cache in enumerate(self.caches)
            for part in cache.tensors()
            if not cache.by_position
        }

    def signatures(self, batch, length, slots, tokens) -> dict[str, Signature]:
        import tensorflow as tf

        prompt = {name: tf.TensorSpec((batch, length), tf.int32) for name in ("input_ids", "attention_mask")}
        step = {
            "input_ids": tf.TensorSpec((batch, tokens), tf.int32),
            "cache_position": tf.TensorSpec((), tf.int32),
            **self.step_specs(batch, length, slots),
        }
        return {
            "prefill": Signature(self.prefill, prompt, self._sampler(prompt)),
            "decode": Signature(self.decode, step, self._sampler(step), slots=slots),
        }

    def step_specs(self, batch, length, slots) -> dict[str, Any]:
        import tensorflow as tf

        mask = {self.mask: tf.TensorSpec((batch, slots), tf.int32)}
        return mask | self.cache_specs(self.caches, "past", batch, slots)

    def cache_specs(self, caches, prefix: str, batch, slots) -> dict[str, Any]:
        import tensorflow as tf

        def spec(cache, x):
            _, heads, length, width = x.shape
            return tf.TensorSpec((batch, heads, slots if cache.by_position else length, width), tf.float32)

        return {
            f"{prefix}_{part}_{i}": spec(cache, x)
            for i, cache in enumerate(caches)
            for part, x in cache.tensors().items()
        }

    def _sampler(self, specs):
        def sample(rng: np.random.Generator, rows: int, length: int) -> dict[str, np.ndarray]:
            given = sample_tensors(specs, self.model, rng, rows, length)
            rows, length = given["input_ids"].shape[0], min(length, self.model_positions or length)
            for name, spec in specs.items():
                if name == "cache_position":
                    given[name] = np.array(length - given["input_ids"].shape[1], "int32")
                    given["input_ids"] %= self.model.config.vocab_size  # these are the target's ids
                elif spec.shape.rank == 4:
                    shape = [of if n is None else n for n, of in zip(spec.shape, (rows, 0, length, 0), strict=True)]
                    given[name] = rng.normal(size=shape).astype("float32")
                    if name in self.sums:
                        given[name] = np.abs(given[name])  # of features, which linear attention divides by
                elif name == self.mask:
                    slots = spec.shape[1] or length
                    padding = rng.integers(0, min(length, slots), (rows, 1))
                    given[name] = (np.arange(slots) >= padding).astype("int32")
            return given

        return sample

    @property
    def model_positions(self) -> int | None:
        return self.model.max_positions

    def empty(self, batch, slots):
        with converted_graph():  # so that the reference, which is not converted, has the same cache
            return self.model.init_cache(batch, slots)

    def prefill(self, input_ids, attention_mask):
        batch, length = ops.shape(input_ids)
        return self._step(input_ids, 0, attention_mask, self.empty(batch, length))

    def decode(self, input_ids, cache_position, **past):
        attention_mask = past.pop("attention_mask")
        return self._step(input_ids, cache_position, attention_mask, self.cache(past, cache_position))

    def cache(self, past, filled) -> tuple[BlockCache, ...]:
        """The model's cache, made of tensors by name."""
        return tuple(BlockCache(_filled(cache, past, "past", i, filled)) for i, cache in enumerate(self.caches))

    def _step(self, ids, start, mask, cache):
        columns = start + ops.arange(ops.shape(ids)[1], dtype="int32")
        read = ops.take(mask, columns, axis=1)
        positions = ops.take(ops.maximum(ops.cumsum(mask, axis=1) - 1, 0), columns, axis=1)
        last = ops.max(ops.arange(ops.shape(ids)[1], dtype="int32") * read, axis=1)
        logits, cache = self.model.decode_step(ids, positions, ops.cast(mask, "bool"), cache, last)
        return {"logits": logits, **_named([block.attention for block in cache], "present")}


class _EncoderDecoderGeneration(_DecoderGeneration):
    """The steps of an encoder-decoder."""

    mask = "encoder_attention_mask"

    def __init__(self, model):
        self.model = model
        with converted_graph():
            blocks = self.model.backbone.decoder.init_cache(1, 1, ops.zeros((1, 1, model.config.d_model)))
        self.caches = [block.attention for block in blocks]
        self.crossed = [block.cross for block in blocks]

    def step_specs(self, batch, length, slots):
        import tensorflow as tf

        mask = {self.mask: tf.TensorSpec((batch, length), tf.int32)}
        caches = self.cache_specs(self.caches, "past", batch, slots)
        return mask | caches | self.cache_specs(self.crossed, "cross", batch, length)

    def encode(self, input_ids, attention_mask):
        *_, cache = self.model.begin(input_ids, attention_mask, 1)
        return _named([block.cross for block in cache.blocks], "cross")

    def prefill(self, input_ids, attention_mask):
        start, _, cache = self.model.begin(input_ids, attention_mask, 1)
        return self._read(start, 0, cache) | _named([block.cross for block in cache.blocks], "cross")

    def decode(self, input_ids, cache_position, **past):
        encoder_attention_mask = past.pop("encoder_attention_mask")
        blocks = self.cache(past, cache_position)
        return self._read(input_ids, cache_position, SourceCache(blocks, ops.cast(encoder_attention_mask, "bool")))

    def cache(self, past, filled):
        return tuple(
            BlockCache(own.attention, _filled(cross, past, "cross", i, filled))
            for i, (own, cross) in enumerate(zip(super().cache(past, filled), self.crossed, strict=True))
        )

    def _read(self, ids, start, cache):
        batch, length = ops.shape(ids)
        positions = ops.broadcast_to(start + ops.arange(length, dtype="int32"), (batch, length))
        last = ops.full((batch,), length - 1, "int32")
        logits, cache = self.model.decode_step(ids, positions, None, cache, last)
        return {"logits": logits, **_named([block.attention for block in cache.blocks], "present")}


def _named(caches: Iterable[LayerCache], prefix: str) -> dict[str, Any]:
    """The tensors of the caches of all layers, by name."""
    return {f"{prefix}_{part}_{i}": x for i, cache in enumerate(caches) for part, x in cache.tensors().items()}


def _filled(cache: LayerCache, given: Tensors, prefix: str, i: int, fill) -> LayerCache:
    """A cache of the same kind, made of tensors by name."""
    return cache.with_tensors({part: given[f"{prefix}_{part}_{i}"] for part in cache.tensors()}, fill)
