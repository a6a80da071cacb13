"""Models of one text: a `TextBackbone` and a head."""

from __future__ import annotations

from typing import Any, ClassVar

import keras

from keras_tx.models.core.backbone import cache_slots
from keras_tx.models.core.generating import GeneratingModel
from keras_tx.models.core.head import HeadModel
from keras_tx.models.core.inputs import as_rows, present, text_inputs
from keras_tx.models.core.resizing import ResizableEmbeddings


class TextModel(ResizableEmbeddings, HeadModel):
    """A model of token ids.

    `model(input_ids)` gives a dict with the head's logits; with labels, also `"loss"`.
    """

    takes_cache: ClassVar[bool] = False
    """Whether it may be called with a cache of the text before; a head on whole texts would read a part of one."""
    choices: ClassVar[bool] = False
    """Whether the inputs are `(B, C, T)`, C texts a row to choose from."""

    def input_signature(self):
        signature = super().input_signature()
        if self.choices:
            signature = {
                name: keras.InputSpec(name=name, shape=(None, None, None), dtype=spec.dtype)
                for name, spec in signature.items()
            }
        return signature

    def call(
        self,
        inputs,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        labels=None,
        next_sentence_label=None,
        sentence_order_label=None,
        start_positions=None,
        end_positions=None,
        mc_token_ids=None,
        mc_labels=None,
        global_attention_mask=None,
        cache=None,
        return_attention: bool = False,
        return_hidden_states: bool = False,
        training=None,
    ):
        """The head's logits and, given labels, its loss.

        Each model takes the inputs and labels that its backbone and its head have a use for, and refuses others. With
        C texts a row to choose from, those of `(B, T)` are `(B, C, T)`, and maps and hidden states those of all texts
        one after another, `(B * C, ...)`.

        Args:
            inputs: ids `(B, T)`, or a dict of any of the tensors below with `"input_ids"`.
            attention_mask: `(B, T)`, 0 at padding; or `(B, T, T)`, for each token 0 at those it shall not see, as
                where documents are packed into one row. With a cache, `(B, S)` or `(B, T, S)` over its slots.
            token_type_ids: `(B, T)`; in BERT, 0 for tokens of the first text, 1 for the second, all 0 unless given; in
                GPT, tokens whose embeddings are added.
            position_ids: `(B, T)`; unless given, counted from 0, or from the cache's fill, without regard to padding
                where the family's backbone does not say otherwise.
            labels: as the class says; -100 where they do not count. A causal language model's are the ids themselves,
                and are shifted here.
            next_sentence_label: `(B,)`, 0 where the second text follows the first, 1 where it does not.
            sentence_order_label: `(B,)`, 0 where two texts are in their order, 1 where they are swapped.
            start_positions, end_positions: `(B,)`, the answer's first and last token.
            mc_token_ids: `(B, C)`, the position whose hidden state is each text's summary; the last one unless given.
            mc_labels: `(B,)`, which text is to be chosen.
            global_attention_mask: `(B, S)`, of Longformer alone: 1 at the tokens that are global, of the first S, the
                others being local.
            cache: from `init_cache`, one entry a block; of a language model alone.
            return_attention: also return the attention maps, `"attentions"`: of every block, `(B, H, T, T)`.
            return_hidden_states: also return `"hidden_states"`: the embeddings, then each block's output;
                `(B, T, d_model)` each.
            training: whether dropout is active.

        Returns:
            A dict with the logits, and `"loss"`, `"attentions"`, `"hidden_states"`, `"cache"` as asked for.

        Raises:
            ValueError: for ids that are not `(batch, length)` integers, or known to lie outside the vocabulary; for
                more positions than `max_positions`; for other inputs that do not fit the ids.
        """
        if cache is not None and not self.takes_cache:
            raise ValueError(
                f"a {type(self).__name__} takes no `cache`, which is for language models that write on: call it with "
                "whole texts."
            )
        named = {
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
            "position_ids": position_ids,
            "labels": labels,
            "next_sentence_label": next_sentence_label,
            "sentence_order_label": sentence_order_label,
            "start_positions": start_positions,
            "end_positions": end_positions,
            "mc_token_ids": mc_token_ids,
            "mc_labels": mc_labels,
            "global_attention_mask": global_attention_mask,
        }
        given = text_inputs(inputs, named, self.taken(), slots=cache_slots(cache), choices=self.choices)
        given |= self.unless_given(given)
        tokens = {name: as_rows(given[name]) if self.choices else given[name] for name in self.backbone.input_names}
        cached = {} if cache is None else {"cache": cache}
        asked = {"return_attention": return_attention, "return_hidden_states": return_hidden_states}
        hidden = self.backbone(present(tokens), **cached, **asked, training=training)
        return self.answer(hidden, given, training)

    def unless_given(self, given: dict[str, Any]) -> dict[str, Any]:
        """Returns inputs that this model makes of others where they were not given, by name.

        Args:
            given: the model's inputs and labels by name, None for those not given.
        """
        return {}

    def answer(self, hidden: dict[str, Any], given: dict[str, Any], training=None) -> Any:
        """Returns what `call` does: the logits, the losses of the labels that were given, and what else was asked for.

        Args:
            hidden: what the backbone gave.
            given: the model's inputs and labels by name, None for those not given.
            training: whether dropout is active.
        """
        outputs = self.run_head(hidden, given, training)
        outputs |= {name: hidden[name] for name in ("attentions", "cache", "hidden_states") if name in hidden}
        return outputs | self.own_losses(outputs, given)


class BareTextModel(TextModel):
    """A backbone without a head or a pooler.

    `model(input_ids)` gives `{"last_hidden_state": (B, T, d_model)}`, and `"attentions"` and `"hidden_states"` as
    asked for.
    """

    def answer(self, hidden, given, training=None):
        names = ("last_hidden_state", "attentions", "hidden_states")
        return {name: hidden[name] for name in names if name in hidden}


class CausalLanguageModel(GeneratingModel, TextModel):
    """A language model that looks back alone, and so writes on."""

    takes_cache = True

    def init_cache(self, batch_size, length: int):
        """An empty key/value cache for `length` positions, one entry a block."""
        return self.backbone.init_cache(batch_size, length)

    def hidden_step(self, ids, position_ids, attention_mask, cache):
        outputs = self.backbone(
            present({"input_ids": ids, "attention_mask": attention_mask, "position_ids": position_ids}), cache=cache
        )
        return outputs["last_hidden_state"], outputs["cache"]

    def logits(self, hidden):
        return self.run_head({"last_hidden_state": hidden}, {})["logits"]
