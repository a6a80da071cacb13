"""Encoder-decoders: two sequences of ids, labels shifted right, generation from a source.

Shape letters: B batch, S tokens of the source, which the encoder reads, T tokens of the target, which the decoder does.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Self

import keras
from keras import ops

from keras_tx.generation.buckets import LEAST_SOURCE, power_of_two
from keras_tx.layers import BlockCache, TransformerDecoder
from keras_tx.layers.attention.variants import variants_of
from keras_tx.models.core.backbone import Backbone
from keras_tx.models.core.generating import GeneratingModel
from keras_tx.models.core.head import HeadModel
from keras_tx.models.core.inputs import present, text_inputs
from keras_tx.models.core.resizing import ResizableEmbeddings, resized
from keras_tx.ops.attention.cache import Cache, least_capacity
from keras_tx.ops.checks import require_integer, require_rank, require_shape
from keras_tx.ops.losses import IGNORED

INPUTS = ("input_ids", "decoder_input_ids", "attention_mask", "decoder_attention_mask")


class _OfDecoder(NamedTuple):
    blocks: tuple[BlockCache, ...]
    source_mask: Any


class SourceCache(_OfDecoder, Cache):
    """The cache that a decoder keeps from step to step.

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

    def until(self, end) -> Self:
        return self._replace(blocks=tuple(block.until(end) for block in self.blocks))

    def filled(self, index) -> Self:
        return self._replace(blocks=tuple(block.filled(index) for block in self.blocks))

    def repeat_rows(self, copies: int) -> Self:
        blocks = tuple(block.repeat_rows(copies) for block in self.blocks)
        return self._replace(blocks=blocks, source_mask=ops.repeat(self.source_mask, copies, axis=0))

    def take_rows(self, rows) -> Self:
        return self._replace(blocks=tuple(block.take_rows(rows) for block in self.blocks))


class EncoderDecoderBackbone(Backbone):
    """A backbone of two stacks.

    `backbone(input_ids, decoder_input_ids)` gives a dict with the decoder's `"last_hidden_state"`, `(B, T, d_model)`,
    and the encoder's, `"encoder_last_hidden_state"`, `(B, S, d_model)`. Subclasses make a `decoder`, and implement
    `encoded` and `run_decoder`.
    """

    input_names: tuple[str, ...] = INPUTS
    adaptable = ("vocab_size",)
    decoder: TransformerDecoder

    @property
    def output_keys(self):
        return ("last_hidden_state", "encoder_last_hidden_state")

    def input_signature(self):
        return {name: keras.InputSpec(name=name, shape=(None, None), dtype="int32") for name in INPUTS}

    @classmethod
    def adapt(cls, path, values, before, after):
        return resized(path, values, before, after)

    def encoded(self, input_ids, attention_mask=None, *, return_attention: bool = False, training=None) -> dict:
        """The encoder's `"hidden_states"`; with `return_attention`, also its `"attentions"`."""
        raise NotImplementedError

    def run_decoder(self, ids, positions, columns, *, training=None, **options) -> dict:
        """Returns the decoder's outputs, with hidden states.

        Args:
            ids: `(B, T)`.
            positions: of the ids, integers `(T,)` or `(B, T)`.
            columns: of the keys, integers: those of the ids, or the cache's slots; None for a cache without.
            training: whether dropout is active.
            options: for the decoder.
        """
        raise NotImplementedError

    def call(
        self,
        inputs,
        decoder_input_ids=None,
        attention_mask=None,
        decoder_attention_mask=None,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
    ) -> dict[str, Any]:
        """The hidden states of both texts. Takes what `EncoderDecoderModel.call` takes, without labels."""
        named = {
            "decoder_input_ids": decoder_input_ids,
            "attention_mask": attention_mask,
            "decoder_attention_mask": decoder_attention_mask,
        }
        given = checked_pair(text_inputs(inputs, named, INPUTS))
        asked = {"return_attention": return_attention, "training": training}
        source = self.encoded(given["input_ids"], given["attention_mask"], **asked)
        target = self.hidden(
            given["decoder_input_ids"],
            given["decoder_attention_mask"],
            context=source["hidden_states"][-1],
            context_mask=given["attention_mask"],
            **asked,
        )
        outputs = {
            "last_hidden_state": target["hidden_states"][-1],
            "encoder_last_hidden_state": source["hidden_states"][-1],
        }
        for kind in ["hidden_states"] * return_hidden_states + ["attentions"] * return_attention:
            outputs |= {f"encoder_{kind}": source[kind], f"decoder_{kind}": target[kind]}
        if return_attention:
            outputs["cross_attentions"] = target["cross_attentions"]
        return outputs

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
        """The decoder's hidden states.

        Args:
            input_ids: the decoder's, `(B, T)`.
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
        """The encoder's last hidden states, `(B, S, d_model)`: the context of `decode`.

        Args:
            input_ids: `(B, S)`.
            attention_mask: `(B, S)`, 0 at padding.
            training: whether dropout is active.
        """
        given = text_inputs(input_ids, {"attention_mask": attention_mask}, ("input_ids", "attention_mask"))
        _require_source(given["input_ids"], given["attention_mask"])
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

    def begin(
        self, ids, attention_mask, length: int, decoder: tuple[Any, Any] | None = None
    ) -> tuple[Any, Any, SourceCache]:
        """Returns what generation begins with: the target so far, its mask, and a cache of `length` slots.

        Args:
            ids, attention_mask: the sources, `(B, S)`, whose keys and values the cache holds.
            length: tokens of the target at most.
            decoder: ids and mask of the target so far; the start token unless given.
        """
        context = self.encoded(ids, attention_mask)["hidden_states"][-1]
        if decoder is None:
            start = ops.full((ops.shape(ids)[0], 1), self.config.decoder_start_token_id, "int32")
            decoder = start, ops.ones_like(start)
        blocks = self.decoder.init_cache(ops.shape(ids)[0], length, context)
        return *decoder, SourceCache(blocks, ops.cast(attention_mask, "bool"))


class EncoderDecoderModel(ResizableEmbeddings, HeadModel):
    """A model of a source and a target: an `EncoderDecoderBackbone` and a head."""

    shifted: ClassVar[str] = "input_ids"
    """The input that the decoder's ids are made of, shifted right, where they are not given."""

    def call(
        self,
        inputs,
        decoder_input_ids=None,
        attention_mask=None,
        decoder_attention_mask=None,
        labels=None,
        start_positions=None,
        end_positions=None,
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
            start_positions, end_positions: `(B,)`, the answer's first and last token.
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
        named = {
            "decoder_input_ids": decoder_input_ids,
            "attention_mask": attention_mask,
            "decoder_attention_mask": decoder_attention_mask,
            "labels": labels,
            "start_positions": start_positions,
            "end_positions": end_positions,
        }
        given = text_inputs(inputs, named, self.taken())
        given["decoder_input_ids"] = self._decoder_ids(given)
        asked = {"return_attention": return_attention, "return_hidden_states": return_hidden_states}
        hidden = self.backbone(present({name: given[name] for name in INPUTS}), **asked, training=training)
        outputs = self.run_head(hidden, given, training)
        outputs |= {name: x for name, x in hidden.items() if isinstance(x, tuple)}
        return outputs | self.own_losses(outputs, given)

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

    def input_signature(self):
        signature = super().input_signature()
        if self.shifted == "input_ids":  # the decoder's text is the source
            signature = {name: spec for name, spec in signature.items() if not name.startswith("decoder_")}
        return signature

    def encode(self, *arguments: Any, **options: Any):
        """The encoder's last hidden states, as `EncoderDecoderBackbone.encode` gives them."""
        return self.backbone.encode(*arguments, **options)

    def decode(self, *arguments: Any, **options: Any):
        """The decoder's last hidden states, as `EncoderDecoderBackbone.decode` gives them."""
        return self.backbone.decode(*arguments, **options)


class Seq2SeqLanguageModel(GeneratingModel, EncoderDecoderModel):
    """A target given a source: each token given the source and the tokens before it."""

    shifted = "labels"
    reads_prompt = False

    def inputs_for_labels(self, x, labels):
        if "decoder_input_ids" in x or "labels" not in labels:
            return x
        return {**x, "decoder_input_ids": self._decoder_ids({"decoder_input_ids": None, **labels})}

    def _symbolic_build(self, iterator=None, data_batch=None):
        """Builds metrics and losses of a first batch, as Keras does, whose labels the decoder reads, too."""
        if data_batch is None:
            _, _, batches = next(iter(iterator))
            data_batch = batches[0] if isinstance(batches, (list, tuple)) else next(batches)
        super()._symbolic_build(data_batch=self._by_name(data_batch))

    def padded_length(self, prompt, slots):
        if any(variant.layer.by_length for variant in variants_of(self.config.attention)):
            return prompt
        limit = self.max_positions
        padded = power_of_two(prompt, LEAST_SOURCE)
        return padded if limit is None else max(prompt, min(padded, limit))

    def begin(self, ids, attention_mask, length, decoder=None):
        return self.backbone.begin(ids, attention_mask, length, decoder)

    def hidden_step(self, ids, position_ids, attention_mask, cache):
        outputs = self.backbone.hidden(ids, attention_mask, position_ids=position_ids, cache=cache)
        return outputs["hidden_states"][-1], outputs["cache"]

    def logits(self, hidden):
        """`(..., d_model)` to `(..., vocab_size)`."""
        return self.run_head({"last_hidden_state": hidden}, {})["logits"]


def shift_right(ids, start: int, pad: int | None):
    """Returns what a decoder reads to predict `ids`, `(B, T)`: `start`, then all but the last one.

    Args:
        ids: labels; where they do not count the decoder reads padding.
        start: the first id.
        pad: of padding; `start` if None.
    """
    before = ops.pad(ops.cast(ids, "int32")[:, :-1], [(0, 0), (1, 0)], constant_values=start)
    return ops.where(before == IGNORED, start if pad is None else pad, before)


def checked_pair(given: dict[str, Any]) -> dict[str, Any]:
    """The inputs of two texts, by name, that fit together.

    Raises:
        ValueError: for a source that is empty, a target that is missing, and masks or batches that do not fit.
    """
    _require_source(given["input_ids"], given["attention_mask"])
    if given["decoder_input_ids"] is None:
        raise ValueError("give `decoder_input_ids`: a backbone has no labels to make them of.")
    _require_target(given["decoder_input_ids"], given["decoder_attention_mask"], given["input_ids"].shape[0])
    return given


def _require_source(ids, mask) -> None:
    if 0 in ids.shape:
        raise ValueError(f"`input_ids` must hold at least one token a row; got shape {tuple(ids.shape)}.")
    if mask is not None:
        require_shape(mask, tuple(ids.shape), "attention_mask")


def _require_target(ids, mask, batch: int | None) -> None:
    require_rank(ids, 2, "decoder_input_ids", "(batch, length)")
    require_integer(ids, "decoder_input_ids")
    require_shape(ids, (batch, ids.shape[1]), "decoder_input_ids")
    if mask is not None:
        by_query = len(mask.shape) > 2
        require_shape(mask, (*ids.shape, ids.shape[1]) if by_query else tuple(ids.shape), "decoder_attention_mask")
