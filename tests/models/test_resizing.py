"""Vocabularies and position tables cut and grown: old tokens keep their numbers, new ones have the mean."""

import keras
import numpy as np
import pytest
from contract import inputs, logits, texts
from helpers import numpy, randomize

from keras_tx.models import (
    BERTForMaskedLM,
    BERTForSequenceClassification,
    BERTModel,
    BigramModel,
    ElectraForMaskedLM,
    GPTModel,
    RobertaForTokenClassification,
    T5Model,
    Transformer,
    load_pretrained,
)
from keras_tx.models.core.registry import MODELS

CLASSES = (
    BERTModel,
    BERTForMaskedLM,
    ElectraForMaskedLM,
    RobertaForTokenClassification,
    GPTModel,
    T5Model,
    Transformer,
)


def made(cls, rng, **fields):
    return randomize(cls(MODELS[cls.__name__].tiny[0], **fields), rng)


def outputs(model, given) -> list[np.ndarray]:
    return [numpy(x) for x in keras.tree.flatten(model(given))]


def is_of_tokens(x: np.ndarray, vocab_size: int) -> bool:
    return x.shape[-1] == vocab_size


@pytest.mark.parametrize("size", [67, 53])
@pytest.mark.parametrize("cls", [pytest.param(cls, marks=pytest.mark.slow) for cls in CLASSES[:-3]] + [*CLASSES[-3:]])
def test_what_is_known_of_old_tokens_stays(cls, size, rng):
    model = made(cls, rng)
    given, before, kept = inputs(model), model.config.vocab_size, min(size, model.config.vocab_size)
    for ids in texts(given):
        ids %= kept
    wanted = outputs(model, given)
    assert model.resize_token_embeddings(size) is model and model.config.vocab_size == size
    found = outputs(model, given)
    for want, got in zip(wanted, found, strict=True):
        if is_of_tokens(want, before):
            assert is_of_tokens(got, size)
            want, got = want[..., :kept], got[..., :kept]
        np.testing.assert_allclose(got, want, atol=1e-5)


def test_new_rows_are_the_mean_of_the_old(rng):
    model = made(GPTModel, rng, tie_embeddings=False)
    old = {path: numpy(x) for path, x in model.weights_by_path().items()}
    model.resize_token_embeddings(62, pad_to_multiple_of=8)
    assert model.config.vocab_size == 64
    for path, x in model.weights_by_path().items():
        if x.shape == old[path].shape:
            np.testing.assert_array_equal(numpy(x), old[path])
            continue
        axis = list(x.shape).index(64)
        was, new = np.split(numpy(x), [61], axis)
        np.testing.assert_array_equal(was, old[path])
        np.testing.assert_allclose(new, np.broadcast_to(was.mean(axis, keepdims=True), new.shape), atol=1e-6)


@pytest.mark.slow
def test_the_parts_are_whole(rng, tmp_path):
    """The model trains, generates, is saved and loaded; what was frozen is."""
    model = made(GPTModel, rng)
    model.backbone.trainable = False
    tokens = numpy(model.generate(np.array([[5, 7, 9]]), max_new_tokens=3))
    model.resize_token_embeddings(64)
    assert not model.trainable_variables and len(model.layers) == 2
    again = numpy(model.generate(np.array([[5, 7, 63]]), max_new_tokens=3))
    assert again.shape == tokens.shape and again[0, 2] == 63
    model.backbone.trainable = True
    model.compile("sgd")
    model.fit(np.array([[5, 7, 63], [1, 2, 3]]), np.array([[5, 7, 63], [1, 2, 3]]), verbose=0)
    for format in ("keras_tx", "huggingface"):
        model.save_pretrained(tmp_path / format, format=format)
        loaded = load_pretrained(tmp_path / format)
        assert loaded.config.vocab_size == 64
        np.testing.assert_allclose(logits(loaded(np.array([[63, 62]]))), logits(model(np.array([[63, 62]]))), atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(logits(loaded(np.array([[63, 62]]))), logits(model(np.array([[63, 62]]))), atol=1e-5)


@pytest.mark.parametrize("format", ["keras_tx", "huggingface"])
@pytest.mark.parametrize(
    "cls", [BERTForMaskedLM, *(pytest.param(x, marks=pytest.mark.slow) for x in (T5Model, GPTModel))]
)
def test_other_sizes_asked_of_a_checkpoint(cls, format, rng, tmp_path):
    model = made(cls, rng)
    model.save_pretrained(tmp_path, format=format)
    given = {name: x % 53 if "ids" in name else x for name, x in inputs(model).items() if "type" not in name}
    sizes = [{"vocab_size": 67}, {"vocab_size": 53}]
    if "max_positions" in model.config.to_dict():
        sizes += [{"max_positions": 41}, {"max_positions": 11, "vocab_size": 67}]
    for fields in sizes:
        other = load_pretrained(tmp_path, **fields)
        size = other.config.vocab_size
        assert fields.items() <= other.config.to_dict().items()
        kept = min(size, model.config.vocab_size)
        np.testing.assert_allclose(logits(other(given))[..., :kept], logits(model(given))[..., :kept], atol=1e-5)


def test_what_cannot_be_resized(rng):
    model = made(BERTForSequenceClassification, rng)
    with pytest.raises(ValueError, match="`new_num_tokens` must be a whole number of at least 1; got 0"):
        model.resize_token_embeddings(0)
    second = BERTForSequenceClassification(backbone=model.backbone, num_labels=3)
    with pytest.raises(ValueError, match="another model shares this `backbone`"):
        second.resize_token_embeddings(64)
    compiled = made(BERTForMaskedLM, rng)
    compiled.compile("sgd")
    with pytest.raises(ValueError, match="before `compile`"):
        compiled.resize_token_embeddings(64)
    adapted = made(BERTForMaskedLM, rng)
    adapted.backbone.blocks[0].attention.query.enable_lora(2)
    with pytest.raises(ValueError, match="has LoRA or is quantized"):
        adapted.resize_token_embeddings(64)
    with pytest.raises(ValueError, match="a BigramModel has another number for each pair of tokens"):
        made(BigramModel, rng).resize_token_embeddings(64)
