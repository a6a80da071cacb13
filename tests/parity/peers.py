"""Random small models of Transformers', and what is compared of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from golden.make_gpt import PAD, flat, make_inputs, make_labels, make_model

from keras_tx.models import load_pretrained

CLASSES = {
    "GPT2LMHeadModel": "GPTModel",
    "GPT2DoubleHeadsModel": "GPTDoubleHeadsModel",
    "GPT2ForSequenceClassification": "GPTForSequenceClassification",
    "GPT2ForTokenClassification": "GPTForTokenClassification",
    "GPT2ForQuestionAnswering": "GPTForQuestionAnswering",
    "OpenAIGPTLMHeadModel": "GPTModel",
    "OpenAIGPTDoubleHeadsModel": "GPTDoubleHeadsModel",
    "OpenAIGPTForSequenceClassification": "GPTForSequenceClassification",
}
"""Theirs, and ours."""

ACTIVATIONS = ("gelu_new", "gelu", "gelu_fast", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu", "tanh", "mish")
DROPOUTS = ("resid_pdrop", "embd_pdrop", "attn_pdrop", "summary_first_dropout", "classifier_dropout")


def drawn(rng: np.random.Generator):
    """A function that draws one of its arguments."""

    def one_of(*values):
        return values[rng.integers(len(values))]

    return one_of


def random_fields(name: str, rng: np.random.Generator) -> dict:
    """A config's entries, each of them drawn; nothing is dropped."""
    one_of = drawn(rng)
    heads = one_of(1, 2, 3, 5)
    fields = {
        "vocab_size": one_of(41, 53, 61),
        "n_positions": one_of(11, 13, 17),
        "n_head": heads,
        "n_embd": heads * one_of(3, 4, 7),
        "n_layer": one_of(1, 2, 3),
        "layer_norm_epsilon": one_of(1e-5, 1e-3, 1e-12),
        "num_labels": 1 if "Double" in name else one_of(1, 5, 7),
        "problem_type": None,
        "pad_token_id": PAD,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "summary_activation": one_of(None, "tanh"),
        "tie_word_embeddings": one_of(True, True, False),
        **dict.fromkeys(DROPOUTS, 0.0),
    }
    if "Sequence" in name and fields["num_labels"] > 1:
        fields["problem_type"] = one_of(None, "single_label_classification", "multi_label_classification")
    if "OpenAI" in name:
        return {**fields, "afn": one_of("gelu", "relu", "silu", "swish")}
    return {
        **fields,
        "n_inner": one_of(None, 19, 31),
        "activation_function": one_of(*ACTIVATIONS),
        "scale_attn_weights": one_of(True, False),
        "scale_attn_by_inverse_layer_idx": one_of(True, False),
        "reorder_and_upcast_attn": one_of(True, False),
    }


def save(name: str, seed: int, directory: Path) -> torch.nn.Module:
    """Saves a random model, in one file or many, in any dtype; gives what Transformers loads in float32."""
    rng = np.random.default_rng(seed)
    model = make_model(name, random_fields(name, rng), seed)
    dtype = (torch.float32, torch.float32, torch.bfloat16, torch.float16)[rng.integers(4)]
    size = ("5GB", "3KB")[rng.integers(2)]
    model.to(dtype).save_pretrained(directory, max_shard_size=size)
    return load_peer(type(model), directory)


def load_peer(cls: type, directory: Path, **options):
    return cls.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager", **options)


def load_ours(name: str, directory: Path):
    model = load_pretrained(directory)
    assert type(model).__name__ == CLASSES[name]
    return model


def given_to(model: torch.nn.Module, seed: int) -> dict[str, np.ndarray]:
    """Inputs and labels."""
    name, rng = type(model).__name__, np.random.default_rng(seed)
    given = make_inputs(name, model.config, rng)
    return given | make_labels(name, model.config, given, rng)


def peer_outputs(model: torch.nn.Module, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    with torch.no_grad():
        return flat(model.eval()(**as_torch(given), output_attentions=True, output_hidden_states=True))


def as_torch(given: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """For a peer, which takes masks and positions of all texts one after another."""
    flattened = {"attention_mask", "position_ids"}
    return {name: torch.from_numpy(x.reshape(-1, x.shape[-1]) if name in flattened else x) for name, x in given.items()}
