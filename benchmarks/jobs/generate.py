"""Greedy generation by GPT-2 small in float32: a prompt of 32 tokens, then 64 new ones, with a key/value cache.

The time is that of one token in every row of the batch, the prompt's share included.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from keras import ops

from benchmarks.gpt2 import keras_hub_model, keras_tx_model, sizes
from benchmarks.jobs import Options, Work
from benchmarks.side import Side

UNIT = "token"


def keras_tx(side: Side, options: Options) -> Work:
    if not side.jit:
        raise ValueError("keras_tx generates under XLA only")
    model = keras_tx_model(options)
    prompts, new = _prompts(options)
    return _work(lambda: model.generate(prompts, max_new_tokens=new), prompts, new, options)


def keras_hub(side: Side, options: Options) -> Work:
    """Without a preprocessor it takes ids padded to the full length, and a mask that is 1 on the prompt."""
    model = keras_hub_model(options)
    model.compile(sampler="greedy", jit_compile=side.jit)
    prompts, new = _prompts(options)
    inputs = {
        "token_ids": np.pad(prompts, ((0, 0), (0, new))),
        "padding_mask": np.pad(np.ones_like(prompts), ((0, 0), (0, new))),
    }
    return _work(lambda: model.generate(inputs, stop_token_ids=None)["token_ids"], prompts, new, options)


SIDES = {"keras_tx": keras_tx, "keras_hub": keras_hub}


def _prompts(options: Options) -> tuple[np.ndarray, int]:
    """Prompts `(B, P)` int32, and how many tokens to add."""
    length, new = (5, 3) if options.tiny else (32, 64)
    shape = (options.batch_size or 1, length)
    return np.random.default_rng(0).integers(1, sizes(options).vocabulary, shape, dtype="int32"), new


def _work(generate: Callable, prompts: np.ndarray, new: int, options: Options) -> Work:
    batch, length = prompts.shape

    def run():
        tokens = ops.convert_to_numpy(generate())
        if tokens.shape != (batch, length + new) or (tokens[:, :length] != prompts).any():
            raise AssertionError(f"not the prompts and {new} tokens each: {tokens}")

    s = sizes(options)
    size = f"batch {batch}, prompt {length}, {new} new tokens, {s.parameters} parameters"
    return Work(run, units=new, size=size, bytes_read=s.bytes_read)
