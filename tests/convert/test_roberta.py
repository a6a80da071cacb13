"""RoBERTa's checkpoints: under each naming, of its relatives, with heads that are lacking or too many."""

import json
from pathlib import Path

import numpy as np
import pytest
from h5_helpers import check_every_naming
from helpers import normal, numpy, randomize
from safetensors.numpy import load_file, save_file

from keras_tx.convert import CheckpointDirectory
from keras_tx.models import (
    CamembertModel,
    RobertaForMaskedLM,
    RobertaForMultipleChoice,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaModel,
    XLMRobertaModel,
    load_pretrained,
)
from keras_tx.models.roberta.config import TINY_HEAD

FILE = "model.safetensors"
GOLDEN = Path(__file__).parents[1] / "golden"
H5 = (
    "RobertaModel",
    "RobertaForMaskedLM",
    "RobertaForSequenceClassification",
    "RobertaForTokenClassification",
    "RobertaForQuestionAnswering",
    "RobertaForMultipleChoice",
    "XLMRobertaForMaskedLM",
    "CamembertForSequenceClassification",
)


@pytest.fixture
def model(rng) -> RobertaForMaskedLM:
    return randomize(RobertaForMaskedLM(TINY_HEAD), rng)


@pytest.fixture
def directory(model, tmp_path) -> Path:
    model.save_pretrained(tmp_path / "roberta", format="huggingface")
    return tmp_path / "roberta"


def configure(directory: Path, **entries) -> None:
    config = json.loads((directory / "config.json").read_text()) | entries
    (directory / "config.json").write_text(json.dumps(config))


def equal(a, b) -> bool:
    """Whether the weights that both have hold the same numbers."""
    ours, theirs = a.weights_by_path(), b.weights_by_path()
    return all(np.array_equal(numpy(ours[path]), numpy(theirs[path])) for path in ours.keys() & theirs.keys())


# === Names ===


@pytest.mark.parametrize("case", H5)
def test_every_naming_of_the_tensorflow_classes(case, tmp_path):
    assert set(H5) == {path.name for path in (GOLDEN / "roberta_h5").iterdir()}
    check_every_naming(GOLDEN / "roberta_h5" / case, case, tmp_path)


def test_names_on_disk(directory):
    found = {name: x.shape for name, x in load_file(directory / FILE).items()}
    assert found["roberta.encoder.layer.0.intermediate.dense.weight"] == (29, 15)
    assert found["lm_head.bias"] == (61,) and found["roberta.embeddings.position_embeddings.weight"] == (37, 15)
    assert len(found) == 5 + 16 + 5 and not any("decoder" in name or "pooler" in name for name in found)
    config = json.loads((directory / "config.json").read_text())
    assert (config["model_type"], config["architectures"]) == ("roberta", ["RobertaForMaskedLM"])


def test_repeated_numbers_and_buffers(directory, model, rng):
    """A tied projection may be there in full, and positions counted from 0."""
    arrays = load_file(directory / FILE) | {"roberta.embeddings.position_ids": np.arange(37)[None]}
    repeated = {
        "lm_head.decoder.weight": arrays["roberta.embeddings.word_embeddings.weight"],
        "lm_head.decoder.bias": arrays["lm_head.bias"],
    }
    save_file(arrays | repeated, directory / FILE)
    assert equal(RobertaForMaskedLM.from_pretrained(directory), model)
    for name, x in repeated.items():
        save_file(arrays | repeated | {name: normal(rng, *x.shape)}, directory / FILE)
        with pytest.raises(ValueError, match=f"{name} should hold the same numbers as"):
            RobertaForMaskedLM.from_pretrained(directory)


# === Heads ===


def test_a_classifier_of_a_pre_trained_model(directory, model):
    message = r"fresh, .*: classifier\.dense\.weight, classifier\.dense\.bias, classifier\.out_proj\.weight"
    with pytest.warns(UserWarning, match=message), pytest.warns(UserWarning, match="left out, .*lm_head.bias"):
        classifier = RobertaForSequenceClassification.from_pretrained(directory, num_labels=7)
    assert classifier.head.classifier.kernel.shape == (15, 7) and equal(classifier, model)


def test_a_classifier_with_other_labels_starts_its_last_map_alone_anew(tmp_path, rng):
    before = randomize(RobertaForSequenceClassification(TINY_HEAD), rng)
    before.save_pretrained(tmp_path, format="huggingface")
    with pytest.warns(UserWarning, match=r"fresh, .*: classifier\.out_proj\.weight, classifier\.out_proj\.bias\."):
        after = RobertaForSequenceClassification.from_pretrained(tmp_path, num_labels=3)
    np.testing.assert_array_equal(numpy(after.head.hidden.kernel), numpy(before.head.hidden.kernel))


@pytest.mark.parametrize("cls", [RobertaModel, RobertaForQuestionAnswering, RobertaForMultipleChoice])
def test_the_class_that_a_config_names(tmp_path, cls):
    cls(TINY_HEAD).save_pretrained(tmp_path, format="huggingface")
    assert type(load_pretrained(tmp_path)) is cls


# === Configs ===


@pytest.mark.parametrize("case", ["xlm_sequence", "camembert_masked"])
def test_relatives_are_saved_under_their_own_names(case, tmp_path):
    model = load_pretrained(GOLDEN / "roberta" / case)
    model.save_pretrained(tmp_path, format="huggingface")
    theirs, ours = (json.loads((path / "config.json").read_text()) for path in (GOLDEN / "roberta" / case, tmp_path))
    assert (ours["model_type"], ours["architectures"]) == (theirs["model_type"], theirs["architectures"])
    before, after = load_file(GOLDEN / "roberta" / case / FILE), load_file(tmp_path / FILE)
    assert before.keys() == after.keys() and all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("cls", "model_type", "vocab_size"),
    [
        (RobertaModel, "roberta", 50265),
        (XLMRobertaModel, "xlm-roberta", 30522),
        (CamembertModel, "camembert", 30522),
    ],
)
def test_a_config_that_says_little_is_what_transformers_takes_it_for(directory, cls, model_type, vocab_size):
    (directory / "generation_config.json").unlink()
    (directory / "config.json").write_text(json.dumps({"model_type": model_type}))
    sizes = {"vocab_size": vocab_size, "max_positions": 512, "type_vocab_size": 2, "norm_epsilon": 1e-12}
    assert cls.read_config(CheckpointDirectory(directory)) == cls.config_class(**sizes)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"is_decoder": True}, "is_decoder=True; only False is supported"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings=False; only True"),
        ({"pad_token_id": None}, "`pad_token_id` must lie in"),
        ({"num_hidden_layers": 2}, r"missing: roberta\.encoder\.layer\.1\.attention\.self\.query\.weight"),
        ({"model_type": "bert"}, "`model_type` is 'bert'; .* from 'roberta'"),
    ],
)
def test_configs_that_cannot_be(directory, entries, message):
    configure(directory, **entries)
    (directory / "generation_config.json").unlink()  # which has special tokens, too
    with pytest.raises(ValueError, match=message):
        RobertaForMaskedLM.from_pretrained(directory)
