"""Pure functions: attention, masks, positions, cache, activations, losses. No weights, no state."""

from keras_tx.ops.activations import gelu, gelu_tanh, get_activation
from keras_tx.ops.attention import masks
from keras_tx.ops.attention.cache import KVCache
from keras_tx.ops.attention.positions import alibi, alibi_slopes, relative_position_buckets, sinusoidal
from keras_tx.ops.attention.rotary import Rotary, RotaryScaling, apply_rotary_pos_emb, rotary, rotate
from keras_tx.ops.attention.softmax import attention
from keras_tx.ops.losses import next_token_loss, token_cross_entropy

__all__ = [
    "KVCache",
    "Rotary",
    "RotaryScaling",
    "alibi",
    "alibi_slopes",
    "apply_rotary_pos_emb",
    "attention",
    "gelu",
    "gelu_tanh",
    "get_activation",
    "masks",
    "next_token_loss",
    "relative_position_buckets",
    "rotary",
    "rotate",
    "sinusoidal",
    "token_cross_entropy",
]
