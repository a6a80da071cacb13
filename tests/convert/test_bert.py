"""BERT's checkpoints: names of every age, heads that are lacking or too many, what cannot be said."""

import json
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from helpers import normal, numpy, randomize
from safetensors.numpy import load_file, save_file

from keras_tx.convert import CheckpointDirectory
from keras_tx.models import (
    BERTConfig,
    BERTForMaskedLM,
    BERTForMultipleChoice,
    BERTForPreTraining,
    BERTForQuestionAnswering,
    BERTForSequenceClassification,
    BERTForTokenClassification,
    BERTModel,
    load_pretrained,
)
from keras_tx.models.bert.config import TINY_HEAD

FILE = "model.safetensors"
GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def model(rng) -> BERTForPreTraining:
    return randomize(BERTForPreTraining(TINY_HEAD), rng)


@pytest.fixture
def directory(model, tmp_path) -> Path:
    model.save_pretrained(tmp_path / "bert", format="huggingface")
    return tmp_path / "bert"


def change(directory: Path, rename=lambda name: name, **tensors: np.ndarray) -> None:
    """Renames all tensors of a checkpoint, and adds some; `__` stands for the dot."""
    arrays = {rename(name): array for name, array in load_file(directory / FILE).items()}
    save_file(arrays | {name.replace("__", "."): array for name, array in tensors.items()}, directory / FILE)


def configure(directory: Path, **entries) -> None:
    config = json.loads((directory / "config.json").read_text()) | entries
    (directory / "config.json").write_text(json.dumps(config))


def equal(a: keras.Model, b: keras.Model) -> bool:
    """Whether the weights that both have hold the same numbers."""
    ours, theirs = a.weights_by_path(), b.weights_by_path()
    return all(np.array_equal(numpy(ours[path]), numpy(theirs[path])) for path in ours.keys() & theirs.keys())


# === Names ===


def old(name: str) -> str:
    """As checkpoints converted from TensorFlow 1 call it."""
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


@pytest.mark.parametrize("rename", [old, lambda name: name.removeprefix("bert."), lambda name: old(name)[5:]])
def test_names_of_old_and_of_a_backbone_saved_by_itself(directory, model, rename):
    save_file({name: x for name, x in load_file(directory / FILE).items() if "cls." not in name}, directory / FILE)
    change(directory, rename)
    assert equal(BERTModel.from_pretrained(directory), model)


def test_old_names_in_heads(directory, model):
    change(directory, old)
    assert equal(BERTForPreTraining.from_pretrained(directory), model)


def test_repeated_numbers_and_buffers(directory, model, rng):
    """A tied projection may be there in full, and positions counted from 0."""
    arrays = load_file(directory / FILE)
    names = {
        "cls__predictions__decoder__weight": arrays["bert.embeddings.word_embeddings.weight"],
        "cls__predictions__decoder__bias": arrays["cls.predictions.bias"],
    }
    change(directory, bert__embeddings__position_ids=np.arange(37)[None], **names)
    assert equal(BERTForPreTraining.from_pretrained(directory), model)
    with pytest.warns(UserWarning, match=r"left out, .*: cls\.predictions\.bias, cls\.predictions\.decoder\.bias, "):
        assert equal(BERTModel.from_pretrained(directory), model)
    for name, x in names.items():
        change(directory, **{**names, name: normal(rng, *x.shape)})
        with pytest.raises(ValueError, match=f"{name.replace('__', '.')} should hold the same numbers as"):
            BERTForPreTraining.from_pretrained(directory)


def test_names_on_disk(directory):
    found = {name: x.shape for name, x in load_file(directory / FILE).items()}
    assert found["bert.encoder.layer.0.intermediate.dense.weight"] == (29, 15)
    assert found["cls.predictions.bias"] == (61,) and found["bert.embeddings.token_type_embeddings.weight"] == (3, 15)
    assert len(found) == 5 + 16 + 2 + 5 + 2 and not any("decoder" in name for name in found)


# === Heads ===


def test_a_masked_language_model_of_a_pre_training_checkpoint(directory, model):
    with pytest.warns(UserWarning, match=r"left out, .*: bert\.pooler\.dense\.bias, .*, cls\.seq_relationship\.weight"):
        assert equal(BERTForMaskedLM.from_pretrained(directory), model)


def test_a_backbone_without_a_pooler_gets_a_fresh_one(directory, tmp_path):
    with pytest.warns(UserWarning, match="left out"):
        masked = BERTForMaskedLM.from_pretrained(directory)
    masked.save_pretrained(tmp_path / "masked", format="huggingface")
    with pytest.warns(UserWarning) as caught:
        model = BERTModel.from_pretrained(tmp_path / "masked")
    fresh, left = (str(warning.message) for warning in caught)
    assert fresh.endswith("fresh, for the checkpoint lacks them: bert.pooler.dense.weight, bert.pooler.dense.bias.")
    assert "left out" in left and "cls.predictions.transform.dense.weight" in left
    assert equal(model, masked)
    assert numpy(model.backbone.pooler.kernel).std() == pytest.approx(0.02, rel=0.2)


def test_a_classifier_of_a_pre_trained_model(directory, model, tmp_path):
    with pytest.warns(UserWarning, match=r"fresh, .*: classifier\.weight, classifier\.bias"):
        classifier = BERTForSequenceClassification.from_pretrained(directory, num_labels=7)
    assert classifier.head.classifier.kernel.shape == (15, 7) and equal(classifier, model)
    classifier.save_pretrained(tmp_path / "seven", format="huggingface")
    assert equal(BERTForSequenceClassification.from_pretrained(tmp_path / "seven"), classifier)
    with pytest.warns(UserWarning, match="fresh"):
        other = BERTForSequenceClassification.from_pretrained(tmp_path / "seven", num_labels=3)
    np.testing.assert_array_equal(numpy(other.backbone.pooler.kernel), numpy(model.backbone.pooler.kernel))


@pytest.mark.parametrize("cls", [BERTModel, BERTForPreTraining, BERTForMultipleChoice, BERTForTokenClassification])
def test_the_class_that_a_config_names(tmp_path, rng, cls):
    cls(TINY_HEAD).save_pretrained(tmp_path, format="huggingface")
    assert type(load_pretrained(tmp_path)) is cls


# === Configs ===


def test_the_config_survives(tmp_path):
    config = TINY_HEAD.replace(
        activation="gelu_tanh",
        norm_epsilon=1e-3,
        hidden_dropout=0.2,
        attention_dropout=0.3,
        classifier_dropout=0.4,
        initializer_range=0.05,
        pad_token_id=7,
        num_labels=3,
        label_names=("no", "perhaps", "yes"),
    )
    BERTForTokenClassification(config).save_pretrained(tmp_path, format="huggingface")
    assert BERTForTokenClassification.from_pretrained(tmp_path).config == config
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["position_embedding_type"] == "absolute" and written["is_decoder"] is False


def test_spans_are_written_with_two_labels(tmp_path):
    """Transformers makes as many logits of a position as there are labels."""
    config = TINY_HEAD.replace(num_labels=3, label_names=("no", "perhaps", "yes"))
    BERTForQuestionAnswering(config).save_pretrained(tmp_path, format="huggingface")
    assert json.loads((tmp_path / "config.json").read_text())["id2label"] == {"0": "LABEL_0", "1": "LABEL_1"}


def test_a_config_that_says_little_is_bert_base(directory):
    (directory / "config.json").write_text('{"model_type": "bert"}')
    assert BERTModel.read_config(CheckpointDirectory(directory)) == BERTConfig()


@pytest.mark.parametrize(
    ("cls", "entries", "message"),
    [
        (BERTModel, {"position_embedding_type": "relative_key"}, "only 'absolute' is supported"),
        (BERTModel, {"is_decoder": True}, "is_decoder=True; only False is supported"),
        (BERTModel, {"add_cross_attention": True}, "add_cross_attention=True; only False"),
        (BERTForMaskedLM, {"tie_word_embeddings": False}, "tie_word_embeddings=False; only True"),
        (BERTModel, {"hidden_act": "zelu"}, "`activation` must be one of"),
        (BERTModel, {"num_hidden_layers": 2}, r"missing: bert\.encoder\.layer\.1\.attention\.self\.query\.weight"),
        (BERTModel, {"model_type": "roberta"}, "`model_type` is 'roberta'; BERTModel can be read from 'bert'"),
    ],
)
def test_configs_that_cannot_be(directory, cls, entries, message):
    configure(directory, **entries)
    with pytest.raises(ValueError, match=message):
        cls.from_pretrained(directory)


def test_an_untied_checkpoint_without_its_projection(directory, model, rng):
    """Only masked language models need the two to be one."""
    configure(directory, tie_word_embeddings=False)
    change(directory, cls__predictions__decoder__weight=normal(rng, 61, 15))
    with pytest.warns(UserWarning, match=r"left out, .*cls\.predictions\.decoder\.weight"):
        assert equal(BERTModel.from_pretrained(directory), model)


# === HDF5 ===


def test_a_repeated_layer_with_other_numbers(tmp_path):
    """The masked language model's layer repeats the embeddings; which of two values counts is not guessed."""
    for name in ("config.json", "tf_model.h5"):
        (tmp_path / name).write_bytes((GOLDEN / "bert_h5" / "masked" / name).read_bytes())
    with h5py.File(tmp_path / "tf_model.h5", "r+") as file:
        names = []
        file.visit(lambda name: names.append(name) if name.endswith("word_embeddings/weight:0") else None)
        first, second = names
        np.testing.assert_array_equal(file[first][()], file[second][()])
        file[second][3, 2] += 1.0
    with pytest.raises(ValueError, match=r"two tensors that stand for bert\.embeddings\.word_embeddings\.weight"):
        BERTForMaskedLM.from_pretrained(tmp_path)
