"""The Transformer (Vaswani et al. 2017): an encoder-decoder of two sequences."""

from __future__ import annotations

from typing import Any

from keras_tx.models.core.head import Head
from keras_tx.models.core.heads import Seq2SeqLanguageModelHead
from keras_tx.models.core.registry import register_model
from keras_tx.models.core.seq2seq import Seq2SeqLanguageModel
from keras_tx.models.transformer.backbone import TransformerBackbone
from keras_tx.models.transformer.config import TINY, TransformerConfig


@register_model(TINY.replace(source_vocab_size=67, label_smoothing=0.1))
class Transformer(Seq2SeqLanguageModel):
    """The encoder-decoder of "Attention Is All You Need".

    `model(input_ids, decoder_input_ids)` gives `{"logits": (B, T, vocab_size)}`; with `labels`, `(B, T)`, which are
    shifted right where there are no `decoder_input_ids`, also `"loss"`: their mean cross-entropy in nats, smoothed as
    the config says, -100 not counting.

    Args:
        vocab_size: tokens of the vocabulary; or a whole `TransformerConfig`, as other models take it. The paper's base
            model unless given.
        d_model, num_heads, num_layers, dim_feedforward, dropout: the config's fields.
        backbone, head, name, dtype: as `HeadModel` takes them.
        overrides: other fields of the config.
    """

    backbone_class, head_class = TransformerBackbone, Seq2SeqLanguageModelHead

    def __init__(
        self,
        vocab_size: int | TransformerConfig | None = None,
        d_model: int | None = None,
        num_heads: int | None = None,
        num_layers: int | None = None,
        dim_feedforward: int | None = None,
        dropout: float | None = None,
        *,
        backbone: TransformerBackbone | None = None,
        head: Head | None = None,
        name: str | None = None,
        dtype=None,
        **overrides: Any,
    ):
        config = vocab_size if isinstance(vocab_size, TransformerConfig) else None
        sizes = {
            "vocab_size": None if config else vocab_size,
            "d_model": d_model,
            "num_heads": num_heads,
            "num_layers": num_layers,
            "dim_feedforward": dim_feedforward,
            "dropout": dropout,
        }
        overrides |= {field: size for field, size in sizes.items() if size is not None}
        super().__init__(config, backbone=backbone, head=head, name=name, dtype=dtype, **overrides)

    def head_arguments(self):
        return {"use_bias": True, "label_smoothing": self.config.label_smoothing}
