"""Greedy generation by T5 small in float32: a source of 32 tokens, then 64 of the target, with a key/value cache.

The time is that of one token in every row of the batch, the encoder's share included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.jobs import Options, Work
from benchmarks.side import Side

UNIT = "token"
START = 0
"""The token that targets begin with."""


class Sizes(NamedTuple):
    vocabulary: int
    layers: int
    heads: int
    head_width: int
    width: int
    inner: int
    parameters: int
    """How many all of these come to: every side is held to it."""

    @property
    def bytes_read(self) -> int:
        """Bytes of float32 weights that a token takes: the decoder's and the table's, not the keys' and values'
        of the source, which like the encoder are computed once."""
        attention = 6 * self.width * self.heads * self.head_width
        return 4 * (self.vocabulary * self.width + self.layers * (attention + 2 * self.width * self.inner))


SMALL = Sizes(32128, layers=6, heads=8, head_width=64, width=512, inner=2048, parameters=60_506_624)
TINY = Sizes(97, layers=2, heads=2, head_width=8, width=16, inner=32, parameters=12_112)


def keras_tx(side: Side, options: Options) -> Work:
    import keras_tx

    if not side.jit:
        raise ValueError("keras_tx generates under XLA only")
    s = _sizes(options)
    model = keras_tx.T5Model(
        vocab_size=s.vocabulary,
        num_layers=s.layers,
        num_heads=s.heads,
        d_kv=s.head_width,
        d_model=s.width,
        d_ff=s.inner,
        eos_token_id=None,
    )
    sources, new = _sources(options)
    return _work(lambda: model.generate(sources, max_new_tokens=new), model.count_params(), options)


def keras_hub(side: Side, options: Options) -> Work:
    """Without a preprocessor it takes the target's ids padded to the full length, and a mask that is 1 on its start."""
    import keras_hub

    s = _sizes(options)
    backbone = keras_hub.models.T5Backbone(
        vocabulary_size=s.vocabulary,
        num_layers=s.layers,
        num_heads=s.heads,
        hidden_dim=s.width,
        intermediate_dim=s.inner,
        key_value_dim=s.head_width,
        use_gated_activation=False,
    )
    model = keras_hub.models.T5Seq2SeqLM(backbone, preprocessor=None)
    model.compile(sampler="greedy", jit_compile=side.jit)
    sources, new = _sources(options)
    target = np.full((len(sources), 1 + new), START, "int32")
    inputs = {
        "encoder_token_ids": sources,
        "encoder_padding_mask": np.ones_like(sources),
        "decoder_token_ids": target,
        "decoder_padding_mask": np.arange(1 + new) < np.ones_like(target[:, :1]),
    }
    return _work(
        lambda: model.generate(inputs, stop_token_ids=None)["decoder_token_ids"], model.count_params(), options
    )


def transformers(side: Side, options: Options) -> Work:
    """Torch's, without compilation, or on TensorFlow the class that 4.57 was the last to have."""
    if side.backend not in ("tensorflow", "torch"):
        raise ValueError(f"transformers has T5 on tensorflow and torch; got {side}")
    from transformers import T5Config

    s = _sizes(options)
    config = T5Config(
        vocab_size=s.vocabulary,
        num_layers=s.layers,
        num_heads=s.heads,
        d_kv=s.head_width,
        d_model=s.width,
        d_ff=s.inner,
        decoder_start_token_id=START,
    )
    array, new = _sources(options)
    how = {"max_new_tokens": new, "do_sample": False}
    if side.backend == "torch":
        generate, parameters = _transformers_torch(config, array, how)
    else:
        generate, parameters = _transformers_tensorflow(config, array, how, jit=side.jit)
    return _work(generate, parameters, options)


def _transformers_torch(config, array: np.ndarray, how: dict):
    import torch
    from transformers import T5ForConditionalGeneration

    model = T5ForConditionalGeneration(config).eval()
    model.generation_config.eos_token_id = None
    sources = torch.from_numpy(array).long()

    def generate():
        with torch.inference_mode():
            return model.generate(sources, **how).numpy()

    return generate, sum(p.numel() for p in model.parameters())


def _transformers_tensorflow(config, array: np.ndarray, how: dict, *, jit: bool):
    import tensorflow as tf
    from transformers import TFT5ForConditionalGeneration

    model = TFT5ForConditionalGeneration(config)
    model.generation_config.eos_token_id = None
    sources = tf.constant(array)
    generate = tf.function(lambda: model.generate(sources, **how), jit_compile=jit)
    generate()  # builds it
    return generate, model.count_params()


SIDES = {"keras_tx": keras_tx, "keras_hub": keras_hub, "transformers": transformers}


def _sizes(options: Options) -> Sizes:
    return TINY if options.tiny else SMALL


def _sources(options: Options) -> tuple[np.ndarray, int]:
    """Sources `(B, S)` int32, and how many tokens to generate."""
    length, new = (5, 3) if options.tiny else (32, 64)
    shape = (options.batch_size or 1, length)
    return np.random.default_rng(0).integers(2, _sizes(options).vocabulary, shape, dtype="int32"), new


def _work(generate: Callable[[], Any], parameters: int, options: Options) -> Work:
    (batch, length), new = _sources(options)[0].shape, _sources(options)[1]
    s = _sizes(options)
    if parameters != s.parameters:
        raise AssertionError(f"there are {parameters} parameters, not {s.parameters}")

    def run():
        tokens = np.asarray(generate())
        if tokens.shape != (batch, 1 + new) or (tokens[:, 0] != START).any():
            raise AssertionError(f"not a start and {new} tokens each: {tokens}")

    size = f"batch {batch}, source {length}, {new} new tokens, {s.parameters} parameters"
    return Work(run, units=new, size=size, bytes_read=s.bytes_read)
