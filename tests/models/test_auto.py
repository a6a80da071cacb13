"""`load_pretrained`: each checkpoint becomes a model of its own class."""

import json
import warnings

import numpy as np
import pytest
from contract import CLASSES
from helpers import numpy, randomize, tiny_for

from keras_tx.models import GPTConfig, GPTForSequenceClassification, GPTModel, load_pretrained
from keras_tx.models.core.registry import MODELS

pytestmark = pytest.mark.any_backend

TINY = GPTConfig(vocab_size=61, max_positions=37, num_layers=1, num_heads=3, d_model=15, num_labels=5)


def configure(directory, **entries) -> None:
    config = json.loads((directory / "config.json").read_text()) | entries
    (directory / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("format", [pytest.param("keras_tx", marks=pytest.mark.slow), "huggingface"])
@pytest.mark.parametrize("name", CLASSES)
def test_the_class_that_was_saved(tmp_path, name, format):
    if not MODELS[name].cls.formats:
        pytest.skip(f"{name} is kept in our own format alone")
    model = MODELS[name].cls(tiny_for(MODELS[name], format))
    model.save_pretrained(tmp_path, format=format)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        copy = load_pretrained(tmp_path)
    assert type(copy) is type(model)
    for a, b in zip(copy.weights, model.weights, strict=True):
        np.testing.assert_array_equal(numpy(a), numpy(b))


def test_options(tmp_path):
    GPTForSequenceClassification(TINY).save_pretrained(tmp_path, format="huggingface")
    seen = []
    with pytest.warns(UserWarning, match="fresh.*score.weight") as caught:
        model = load_pretrained(
            tmp_path, num_labels=3, name="mine", dtype="bfloat16", progress=lambda *done: seen.append(done)
        )
    assert caught[0].filename == __file__
    assert (model.name, model.dtype, model.config.num_labels) == ("mine", "bfloat16", 3)
    assert seen[-1] == (len(seen), len(seen))


def test_a_backbone_becomes_a_language_model(tmp_path, rng):
    model = randomize(GPTModel(TINY), rng)
    model.save_pretrained(tmp_path, format="huggingface")
    configure(tmp_path, architectures=["GPT2Model"])
    ids = np.array([[3, 5, 7]])
    np.testing.assert_array_equal(numpy(load_pretrained(tmp_path)(ids)["logits"]), numpy(model(ids)["logits"]))


@pytest.mark.parametrize(
    ("format", "entries", "message"),
    [
        ("huggingface", {"model_type": "mamba"}, "`model_type` is 'mamba'; known are .*'gpt2', .*'openai-gpt'"),
        ("huggingface", {"model_type": None, "architectures": None}, "`model_type` is None; known are"),
        ("keras_tx", {"class": "Mine"}, "holds a Mine; known are .*GPTModel"),
    ],
)
def test_no_class_fits(tmp_path, format, entries, message):
    GPTModel(TINY).save_pretrained(tmp_path, format=format)
    (tmp_path / "SHA256SUMS").unlink(missing_ok=True)
    configure(tmp_path, **entries)
    with pytest.raises(ValueError, match=message):
        load_pretrained(tmp_path)
