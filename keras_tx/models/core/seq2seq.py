"""What encoder-decoders have in common: two sequences of ids, labels shifted right, generation from a source.

Shape letters: B batch, S tokens of the source, which the encoder reads, T tokens of the target, which the decoder does.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Self

import keras
from keras import ops

from keras_tx.generation import GenerationMixin
from keras_tx.layers import BlockCache, TransformerDecoder
from keras_tx.models.core.base import text_inputs
from keras_tx.models.core.text_heads import Backbone, take_positions
from keras_tx.ops.attention.cache import Cache, least_capacity
from keras_tx.ops.checks import require_integer, require_rank, require_shape
from keras_tx.ops.losses import IGNORED, token_cross_entropy


class _OfDecoder(NamedTuple):
    blocks: tuple[BlockCache, ...]
    source_mask: Any


class SourceCache(_OfDecoder, Cache):
    """What a decoder keeps from step to step.

    Attributes:
        blocks: the caches of its blocks, with the source's keys and values.
        source_mask: `(B, S)` boolean: the source's tokens to look at.
    """

    __slots__ = ()

    @property
    def fill(self) -> Any:
        return self.blocks[0].fill

    @property
    def capacity(self) -> int | None:
        return least_capacity(self.blocks)

    def rewind(self, index) -> Self:
        return self._replace(blocks=tuple(block.rewind(index) for block in self.blocks))

    def repeat_rows(self, copies: int) -> Self:
        blocks = tuple(block.repeat_rows(copies) for block in self.blocks)
        return self._replace(blocks=blocks, source_mask=ops.repeat(self.source_mask, copies, axis=0))

    def take_rows(self, rows) -> Self:
        return self._replace(blocks=tuple(block.take_rows(rows) for block in self.blocks))


class EncoderDecoder(Backbone):
    """A backbone of two stacks.

    Subclasses implement `encoded`, `run_decoder`, and a head's `head`.
    """

    decoder: TransformerDecoder
    shifted: ClassVar[str] = "input_ids"
    """The input that the decoder's ids are made of, shifted right, where they are not given."""

    def encoded(self, input_ids, attention_mask=None, *, return_attention: bool = False, training=None) -> dict:
        """The encoder's `"hidden_states"`; with `return_attention`, also its `"attentions"`."""
        raise NotImplementedError

    def run_decoder(self, ids, positions, columns, *, training=None, **options) -> dict:
        """What the decoder gives, with hidden states.

        Args:
            ids: `(B, T)`.
            positions: of the ids, integers `(T,)` or `(B, T)`.
            columns: of the keys, integers: those of the ids, or the cache's slots; None for a cache without.
            training: whether dropout is active.
            options: for the decoder.
        """
        raise NotImplementedError

    def hidden(
        self,
        input_ids,
        attention_mask=None,
        *,
        context=None,
        context_mask=None,
        position_ids=None,
        cache: SourceCache | None = None,
        return_attention: bool = False,
        training=None,
    ) -> dict:
        """The decoder's, of its own ids.

        Args:
            input_ids: `(B, T)`.
            attention_mask: `(B, T)` or `(B, T, T)`; with a cache, over its slots.
            context: the encoder's last hidden states, `(B, S, d_model)`; None if there is a cache.
            context_mask: `(B, S)`, 0 at padding of the source; None if there is a cache.
            position_ids: `(B, T)`; counted from 0, or from the cache's fill, unless given.
            cache: from `begin`.
            return_attention: also return the maps.
            training: whether dropout is active.

        Returns:
            A dict with `"hidden_states"`; and `"attentions"`, `"cross_attentions"`, `"cache"` as asked for.
        """
        columns = positions = ops.arange(ops.shape(input_ids)[1], dtype="int32")
        cached: dict[str, Any] = {}
        if cache is not None:
            own = cache.blocks[0].attention
            positions, context_mask = cache.fill + positions, cache.source_mask
            columns = own.key_positions() if own.by_position else None
            cached["cache"] = cache.blocks
        outputs = self.run_decoder(
            input_ids,
            positions if position_ids is None else position_ids,
            columns,
            context=context,
            attention_mask=attention_mask,
            context_mask=context_mask,
            return_attention=return_attention,
            training=training,
            **cached,
        )
        return outputs if cache is None else outputs | {"cache": cache._replace(blocks=outputs["cache"])}

    def encode(self, input_ids, attention_mask=None, training=None):
        """The encoder's last hidden states, `(B, S, d_model)`: the context of `decode`."""
        given = self._inputs(input_ids, attention_mask=attention_mask)
        return self.encoded(given["input_ids"], given["attention_mask"], training=training)["hidden_states"][-1]

    def decode(self, decoder_input_ids, context, context_mask=None, decoder_attention_mask=None, training=None):
        """The decoder's last hidden states, `(B, T, d_model)`.

        Args:
            decoder_input_ids: `(B, T)`, beginning with the start token.
            context: from `encode`, `(B, S, d_model)`.
            context_mask: `(B, S)`, 0 at padding of the source.
            decoder_attention_mask: `(B, T)` or `(B, T, T)`.
            training: whether dropout is active.
        """
        ids, context = ops.convert_to_tensor(decoder_input_ids), ops.convert_to_tensor(context)
        _require_target(ids, decoder_attention_mask, context.shape[0])
        source = {"context": context, "context_mask": context_mask}
        return self.hidden(ids, decoder_attention_mask, **source, training=training)["hidden_states"][-1]

    def answer(self, inputs, *, return_attention=False, return_hidden_states=False, training=None, **named) -> dict:
        """What a model's `call` returns; `named` are its inputs and labels, None for those not given."""
        given = self._inputs(inputs, **named)
        asked = {"return_attention": return_attention, "training": training}
        source = self.encoded(given["input_ids"], given["attention_mask"], **asked)
        target = self.hidden(
            given["decoder_input_ids"],
            given["decoder_attention_mask"],
            context=source["hidden_states"][-1],
            context_mask=given["attention_mask"],
            **asked,
        )
        outputs = self.head(target["hidden_states"][-1], given, training)
        for kind in [
            *(["hidden_states"] if return_hidden_states else []),
            *(["attentions"] if return_attention else []),
        ]:
            outputs |= {f"encoder_{kind}": source[kind], f"decoder_{kind}": target[kind]}
        if return_attention:
            outputs["cross_attentions"] = target["cross_attentions"]
        return outputs | self.own_losses(outputs, given)

    def _inputs(self, inputs, **named) -> dict[str, Any]:
        """`text_inputs`, of two texts that fit together."""
        given = text_inputs(inputs, **named)
        ids, mask = given["input_ids"], given["attention_mask"]
        if 0 in ids.shape:
            raise ValueError(f"`input_ids` must hold at least one token a row; got shape {tuple(ids.shape)}.")
        if mask is not None:
            require_shape(mask, tuple(ids.shape), "attention_mask")
        if "decoder_input_ids" in named:
            given["decoder_input_ids"] = self._decoder_ids(given)
            _require_target(given["decoder_input_ids"], given["decoder_attention_mask"], ids.shape[0])
        return given

    def _decoder_ids(self, given: dict):
        """The decoder's ids, from what else is given if need be."""
        if given["decoder_input_ids"] is not None:
            return given["decoder_input_ids"]
        source = given[self.shifted]
        if source is None:
            raise ValueError(
                f"give `decoder_input_ids`, or `{self.shifted}`, of which they are made. In `fit` {self.shifted} count "
                "for that only among the inputs, not as `y`."
            )
        require_rank(source, 2, self.shifted, "(batch, length)")
        require_integer(source, self.shifted)
        return shift_right(source, self.config.decoder_start_token_id, self.config.pad_token_id)


class LabelledPair(EncoderDecoder):
    """What models of two texts and one kind of labels are called with."""

    def call(
        self,
        inputs,
        decoder_input_ids=None,
        attention_mask=None,
        decoder_attention_mask=None,
        labels=None,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
    ):
        """The head's logits and, given labels, its loss.

        Args:
            inputs: ids of the source `(B, S)`, or a dict of any of the tensors below with `"input_ids"`.
            decoder_input_ids: ids of the target `(B, T)`, beginning with `decoder_start_token_id`. Unless given, a
                language model's labels shifted right; of others, the source.
            attention_mask: `(B, S)`, 0 at padding of the source, on either side.
            decoder_attention_mask: `(B, T)`, 0 at padding of the target; or `(B, T, T)`, for each token 0 at those it
                shall not see.
            labels: as the class says; a language model's are the target, `(B, T)`, -100 where it does not count.
            return_attention: also return the attention maps: `"encoder_attentions"`, of every block `(B, H, S, S)`,
                `"decoder_attentions"`, `(B, H, T, T)`, and `"cross_attentions"`, `(B, H, T, S)`.
            return_hidden_states: also return `"encoder_hidden_states"` and `"decoder_hidden_states"`: the embeddings,
                then each block's output, the last one after the final norm.
            training: whether dropout is active.

        Returns:
            A dict with the logits, and `"loss"` and what else was asked for.

        Raises:
            ValueError: for ids that are not `(batch, length)` integers, or known to lie outside the vocabulary; for
                an empty source; for a target neither given nor labelled; for other inputs that do not fit the ids.
        """
        return self.answer(
            inputs,
            attention_mask=attention_mask,
            decoder_input_ids=decoder_input_ids,
            decoder_attention_mask=decoder_attention_mask,
            labels=labels,
            return_attention=return_attention,
            return_hidden_states=return_hidden_states,
            training=training,
        )


class Seq2SeqLanguageModel(GenerationMixin, LabelledPair):
    """A target given a source: each token given the source and the tokens before it."""

    shifted = "labels"
    reads_prompt = False

    def input_signature(self):
        names = ("input_ids", "attention_mask", "decoder_input_ids", "decoder_attention_mask")
        return {name: keras.InputSpec(name=name, shape=(None, None), dtype="int32") for name in names}

    def logits(self, hidden):
        """`(..., d_model)` to `(..., vocab_size)`."""
        raise NotImplementedError

    def head(self, x, given, training=None):
        return {"logits": self.logits(x)}

    def own_losses(self, outputs, labels):
        if labels["labels"] is None:
            return {}
        smoothing = getattr(self.config, "label_smoothing", 0.0)
        return {"loss": token_cross_entropy(outputs["logits"], labels["labels"], label_smoothing=smoothing)}

    def prompt_length(self, ids) -> int:
        """The decoder begins with one token."""
        return 1

    def begin(self, ids, attention_mask, length: int) -> tuple:
        """The start token, its mask, and a cache of `length` slots with the keys and values of the sources `ids`."""
        context = self.encoded(ids, attention_mask)["hidden_states"][-1]
        start = ops.full((ops.shape(ids)[0], 1), self.config.decoder_start_token_id, "int32")
        blocks = self.decoder.init_cache(ops.shape(ids)[0], length, context)
        return start, ops.ones_like(start), SourceCache(blocks, ops.cast(attention_mask, "bool"))

    def decode_step(self, ids, position_ids, attention_mask, cache, last):
        """Logits after position `last`, `(B,)`, of each row of `ids`, `(B, T)`: `(B, vocab_size)`, and the cache."""
        outputs = self.hidden(ids, attention_mask, position_ids=position_ids, cache=cache)
        return self.logits(take_positions(outputs["hidden_states"][-1], last)), outputs["cache"]


def shift_right(ids, start: int, pad: int | None):
    """What a decoder reads to predict `ids`, `(B, T)`: `start`, then all but the last one.

    Args:
        ids: labels; where they do not count the decoder reads padding.
        start: the first id.
        pad: of padding; `start` if None.
    """
    before = ops.pad(ops.cast(ids, "int32")[:, :-1], [(0, 0), (1, 0)], constant_values=start)
    return ops.where(before == IGNORED, start if pad is None else pad, before)


def _require_target(ids, mask, batch: int | None) -> None:
    """Raises ValueError unless the decoder's ids and their mask fit each other and the source."""
    require_rank(ids, 2, "decoder_input_ids", "(batch, length)")
    require_integer(ids, "decoder_input_ids")
    require_shape(ids, (batch, ids.shape[1]), "decoder_input_ids")
    if mask is not None:
        by_query = len(mask.shape) > 2
        require_shape(mask, (*ids.shape, ids.shape[1]) if by_query else tuple(ids.shape), "decoder_attention_mask")
