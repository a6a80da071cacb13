"""KerasHub's presets: made by its own `save_to_preset` of tiny models with random weights, and read here."""

import dataclasses
import json
import warnings
from pathlib import Path

import keras_hub
import numpy as np
import pytest
from helpers import numpy, randomize
from hub_helpers import put_into_cache
from keras import ops
from keras_hub.src.utils.keras_utils import gelu_approximate

import keras_tx
from keras_tx import extras
from keras_tx.convert import hub
from keras_tx.hub import is_preset_name

MASKS = r"Layer '(attn|self_attention|cross_attention)' .* was passed an input with a mask attached to it"
"""What KerasHub's own layers warn of when they are made."""

pytestmark = pytest.mark.filterwarnings(f"ignore:{MASKS}:UserWarning")

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


def t5(**options):
    sizes = {name: TEXT[name] for name in ("vocabulary_size", "num_layers", "intermediate_dim", "dropout")}
    options = {"use_gated_activation": False, **options}
    return keras_hub.models.T5Backbone(**sizes, num_heads=5, hidden_dim=10, **options)


def t5_v1_1():
    return t5(key_value_dim=3, activation=gelu_approximate, use_gated_activation=True, tie_embedding_weights=False)


def vit(**options):
    sizes = {"num_layers": 2, "num_heads": 3, "hidden_dim": 15, "mlp_dim": 29, "dropout_rate": 0.1}
    return keras_hub.models.ViTBackbone(image_shape=(9, 14, 2), patch_size=(3, 2), **sizes, **options)


def vit_classifier(**options):
    return keras_hub.models.ViTImageClassifier(vit(), num_classes=5, **options)


def swin(**options):
    return keras_hub.models.SwinTransformerBackbone(
        **{"image_shape": (24, 24, 2), "embed_dim": 6, "window_size": 3, "patch_size": 2, **options},
        depths=(2, 1),
        num_heads=(1, 3),
    )


MAKE = {
    "bert": bert,
    "bert_masked_lm": lambda: keras_hub.models.BertMaskedLM(bert()),
    "bert_classifier": lambda: keras_hub.models.BertTextClassifier(bert(), num_classes=4, dropout=0.3),
    "gpt2": gpt2,
    "gpt2_causal_lm": lambda: keras_hub.models.GPT2CausalLM(gpt2()),
    "t5": t5,
    "t5_seq2seq": lambda: keras_hub.models.T5Seq2SeqLM(t5(activation="gelu")),
    "t5_v1_1": t5_v1_1,
    "t5_v1_1_seq2seq": lambda: keras_hub.models.T5Seq2SeqLM(t5_v1_1()),
    "vit": vit,
    "vit_without_token": lambda: vit(use_class_token=False),
    "vit_classifier": vit_classifier,
    "vit_classifier_mean": lambda: vit_classifier(pooling="gap", intermediate_dim=7, dropout=0.2),
    "swin": swin,
    "swin_oblong": lambda: swin(image_shape=(12, 24, 2), qkv_bias=False, patch_norm=False),
    "swin_classifier": lambda: keras_hub.models.SwinTransformerImageClassifier(swin(), num_classes=5),
}
CLASSES = {
    "bert": keras_tx.BERTModel,
    "bert_masked_lm": keras_tx.BERTForMaskedLM,
    "bert_classifier": keras_tx.BERTForSequenceClassification,
    "gpt2": keras_tx.GPTModel,
    "gpt2_causal_lm": keras_tx.GPTModel,
    **dict.fromkeys((name for name in MAKE if name.startswith("t5")), keras_tx.T5Model),
    **dict.fromkeys((name for name in MAKE if name.startswith("vit")), keras_tx.VisionTransformer),
    **dict.fromkeys((name for name in MAKE if name.startswith("swin")), keras_tx.SwinTransformer),
}
QUICK = (
    "bert",
    "bert_masked_lm",
    "bert_classifier",
    "gpt2_causal_lm",
    "t5_v1_1_seq2seq",
    "vit_classifier",
    "swin_classifier",
)
NAMES = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in MAKE]

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
        warnings.filterwarnings("ignore", MASKS)
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
    if name.startswith(("vit", "swin")):
        return image_outputs(model, ours, rng)
    if name.startswith("t5"):
        return seq2seq_outputs(model, ours, rng)
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


def seq2seq_outputs(model, ours, rng) -> list[tuple[np.ndarray, np.ndarray]]:
    (ids, other_ids), mask = rng.integers(1, 61, (2, B, 40)), np.arange(40) < np.array([[40], [5]])
    theirs = model(
        {
            "encoder_token_ids": ids,
            "encoder_padding_mask": mask.astype("int32"),
            "decoder_token_ids": other_ids,
            "decoder_padding_mask": np.ones_like(other_ids),
        }
    )
    inputs = {"input_ids": ids, "attention_mask": mask.astype("int32"), "decoder_input_ids": other_ids}
    if not isinstance(theirs, dict):
        return [(numpy(theirs), numpy(ours(inputs)["logits"]))]
    found = ours.backbone(inputs)
    return [
        (numpy(theirs["encoder_sequence_output"])[mask], numpy(found["encoder_last_hidden_state"])[mask]),
        (numpy(theirs["decoder_sequence_output"]), numpy(found["last_hidden_state"])),
    ]


def image_outputs(model, ours, rng) -> list[tuple[np.ndarray, np.ndarray]]:
    images = rng.normal(size=(B, *model.input_shape[1:])).astype("float32")
    theirs = numpy(model(images))
    if theirs.ndim == 2:
        return [(theirs, numpy(ours(images)))]
    return [(theirs, numpy(ours.backbone(images)["last_hidden_state"]).reshape(theirs.shape))]


@pytest.mark.parametrize("name", NAMES)
def test_equal_numbers(made, rng, name):
    model, path = made(name)
    ours = silently(keras_tx.load_pretrained, path)
    assert type(ours) is CLASSES[name]
    for theirs, found in outputs(name, model, ours, rng):
        np.testing.assert_allclose(found, theirs, atol=5e-5)


def arguments(model) -> dict:
    """A model's, as JSON has them, with what None stands for."""
    config = {**model.get_config(), "name": None, "dtype": None}
    if "key_value_dim" in config:
        config["key_value_dim"] = config["key_value_dim"] or config["hidden_dim"] // config["num_heads"]
    return json.loads(json.dumps(config))


@pytest.mark.parametrize("name", NAMES)
def test_back_again(made, name):
    model, path = made(name)
    model = getattr(model, "backbone", model)
    ours = silently(keras_tx.load_pretrained, path)
    if name == "bert_masked_lm":  # which has no pooler
        with pytest.warns(
            UserWarning, match=r"fresh, for the model lacks them: layers/dense/vars/0, layers/dense/vars/1"
        ):
            assert type(keras_tx.to_keras_hub(ours)) is type(model)
        return
    back = silently(keras_tx.to_keras_hub, ours)
    assert type(back) is type(model)
    assert arguments(back) == arguments(model)
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


def test_an_encoder_alone(made, rng):
    path = made("t5_v1_1_seq2seq")[1]
    with pytest.warns(UserWarning, match=r"left out.*layers/t5_transformer_layer_2/cross_attention"):
        encoder = keras_tx.T5EncoderModel.from_pretrained(path)
    ids = rng.integers(1, 61, (B, T))
    whole = keras_tx.load_pretrained(path).backbone({"input_ids": ids, "decoder_input_ids": ids})
    found = numpy(encoder(ids)["last_hidden_state"])
    np.testing.assert_allclose(found, numpy(whole["encoder_last_hidden_state"]), atol=1e-5)


def test_another_image_size(made, rng):
    model = keras_tx.load_pretrained(made("vit_classifier")[1], image_size=(12, 14))
    assert model(rng.normal(size=(B, 12, 14, 2))).shape == (B, 5)


def test_maps_that_are_no_whole_windows(made, tmp_path):
    with pytest.raises(ValueError, match="whole windows of `window_size` = 5"):
        keras_tx.load_pretrained(edited(made("swin_classifier")[1], tmp_path, window_size=5))


@pytest.mark.parametrize(
    ("name", "entry", "message"),
    [
        ("vit_classifier", {"use_mha_bias": False}, "use_mha_bias=False; only True"),
        ("swin_classifier", {"dropout_rate": 0.1}, "dropout_rate=0.1; only 0.0"),
        ("t5_v1_1_seq2seq", {"activation": "mish"}, "activation='mish'; known are 'relu'"),
    ],
)
def test_what_ours_does_not_have(made, tmp_path, name, entry, message):
    with pytest.raises(ValueError, match=message):
        keras_tx.load_pretrained(edited(made(name)[1], tmp_path, **entry))


def test_missing_and_left_over(made, tmp_path):
    import h5py

    path = edited(made("gpt2_causal_lm")[1], tmp_path)
    with h5py.File(path / "model.weights.h5", "r+") as file:
        del file["layers/transformer_decoder_1/_feedforward_layer_norm/vars/0"]
        file["layers/surprise/vars/0"] = np.zeros(3, "float32")
    with pytest.raises(ValueError) as error:
        keras_tx.load_pretrained(path)
    assert "missing: layers/transformer_decoder_1/_feedforward_layer_norm/vars/0" in str(error.value)
    assert "left over: layers/surprise/vars/0" in str(error.value)


def test_shards(made, tmp_path):
    model, path = made("gpt2_causal_lm")
    path = edited(path, tmp_path)
    (path / "model.weights.h5").unlink()
    model.backbone.save_weights(path / "model.weights.json", max_shard_size=1e-5)
    assert len(list(path.glob("model_*.weights.h5"))) > 1
    found = keras_tx.load_pretrained(path)
    for ours, wanted in zip(found.weights, keras_tx.load_pretrained(made("gpt2_causal_lm")[1]).weights, strict=True):
        np.testing.assert_array_equal(numpy(ours), numpy(wanted))


def test_no_weights(made, tmp_path):
    path = edited(made("gpt2_causal_lm")[1], tmp_path)
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
        (keras_tx.T5Model, {"num_buckets": 7}, "T5Backbone computes with `num_buckets=32`; got 7"),
        (keras_tx.T5Model, {"num_decoder_layers": 2}, "`num_decoder_layers=None`; got 2"),
        (keras_tx.T5Model, {"activation": "quick_gelu"}, "must be one of 'relu', .*; got 'quick_gelu'"),
        (keras_tx.T5EncoderModel, {}, "no backbone that is known to compute what a T5EncoderModel does"),
        (keras_tx.ViTBackbone, {"register_tokens": 2}, "ViTBackbone computes with `register_tokens=0`; got 2"),
        (keras_tx.ViTBackbone, {"drop_path": 0.1}, "ViTBackbone computes with `drop_path=0.0`; got 0.1"),
        (keras_tx.ViTBackbone, {"dropout": 0.1}, "one `dropout_rate` for several fields"),
        (keras_tx.SwinBackbone, {"norm_position": "post"}, "`norm_position='pre'`; got 'post'"),
        (keras_tx.SwinBackbone, {"window_size": 4}, "must be whole windows of `window_size` = 4.* stage 1 is 6 x 6"),
        (keras_tx.SwinBackbone, {"window_size": (3, 6)}, "has one `window_size` for all stages"),
        (keras_tx.GPTModel, {"scale_attention_by_layer": True}, "`scale_attention_by_layer=False`; got True"),
    ],
)
def test_what_keras_hub_cannot_compute(cls, fields, message):
    sizes = {"vocab_size": 61, "max_positions": 37, "num_layers": 1, "num_heads": 3, "d_model": 15, "d_ff": 29}
    if cls is keras_tx.SwinBackbone:
        sizes = {"image_size": 24, "patch_size": 2, "embed_dim": 6, "depths": (2, 2), "num_heads": (1, 3)}
        sizes |= {"window_size": 3, "window_fit": "shorter_side"}
    elif cls is keras_tx.ViTBackbone:
        sizes = {**sizes, "image_size": 6, "patch_size": 3}
    known = {field.name for field in dataclasses.fields(cls.config_class)}
    sizes = {name: size for name, size in sizes.items() if name in known}
    with pytest.raises(ValueError, match=message):
        keras_tx.to_keras_hub(cls(**sizes | fields))


def test_no_such_backbone():
    with pytest.raises(ValueError, match=r"KerasHub has no backbone .* a BigramBackbone"):
        keras_tx.to_keras_hub(keras_tx.BigramModel(vocab_size=5))


def test_dtype_and_lora(made, tmp_path, rng):
    model = keras_tx.load_pretrained(made("gpt2_causal_lm")[1], dtype="bfloat16")
    theirs = keras_tx.to_keras_hub(model)
    assert theirs.dtype_policy.name == "bfloat16"
    theirs.save_to_preset(tmp_path)  # whose weights are bfloat16
    back = keras_tx.load_pretrained(tmp_path)
    for found, wanted in zip(back.weights, model.weights, strict=True):
        np.testing.assert_array_equal(numpy(found), numpy(ops.cast(wanted, "float32")))
    model = keras_tx.load_pretrained(made("gpt2_causal_lm")[1])
    query = model.backbone.blocks[0].attention.query
    query.enable_lora(2)
    query.lora_kernel_b.assign(rng.normal(size=query.lora_kernel_b.shape))
    theirs = keras_tx.to_keras_hub(model)
    merged = numpy(query.kernel).reshape(15, 3, 5)
    np.testing.assert_allclose(numpy(theirs.transformer_layers[0]._self_attention_layer.query_dense.kernel), merged)


def test_without_keras_hub(made, monkeypatch):
    model = keras_tx.load_pretrained(made("gpt2_causal_lm")[1])
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "keras_tx\[keras-hub\]"'):
        keras_tx.to_keras_hub(model)
    with pytest.raises(ImportError, match=r'pip install "keras_tx\[keras-hub\]"'):
        keras_tx.load_pretrained("kaggle://keras/bert/keras/bert_base_en")
    with pytest.raises(FileNotFoundError, match=r'KerasHub.s presets: `pip install "keras_tx\[keras-hub\]"`'):
        keras_tx.load_pretrained("bert_base_en", local_files_only=True)
    silently(keras_tx.load_pretrained, made("gpt2_causal_lm")[1])  # a directory needs none of it


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
    assert not is_preset_name("no_such_preset") and is_preset_name("bert_base_en")
    with pytest.raises(FileNotFoundError, match="no directory"):
        hub.locate("no_such_preset", local_files_only=True)
    with pytest.raises(ValueError, match="Kaggle"):
        keras_tx.load_pretrained("kaggle://nothing")
