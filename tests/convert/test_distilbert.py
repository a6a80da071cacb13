"""DistilBERT's checkpoints: under each naming, with heads that are lacking or too many, and what its config says."""

import json
from pathlib import Path

import numpy as np
import pytest
from h5_helpers import check_every_naming
from helpers import normal, numpy, randomize
from safetensors.numpy import load_file, save_file

from keras_tx.convert import CheckpointDirectory
from keras_tx.models import (
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForMultipleChoice,
    DistilBertForQuestionAnswering,
    DistilBertForSequenceClassification,
    DistilBertModel,
    load_pretrained,
)
from keras_tx.models.distilbert.config import TINY_HEAD

FILE = "model.safetensors"
GOLDEN = Path(__file__).parents[1] / "golden"
H5 = (
    "DistilBertModel",
    "DistilBertForMaskedLM",
    "DistilBertForSequenceClassification",
    "DistilBertForTokenClassification",
    "DistilBertForQuestionAnswering",
    "DistilBertForMultipleChoice",
)


@pytest.fixture
def model(rng) -> DistilBertForMaskedLM:
    return randomize(DistilBertForMaskedLM(TINY_HEAD), rng)


@pytest.fixture
def directory(model, tmp_path) -> Path:
    model.save_pretrained(tmp_path / "distilbert", format="huggingface")
    return tmp_path / "distilbert"


def equal(a, b) -> bool:
    """Whether the weights that both have hold the same numbers."""
    ours, theirs = a.weights_by_path(), b.weights_by_path()
    return all(np.array_equal(numpy(ours[path]), numpy(theirs[path])) for path in ours.keys() & theirs.keys())


@pytest.mark.parametrize("case", H5)
def test_every_naming_of_the_tensorflow_classes(case, tmp_path):
    assert set(H5) == {path.name for path in (GOLDEN / "distilbert_h5").iterdir()}
    check_every_naming(GOLDEN / "distilbert_h5" / case, case, tmp_path)


@pytest.mark.parametrize("case", ["masked", "sequence", "token", "answer", "choice"])
def test_the_same_tensors_are_written(case, tmp_path):
    model = load_pretrained(GOLDEN / "distilbert" / case)
    model.save_pretrained(tmp_path, format="huggingface")
    before, after = load_file(GOLDEN / "distilbert" / case / FILE), load_file(tmp_path / FILE)
    assert before.keys() == after.keys() and all(np.array_equal(before[name], after[name]) for name in before)
    theirs = json.loads((GOLDEN / "distilbert" / case / "config.json").read_text())
    ours = json.loads((tmp_path / "config.json").read_text())
    passed = {"transformers_version", "dtype", "sinusoidal_pos_embds", "id2label", "label2id"}
    assert {name: x for name, x in theirs.items() if name not in passed}.items() <= ours.items()


def test_repeated_numbers_and_buffers(directory, model, rng):
    """A tied projection may be there in full, and positions counted from 0."""
    arrays = load_file(directory / FILE) | {"distilbert.embeddings.position_ids": np.arange(37)[None]}
    repeated = {"vocab_projector.weight": arrays["distilbert.embeddings.word_embeddings.weight"]}
    save_file(arrays | repeated, directory / FILE)
    assert equal(DistilBertForMaskedLM.from_pretrained(directory), model)
    save_file(arrays | {name: normal(rng, *x.shape) for name, x in repeated.items()}, directory / FILE)
    with pytest.raises(ValueError, match=r"vocab_projector\.weight should hold the same numbers as"):
        DistilBertForMaskedLM.from_pretrained(directory)


def test_a_classifier_of_a_pre_trained_model(directory, model):
    message = r"fresh, .*: pre_classifier\.weight, pre_classifier\.bias, classifier\.weight"
    with pytest.warns(UserWarning, match=message), pytest.warns(UserWarning, match="left out, .*vocab_projector.bias"):
        classifier = DistilBertForSequenceClassification.from_pretrained(directory, num_labels=7)
    assert classifier.head.classifier.kernel.shape == (15, 7) and equal(classifier, model)


@pytest.mark.parametrize("cls", [DistilBertModel, DistilBertForQuestionAnswering, DistilBertForMultipleChoice])
def test_the_class_that_a_config_names(tmp_path, cls):
    cls(TINY_HEAD).save_pretrained(tmp_path, format="huggingface")
    assert type(load_pretrained(tmp_path)) is cls


def test_a_config_that_says_little_is_what_transformers_takes_it_for(directory):
    (directory / "generation_config.json").unlink(missing_ok=True)
    (directory / "config.json").write_text(json.dumps({"model_type": "distilbert"}))
    assert DistilBertModel.read_config(CheckpointDirectory(directory)) == DistilBertConfig()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"tie_word_embeddings": False}, "tie_word_embeddings=False; only True"),
        ({"n_layers": 2}, r"missing: distilbert\.transformer\.layer\.1\.attention\.q_lin\.weight"),
        ({"model_type": "bert"}, "`model_type` is 'bert'; .* from 'distilbert'"),
    ],
)
def test_configs_that_cannot_be(directory, entries, message):
    config = json.loads((directory / "config.json").read_text()) | entries
    (directory / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=message):
        DistilBertForMaskedLM.from_pretrained(directory)
