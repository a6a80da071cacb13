"""Rotary position embeddings: queries and keys turned by an angle that grows with their position."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal, Self, get_args

import numpy as np
from keras import ops

from keras_tx.ops.checks import require_even, require_positive
from keras_tx.ops.fields import from_fields

ScalingKind = Literal["linear", "ntk", "dynamic", "yarn", "llama3"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RotaryScaling:
    """How a model trained on short texts turns the positions of longer ones.

    A channel that turns less than `slow` times within `original_length` positions tells positions apart by where in
    its turn they are, so "yarn" and "llama3" slow it down; one that turns more than `fast` times tells distances, and
    they leave it.
    """

    kind: ScalingKind
    """"linear" slows all channels alike (Chen et al. 2023); "ntk" raises the base, which slows the slow ones most
    (bloc97 2023); "dynamic" raises it as far as the positions at hand ask for; "yarn" (Peng et al. 2023) and "llama3"
    (Llama 3.1, 2024) slow some channels by `factor`, leave others, and blend between."""
    factor: float
    """How much longer the texts may be."""
    original_length: int | None = None
    """The longest text of training; needed by all kinds but "linear" and "ntk"."""
    slow: float = 1.0
    fast: float | None = None
    """32 for "yarn", 4 for "llama3" unless given."""
    magnitude: float | None = None
    """Multiplies queries and keys; 0.1 ln(factor) + 1 for "yarn", 1 for the others unless given."""
    whole_channels: bool = True
    """Whether "yarn" blends between whole numbers of channels."""

    def __post_init__(self):
        if self.kind not in get_args(ScalingKind):
            known = ", ".join(map(repr, get_args(ScalingKind)))
            raise ValueError(f"`kind` of a rotary scaling must be one of {known}; got {self.kind!r}.")
        if not self.factor >= 1:
            raise ValueError(f"`factor` of a rotary scaling must be at least 1; got {self.factor}.")
        require_positive(original_length=self.original_length)
        if self.original_length is None and self.kind not in ("linear", "ntk"):
            raise ValueError(f'a rotary scaling of kind "{self.kind}" needs `original_length`.')
        if not 0 < self.slow < self.turns_fast:
            raise ValueError(f"`slow` must lie above 0 and below `fast`; got {self.slow} and {self.turns_fast}.")

    @property
    def turns_fast(self) -> float:
        """`fast`, or what it is by the kind."""
        return self.fast or (4.0 if self.kind == "llama3" else 32.0)

    @property
    def gain(self) -> float:
        """What cosines and sines are multiplied by."""
        if self.magnitude is not None:
            return self.magnitude
        return 0.1 * math.log(self.factor) + 1 if self.kind == "yarn" else 1.0

    def rates(self, dim: int, base: float, length):
        """Radians a position of each pair of channels, float32 `(dim/2,)`, for positions below `length`."""
        if self.kind == "dynamic":
            beyond = ops.cast(ops.maximum(length, self.original_length), "float32") / self.original_length
            raised = base * ops.power(self.factor * beyond - (self.factor - 1), dim / (dim - 2))
            return ops.power(raised, -np.arange(0, dim, 2, dtype="float32") / dim)
        if self.kind == "ntk":
            return _rates(dim, base * self.factor ** (dim / (dim - 2))).astype("float32")
        rates = _rates(dim, base)
        return (rates * (1 + (1 / self.factor - 1) * self._slowed(rates, dim, base))).astype("float32")

    def _slowed(self, rates: np.ndarray, dim: int, base: float) -> np.ndarray | float:
        """By what share of `factor` each pair of channels is slowed."""
        if self.kind == "linear":
            return 1.0
        assert self.original_length is not None
        if self.kind == "llama3":
            turns = self.original_length * rates / (2 * math.pi)
            return np.clip((self.turns_fast - turns) / (self.turns_fast - self.slow), 0, 1)
        first, last = (
            dim * math.log(self.original_length / (turns * 2 * math.pi)) / (2 * math.log(base))
            for turns in (self.turns_fast, self.slow)
        )
        if self.whole_channels:
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, dim - 1)
        # Where `last` lies below 0, in texts too short for one turn, none is slowed: Transformers has it so.
        return np.clip((np.arange(dim // 2) - first) / ((last - first) or 1e-3), 0, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rotary:
    """The rotations of one attention layer (Su et al. 2021)."""

    base: float = 10000.0
    """The slowest rotation turns by about 1 / base radians a position."""
    dim: int | None = None
    """Channels of each head that are turned, the first ones; None for all."""
    interleaved: bool = False
    """Whether channels 2i and 2i + 1 are a pair, as in the paper and GPT-J; otherwise i and i + dim/2, as LLaMA has
    them."""
    scaling: RotaryScaling | None = None

    def __post_init__(self):
        require_positive(dim=self.dim)
        if not self.base > 1:
            raise ValueError(f"`base` of rotary embeddings must be above 1; got {self.base}.")
        if self.dim is not None:
            require_even(dim=self.dim)

    @classmethod
    def of(cls, given: Self | dict[str, Any] | float | None) -> Self | None:
        """The rotations from their fields, as a config holds them, or from a base alone."""
        if isinstance(given, dict):
            return from_fields(cls, given)
        return cls(base=float(given)) if isinstance(given, (int, float)) else given

    def width(self, head_dim: int) -> int:
        """How many channels of a head of that width are turned.

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
        if dim == 2 and self.scaling is not None and self.scaling.kind in ("ntk", "dynamic"):
            raise ValueError(f'a rotary scaling of kind "{self.scaling.kind}" needs more than one pair of channels.')
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
            rates, gain = _rates(dim, self.base).astype("float32"), 1.0
        else:
            rates, gain = self.scaling.rates(dim, self.base, ops.max(positions) + 1), self.scaling.gain
        angles = ops.expand_dims(ops.cast(positions, "float32"), -1) * rates
        angles = ops.concatenate([angles, angles], axis=-1)
        cos, sin = ops.cos(angles), ops.sin(angles)
        return (cos, sin) if gain == 1 else (gain * cos, gain * sin)


def rotary(positions, dim: int, base: float = 10000.0):
    """The tables of `Rotary(base=base)` for heads of width `dim`: cosines and sines, float32 `(..., T, dim)`."""
    require_positive(dim=dim)
    require_even(dim=dim)
    return Rotary(base=base).tables(positions, dim)


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


def _rates(dim: int, base: float) -> np.ndarray:
    """Radians a position of each pair of channels, float64 `(dim/2,)`: base ** (-2i / dim)."""
    return float(base) ** (-np.arange(0, dim, 2) / dim)
