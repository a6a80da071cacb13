"""T5's checkpoints: names, tied tensors, other heads' tensors, and what configs say in either language."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import normal, numpy, randomize
from safetensors.numpy import load_file, save_file

from keras_tx.models import (
    T5Config,
    T5EncoderModel,
    T5ForQuestionAnswering,
    T5ForSequenceClassification,
    T5ForTokenClassification,
    T5Model,
    load_pretrained,
)
from keras_tx.models.t5.config import TINY
from keras_tx.models.t5.huggingface import T5

FILE = "model.safetensors"
CLASSES = [T5Model, T5EncoderModel, T5ForQuestionAnswering, T5ForSequenceClassification, T5ForTokenClassification]


@pytest.fixture
def model(rng) -> T5Model:
    return randomize(T5Model(TINY), rng)


@pytest.fixture
def directory(model, tmp_path) -> Path:
    model.save_pretrained(tmp_path / "t5", format="huggingface")
    return tmp_path / "t5"


def change(directory: Path, rename=lambda name: name, **tensors: np.ndarray | None) -> None:
    """Renames all tensors of a checkpoint, and adds some, or takes out those that are None; `__` is the dot."""
    arrays = {rename(name): array for name, array in load_file(directory / FILE).items()}
    arrays |= {name.replace("__", "."): array for name, array in tensors.items()}
    save_file({name: array for name, array in arrays.items() if array is not None}, directory / FILE)


def configure(directory: Path, **entries) -> None:
    config = json.loads((directory / "config.json").read_text()) | entries
    (directory / "config.json").write_text(json.dumps(config))


def equal(a: keras.Model, b: keras.Model) -> bool:
    """Whether the weights that both have hold the same numbers."""
    ours, theirs = a.weights_by_path(), b.weights_by_path()
    return all(np.array_equal(numpy(ours[path]), numpy(theirs[path])) for path in ours.keys() & theirs.keys())


# === Names ===


def test_names_on_disk(directory):
    found = {name: x.shape for name, x in load_file(directory / FILE).items()}
    assert found["shared.weight"] == (61, 11)
    assert found["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] == (7, 5)
    assert found["decoder.block.0.layer.1.EncDecAttention.o.weight"] == (11, 15)
    assert found["decoder.block.0.layer.2.DenseReluDense.wi.weight"] == (29, 11)
    assert len(found) == 1 + (1 + 2 * 8 + 1) + (1 + 13 + 1)
    assert not any("lm_head" in name or "embed_tokens" in name for name in found)


def test_names_inside_of_a_classifier(tmp_path):
    for cls, head in (
        (T5ForSequenceClassification, "classification_head.out_proj"),
        (T5ForTokenClassification, "classifier"),
    ):
        cls(TINY, num_layers=1).save_pretrained(tmp_path / cls.__name__, format="huggingface")
        names = set(load_file(tmp_path / cls.__name__ / FILE))
        assert "transformer.shared.weight" in names and f"{head}.weight" in names
        assert any(".decoder." in name for name in names) == (cls is T5ForSequenceClassification)


def test_tied_tensors_may_be_there(directory, model, rng):
    """Under every name that Transformers has for the table; then they must be one."""
    table = load_file(directory / FILE)["shared.weight"]
    copies = ("encoder__embed_tokens__weight", "decoder__embed_tokens__weight")
    change(directory, **dict.fromkeys((*copies, "lm_head__weight"), table))
    assert equal(T5Model.from_pretrained(directory), model)
    for name in copies:
        change(directory, **{**dict.fromkeys(copies, table), name: normal(rng, 61, 11)})
        with pytest.raises(
            ValueError, match=f"{name.replace('__', '.')} should hold the same numbers as shared.weight"
        ):
            T5Model.from_pretrained(directory)


@pytest.mark.parametrize("scaled", [True, False])
def test_an_untied_projection_whatever_the_config_says(directory, model, rng, scaled):
    """Transformers 5 writes that it is tied; only whether the output is scaled is then told apart."""
    configure(directory, scale_decoder_outputs=scaled)
    change(directory, lm_head__weight=normal(rng, 61, 11))
    copy = T5Model.from_pretrained(directory)
    assert equal(copy, model) and not copy.config.tie_embeddings and copy.config.scales_output == scaled
    np.testing.assert_array_equal(copy.head.output_projection.kernel, load_file(directory / FILE)["lm_head.weight"].T)


def test_a_table_under_a_copys_name_alone(directory, model):
    table = load_file(directory / FILE)["shared.weight"]
    change(directory, shared__weight=None, encoder__embed_tokens__weight=table)
    assert equal(T5Model.from_pretrained(directory), model)


def test_what_old_checkpoints_have_too_much(directory, model, rng):
    name = "decoder__block__0__layer__1__EncDecAttention__relative_attention_bias__weight"
    change(directory, **{name: normal(rng, 7, 5)})
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert equal(T5Model.from_pretrained(directory), model)


def test_what_nothing_asks_for(directory, rng):
    change(directory, encoder__block__0__layer__0__SelfAttention__q__bias=normal(rng, 15))
    with pytest.raises(ValueError, match=r"left over: encoder\.block\.0\.layer\.0\.SelfAttention\.q\.bias"):
        T5Model.from_pretrained(directory)


# === Heads ===


@pytest.mark.parametrize("cls", CLASSES)
def test_the_class_that_a_config_names(tmp_path, cls):
    cls(TINY, num_layers=1).save_pretrained(tmp_path, format="huggingface")
    assert type(load_pretrained(tmp_path)) is cls


@pytest.mark.parametrize("cls", CLASSES[1:])
def test_other_classes_of_a_language_model(directory, model, cls):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        other = cls.from_pretrained(directory)
    notes = " ".join(str(warning.message) for warning in caught)
    assert equal(other, model)
    assert ("fresh" in notes) == (cls is not T5EncoderModel)
    assert ("decoder.block.0" in notes) == (cls in (T5EncoderModel, T5ForTokenClassification))


@pytest.mark.parametrize("cls", [T5ForSequenceClassification, T5ForQuestionAnswering])
def test_a_language_model_of_another_class(tmp_path, rng, cls):
    other = randomize(cls(TINY), rng)
    other.save_pretrained(tmp_path, format="huggingface")
    with pytest.warns(UserWarning, match="left out, .*: (classification_head|qa_outputs)"):
        assert equal(T5Model.from_pretrained(tmp_path), other)


def test_a_backbone_without_its_untied_projection(tmp_path, rng):
    model = randomize(T5Model(TINY, tie_embeddings=False), rng)
    model.save_pretrained(tmp_path, format="huggingface")
    change(tmp_path, lm_head__weight=None)
    with pytest.warns(UserWarning, match=r"fresh, .*: lm_head\.weight"):
        copy = T5Model.from_pretrained(tmp_path)
    copy.head.output_projection.kernel.assign(model.head.output_projection.kernel)
    assert equal(copy, model)


def test_an_encoder_is_no_language_model(tmp_path):
    T5EncoderModel(TINY).save_pretrained(tmp_path, format="huggingface")
    with pytest.raises(ValueError, match=r"missing: decoder\.block\."):
        T5Model.from_pretrained(tmp_path)


# === Configs ===


def test_a_config_that_says_little_is_t5_small(directory):
    assert T5Config.from_dict(T5.fields({"model_type": "t5"}, "T5Model")) == T5Config()


@pytest.mark.parametrize(
    ("said", "activation", "gated"),
    [
        ("relu", "relu", False),
        ("gelu", "gelu", False),
        ("gelu_new", "gelu_tanh", False),
        ("gated-gelu", "gelu_tanh", True),
        ("gated-gelu_python", "gelu", True),
        ("gated-silu", "silu", True),
    ],
)
def test_feed_forward_networks_have_other_names(said, activation, gated):
    """A gated GELU is the tanh approximation, whatever it is called."""
    fields = T5.fields({"feed_forward_proj": said}, "T5Model")
    assert (fields["activation"], fields["gated"]) == (activation, gated)
    config = T5Config(activation=activation, gated=gated)
    assert T5.config(config.to_dict(), "T5Model")["feed_forward_proj"] == said


@pytest.mark.parametrize(
    ("entries", "tied", "scales"),
    [
        ({}, True, True),
        ({"tie_word_embeddings": False}, False, False),
        ({"tie_word_embeddings": True, "scale_decoder_outputs": False}, True, False),
        ({"tie_word_embeddings": False, "scale_decoder_outputs": True}, False, True),
    ],
)
def test_scaling_follows_tying_unless_it_is_said(entries, tied, scales):
    config = T5Config.from_dict(T5.fields(entries, "T5Model"))
    assert (config.tie_embeddings, config.scales_output) == (tied, scales)
    written = T5.config(config.to_dict(), "T5Model")
    assert (written["tie_word_embeddings"], written["scale_decoder_outputs"]) == (tied, scales)


def test_the_config_survives(tmp_path):
    config = TINY.replace(
        norm_epsilon=1e-3,
        dropout=0.2,
        classifier_dropout=0.3,
        initializer_factor=0.7,
        pad_token_id=5,
        eos_token_id=(7, 9),
        decoder_start_token_id=11,
        num_labels=3,
        label_names=("no", "perhaps", "yes"),
        gated=True,
        activation="silu",
    )
    T5ForTokenClassification(config).save_pretrained(tmp_path, format="huggingface")
    assert T5ForTokenClassification.from_pretrained(tmp_path).config == config


def test_special_tokens_are_written_for_generation(directory):
    tokens = json.loads((directory / "generation_config.json").read_text())
    assert tokens["decoder_start_token_id"] == 0
    (directory / "generation_config.json").write_text('{"decoder_start_token_id": 13, "eos_token_id": 3}')
    config = T5Model.from_pretrained(directory).config
    assert (config.decoder_start_token_id, config.eos_token_id) == (13, 3)
