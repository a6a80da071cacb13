"""Generation: options, the controls of sampling, the compiled decode loops, and `generate` over them."""

from keras_tx.generation.compiled import compilation_cache
from keras_tx.generation.config import GenerateOutput, GenerationConfig
from keras_tx.generation.generate import GenerationMixin
from keras_tx.generation.loop import decode, prefill
from keras_tx.generation.rolling import stream_rolling, window_size
from keras_tx.generation.sampling import next_token
from keras_tx.generation.state import DecodeState, Decoding
from keras_tx.generation.streamer import TextStreamer

__all__ = [
    "DecodeState",
    "Decoding",
    "GenerateOutput",
    "GenerationConfig",
    "GenerationMixin",
    "TextStreamer",
    "compilation_cache",
    "decode",
    "next_token",
    "prefill",
    "stream_rolling",
    "window_size",
]
