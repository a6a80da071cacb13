"""GPT-1 and GPT-2 (Radford et al. 2018, 2019), LLaMA (Touvron et al. 2023) and its kin, with their heads."""

from __future__ import annotations

from typing import ClassVar

import keras

from keras_tx.layers import Experts
from keras_tx.layers.attention.variants import MultiHead, SlidingWindow, variants_of
from keras_tx.models.core.heads import CausalLanguageModelHead, SpanHead, TokenHead
from keras_tx.models.core.registry import register_model
from keras_tx.models.core.text import CausalLanguageModel, TextModel
from keras_tx.models.gpt import huggingface, keras_hub, llama
from keras_tx.models.gpt.backbone import GPTBackbone
from keras_tx.models.gpt.config import TINY, TINY_HEAD, TINY_LLAMA
from keras_tx.models.gpt.heads import DoubleHead, LastTokenHead
from keras_tx.ops.checks import known_values


@register_model(
    TINY,
    TINY.replace(norm_position="post", scale_residual_init=False, activation="gelu"),
    TINY.replace(
        positions="rotary",
        d_model=18,
        num_kv_heads=1,
        tie_embeddings=False,
        use_bias=False,
        attention=(SlidingWindow(window_size=3), MultiHead()),
    ),
    TINY.replace(positions="sinusoidal", d_model=18, gated=True, experts=Experts(num_experts=3, capacity_factor=1.1)),
    TINY_LLAMA,
)
class GPTModel(CausalLanguageModel):
    """A GPT language model.

    `model(input_ids)` gives `{"logits": (B, T, vocab_size)}`; with `labels`, also `"loss"`: the mean cross-entropy,
    in nats, of each token given those before it.
    """

    backbone_class, head_class = GPTBackbone, CausalLanguageModelHead

    def check_prompts(self, attention_mask):
        super().check_prompts(attention_mask)
        values = known_values(attention_mask)
        counting = [type(variant).__name__ for variant in variants_of(self.config.attention) if variant.by_distance]
        if counting and values is not None and not values[:, -1].all():
            raise ValueError(
                f"{counting[0]} attention counts how far apart tokens stand: pad prompts on the left, so that "
                "`attention_mask` ends with 1 in each row."
            )


@register_model(TINY_HEAD)
class GPTForSequenceClassification(TextModel):
    """A label for each text, from the hidden state of its last token (Radford et al. 2018, section 3.2).

    `model(input_ids)` gives `{"logits": (B, num_labels)}`. The last token is the last one that is not
    `config.pad_token_id`, whatever the attention mask says; without a pad token, the last one under the attention
    mask. `labels` are `(B,)`, or `(B, num_labels)` for several labels a text; the loss is that of `SequenceHead`.
    """

    backbone_class, head_class = GPTBackbone, LastTokenHead


@register_model(TINY_HEAD)
class GPTForTokenClassification(TextModel):
    """A label for each token.

    `model(input_ids)` gives `{"logits": (B, T, num_labels)}`; with `labels`, `(B, T)`, also `"loss"`: their mean
    cross-entropy.
    """

    backbone_class, head_class = GPTBackbone, TokenHead


@register_model(TINY_HEAD)
class GPTForQuestionAnswering(TextModel):
    """Question answering: where in a text the answer starts and ends.

    `model(input_ids)` gives `{"start_logits": (B, T), "end_logits": (B, T)}`; with `start_positions` and
    `end_positions`, `(B,)` each, also `"loss"`: the mean of both cross-entropies, positions from T on not counting.
    """

    backbone_class, head_class = GPTBackbone, SpanHead
    formats: ClassVar = {
        "huggingface": (*huggingface.FAMILIES, *llama.ANSWERING),
        "keras_hub": keras_hub.FAMILIES,
    }


@register_model(TINY_HEAD.replace(tie_embeddings=False, summary_activation="tanh"))
class GPTDoubleHeadsModel(TextModel):
    """A language model that also chooses between texts (Radford et al. 2018, section 3.3).

    `model({"input_ids": (B, C, T), "mc_token_ids": (B, C)})` gives `{"logits": (B, C, T, vocab_size),
    "mc_logits": (B, C)}`: a score for each of C texts, from the hidden state at its position in `mc_token_ids`. With
    `labels`, `(B, C, T)`, also `"loss"`, the language model's; with `mc_labels`, `(B,)`, the text to be chosen, also
    `"mc_loss"`. Compiled without a loss it trains on the sum of those whose labels it gets.
    """

    backbone_class, head_class = GPTBackbone, DoubleHead
    choices = True

    def input_signature(self):
        summary = keras.InputSpec(name="mc_token_ids", shape=(None, None), dtype="int32")
        return {**super().input_signature(), "mc_token_ids": summary}
