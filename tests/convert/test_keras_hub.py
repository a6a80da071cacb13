"""KerasHub's presets: made by its own `save_to_preset` of tiny models with random weights, and read here."""

import json
import warnings
from pathlib import Path

import keras_hub
import numpy as np
import pytest
from helpers import numpy, randomize
from hub_helpers import put_into_cache
from keras import ops

import keras_tx
from keras_tx import extras
from keras_tx.convert import hub, preset

B, T = 2, 9
TEXT = {
    "vocabulary_size": 61,
    "num_layers": 2,
    "num_heads": 3,
    "hidden_dim": 15,
    "intermediate_dim": 29,
    "max_sequence_length": 37,
    "dropout": 0.2,
}


def bert(**options):
    return keras_hub.models.BertBackbone(**TEXT, num_segments=3, **options)


def gpt2(**options):
    return keras_hub.models.GPT2Backbone(**TEXT, **options)


MAKE = {
    "bert": bert,
    "bert_masked_lm": lambda: keras_hub.models.BertMaskedLM(bert()),
    "bert_classifier": lambda: keras_hub.models.BertTextClassifier(bert(), num_classes=4, dropout=0.3),
    "gpt2": gpt2,
    "gpt2_causal_lm": lambda: keras_hub.models.GPT2CausalLM(gpt2()),
}
CLASSES = {
    "bert": keras_tx.BERTModel,
    "bert_masked_lm": keras_tx.BERTForMaskedLM,
    "bert_classifier": keras_tx.BERTForSequenceClassification,
    "gpt2": keras_tx.GPTModel,
    "gpt2_causal_lm": keras_tx.GPTModel,
}
BACKBONES = ("bert", "gpt2")
"""Those that `to_keras_hub` makes."""

_MADE: dict = {}


@pytest.fixture
def made(tmp_path_factory):
    """Makes a model of KerasHub's, with its preset, once."""

    def make(name: str):
        if name not in _MADE:
            path = tmp_path_factory.mktemp("preset") / name
            model = randomize(MAKE[name](), np.random.default_rng(1))
            model.save_to_preset(path)
            _MADE[name] = model, path
        return _MADE[name]

    return make


def silently(function, *arguments, **options):
    """What a function gives, which must not warn, but of a pooler that a model for masked tokens does not have."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings(
            "ignore", r"BERTForMaskedLM .* left out, .*: layers/dense/vars/0, layers/dense/vars/1\."
        )
        return function(*arguments, **options)


def edited(path: Path, tmp_path: Path, file: str = "config.json", **entries) -> Path:
    """A preset with other arguments in its config; the weights stay."""
    for source in path.iterdir():
        if source.is_file():
            (tmp_path / source.name).write_bytes(source.read_bytes())
    config = json.loads((path / file).read_text())
    config["config"] |= entries
    (tmp_path / file).write_text(json.dumps(config))
    return tmp_path


# === Equal numbers ===


def texts(rng) -> tuple[dict, dict, np.ndarray]:
    """Inputs of KerasHub's and of ours, and where there is text."""
    ids, segments = rng.integers(1, 61, (B, T)), rng.integers(0, 3, (B, T))
    mask = np.arange(T) < np.array([[T], [5]])
    theirs = {"token_ids": ids, "padding_mask": mask.astype("int32"), "segment_ids": segments}
    ours = {"input_ids": ids, "attention_mask": mask.astype("int32"), "token_type_ids": segments}
    return theirs, ours, mask


def outputs(name: str, model, ours, rng) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of what KerasHub's model gives and ours."""
    their_inputs, our_inputs, mask = texts(rng)
    if name.startswith("gpt2"):
        del their_inputs["segment_ids"], our_inputs["token_type_ids"]
    if name == "bert":
        theirs, (sequence, pooled) = model(their_inputs), ours(our_inputs)
        return [
            (numpy(theirs["sequence_output"])[mask], numpy(sequence)[mask]),
            (numpy(theirs["pooled_output"]), numpy(pooled)),
        ]
    if name == "gpt2":
        found = ours.backbone(our_inputs)["last_hidden_state"]
        return [(numpy(model(their_inputs))[mask], numpy(found)[mask])]
    logits = numpy(ours(our_inputs)["logits"])
    if name == "bert_masked_lm":
        their_inputs["mask_positions"] = np.tile(np.arange(T), (B, 1))
    theirs = numpy(model(their_inputs))
    return [(theirs, logits)] if logits.ndim == 2 else [(theirs[mask], logits[mask])]


@pytest.mark.parametrize("name", MAKE)
def test_equal_numbers(made, rng, name):
    model, path = made(name)
    ours = silently(keras_tx.load_pretrained, path)
    assert type(ours) is CLASSES[name]
    for theirs, found in outputs(name, model, ours, rng):
        np.testing.assert_allclose(found, theirs, atol=5e-5)


@pytest.mark.parametrize("name", BACKBONES)
def test_back_again(made, name):
    model, path = made(name)
    back = silently(keras_tx.to_keras_hub, keras_tx.load_pretrained(path))
    assert type(back) is type(model)
    own = ("name", "dtype")
    assert {key: value for key, value in back.get_config().items() if key not in own} == {
        key: value for key, value in model.get_config().items() if key not in own
    }
    for found, wanted in zip(back.weights, model.weights, strict=True):
        np.testing.assert_array_equal(numpy(found), numpy(wanted))


# === Configs ===


def test_what_differs_is_in_the_config(made):
    config = keras_tx.load_pretrained(made("bert")[1]).config
    assert (config.activation, config.norm_epsilon, config.head_activation) == ("gelu_tanh", 1e-12, None)
    assert config.hidden_dropout == config.attention_dropout == 0.2
    with pytest.warns(UserWarning, match="left out.*layers/dense/vars/0"):
        config = keras_tx.load_pretrained(made("bert_masked_lm")[1]).config
    assert (config.head_activation, config.head_norm_epsilon) == ("gelu", 1e-5)
    config = keras_tx.load_pretrained(made("bert_classifier")[1]).config
    assert (config.num_labels, config.classifier_dropout) == (4, 0.3)


def test_arguments_that_are_not_known(made, tmp_path):
    with pytest.raises(ValueError, match="use_rotary=True, which is not supported"):
        keras_tx.load_pretrained(edited(made("bert")[1], tmp_path, use_rotary=True))


def test_probabilities_are_not_logits(made, tmp_path):
    preset = edited(made("bert_classifier")[1], tmp_path, "task.json", activation="softmax")
    with pytest.raises(ValueError, match=r"task\.activation='softmax'; only 'linear'"):
        keras_tx.load_pretrained(preset)
    with pytest.warns(UserWarning, match="task/layers/dense"):  # the backbone can be had
        keras_tx.BERTModel.from_pretrained(preset)


def test_other_families(made, tmp_path):
    path = edited(made("bert")[1], tmp_path)
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"registered_name": "keras_hub>GemmaBackbone"}))
    with pytest.raises(ValueError, match=r"'keras_hub/GemmaBackbone'; known are .*'keras_hub/BertBackbone'"):
        keras_tx.load_pretrained(path)
    (path / "config.json").write_text(json.dumps(config | {"registered_name": "mine>Bert"}))
    with pytest.raises(ValueError, match="'mine>Bert', which is none of KerasHub's"):
        keras_tx.load_pretrained(path)


# === Accounting ===


def test_another_head(made):
    path = made("bert_classifier")[1]
    with pytest.warns(UserWarning) as caught:
        model = keras_tx.BERTForTokenClassification.from_pretrained(path)
    said = " ".join(str(warning.message) for warning in caught)
    assert "fresh, for the checkpoint lacks them: classifier" in said
    assert "left out, for they belong to another head: layers/dense/vars/0" in said
    assert model.config.num_labels == 4


def test_missing_and_left_over(made, tmp_path):
    import h5py

    path = edited(made("gpt2")[1], tmp_path)
    with h5py.File(path / "model.weights.h5", "r+") as file:
        del file["layers/transformer_decoder_1/_feedforward_layer_norm/vars/0"]
        file["layers/surprise/vars/0"] = np.zeros(3, "float32")
    with pytest.raises(ValueError) as error:
        keras_tx.load_pretrained(path)
    assert "missing: layers/transformer_decoder_1/_feedforward_layer_norm/vars/0" in str(error.value)
    assert "left over: layers/surprise/vars/0" in str(error.value)


def test_shards(made, tmp_path):
    model, path = made("gpt2")
    path = edited(path, tmp_path)
    (path / "model.weights.h5").unlink()
    model.save_weights(path / "model.weights.json", max_shard_size=1e-5)
    assert len(list(path.glob("model_*.weights.h5"))) > 1
    found = keras_tx.load_pretrained(path)
    for ours, wanted in zip(found.weights, keras_tx.load_pretrained(made("gpt2")[1]).weights, strict=True):
        np.testing.assert_array_equal(numpy(ours), numpy(wanted))


def test_no_weights(made, tmp_path):
    path = edited(made("gpt2")[1], tmp_path)
    (path / "model.weights.h5").unlink()
    with pytest.raises(FileNotFoundError, match=r"no model\.weights\.h5"):
        keras_tx.load_pretrained(path)


# === To KerasHub ===


@pytest.mark.parametrize(
    ("cls", "fields", "message"),
    [
        (keras_tx.BERTModel, {"activation": "gelu"}, "BertBackbone computes with `activation='gelu_tanh'`; got 'gelu'"),
        (
            keras_tx.BERTModel,
            {"activation": "gelu_tanh", "attention_dropout": 0.0},
            "one `dropout` for several fields.*`attention_dropout=0.0`",
        ),
        (keras_tx.GPTModel, {"positions": "rotary", "d_model": 18}, "GPT2Backbone computes with `positions='learned'`"),
        (keras_tx.GPTModel, {"num_kv_heads": 1}, "`num_kv_heads=None`; got 1"),
        (keras_tx.GPTModel, {"scale_attention_by_layer": True}, "`scale_attention_by_layer=False`; got True"),
    ],
)
def test_what_keras_hub_cannot_compute(cls, fields, message):
    sizes = {"vocab_size": 61, "max_positions": 37, "num_layers": 1, "num_heads": 3, "d_model": 15, "d_ff": 29}
    with pytest.raises(ValueError, match=message):
        keras_tx.to_keras_hub(cls(**sizes | fields))


def test_no_such_backbone():
    with pytest.raises(ValueError, match=r"KerasHub has no backbone .* a BigramBackbone"):
        keras_tx.to_keras_hub(keras_tx.BigramModel(vocab_size=5))


def test_a_pooler_that_the_model_lacks(made):
    model = keras_tx.BERTForTokenClassification(keras_tx.load_pretrained(made("bert")[1]).config)
    with pytest.warns(UserWarning, match=r"BertBackbone: fresh, .*layers/dense/vars/0, layers/dense/vars/1"):
        keras_tx.to_keras_hub(model)


def test_dtype_and_lora(made, tmp_path, rng):
    model = keras_tx.load_pretrained(made("gpt2")[1], dtype="bfloat16")
    theirs = keras_tx.to_keras_hub(model)
    assert theirs.dtype_policy.name == "bfloat16"
    theirs.save_to_preset(tmp_path)  # whose weights are bfloat16
    back = keras_tx.load_pretrained(tmp_path)
    for found, wanted in zip(back.weights, model.weights, strict=True):
        np.testing.assert_array_equal(numpy(found), numpy(ops.cast(wanted, "float32")))
    model = keras_tx.load_pretrained(made("gpt2")[1])
    query = model.backbone.blocks[0].attention.query
    query.enable_lora(2)
    query.lora_kernel_b.assign(rng.normal(size=query.lora_kernel_b.shape))
    theirs = keras_tx.to_keras_hub(model)
    merged = numpy(query.kernel).reshape(15, 3, 5)
    np.testing.assert_allclose(numpy(theirs.transformer_layers[0]._self_attention_layer.query_dense.kernel), merged)


def test_without_keras_hub(made, monkeypatch):
    model = keras_tx.load_pretrained(made("gpt2")[1])
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "keras_tx\[keras-hub\]"'):
        keras_tx.to_keras_hub(model)
    with pytest.raises(ImportError, match=r'pip install "keras_tx\[keras-hub\]"'):
        keras_tx.load_pretrained("kaggle://keras/bert/keras/bert_base_en")
    with pytest.raises(FileNotFoundError, match=r'KerasHub.s presets: `pip install "keras_tx\[keras-hub\]"`'):
        keras_tx.load_pretrained("bert_base_en", local_files_only=True)
    silently(keras_tx.load_pretrained, made("gpt2")[1])  # a directory needs none of it


# === Handles ===


@pytest.mark.parametrize("handle", ["kaggle://keras/gpt2/keras/gpt2_base_en/1", "gpt2_base_en"])
def test_what_keras_hub_downloads(made, monkeypatch, handle):
    from keras_hub.src.utils import preset_utils

    path, asked = made("gpt2_causal_lm")[1], []

    def get_file(preset, name):
        asked.append((preset, name))
        if not (path / name).exists():
            raise FileNotFoundError(name)
        return str(path / name)

    monkeypatch.setattr(preset_utils, "get_file", get_file)
    model = keras_tx.load_pretrained(handle, local_files_only=True)
    assert isinstance(model, keras_tx.GPTModel)
    assert {preset for preset, _ in asked} == {handle}
    assert {name for _, name in asked} >= {"config.json", "task.json", "model.weights.h5"}
    assert "model.weights.json" not in {name for _, name in asked}


@pytest.mark.parametrize("source", ["hf://someone/tiny-gpt2", "someone/tiny-gpt2"])
def test_presets_on_the_hub(made, tmp_path, source):
    """They need no KerasHub: they are files as any other's."""
    put_into_cache(tmp_path, "someone/tiny-gpt2", made("gpt2_causal_lm")[1])
    model = keras_tx.load_pretrained(source, cache_dir=tmp_path, local_files_only=True)
    assert isinstance(model, keras_tx.GPTModel)


def test_no_such_handle():
    assert not preset.is_preset_name("no_such_preset") and preset.is_preset_name("bert_base_en")
    with pytest.raises(FileNotFoundError, match="no directory"):
        hub.locate("no_such_preset", local_files_only=True)
    with pytest.raises(ValueError, match="Kaggle"):
        keras_tx.load_pretrained("kaggle://nothing")
