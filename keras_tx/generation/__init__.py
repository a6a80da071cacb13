"""Generation: the controls of sampling, the compiled decode loop, and `generate` over them."""

from keras_tx.generation.generate import GenerationMixin
from keras_tx.generation.loop import DecodeState, Decoding, decode, prefill
from keras_tx.generation.rolling import stream_rolling, window_size
from keras_tx.generation.sampling import next_token

__all__ = [
    "DecodeState",
    "Decoding",
    "GenerationMixin",
    "decode",
    "next_token",
    "prefill",
    "stream_rolling",
    "window_size",
]
