"""The config of Swin and Swin v2, and the papers' tables."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args

from keras_tx.models.core.images import ImageConfig, require_a_patch
from keras_tx.ops.checks import require_divides, require_positive, require_rate
from keras_tx.ops.image.patches import Size, pair
from keras_tx.ops.image.windows import Shift, Window, WindowFit, fit_windows, window_of_each


@dataclasses.dataclass(frozen=True, kw_only=True)
class SwinConfig(ImageConfig):
    """A Swin Transformer; the defaults are Swin-T of the first paper."""

    head_fields = ImageConfig.head_fields | {"head_dropout", "encoder_stride"}

    patch_size: Size = 4
    """Height and width of the patches, or one number for both."""
    pad_images: bool = False
    """Whether images that aren't a whole number of patches are padded with zeros at the bottom and the right."""
    embed_dim: int = 96
    """Width of the first stage; each other stage is twice as wide as the one before."""
    depths: tuple[int, ...] = (2, 2, 6, 2)
    """Blocks of each stage; every second one shifts its windows by half of their size."""
    num_heads: tuple[int, ...] = (3, 6, 12, 24)
    """Heads in each stage."""
    window_size: int | tuple[Size, ...] = 7
    """The size of the windows: one number, or for each stage a number or a pair, height and width."""
    window_fit: WindowFit = "axes"
    """How windows fit into stages whose maps are no larger than a window.

    "axes": along either axis a window no smaller than the map at `image_size` shrinks to it and is not shifted; maps
    are shifted, then padded (timm). "height": likewise, but the height counts for both axes, and is halved rounding
    down (Transformers' second version). "shorter_side": no window shrinks, and none is shifted on a map whose shorter
    side, whatever the image, is no longer (Transformers' first version). The last two pad, then shift.
    """
    pretrained_window_size: int | tuple[Size, ...] = 0
    """The windows that a continuous position bias was trained at, as `window_size`; 0 for the model's own."""
    scores: Literal["dot", "cosine"] = "dot"
    """Scaled dot products, or cosines with a learned scale (Liu et al. 2022)."""
    position_bias: Literal["table", "continuous"] = "table"
    """A table of offsets, or a network of log-spaced offsets (Liu et al. 2022)."""
    norm_position: Literal["pre", "post"] = "pre"
    """Whether a norm comes before each residual branch, or after it (Liu et al. 2022)."""
    norm_scale: float = 1.0
    """The scale that the blocks' norms start with; 0 with post-norm, where blocks start as the identity."""
    norm_epsilon: float = 1e-5
    mlp_ratio: float = 4.0
    """Width inside the feed-forward network, in widths of the stage."""
    activation: str = "gelu"
    qkv_bias: bool = True
    patch_norm: bool = True
    """Whether embedded patches are normalized."""
    absolute_positions: bool = False
    """Whether a learned vector is added for each patch."""
    dropout: float = 0.0
    """The dropout rate on the embedded patches and on each residual branch."""
    attention_dropout: float = 0.0
    head_dropout: float = 0.0
    """The dropout rate before the head."""
    drop_path: float = 0.1
    """Rate at which the last block's branches are dropped; it rises linearly from 0 at the first block's."""
    initializer_range: float = 0.02
    """Standard deviation of every kernel and table at the start."""
    encoder_stride: int = 32
    """Pixels along either axis that a masked image model makes of one token of the last stage."""

    def __post_init__(self):
        for name in ("window_size", "pretrained_window_size"):
            object.__setattr__(self, name, _tuples(getattr(self, name)))
        super().__post_init__()
        for part in pair(self.patch_size):
            require_positive(patch_size=part)
        require_a_patch(self)
        require_positive(embed_dim=self.embed_dim, encoder_stride=self.encoder_stride)
        require_rate(
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            head_dropout=self.head_dropout,
            drop_path=self.drop_path,
        )
        if self.mlp_ratio <= 0:
            raise ValueError(f"`mlp_ratio` must be above 0; got {self.mlp_ratio}.")
        self._check_stages()

    def _check_stages(self) -> None:
        if len(self.depths) != len(self.num_heads) or not self.depths:
            raise ValueError(
                f"`depths` and `num_heads` must have a number for each stage; got {self.depths} and {self.num_heads}."
            )
        for width, depth, heads in zip(self.widths, self.depths, self.num_heads, strict=True):
            require_positive(depths=depth)
            require_positive(num_heads=heads)
            require_divides(width, heads, "width of a stage", "num_heads")
        if self.window_fit not in get_args(WindowFit):
            known = ", ".join(get_args(WindowFit))
            raise ValueError(f"`window_fit` must be one of {known}; got {self.window_fit!r}.")
        for window, _ in self.windows():
            require_positive(window_size=min(window))
        self.pretrained_windows()

    @property
    def stride(self):
        return pair(self.patch_size)

    @property
    def decoder_stride(self):
        return pair(self.encoder_stride)

    @property
    def widths(self) -> tuple[int, ...]:
        """The width of each stage."""
        return tuple(self.embed_dim * 2**i for i in range(len(self.depths)))

    @property
    def drop_path_rates(self) -> tuple[float, ...]:
        """The rate of stochastic depth of each block."""
        last = sum(self.depths) - 1
        return tuple(self.drop_path * i / max(last, 1) for i in range(last + 1))

    def windows(self) -> list[tuple[Window, Shift]]:
        """Returns each stage's window, and the shift of its shifted blocks."""
        return fit_windows(window_of_each(self.window_size, len(self.depths)), self.grid, self.window_fit)

    def pretrained_windows(self) -> list[Window | None]:
        """The window that each stage's position bias was trained at; None for its own."""
        each = window_of_each(self.pretrained_window_size, len(self.depths), "pretrained_window_size")
        return [window if min(window) else None for window in each]


def _tuples(value):
    """Lists, as JSON has them, as tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, tuple | list) else value


_V2 = SwinConfig(
    image_size=256,
    window_size=8,
    scores="cosine",
    position_bias="continuous",
    norm_position="post",
    norm_scale=0.0,
)
_T: dict[str, Any] = {"embed_dim": 96, "depths": (2, 2, 6, 2), "num_heads": (3, 6, 12, 24), "drop_path": 0.2}
_S: dict[str, Any] = {"embed_dim": 96, "depths": (2, 2, 18, 2), "num_heads": (3, 6, 12, 24), "drop_path": 0.3}
_B: dict[str, Any] = {"embed_dim": 128, "depths": (2, 2, 18, 2), "num_heads": (4, 8, 16, 32), "drop_path": 0.5}
_L: dict[str, Any] = {"embed_dim": 192, "depths": (2, 2, 18, 2), "num_heads": (6, 12, 24, 48), "drop_path": 0.2}
_384: dict[str, Any] = {"image_size": 384, "window_size": 12}

VARIANTS = {
    "swin_tiny_patch4_window7_224": SwinConfig(**_T),
    "swin_small_patch4_window7_224": SwinConfig(**_S),
    "swin_base_patch4_window7_224": SwinConfig(**_B),
    "swin_large_patch4_window7_224": SwinConfig(**_L),
    "swin_base_patch4_window12_384": SwinConfig(**_B, **_384),
    "swin_large_patch4_window12_384": SwinConfig(**_L, **_384),
    "swinv2_tiny_patch4_window8_256": _V2.replace(**_T),
    "swinv2_small_patch4_window8_256": _V2.replace(**_S),
    "swinv2_base_patch4_window8_256": _V2.replace(**_B),
    "swinv2_tiny_patch4_window16_256": _V2.replace(**_T, window_size=16),
    "swinv2_small_patch4_window16_256": _V2.replace(**_S, window_size=16),
    "swinv2_base_patch4_window16_256": _V2.replace(**_B, window_size=16),
}
"""Liu et al. 2021, section 3.3, and 2022, section 4.1."""

TINY = SwinConfig(
    image_size=(26, 34),  # maps of 13 x 17 and 7 x 9 tokens, which no window divides
    patch_size=2,
    num_classes=5,
    embed_dim=6,
    depths=(2, 1),
    num_heads=(1, 3),
    window_size=(3, (2, 5)),
    drop_path=0.01,
)
TINY_V2 = TINY.replace(
    window_size=3,
    window_fit="height",
    pad_images=True,
    pretrained_window_size=(5, 0),
    scores="cosine",
    position_bias="continuous",
    norm_position="post",
)
TINY_PADDED = TINY.replace(
    image_size=(25, 33),
    pad_images=True,
    window_size=3,
    window_fit="shorter_side",
    absolute_positions=True,
    qkv_bias=False,
    num_classes=0,
)
TINY_MASKED = TINY.replace(  # each of the 6 x 7 tokens of the last map becomes a square of the image
    image_size=(24, 28), pad_images=True, window_size=3, window_fit="shorter_side", encoder_stride=4
)
