"""The fine-tuning examples run to their metrics, half of them on each backend; and they read TFDS's sets."""

import re
import runpy
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import run_python

from keras_tx import BERTForMaskedLM, load_pretrained

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "name", "metric", "said"),
    [
        ("tensorflow", "text_classification", "accuracy", r"The film is not bad at all. (nega|posi)tive"),
        ("jax", "token_classification", "accuracy", ""),
        ("tensorflow", "question_answering", "f1", r"What did she become\? \w+"),
        ("jax", "multiple_choice", "accuracy", r": The .*, .* \(0\.\d\d\)"),
    ],
)
def test_example(backend, name, metric, said):
    if backend != keras.backend.backend():
        pytest.skip(f"runs on {backend}")
    text = run_python(str(EXAMPLES / f"bert_{name}.py"), "--epochs", "2")
    [value] = re.findall(rf"^(?:\w+ \S+, )*{metric} (\d\.\d\d\d)", text, re.MULTILINE)
    assert 0.2 < float(value) <= 1
    assert re.search(said, text)


@pytest.mark.slow
def test_pretrain(tmp_path):
    options = ("--steps", "60", "--labelled", "20", "--epochs", "1", "--seeds", "1", "--output", str(tmp_path / "run"))
    text = run_python(str(EXAMPLES / "pretrain_bert.py"), *options)
    found, usual = re.search(r"hidden tokens found: (\S+); always '\S+': (\S+)", text).groups()
    assert 0 < float(usual) < 0.2 and float(usual) <= float(found) < 1
    assert len(re.findall(r"seed \d, (?:pre-trained|fresh): F1 \d\.\d{3}", text)) == 2
    assert isinstance(load_pretrained(tmp_path / "run"), BERTForMaskedLM)
    assert (tmp_path / "run" / "accuracy.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def example(monkeypatch):
    """A function from an example's name to what it defines."""
    monkeypatch.syspath_prepend(EXAMPLES)
    return lambda name: runpy.run_path(str(EXAMPLES / f"bert_{name}.py"))


@pytest.mark.parametrize(
    ("name", "dataset", "classes"),
    [
        ("text_classification", "glue/sst2", 2),
        ("token_classification", "conll2003", 9),
        ("multiple_choice", "cosmos_qa", 4),
    ],
)
def test_tfds_sets_are_read(example, name, dataset, classes):
    """Made-up examples with the features that TFDS says these sets have."""
    import tensorflow_datasets as tfds

    module = example(name)
    with tfds.testing.mock_data(num_examples=3):
        read = module["from_tfds"](dataset)
    made = module["made_up"]()
    assert [len(examples) for examples, _ in read] == [len(labels) for _, labels in read] == [3, 3]
    assert shape_of(read[1][0][0]) == shape_of(made[1][0][0])
    labels = np.concatenate([np.ravel(label) for _, of_split in read for label in of_split])
    assert labels.dtype.kind == "i"
    assert 0 <= labels.min() <= labels.max() < classes


def test_entities_are_numbered_as_in_tfds(example):
    import tensorflow_datasets as tfds

    with tfds.testing.mock_data():
        features = tfds.builder("conll2003").info.features
    assert tuple(features["ner"].feature.names) == example("token_classification")["NAMES"]


def test_squad_is_read(example):
    import tensorflow as tf
    import tensorflow_datasets as tfds

    def two_answers(builder, **options):
        assert {"question", "context", "answers"} <= builder.info.features.keys()
        answers = {"text": ["Anna", "Anna Lee"], "answer_start": np.array([4, 4], "int32")}
        return tf.data.Dataset.from_tensors({"question": "Who?", "context": "Ask Anna Lee.", "answers": answers})

    with tfds.testing.mock_data(as_dataset_fn=two_answers):
        train, validation = example("question_answering")["from_tfds"]("squad")
    assert train == validation == ([("Who?", "Ask Anna Lee.")], [[("Anna", 4), ("Anna Lee", 4)]])


def shape_of(example):
    """The types in nested lists and tuples, of the first in each list."""
    if isinstance(example, list):
        return [shape_of(example[0])]
    return tuple(map(shape_of, example)) if isinstance(example, tuple) else type(example)
