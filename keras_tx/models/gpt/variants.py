"""Builders of the papers' models by name. Their weights are random: `load_pretrained(hub_id)` gives trained ones."""

from __future__ import annotations

from typing import Any

from keras_tx.models.core.registry import register_variant
from keras_tx.models.gpt.config import VARIANTS
from keras_tx.models.gpt.model import GPTModel


@register_variant("openai-community/openai-gpt")
def gpt_small(**overrides: Any) -> GPTModel:
    """GPT-1: 116.5 million parameters.

    The weights are random: `load_pretrained("openai-community/openai-gpt")` gives trained ones.
    """
    return GPTModel(VARIANTS["gpt_small"], **overrides)


@register_variant("openai-community/gpt2")
def gpt2_small(**overrides: Any) -> GPTModel:
    """GPT-2 small: 124.4 million parameters.

    The weights are random: `load_pretrained("openai-community/gpt2")` gives trained ones.
    """
    return GPTModel(VARIANTS["gpt2_small"], **overrides)


@register_variant("openai-community/gpt2-medium")
def gpt2_medium(**overrides: Any) -> GPTModel:
    """GPT-2 medium: 354.8 million parameters.

    The weights are random: `load_pretrained("openai-community/gpt2-medium")` gives trained ones.
    """
    return GPTModel(VARIANTS["gpt2_medium"], **overrides)


@register_variant("openai-community/gpt2-large")
def gpt2_large(**overrides: Any) -> GPTModel:
    """GPT-2 large: 774.0 million parameters.

    The weights are random: `load_pretrained("openai-community/gpt2-large")` gives trained ones.
    """
    return GPTModel(VARIANTS["gpt2_large"], **overrides)


@register_variant("openai-community/gpt2-xl")
def gpt2_xl(**overrides: Any) -> GPTModel:
    """GPT-2 XL: 1557.6 million parameters.

    The weights are random: `load_pretrained("openai-community/gpt2-xl")` gives trained ones.
    """
    return GPTModel(VARIANTS["gpt2_xl"], **overrides)


@register_variant("meta-llama/Llama-2-7b-hf")
def llama2_7b(**overrides: Any) -> GPTModel:
    """LLaMA 2 7B: 6.7 billion parameters.

    The weights are random: `load_pretrained("meta-llama/Llama-2-7b-hf")` gives trained ones.
    """
    return GPTModel(VARIANTS["llama2_7b"], **overrides)


@register_variant("meta-llama/Llama-2-13b-hf")
def llama2_13b(**overrides: Any) -> GPTModel:
    """LLaMA 2 13B: 13.0 billion parameters.

    The weights are random: `load_pretrained("meta-llama/Llama-2-13b-hf")` gives trained ones.
    """
    return GPTModel(VARIANTS["llama2_13b"], **overrides)


@register_variant("meta-llama/Llama-2-70b-hf")
def llama2_70b(**overrides: Any) -> GPTModel:
    """LLaMA 2 70B: 69.0 billion parameters.

    The weights are random: `load_pretrained("meta-llama/Llama-2-70b-hf")` gives trained ones.
    """
    return GPTModel(VARIANTS["llama2_70b"], **overrides)


@register_variant("meta-llama/Meta-Llama-3-8B")
def llama3_8b(**overrides: Any) -> GPTModel:
    """LLaMA 3 8B: 8.0 billion parameters.

    The weights are random: `load_pretrained("meta-llama/Meta-Llama-3-8B")` gives trained ones.
    """
    return GPTModel(VARIANTS["llama3_8b"], **overrides)


@register_variant("meta-llama/Meta-Llama-3-70B")
def llama3_70b(**overrides: Any) -> GPTModel:
    """LLaMA 3 70B: 70.6 billion parameters.

    The weights are random: `load_pretrained("meta-llama/Meta-Llama-3-70B")` gives trained ones.
    """
    return GPTModel(VARIANTS["llama3_70b"], **overrides)


@register_variant("meta-llama/Llama-3.2-1B")
def llama3_2_1b(**overrides: Any) -> GPTModel:
    """LLaMA 3.2 1B: 1.2 billion parameters.

    The weights are random: `load_pretrained("meta-llama/Llama-3.2-1B")` gives trained ones.
    """
    return GPTModel(VARIANTS["llama3_2_1b"], **overrides)


@register_variant("meta-llama/Llama-3.2-3B")
def llama3_2_3b(**overrides: Any) -> GPTModel:
    """LLaMA 3.2 3B: 3.2 billion parameters.

    The weights are random: `load_pretrained("meta-llama/Llama-3.2-3B")` gives trained ones.
    """
    return GPTModel(VARIANTS["llama3_2_3b"], **overrides)


@register_variant()
def gpt_char(**overrides: Any) -> GPTModel:
    """A character model with random weights: 6 layers of width 384, 10.7 million parameters with 65 characters."""
    return GPTModel(VARIANTS["gpt_char"], **overrides)
