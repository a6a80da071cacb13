"""T5 beside Transformers, live: `make parity`."""

from __future__ import annotations

import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import torch
import transformers
from generation_helpers import eagerly
from golden.make_gpt import ADAMW, train
from golden.make_t5 import compute, make_inputs, make_labels, make_t5
from outputs import all_outputs
from parity.peers import as_torch, drawn, load_peer

from keras_tx.models import T5Config, load_pretrained
from keras_tx.models.core.registry import MODELS

CLASSES = {
    "T5ForConditionalGeneration": "T5Model",
    "T5EncoderModel": "T5EncoderModel",
    "T5ForSequenceClassification": "T5ForSequenceClassification",
    "T5ForTokenClassification": "T5ForTokenClassification",
    "T5ForQuestionAnswering": "T5ForQuestionAnswering",
}
"""Theirs, and ours."""

UNTIED = int(transformers.__version__.split(".")[0]) < 5
"""Whether this version makes models whose output projection is not tied; it reads them in any case."""


def random_fields(name: str, rng: np.random.Generator) -> dict:
    """A config's entries, each of them drawn; nothing is dropped."""
    one_of = drawn(rng)
    return {
        "vocab_size": one_of(41, 53, 61),
        "d_model": one_of(13, 17, 24),
        "d_kv": one_of(3, 5, 8),
        "d_ff": one_of(19, 31),
        "num_layers": one_of(2, 3),
        "num_decoder_layers": one_of(None, 1, 2),  # 5.23 cannot generate with more than in the encoder
        "num_heads": one_of(1, 2, 3),
        "relative_attention_num_buckets": one_of(4, 8, 12, 32),
        "relative_attention_max_distance": one_of(17, 31, 128),
        "layer_norm_epsilon": one_of(1e-6, 1e-3),
        "feed_forward_proj": one_of("relu", "gelu", "gelu_new", "gated-gelu", "gated-silu", "gated-relu", "tanh"),
        "tie_word_embeddings": one_of(True, False) if UNTIED else True,
        "decoder_start_token_id": one_of(0, 3),
        "num_labels": 2 if "Question" in name else one_of(1, 5, 7),
        "dropout_rate": 0.0,
        "classifier_dropout": 0.0,
    }


def save(name: str, seed: int, directory: Path) -> torch.nn.Module:
    """Saves a random model, in one file or many, in any dtype; gives what Transformers loads in float32."""
    rng = np.random.default_rng(seed)
    model = make_t5(name, random_fields(name, rng), seed)
    dtype = (torch.float32, torch.float32, torch.bfloat16, torch.float16)[rng.integers(4)]
    model.to(dtype).save_pretrained(directory, max_shard_size=("5GB", "3KB")[rng.integers(2)])
    return load_peer(type(model), directory)


def given_to(model: torch.nn.Module, seed: int) -> dict[str, np.ndarray]:
    """Inputs and labels."""
    name, rng = type(model).__name__, np.random.default_rng(seed)
    given = make_inputs(name, model.config, rng) | make_labels(name, model.config, rng)
    if "Sequence" in name and model.config.num_labels == 1:
        given["labels"] = given["labels"].astype("float32")
    return given


def assert_equal(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray], atol: float) -> None:
    """Everywhere, at padding too."""
    assert found.keys() == wanted.keys()
    for name, want in wanted.items():
        np.testing.assert_allclose(found[name], want, atol=atol, rtol=1e-5, err_msg=name)


def assert_all_loaded(info: dict) -> None:
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", CLASSES)
def test_outputs_there_and_back(name, seed, tmp_path):
    """Outputs, losses, hidden states and attention maps; and what we save is to Transformers what it saved itself."""
    peer = save(name, seed, tmp_path / "theirs")
    given = given_to(peer, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # nothing fresh, nothing left out
        model = load_pretrained(tmp_path / "theirs")
    assert type(model).__name__ == CLASSES[name]
    assert_equal(all_outputs(model, given), compute(peer, given), atol=1e-4)

    model.save_pretrained(tmp_path / "ours", format="huggingface", max_shard_size=("5GB", "2KB")[seed % 2])
    again, info = load_peer(type(peer), tmp_path / "ours", output_loading_info=True)
    assert_all_loaded(info)
    weights, before = again.state_dict(), peer.state_dict()
    assert weights.keys() == before.keys()
    assert all(torch.equal(weights[key], before[key]) for key in before)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("name", CLASSES)
def test_models_begun_here(name, gated, tmp_path):
    """With our own defaults, of either version; the second is not tied."""
    sizes = {"vocab_size": 61, "num_layers": 2, "num_heads": 3, "d_model": 17, "d_kv": 7, "d_ff": 29, "num_labels": 5}
    version = {"gated": True, "activation": "gelu_tanh", "tie_embeddings": False} if gated else {}
    model = MODELS[CLASSES[name]].cls(T5Config(**sizes, **version))
    model.save_pretrained(tmp_path, format="huggingface")
    peer, info = load_peer(getattr(transformers, name), tmp_path, output_loading_info=True)
    assert_all_loaded(info)
    given = given_to(peer, seed=3)
    assert_equal(all_outputs(model, given), compute(peer, given), atol=1e-4)


@pytest.mark.parametrize("name", [name for name in CLASSES if name != "T5EncoderModel"])
def test_gradients(name, tmp_path):
    """Of every weight: what a step of plain gradient descent leaves."""
    peer = save(name, 11, tmp_path / "theirs").eval()
    given = given_to(peer, 11)
    peer(**as_torch(given)).loss.backward()
    wanted = {path: (weight - weight.grad).detach().numpy() for path, weight in peer.named_parameters()}
    model = load_pretrained(tmp_path / "theirs")
    model.compile(keras.optimizers.SGD(1.0))
    model.train_on_batch(given)
    model.save_pretrained(tmp_path / "ours", format="huggingface")
    found = dict(load_peer(type(peer), tmp_path / "ours").named_parameters())
    assert_equal({path: weight.detach().numpy() for path, weight in found.items()}, wanted, atol=1e-4)


# Where a gradient is rounding noise, Adam makes a whole step of it: a classifier, which reads one state, has such.
@pytest.mark.parametrize("name", ["T5ForConditionalGeneration", "T5ForTokenClassification", "T5ForQuestionAnswering"])
def test_five_steps_of_adamw(name, tmp_path):
    seed = 11
    peer = save(name, seed, tmp_path)
    given = given_to(peer, seed)
    wanted = train(peer, as_torch(given))
    model = load_pretrained(tmp_path)
    rate, (beta_1, beta_2), epsilon, decay = ADAMW.values()
    model.compile(keras.optimizers.AdamW(rate, decay, beta_1, beta_2, epsilon))
    losses = [model.train_on_batch(given, return_dict=True)["loss"] for _ in wanted]
    np.testing.assert_allclose(losses, wanted, atol=1e-4)
    assert wanted[-1] < wanted[0]


def random_options(rng: np.random.Generator) -> dict:
    """Those that are off by default mostly off."""

    def maybe(share: float, **options) -> dict:
        return options if rng.random() < share else {}

    options = {
        **maybe(0.8, max_new_tokens=int(rng.integers(1, 17))),
        **maybe(0.8, eos_token_id=rng.choice(41, rng.integers(1, 6), replace=False).tolist()),
        **maybe(0.3, repetition_penalty=float(rng.choice([0.7, 1.2, 2.5]))),
        **maybe(0.3, no_repeat_ngram_size=int(rng.integers(1, 4))),
        **maybe(0.3, bad_words_ids=[rng.integers(0, 41, rng.integers(1, 4)).tolist() for _ in range(3)]),
    }
    options |= maybe(0.3, min_new_tokens=int(rng.integers(1, 1 + options.get("max_new_tokens", 9))))
    if rng.random() < 0.6:
        beams = int(rng.integers(2, 6))
        options |= {
            "num_beams": beams,
            "length_penalty": float(rng.choice([-1.0, 0.0, 0.6, 1.0, 2.0])),
            "early_stopping": [False, True, "never"][rng.integers(3)],
            "num_return_sequences": int(rng.integers(1, beams + 1)),
        }
    return options


@pytest.mark.parametrize("seed", range(40))
def test_tokens(seed, tmp_path):
    """Of sources padded on either side, and the scores of beams."""
    peer = save("T5ForConditionalGeneration", seed, tmp_path)
    given, rng = given_to(peer, seed), np.random.default_rng(seed)
    sources, options = {name: given[name] for name in ("input_ids", "attention_mask")}, random_options(rng)
    with torch.no_grad():
        wanted = peer.generate(
            **as_torch(sources), **options, do_sample=False, return_dict_in_generate=True, output_scores=True
        )
    model = load_pretrained(tmp_path)
    with eagerly():
        found = model.generate(**sources, **options, return_dict_in_generate=True)
    np.testing.assert_array_equal(found.sequences, wanted.sequences.numpy(), err_msg=str(options))
    if "num_beams" in options:
        np.testing.assert_allclose(found.sequences_scores, wanted.sequences_scores.numpy(), atol=1e-4, rtol=1e-5)
