"""The data of int8, in every form that users have them in."""

import keras
import numpy as np
import pytest

from keras_tx import BERTForMultipleChoice, BERTForSequenceClassification, BigramModel, VisionTransformer

if keras.backend.backend() != "tensorflow":
    pytest.skip("LiteRT is made on TensorFlow", allow_module_level=True)

import tensorflow as tf

from keras_tx.export.calibration import calibration_data
from keras_tx.export.sizes import Sizes
from keras_tx.export.tensors import tensor_signatures

IDS = np.arange(10).reshape(2, 5)
SIZES = {"vocab_size": 31, "num_layers": 1, "num_heads": 1, "d_model": 4, "d_ff": 4, "max_positions": 17}


def signature(model=None, **sizes):
    return tensor_signatures(model or BigramModel(vocab_size=31), sizes=Sizes(**sizes))["serving_default"]


@pytest.mark.parametrize(
    "data",
    [
        IDS,
        {"input_ids": IDS},
        {"input_ids": IDS, "attention_mask": np.ones_like(IDS), "labels": np.ones(2)},
        [{"input_ids": IDS[:1]}, {"input_ids": IDS[1:]}],
        [IDS[:1], IDS[1:]],
        [[IDS, np.ones_like(IDS)]],
        lambda: ([row[None]] for row in IDS),
        lambda: ({"input_ids": row[None].astype("int32")} for row in IDS),
        tf.data.Dataset.from_tensor_slices(({"input_ids": IDS}, [0, 1])).batch(1),
        [IDS.tolist()],
    ],
)
def test_forms(data):
    found = calibration_data(signature(), data)
    assert [set(inputs) for inputs in found] == [{"input_ids", "attention_mask"}] * 2
    for inputs, ids in zip(found, IDS, strict=True):
        assert inputs["input_ids"].dtype == inputs["attention_mask"].dtype == np.int32
        np.testing.assert_array_equal(inputs["input_ids"], ids[None])
        assert inputs["attention_mask"].all()


def test_texts_of_several_lengths_are_padded_under_the_mask():
    found = calibration_data(signature(), [IDS[:1, :2], IDS])
    assert {x.shape for inputs in found for x in inputs.values()} == {(1, 5)}
    np.testing.assert_array_equal(found[0]["attention_mask"], [[1, 1, 0, 0, 0]])
    np.testing.assert_array_equal(found[0]["input_ids"], [[0, 1, 0, 0, 0]])


def test_fixed_sizes_are_filled():
    found = calibration_data(signature(batch_size=3, length=7), IDS)
    (inputs,) = found
    np.testing.assert_array_equal(inputs["input_ids"][:, :5], IDS[[0, 1, 0]])
    assert inputs["attention_mask"].sum() == 15 and inputs["attention_mask"].shape == (3, 7)


def test_token_types_and_choices():
    one = calibration_data(signature(BERTForSequenceClassification(**SIZES)), IDS)
    assert not any(inputs["token_type_ids"].any() for inputs in one)
    several = calibration_data(signature(BERTForMultipleChoice(**SIZES)), [IDS[None], IDS[None, :1, :2]])
    assert {x.shape for inputs in several for x in inputs.values()} == {(1, 2, 5)}


def test_images():
    model = VisionTransformer(image_size=6, patch_size=3, num_layers=1, num_heads=1, d_model=4, d_ff=4)
    assert len(calibration_data(signature(model), np.zeros((3, 6, 6, 3)))) == 3
    with pytest.raises(ValueError, match=r"does not fit the model(?s:.*)`images` must be floating point"):
        calibration_data(signature(model), np.zeros((3, 6, 6, 3), "uint8"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "`representative_data` is empty"),
        (lambda: iter(()), "`representative_data` is empty"),
        ([{"attention_mask": IDS}], "must have 'input_ids', 'attention_mask'; 'input_ids' is missing"),
        (IDS[0], r"must have 'input_ids' of shape \(None, None\), as many rows as of other inputs; got \(5,\)"),
        ([[IDS, IDS[:1]]], r"must have 'attention_mask' of shape \(None, None\), as many rows"),
        (
            IDS + 30,
            r"`representative_data` does not fit the model(?s:.*)`ids` must lie in \[0, vocab_size\) = \[0, 31\)",
        ),
        (IDS / 2, "does not fit the model(?s:.*)`input_ids` must be integers; got 0.5"),
    ],
)
def test_what_does_not_fit_is_told(data, words):
    with pytest.raises(ValueError, match=words):
        calibration_data(signature(), data)
