"""The base of every family: a backbone, from ids or images to hidden states.

A backbone is a model of its own: it can be called, frozen, shared between heads, saved and exported without any head.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import keras

from keras_tx.models.core.base import Model, paths_below
from keras_tx.models.core.inputs import text_inputs
from keras_tx.models.core.resizing import resized
from keras_tx.ops.attention.cache import least_capacity


class Backbone(Model):
    """The base of all backbones: `TextBackbone`, `EncoderDecoderBackbone` and `ImageBackbone`.

    A family's class sets `config_class` and `formats`, makes its layers in `__init__`, calls `self.build()` at its end,
    and implements what raises NotImplementedError here and in the base of its kind.
    """

    config: Any
    shared: bool = False
    """Whether several models may have it."""

    @property
    def width(self) -> int:
        """The size of a hidden state that a head reads."""
        return self.config.d_model

    def initializer(self) -> keras.initializers.Initializer:
        """A new initializer, for the kernels of a head."""
        raise NotImplementedError

    @property
    def output_keys(self):
        return ("last_hidden_state",)

    @property
    def prompt_vocab_size(self) -> int:
        """The size of the vocabulary of its text, or of its source."""
        return self.config.vocab_size

    def layer_depth(self, path):
        block = re.search(r"/block_(\d+)/", path)
        if block:
            return int(block[1]) + 1
        return 0 if "embedding" in path else None

    def weights_by_path(self) -> dict[str, keras.Variable]:
        return paths_below(self, "backbone")


class TextBackbone(Backbone):
    """A backbone that reads one text: an encoder, or a decoder alone.

    `backbone(input_ids)` gives a dict with `"last_hidden_state"`, `(B, T, d_model)`.
    """

    input_names: tuple[str, ...] = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
    adaptable: ClassVar[tuple[str, ...]] = ("vocab_size", "max_positions")

    has_cache: ClassVar[bool] = False
    """Whether it looks back alone, so that what it has read can be kept."""

    def input_signature(self):
        names = ("input_ids", "attention_mask")
        return {name: keras.InputSpec(name=name, shape=(None, None), dtype="int32") for name in names}

    def call(
        self,
        inputs,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        cache=None,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
    ) -> dict[str, Any]:
        """The hidden states of texts. Takes what `TextModel.call` takes, without labels.

        Returns:
            A dict with `"last_hidden_state"`, `(B, T, d_model)`; of BERT, where it has a pooler, `"pooler_output"`,
            `(B, d_model)`; and `"hidden_states"`, `"attentions"` and `"cache"` as asked for.
        """
        named = {"attention_mask": attention_mask, "token_type_ids": token_type_ids, "position_ids": position_ids}
        slots = cache_slots(cache)
        given = text_inputs(inputs, named, self.input_names, slots=slots)
        if cache is not None and not self.has_cache:
            self.init_cache(None, 0)  # says that there is none
        cached = {} if cache is None else {"cache": cache}
        outputs = self.hidden(given, **cached, return_attention=return_attention, training=training)
        if not return_hidden_states:
            del outputs["hidden_states"]
        return outputs

    @classmethod
    def adapt(cls, path, values, before, after):
        return resized(path, values, before, after)

    def hidden(self, inputs: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Returns what `call` does, always with `"hidden_states"`.

        Args:
            inputs: those of `input_names`, checked; None for those not given.
            options: `return_attention`, `training` and, if there is one, `cache`.
        """
        raise NotImplementedError

    def init_cache(self, batch_size, length: int):
        """An empty cache for `length` positions, one entry a block.

        Raises:
            ValueError: for a backbone that does not look back alone, and so cannot be cached.
        """
        raise ValueError(f"a {type(self).__name__} has no cache: its tokens look at those after them, too.")


def cache_slots(cache) -> int | None:
    """The length of an attention mask over a model's cache: 0 for any, None without a cache."""
    if cache is None:
        return None
    return least_capacity(cache) or 0


class BlockOutputs(NamedTuple):
    """The outputs of several blocks: hidden states before the first and after each, maps and caches if asked for."""

    hidden_states: tuple
    attentions: tuple
    caches: tuple

    @property
    def named(self) -> dict[str, tuple]:
        """The hidden states, and the maps and the cache where there are any, as a backbone gives them."""
        outputs = {"hidden_states": self.hidden_states, "attentions": self.attentions, "cache": self.caches}
        return {name: x for name, x in outputs.items() if x}


def run_blocks(blocks: Sequence, x, *, cache=None, return_attention: bool = False, **options) -> BlockOutputs:
    """Runs blocks one after another.

    Args:
        blocks: layers that are called as a `TransformerBlock` is.
        x: what the first one gets, `(B, T, d_model)`.
        cache: one entry a block, or None.
        return_attention: whether the blocks give their maps.
        options: passed on to every block.
    """
    states, maps, caches = [x], list[Any](), list[Any]()
    for i, block in enumerate(blocks):
        cached = {} if cache is None else {"cache": cache[i]}
        result = block(x, return_attention=return_attention, **cached, **options)
        x, *extras = result if isinstance(result, tuple) else (result,)
        if return_attention:
            maps.append(extras.pop(0))
        caches.extend(extras)
        states.append(x)
    return BlockOutputs(tuple(states), tuple(maps), tuple(caches))
