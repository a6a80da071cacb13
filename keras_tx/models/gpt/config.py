"""GPT's config, and the tables of GPT-1, GPT-2 and LLaMA."""

from __future__ import annotations

import dataclasses
from typing import Literal

from keras_tx.layers import AttentionConfig, Experts
from keras_tx.layers.attention.variants import Pattern, variants_of
from keras_tx.models.core.config import TextConfig
from keras_tx.ops.attention.rotary import Rotary, RotaryScaling
from keras_tx.ops.checks import require_divides, require_positive, require_rate


@dataclasses.dataclass(frozen=True, kw_only=True)
class GPTConfig(TextConfig):
    """A decoder-only language model; the defaults are GPT-2 small."""

    vocab_size: int = 50257
    max_positions: int = 1024
    """The longest sequence; rows of the table if positions are learned."""
    num_layers: int = 12
    num_heads: int = 12
    num_kv_heads: int | None = None
    """Key/value heads; None for as many as query heads."""
    attention: Pattern = None
    """Another self-attention, as `AttentionConfig.of` takes it, or several for the layers in turn; None for multi-head
    attention."""
    d_model: int = 768
    d_ff: int | None = None
    """Width inside the feed-forward network; None for 4 * d_model."""
    head_dim: int | None = None
    """Width of a head; None for d_model / num_heads."""
    norm: Literal["layer", "rms"] = "layer"
    """LLaMA's norms neither take the mean off nor add an offset."""
    norm_position: Literal["pre", "post"] = "pre"
    """GPT-2 normalizes before each branch and once after the last block; GPT-1 after each branch."""
    norm_epsilon: float = 1e-5
    activation: str = "gelu_tanh"
    """GPT-1's own code, too, has the tanh approximation where its config says "gelu"."""
    gated: bool = False
    """Whether the feed-forward network is gated (Shazeer 2020): with "gelu", "silu" and "relu" it is GEGLU, SwiGLU and
    ReGLU."""
    experts: Experts | None = None
    """A mixture of experts in the feed-forward network's place."""
    positions: Literal["learned", "sinusoidal", "rotary"] = "learned"
    rotary: Rotary = dataclasses.field(default_factory=Rotary)
    """The rotations, if positions are rotary."""
    scale_attention: bool = True
    """Whether attention scores are divided by the square root of the heads' width."""
    scale_attention_by_layer: bool = False
    """Whether they are divided by the number of their layer, counted from 1, too (Mistral's GPT-2s, 2021)."""
    use_bias: bool = True
    """Whether linear maps inside the blocks have biases."""
    feed_forward_bias: bool | None = None
    """Whether those of the feed-forward networks have; None for `use_bias`."""
    tie_embeddings: bool = True
    """Whether the output projection is the transposed token table."""
    embedding_dropout: float = 0.1
    attention_dropout: float = 0.1
    residual_dropout: float = 0.1
    classifier_dropout: float = 0.1
    """The dropout rate on the last hidden states, before the token classifier."""
    summary_dropout: float = 0.1
    """The dropout rate on the hidden state that the double heads' choice head reads."""
    summary_activation: str | None = None
    """The activation of the choice head's logits; None for none."""
    initializer_range: float = 0.02
    """Standard deviation of every kernel and table at the start."""
    scale_residual_init: bool = True
    """GPT-2 divides it by sqrt(2 * num_layers) for the kernels that end a residual branch."""

    head_fields = TextConfig.head_fields | {"summary_dropout", "summary_activation"}

    @property
    def classifier_rate(self):
        return self.classifier_dropout

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "attention", AttentionConfig.of(self.attention, self.num_layers))
        require_positive(
            vocab_size=self.vocab_size,
            max_positions=self.max_positions,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            num_kv_heads=self.num_kv_heads,
            d_model=self.d_model,
            d_ff=self.d_ff,
            head_dim=self.head_dim,
        )
        if self.head_dim is None:
            require_divides(self.d_model, self.num_heads, "d_model", "num_heads")
        if self.norm not in ("layer", "rms"):
            raise ValueError(f'`norm` must be "layer" or "rms"; got {self.norm!r}.')
        require_rate(
            embedding_dropout=self.embedding_dropout,
            attention_dropout=self.attention_dropout,
            residual_dropout=self.residual_dropout,
            classifier_dropout=self.classifier_dropout,
            summary_dropout=self.summary_dropout,
        )
        scaled = self.scale_attention and not self.scale_attention_by_layer
        for variant in variants_of(self.attention):
            if not variant.scales and not scaled:
                raise ValueError(
                    "`scale_attention` and `scale_attention_by_layer` have no meaning with "
                    f"{type(variant).__name__} attention: leave them out."
                )
        if self.positions not in ("learned", "sinusoidal", "rotary"):
            raise ValueError(f'`positions` must be "learned", "sinusoidal" or "rotary"; got {self.positions!r}.')


LLAMA = GPTConfig(
    vocab_size=32000,
    max_positions=4096,
    num_layers=32,
    num_heads=32,
    d_model=4096,
    d_ff=11008,
    norm="rms",
    activation="silu",
    gated=True,
    positions="rotary",
    use_bias=False,
    tie_embeddings=False,
    embedding_dropout=0.0,
    attention_dropout=0.0,
    residual_dropout=0.0,
    scale_residual_init=False,
    bos_token_id=1,
    eos_token_id=2,
)
"""LLaMA 2 7B (Touvron et al. 2023, table 1)."""

LLAMA3 = LLAMA.replace(
    vocab_size=128256,
    max_positions=8192,
    num_kv_heads=8,
    d_ff=14336,
    rotary=Rotary(rope_theta=500000.0),
    bos_token_id=128000,
    eos_token_id=128001,
)
"""LLaMA 3 8B (Grattafiori et al. 2024, table 3)."""

LLAMA32 = LLAMA3.replace(
    max_positions=131072,
    num_layers=16,
    d_model=2048,
    d_ff=8192,
    tie_embeddings=True,
    rotary=Rotary(
        rope_theta=500000.0,
        scaling=RotaryScaling(rope_type="llama3", factor=32.0, original_max_positions=8192),
    ),
)
"""LLaMA 3.2 1B (its published config, 2024)."""

VARIANTS = {
    #                       layers heads  width  vocabulary positions
    "gpt_small": GPTConfig(vocab_size=40478, max_positions=512, norm_position="post", scale_residual_init=False),
    "gpt2_small": GPTConfig(),
    "gpt2_medium": GPTConfig(num_layers=24, num_heads=16, d_model=1024),
    "gpt2_large": GPTConfig(num_layers=36, num_heads=20, d_model=1280),
    "gpt2_xl": GPTConfig(num_layers=48, num_heads=25, d_model=1600),
    "llama2_7b": LLAMA,
    "llama2_13b": LLAMA.replace(num_layers=40, num_heads=40, d_model=5120, d_ff=13824),
    "llama2_70b": LLAMA.replace(num_layers=80, num_heads=64, num_kv_heads=8, d_model=8192, d_ff=28672),
    "llama3_8b": LLAMA3,
    "llama3_70b": LLAMA3.replace(num_layers=80, num_heads=64, d_model=8192, d_ff=28672),
    "llama3_2_1b": LLAMA32,
    "llama3_2_3b": LLAMA32.replace(num_layers=28, num_heads=24, d_model=3072),
    "gpt_char": GPTConfig(vocab_size=65, max_positions=256, num_layers=6, num_heads=6, d_model=384),
}
"""GPT-1: Radford et al. 2018, section 4.1. GPT-2: Radford et al. 2019, table 2. LLaMA 2: Touvron et al. 2023, table 1;
its inner widths, and LLaMA 3.2: the published configs. LLaMA 3: Grattafiori et al. 2024, table 3. The character model:
nanoGPT's."""

TINY = GPTConfig(vocab_size=61, max_positions=37, num_layers=2, num_heads=3, d_model=15, d_ff=29)
TINY_LLAMA = LLAMA.replace(
    vocab_size=61,
    max_positions=37,
    num_layers=2,
    num_heads=3,
    num_kv_heads=1,
    d_model=15,
    d_ff=29,
    head_dim=4,
    rotary=Rotary(rope_theta=70.0, scaling=RotaryScaling(rope_type="llama3", factor=3.0, original_max_positions=11)),
)
TINY_HEAD = TINY.replace(num_layers=1, num_labels=5)
