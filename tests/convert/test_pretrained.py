"""`from_pretrained` and `save_pretrained`: all numbers arrive, each tensor is accounted for, nothing is half done."""

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import normal, numpy, randomize
from safetensors.numpy import load_file, save_file

import keras_tx.convert.tensors
from keras_tx.models import (
    BigramModel,
    GPTConfig,
    GPTForSequenceClassification,
    GPTForTokenClassification,
    GPTModel,
    load_pretrained,
)
from keras_tx.models.core.registry import MODELS
from keras_tx.version import __version__

TINY = GPTConfig(vocab_size=61, max_positions=37, num_layers=2, num_heads=3, d_model=15, eos_token_id=7)
GPT2 = {"n_embd": 15, "n_layer": 2, "n_head": 3, "n_positions": 37, "vocab_size": 61, "model_type": "gpt2"}


@pytest.fixture
def model(rng) -> GPTModel:
    return randomize(GPTModel(TINY), rng)


@pytest.fixture
def directory(model, tmp_path) -> Path:
    model.save_pretrained(tmp_path / "gpt2", format="huggingface")
    return tmp_path / "gpt2"


def equal(a: keras.Model, b: keras.Model) -> bool:
    pairs = [(numpy(x), numpy(y)) for x, y in zip(a.weights, b.weights, strict=True)]
    return all(np.array_equal(x, y) for x, y in pairs)


def change(directory: Path, **tensors: np.ndarray | None) -> None:
    """Replaces tensors of a checkpoint, or takes them out; `__` stands for the dot."""
    file = directory / "model.safetensors"
    arrays = load_file(file) | {name.replace("__", "."): array for name, array in tensors.items()}
    save_file({name: array for name, array in arrays.items() if array is not None}, file)


def configure(directory: Path, **entries) -> None:
    config = json.loads((directory / "config.json").read_text()) | entries
    (directory / "config.json").write_text(json.dumps(config))


# === There and back ===

CASES = [
    (entry.cls, config, format)
    for entry in MODELS.values()
    for config in entry.tiny
    for format in ("keras_tx", *entry.cls.formats)
    if format == "keras_tx" or not all(family.read_only for family in entry.cls.formats[format])
]


@pytest.mark.parametrize(("cls", "config", "format"), CASES, ids=lambda x: getattr(x, "__name__", None))
def test_every_model_there_and_back(tmp_path, rng, cls, config, format):
    model = randomize(cls(config), rng)
    if format != "keras_tx":
        families = cls.formats[format]
        if all(family.differences(config.to_dict()) or cls.__name__ not in family.heads for family in families):
            with pytest.raises(ValueError, match="keras_tx"):
                model.save_pretrained(tmp_path / "x", format=format)
            assert not (tmp_path / "x").exists()
            return
    model.save_pretrained(tmp_path / "x", format=format, max_shard_size="2KB")
    assert (tmp_path / "x" / "model.safetensors.index.json").exists() == (len(model.weights) > 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copy = cls.from_pretrained(tmp_path / "x")
    assert equal(copy, model)
    if format == "keras_tx":
        assert copy.config == config


def test_the_config_survives(directory, model):
    assert GPTModel.from_pretrained(directory).config == model.config.replace(scale_residual_init=True)


def test_labels_survive(tmp_path):
    config = TINY.replace(num_labels=3, label_names=("no", "perhaps", "yes"), problem_type="regression")
    GPTForSequenceClassification(config).save_pretrained(tmp_path, format="huggingface")
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["id2label"] == {"0": "no", "1": "perhaps", "2": "yes"}
    assert written["label2id"]["yes"] == 2
    loaded = GPTForSequenceClassification.from_pretrained(tmp_path)
    assert loaded.config.label_names == ("no", "perhaps", "yes") and loaded.config.problem_type == "regression"


def test_names_and_shapes_on_disk(directory):
    found = {name: array.shape for name, array in load_file(directory / "model.safetensors").items()}
    assert found["transformer.h.1.attn.c_attn.weight"] == (15, 45)
    assert found["transformer.wte.weight"] == (61, 15)
    assert "lm_head.weight" not in found and len(found) == 2 + 2 * 12 + 2
    config = json.loads((directory / "config.json").read_text())
    assert config["architectures"] == ["GPT2LMHeadModel"]
    assert {key: config[key] for key in GPT2} == GPT2


def test_dtype_and_name(directory, model):
    loaded = GPTModel.from_pretrained(directory, dtype="bfloat16", name="other")
    assert loaded.name == "other" and {w.dtype for w in loaded.weights} == {"bfloat16"}
    np.testing.assert_allclose(numpy(loaded.weights[0]).astype("float32"), numpy(model.weights[0]), rtol=1e-2)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_checkpoints_of_other_precision(directory, model, dtype):
    file = directory / "model.safetensors"
    save_file({name: array.astype(dtype) for name, array in load_file(file).items()}, file)
    loaded = GPTModel.from_pretrained(directory)
    assert {w.dtype for w in loaded.weights} == {"float32"}
    np.testing.assert_allclose(numpy(loaded.weights[2]), numpy(model.weights[2]), rtol=1e-2, atol=1e-3)


def test_large_tables_come_a_few_rows_at_a_time(directory, model, monkeypatch):
    monkeypatch.setattr(keras_tx.convert.tensors, "CHUNK_BYTES", 4 * 15 * 7)
    assert equal(GPTModel.from_pretrained(directory), model)


def test_other_files_stay_and_old_weights_go(directory, model):
    (directory / "vocab.json").write_text("{}")
    model.save_pretrained(directory, format="huggingface", max_shard_size="9KB")
    names = {path.name for path in directory.iterdir()}
    assert {"vocab.json", "model.safetensors.index.json"} <= names and "model.safetensors" not in names
    model.save_pretrained(directory)
    names = {path.name for path in directory.iterdir()}
    assert names == {"vocab.json", "config.json", "generation_config.json", "model.safetensors", "SHA256SUMS"}
    assert equal(GPTModel.from_pretrained(directory), model)


def test_progress(directory, model):
    calls = []
    GPTModel.from_pretrained(directory, progress=lambda done, of: calls.append((done, of)))
    assert calls == [(i + 1, 28) for i in range(28)]
    calls.clear()
    model.save_pretrained(directory, progress=lambda done, of: calls.append((done, of)))
    assert calls == [(i + 1, 36) for i in range(36)]


# === Accounting ===


def test_missing_left_over_and_wrong_are_listed_by_name(directory):
    change(
        directory,
        transformer__h__0__ln_1__weight=None,
        transformer__h__1__mlp__c_fc__weight=np.ones((15, 61), "float32"),
        transformer__wpe__weight=np.ones((37, 15), "int32"),
        transformer__h__2__ln_1__weight=np.ones((15,), "float32"),
    )
    with pytest.raises(ValueError, match="does not fit GPTModel") as caught:
        GPTModel.from_pretrained(directory)
    assert str(caught.value).splitlines()[1:] == [
        "missing: transformer.h.0.ln_1.weight",
        "wrong: transformer.wpe.weight is int32; weights are floating point",
        "wrong: transformer.h.1.mlp.c_fc.weight has shape (15, 61); the config asks for (15, 60)",
        "left over: transformer.h.2.ln_1.weight",
    ]


def test_layers_alike_share_a_line(directory):
    configure(directory, n_layer=4, n_inner=31)
    with pytest.raises(ValueError) as caught:
        GPTModel.from_pretrained(directory)
    lines = str(caught.value).splitlines()[1:]
    assert "missing: transformer.h.{2..3}.mlp.c_fc.weight" in lines
    assert "wrong: transformer.h.{0..1}.mlp.c_fc.bias has shape (60,); the config asks for (31,)" in lines
    assert len(lines) == 12 + 3


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite(directory, value):
    change(directory, transformer__ln_f__bias=np.full((15,), value, "float32"))
    with pytest.raises(ValueError, match=r"transformer\.ln_f\.bias .* not finite"):
        GPTModel.from_pretrained(directory)


def test_a_backbone_saved_by_itself(directory, model):
    file = directory / "model.safetensors"
    save_file({name.removeprefix("transformer."): array for name, array in load_file(file).items()}, file)
    assert equal(GPTModel.from_pretrained(directory), model)


def test_buffers_are_no_weights(directory, model):
    change(directory, transformer__h__0__attn__bias=np.tril(np.ones((1, 1, 37, 37), "uint8")))
    assert equal(GPTModel.from_pretrained(directory), model)


def test_a_tied_table_under_either_name(directory, model):
    table = load_file(directory / "model.safetensors")["transformer.wte.weight"]
    change(directory, lm_head__weight=table)
    assert equal(GPTModel.from_pretrained(directory), model)
    change(directory, transformer__wte__weight=None)
    assert equal(GPTModel.from_pretrained(directory), model)


def test_a_tied_table_with_two_values(directory, rng):
    other = normal(rng, 61, 15)
    change(directory, lm_head__weight=other)
    with pytest.raises(ValueError, match="tie_embeddings=False"):
        GPTModel.from_pretrained(directory)
    untied = GPTModel.from_pretrained(directory, tie_embeddings=False)
    np.testing.assert_array_equal(numpy(untied.head.output_projection.kernel), other.T)


@pytest.mark.parametrize("format", ["keras_tx", "huggingface"])
def test_a_head_that_is_lacking_is_fresh_and_one_too_much_is_left_out(tmp_path, model, format):
    model.save_pretrained(tmp_path / "lm", format=format)
    with pytest.warns(
        UserWarning, match="fresh, for the checkpoint lacks them: (classifier.weight|head/classifier/kernel)"
    ):
        tagger = GPTForTokenClassification.from_pretrained(tmp_path / "lm", num_labels=5)
    assert tagger.head.classifier.kernel.shape == (15, 5)
    np.testing.assert_array_equal(numpy(tagger.backbone.final_norm.gamma), numpy(model.backbone.final_norm.gamma))
    tagger.save_pretrained(tmp_path / "tagger", format=format)
    with pytest.warns(UserWarning, match=r"left out, for they belong to another head: classifier.bias|classifier/bias"):
        assert equal(GPTModel.from_pretrained(tmp_path / "tagger"), model)
    with pytest.warns(UserWarning, match="fresh"):
        other = GPTForTokenClassification.from_pretrained(tmp_path / "tagger", num_labels=7)
    assert other.head.classifier.kernel.shape == (15, 7)
    same = GPTForTokenClassification.from_pretrained(tmp_path / "tagger", num_labels=5, classifier_dropout=0.5)
    assert equal(same, tagger)


# === Errors ===


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"model_type": "mamba"}, "`model_type` is 'mamba'; GPTModel can be read from 'gpt2', 'openai-gpt', 'llama'"),
        ({"model_type": None, "architectures": None}, "`model_type` is None"),
        (
            {"model_type": None, "architectures": ["MambaModel"]},
            r"no `model_type`, and `architectures` \['MambaModel'\]",
        ),
        ({"add_cross_attention": True}, "add_cross_attention=True; only False is supported"),
        ({"activation_function": "zelu"}, "zelu"),
        ({"n_head": 4}, "`d_model` must be a multiple of `num_heads`"),
        ({"n_layer": 3}, "missing: transformer.h.2.ln_1.weight"),
        ({"n_layer": 1}, "left over: transformer.h.1.attn.c_attn.bias"),
        ({"vocab_size": 10**12}, "the config asks for \\(1000000000000, 15\\)"),
        ({"n_embd": "wide"}, "d_model"),
    ],
)
def test_configs_that_cannot_be(directory, entries, message):
    configure(directory, **entries)
    with pytest.raises(ValueError, match=message):
        GPTModel.from_pretrained(directory)


@pytest.mark.parametrize("cls", [GPTModel, GPTForTokenClassification])
def test_a_config_that_names_a_class_alone(tmp_path, rng, cls):
    made = randomize(cls(TINY), rng)
    made.save_pretrained(tmp_path, format="huggingface")
    config = json.loads((tmp_path / "config.json").read_text())
    del config["model_type"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert type(load_pretrained(tmp_path)) is cls
    assert equal(cls.from_pretrained(tmp_path), made)


def test_null_where_a_number_is_wanted(directory):
    configure(directory, classifier_dropout=None, resid_pdrop=None)
    config = GPTModel.from_pretrained(directory).config
    assert config.classifier_dropout == config.residual_dropout == 0.1


def test_our_format_without_a_config(tmp_path, model):
    model.save_pretrained(tmp_path)
    (tmp_path / "SHA256SUMS").unlink()
    (tmp_path / "config.json").write_text('{"keras_tx": "0.1.0", "class": "GPTModel", "config_class": "GPTConfig"}')
    with pytest.raises(ValueError, match='must hold a "config"'):
        GPTModel.from_pretrained(tmp_path)


def test_overrides(directory):
    assert GPTModel.from_pretrained(directory, attention_dropout=0.5).config.attention_dropout == 0.5
    with pytest.raises(ValueError, match="has no field `dropuot`"):
        GPTModel.from_pretrained(directory, dropuot=0.5)
    with pytest.raises(ValueError, match="must not change what a model is made of"):
        GPTModel.from_pretrained(directory, use_bias=False)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("99.0", f"written by keras_tx 99.0, this is {__version__}: upgrade"),
        ("1000.0.0rc1", "written by keras_tx 1000.0.0rc1"),
        ("new", "'new', which is no version"),
        (None, "None, which is no version"),
        (["0", "1"], "which is no version"),
        (0.1, "0.1, which is no version"),
    ],
)
def test_our_format_of_another_version(tmp_path, model, version, message):
    """What a newer version wrote may have fields that this one cannot know."""
    model.save_pretrained(tmp_path)
    (tmp_path / "SHA256SUMS").unlink()
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"keras_tx": version, "config": config["config"] | {"new_field": 1}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    for load in (GPTModel.from_pretrained, load_pretrained):
        with pytest.raises(ValueError, match=message):
            load(tmp_path)


def test_a_later_patch_of_this_version(tmp_path, model):
    model.save_pretrained(tmp_path)
    (tmp_path / "SHA256SUMS").unlink()
    configure(tmp_path, keras_tx=".".join([*__version__.split(".")[:2], "99"]))
    assert equal(load_pretrained(tmp_path), model)


def test_another_familys_checkpoint_in_our_format(tmp_path, model):
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="holds a GPTModel: it cannot be loaded as BigramModel"):
        BigramModel.from_pretrained(tmp_path)


def test_our_format_finds_a_changed_byte(tmp_path, model):
    model.save_pretrained(tmp_path)
    content = bytearray((tmp_path / "model.safetensors").read_bytes())
    content[-3] ^= 1
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.safetensors is not as it was saved"):
        GPTModel.from_pretrained(tmp_path)


def test_unknown_format_and_size(tmp_path, model):
    with pytest.raises(ValueError, match="`format` of a GPTModel must be one of 'keras_tx', 'huggingface'; got 'timm'"):
        model.save_pretrained(tmp_path / "x", format="timm")
    with pytest.raises(ValueError, match="`max_shard_size`"):
        model.save_pretrained(tmp_path / "x", max_shard_size="big")
    assert not (tmp_path / "x").exists()


def test_an_interrupted_save_leaves_what_was_there(directory, model, rng, monkeypatch):
    before = shutil.copytree(directory, directory.with_name("before"))
    other = randomize(GPTModel(TINY), rng)

    def stop(done, of):
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        other.save_pretrained(directory, format="huggingface", progress=stop)
    assert {p.name: p.read_bytes() for p in directory.iterdir()} == {p.name: p.read_bytes() for p in before.iterdir()}


# === Memory ===

PEAK = """
import resource, sys
import keras, numpy as np
from keras_tx import GPTModel
GPTModel(vocab_size=61, max_positions=37, num_layers=1, num_heads=3, d_model=15)  # whatever the first model costs
if sys.argv[1] == "load":
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model = GPTModel.from_pretrained(sys.argv[2])
else:
    model = GPTModel(vocab_size=50257, max_positions=128, num_layers=4, num_heads=12)
    model.save_pretrained(sys.argv[2], format="huggingface")
    sys.exit()
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * 1024 / (4 * model.count_params()))
"""


@pytest.mark.slow
def test_loading_takes_little_more_memory_than_the_model(tmp_path):
    for what in ("save", "load"):
        done = subprocess.run(
            [sys.executable, "-c", PEAK, what, str(tmp_path / "big")], capture_output=True, text=True, check=True
        )
    assert float(done.stdout.split()[-1]) < 1.2
