"""Stacks of transformer blocks on embeddings: an encoder, and a decoder that attends to what an encoder made."""

from __future__ import annotations

from typing import Any, Literal

from keras_tx.layers.blocks.block import BlockCache, TransformerBlock
from keras_tx.layers.core.base import Layer, register
from keras_tx.layers.core.norm import make_norm
from keras_tx.ops.checks import require_positive

_OF_LAYERS = ("name", "dtype", "trainable")


class Stack(Layer):
    """Blocks one after another, and perhaps a norm after the last one; see `TransformerEncoder`."""

    def __init__(
        self,
        num_layers: int,
        d_model: int,
        num_heads: int,
        d_ff: int | None = None,
        dropout: float = 0.0,
        *,
        norm_position: Literal["pre", "post"] = "post",
        final_norm: bool | None = None,
        **options: Any,
    ):
        super().__init__(**{name: options.pop(name) for name in _OF_LAYERS if name in options})
        self.supports_masking = True
        require_positive(num_layers=num_layers)
        self.num_layers = num_layers
        self.d_model = d_model
        self.num_heads = num_heads
        self.d_ff = d_ff
        self.dropout = dropout
        self.norm_position = norm_position
        self.final_norm = norm_position == "pre" if final_norm is None else final_norm
        self.options = {**self.block_options(d_model), **options}
        self.blocks = [self._block(i) for i in range(num_layers)]
        if self.final_norm:
            first = self.blocks[0]
            self.norm = make_norm(
                first.norm, first.norm_epsilon, dtype=first.residual_dtype or self.dtype_policy, name="norm"
            )

    @staticmethod
    def block_options(d_model: int) -> dict[str, Any]:
        """The options that make blocks an encoder's or a decoder's."""
        return {}

    def _block(self, index: int) -> TransformerBlock:
        return TransformerBlock(
            self.d_model,
            self.num_heads,
            self.d_ff,
            self.dropout,
            norm_position=self.norm_position,
            dtype=self.dtype_policy,
            layer_index=index,
            name=f"block_{index}",
            **self.options,
        )

    def get_config(self) -> dict:
        block = self.blocks[0].get_config()
        return {**super().get_config(), **{name: block[name] for name in self.options}}

    def build(self, input_shape=None):
        shape = (None, None, self.d_model)
        for block in self.blocks:
            block.build(shape)
        if self.final_norm:
            self.norm.build(shape)

    def call(
        self,
        x,
        context=None,
        attention_mask=None,
        context_mask=None,
        bias=None,
        positions=None,
        cache: tuple[BlockCache, ...] | None = None,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
        mask=None,
        x_mask=None,
    ):
        """Runs all blocks.

        Args:
            x: `(B, T, d_model)`.
            context, attention_mask, context_mask, bias, positions, mask, x_mask: as `TransformerBlock` takes them, for
                every block.
            cache: from `init_cache`.
            return_attention: also return the attention maps.
            return_hidden_states: also return what enters each block, and the output.
            training: whether dropout is active.

        Returns:
            `(B, T, d_model)`. With anything else asked for, a dict with it as `"output"`, and tuples:
            `"attentions"`, of every block's map, `(B, H, T, T)`; `"cross_attentions"` in a decoder, `(B, H, T, S)`;
            `"hidden_states"`; and the new `"cache"`.
        """
        states, maps, caches = [x], list[Any](), list[BlockCache]()
        for i, block in enumerate(self.blocks):
            result = block(
                x,
                context=context,
                attention_mask=attention_mask,
                context_mask=context_mask,
                bias=bias,
                positions=positions,
                cache=None if cache is None else cache[i],
                return_attention=return_attention,
                training=training,
                x_mask=x_mask if mask is None else mask,
            )
            x, *extras = result if isinstance(result, tuple) else (result,)
            if return_attention:
                maps.append(extras.pop(0))
            caches.extend(extras)
            states.append(x)
        if self.final_norm:
            x = states[-1] = self.norm(x)
        outputs: dict[str, Any] = {"output": x}
        if return_attention:
            outputs |= self._maps(maps)
        if return_hidden_states:
            outputs["hidden_states"] = tuple(states)
        if cache is not None:
            outputs["cache"] = tuple(caches)
        return outputs if len(outputs) > 1 else x

    @staticmethod
    def _maps(maps: list) -> dict[str, tuple]:
        """The blocks' maps by kind."""
        return {"attentions": tuple(maps)}

    def compute_mask(self, inputs, previous_mask):
        """None: the last layer has put Keras's mask on what it gave, and Keras does not know which output that is."""

    def compute_output_shape(self, input_shape):
        return input_shape


@register
class TransformerEncoder(Stack):
    """An encoder of embeddings (Vaswani et al. 2017, section 3.1).

    Input and output: `(B, S, d_model)`.

    Args:
        num_layers: blocks.
        d_model, num_heads, d_ff, dropout: as `TransformerBlock` takes them.
        norm_position: "pre" or "post".
        final_norm: whether there is a norm after the last block; with pre-norm alone unless given.
        options: other arguments of `TransformerBlock`, and those of Keras's layers.

    Raises:
        ValueError: for sizes less than 1, and as the blocks do.
    """


@register
class TransformerDecoder(Stack):
    """A decoder of embeddings (Vaswani et al. 2017, section 3.1): causal, and attending to a context.

    Input and output: `(B, T, d_model)`; the context, as an encoder made it, is `(B, S, context_dim)`.

    Args:
        num_layers: blocks.
        d_model, num_heads, d_ff, dropout: as `TransformerBlock` takes them.
        norm_position: "pre" or "post".
        final_norm: whether there is a norm after the last block; with pre-norm alone unless given.
        options: other arguments of `TransformerBlock`, and those of Keras's layers; `context_dim` is `d_model` unless
            given.

    Raises:
        ValueError: for sizes less than 1, and as the blocks do.
    """

    @staticmethod
    def block_options(d_model: int) -> dict[str, Any]:
        return {"causal": True, "context_dim": d_model}

    @staticmethod
    def _maps(maps: list) -> dict[str, tuple]:
        own, crossed = zip(*maps, strict=True)
        return {"attentions": own, "cross_attentions": crossed}

    def init_cache(self, batch_size, length: int, context) -> tuple[BlockCache, ...]:
        """An empty cache for `length` positions, with the keys and values of a context `(B, S, context_dim)`."""
        return tuple(block.init_cache(batch_size, length, context) for block in self.blocks)
