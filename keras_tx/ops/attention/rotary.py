"""Rotary position embeddings: queries and keys turned by an angle that grows with their position."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal, Self, get_args

import numpy as np
from keras import ops

from keras_tx.ops.checks import require_even, require_positive
from keras_tx.ops.fields import from_fields

RopeType = Literal["linear", "ntk", "dynamic", "yarn", "llama3"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RotaryScaling:
    """The scaling of rotary positions to texts longer than those trained on; names as in Transformers' configs.

    A pair of channels that turns less than once or so within the texts of training tells positions apart by where in
    its turn it is, so "yarn" and "llama3" slow it down; one that turns often tells distances, and they leave it.
    """

    rope_type: RopeType
    """"linear" slows all channels alike (Chen et al. 2023); "ntk" raises the base, which slows the slow ones most
    (bloc97 2023); "dynamic" raises it as far as the positions at hand ask for; "yarn" (Peng et al. 2023) and "llama3"
    (Llama 3.1, 2024) slow some channels by `factor`, leave others, and blend between."""
    factor: float
    """The factor by which texts may be longer."""
    original_max_positions: int | None = None
    """The longest text of training; needed by all types but "linear" and "ntk"."""
    low_freq_factor: float = 1.0
    """"llama3" slows channels with fewer turns than this in the longest text of training."""
    high_freq_factor: float = 4.0
    """"llama3" leaves channels with more turns than this."""
    beta_slow: float = 1.0
    """The same as `low_freq_factor`, for "yarn"."""
    beta_fast: float = 32.0
    """The same as `high_freq_factor`, for "yarn"."""
    attention_factor: float | None = None
    """Multiplies queries and keys; 0.1 ln(factor) + 1 for "yarn", 1 for the others unless given."""
    truncate: bool = True
    """Whether "yarn" blends between whole numbers of channels."""

    def __post_init__(self):
        if self.rope_type not in get_args(RopeType):
            known = ", ".join(map(repr, get_args(RopeType)))
            raise ValueError(f"`rope_type` must be one of {known}; got {self.rope_type!r}.")
        if not self.factor >= 1:
            raise ValueError(f"`factor` of a rotary scaling must be at least 1; got {self.factor}.")
        length = self.original_max_positions
        require_positive(original_max_positions=length)
        if length is None and self.rope_type not in ("linear", "ntk"):
            raise ValueError(f'`rope_type="{self.rope_type}"` needs `original_max_positions`.')
        for low, high in (("low_freq_factor", "high_freq_factor"), ("beta_slow", "beta_fast")):
            if not 0 < getattr(self, low) < getattr(self, high):
                values = f"{getattr(self, low)} and {getattr(self, high)}"
                raise ValueError(f"`{low}` must lie above 0 and below `{high}`; got {values}.")

    @property
    def attention_scaling(self) -> float:
        """`attention_factor`, decided: what cosines and sines are multiplied by."""
        if self.attention_factor is not None:
            return self.attention_factor
        return 0.1 * math.log(self.factor) + 1 if self.rope_type == "yarn" else 1.0

    def inv_freq(self, dim: int, theta: float, length):
        """Radians a position of each pair of channels, float32 `(dim/2,)`, for positions below `length`."""
        if self.rope_type == "dynamic":
            trained = self.original_max_positions
            beyond = ops.cast(ops.maximum(length, trained), "float32") / trained
            raised = theta * ops.power(self.factor * beyond - (self.factor - 1), dim / (dim - 2))
            return ops.power(raised, -np.arange(0, dim, 2, dtype="float32") / dim)
        if self.rope_type == "ntk":
            return _inv_freq(dim, theta * self.factor ** (dim / (dim - 2))).astype("float32")
        inv_freq = _inv_freq(dim, theta)
        return (inv_freq * (1 + (1 / self.factor - 1) * self._slowed(inv_freq, dim, theta))).astype("float32")

    def _slowed(self, inv_freq: np.ndarray, dim: int, theta: float) -> np.ndarray | float:
        """Returns how far each pair of channels is slowed: 0 not at all, 1 by `factor`."""
        if self.rope_type == "linear":
            return 1.0
        length = self.original_max_positions
        assert length is not None
        if self.rope_type == "llama3":
            turns = length * inv_freq / (2 * math.pi)
            return np.clip((self.high_freq_factor - turns) / (self.high_freq_factor - self.low_freq_factor), 0, 1)
        first, last = (
            dim * math.log(length / (turns * 2 * math.pi)) / (2 * math.log(theta))
            for turns in (self.beta_fast, self.beta_slow)
        )
        if self.truncate:
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, dim - 1)
        # Where `last` lies below 0, in texts too short for one turn, none is slowed: Transformers has it so.
        return np.clip((np.arange(dim // 2) - first) / ((last - first) or 1e-3), 0, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rotary:
    """The rotations of one attention layer (Su et al. 2021)."""

    rope_theta: float = 10000.0
    """The base: the slowest rotation turns by about 1 / rope_theta radians a position."""
    dim: int | None = None
    """Channels of each head that are turned, the first ones; None for all."""
    interleaved: bool = False
    """Whether channels 2i and 2i + 1 are a pair, as in the paper and GPT-J; otherwise i and i + dim/2, as LLaMA has
    them."""
    scaling: RotaryScaling | None = None

    def __post_init__(self):
        require_positive(dim=self.dim)
        if not self.rope_theta > 1:
            raise ValueError(f"`rope_theta` must be above 1; got {self.rope_theta}.")
        if self.dim is not None:
            require_even(dim=self.dim)

    @classmethod
    def of(cls, given: Self | dict[str, Any] | float | None) -> Self | None:
        """The rotations from their fields, as a config holds them, or from `rope_theta` alone."""
        if isinstance(given, dict):
            return from_fields(cls, given)
        return cls(rope_theta=float(given)) if isinstance(given, (int, float)) else given

    def width(self, head_dim: int) -> int:
        """Returns how many channels of a head of this width are rotated.

        Raises:
            ValueError: if they are an odd number, or more than there are.
        """
        dim = self.dim or head_dim
        if dim > head_dim:
            raise ValueError(f"rotary embeddings of `dim` {dim} do not fit into heads of width {head_dim}.")
        if dim % 2:
            raise ValueError(
                f"rotary embeddings turn pairs of channels, and heads of width {head_dim} have one too many: choose "
                "`head_dim` even, or `d_model` / `num_heads`, or as `dim` of `Rotary` how many channels are turned."
            )
        if dim == 2 and self.scaling is not None and self.scaling.rope_type in ("ntk", "dynamic"):
            raise ValueError(f'`rope_type="{self.scaling.rope_type}"` needs more than one pair of channels.')
        return dim

    def tables(self, positions, head_dim: int):
        """Cosines and sines for `rotate`.

        Args:
            positions: integers, `(..., T)`.
            head_dim: width of the heads.

        Returns:
            `cos, sin`: float32, `(..., T, width)` each, the second half of the channels equal to the first.
        """
        dim = self.width(head_dim)
        if self.scaling is None:
            inv_freq, scaling = self.inv_freq(head_dim), 1.0
        else:
            inv_freq = self.scaling.inv_freq(dim, self.rope_theta, ops.max(positions) + 1)
            scaling = self.scaling.attention_scaling
        cos, sin = turns(positions, inv_freq)
        return (cos, sin) if scaling == 1 else (scaling * cos, scaling * sin)

    def inv_freq(self, head_dim: int) -> np.ndarray:
        """Radians a position of each pair of channels, float32 `(width/2,)`, before any scaling."""
        return _inv_freq(self.width(head_dim), self.rope_theta).astype("float32")


def turns(positions, inv_freq):
    """Cosines and sines for `rotate` of positions `(..., T)`, for radians a position `(width/2,)` of each pair."""
    angles = ops.expand_dims(ops.cast(positions, "float32"), -1) * inv_freq
    angles = ops.concatenate([angles, angles], axis=-1)
    return ops.cos(angles), ops.sin(angles)


def rotary(positions, dim: int, rope_theta: float = 10000.0):
    """The tables of `Rotary(rope_theta=...)` for heads of width `dim`: cosines and sines, float32 `(..., T, dim)`."""
    require_positive(dim=dim)
    require_even(dim=dim)
    return Rotary(rope_theta=rope_theta).tables(positions, dim)


def rotate(x, cos, sin, *, interleaved: bool = False):
    """Rotates each pair of the first channels of `x` by its position's angle; channels past the tables stay.

    Args:
        x: `(B, H, T, D)`.
        cos, sin: from `rotary` or `Rotary.tables`, `(T, width)` or `(B, T, width)`.
        interleaved: which channels are a pair, as `Rotary` has it.

    Returns:
        `(B, H, T, D)` in the dtype of `x`.
    """
    if len(cos.shape) == 3:
        cos, sin = ops.expand_dims(cos, 1), ops.expand_dims(sin, 1)  # over the heads
    width = cos.shape[-1]
    if width < x.shape[-1]:
        turned = rotate(x[..., :width], cos, sin, interleaved=interleaved)
        return ops.concatenate([turned, x[..., width:]], axis=-1)
    half = width // 2
    cos, sin = ops.cast(cos, x.dtype), ops.cast(sin, x.dtype)
    if interleaved:
        even, odd = x[..., ::2], x[..., 1::2]
        cos, sin = cos[..., :half], sin[..., :half]
        pairs = ops.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1)
        return ops.reshape(pairs, ops.shape(x))
    turned = ops.concatenate([-x[..., half:], x[..., :half]], axis=-1)
    return x * cos + turned * sin


def apply_rotary_pos_emb(q, k, cos, sin, *, interleaved: bool = False):
    """Rotates queries `(B, H, T, D)` and keys `(B, K, T, D)` by the tables of `RotaryPositionalEmbedding`."""
    return rotate(q, cos, sin, interleaved=interleaved), rotate(k, cos, sin, interleaved=interleaved)


def _inv_freq(dim: int, theta: float) -> np.ndarray:
    """Radians a position of each pair of channels, float64 `(dim/2,)`: theta ** (-2i / dim)."""
    return float(theta) ** (-np.arange(0, dim, 2) / dim)
