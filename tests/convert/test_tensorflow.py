"""Weights of Transformers' TensorFlow classes, under every naming that these write.

`golden/make_h5_namings.py` made the files, and what the classes computed.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from h5_helpers import check_every_naming, load_whole, namings, unpacked
from helpers import numpy

from keras_tx.convert.tensorflow import KnownNames, to_torch
from keras_tx.convert.tensors import Tensor
from keras_tx.models import BERTModel, load_pretrained

GOLDEN = Path(__file__).parents[1] / "golden" / "h5_namings"
CLASSES = {
    "BertModel": "BERTModel",
    "BertForPreTraining": "BERTForPreTraining",
    "BertForMaskedLM": "BERTForMaskedLM",
    "BertForNextSentencePrediction": "BERTForNextSentencePrediction",
    "BertForSequenceClassification": "BERTForSequenceClassification",
    "BertForTokenClassification": "BERTForTokenClassification",
    "BertForQuestionAnswering": "BERTForQuestionAnswering",
    "BertForMultipleChoice": "BERTForMultipleChoice",
    "GPT2LMHeadModel": "GPTModel",
    "GPT2ForSequenceClassification": "GPTForSequenceClassification",
    "GPT2DoubleHeadsModel": "GPTDoubleHeadsModel",
    "OpenAIGPTLMHeadModel": "GPTModel",
    "OpenAIGPTForSequenceClassification": "GPTForSequenceClassification",
    "OpenAIGPTDoubleHeadsModel": "GPTDoubleHeadsModel",
    "T5ForConditionalGeneration": "T5Model",
    "T5ForConditionalGeneration-untied": "T5Model",
    "T5EncoderModel": "T5EncoderModel",
    "ViTModel": "VisionTransformer",
    "ViTForImageClassification": "VisionTransformer",
    "ViTMAEForPreTraining": "ViTMAEForPreTraining",
    "DeiTModel": "VisionTransformer",
    "DeiTForImageClassification": "VisionTransformer",
    "DeiTForImageClassificationWithTeacher": "VisionTransformer",
    "SwinModel": "SwinTransformer",
    "SwinForImageClassification": "SwinTransformer",
    "SwinForMaskedImageModeling": "SwinForMaskedImageModeling",
}


def test_every_class_is_tested():
    assert set(CLASSES) == {path.name for path in GOLDEN.iterdir()}
    assert all(namings(GOLDEN / case) >= {"scoped", "built", "tensorflow"} for case in CLASSES)


@pytest.mark.parametrize("case", CLASSES)
def test_every_naming_gives_the_same_model(case, tmp_path):
    check_every_naming(GOLDEN / case, CLASSES[case], tmp_path)


@pytest.mark.parametrize("case", [case for case in CLASSES if (GOLDEN / case / "resized.json").exists()])
def test_a_vocabulary_that_was_resized(case, tmp_path):
    """Transformers then writes the new table twice, once of the model itself."""
    model = load_whole(unpacked(GOLDEN / case, "resized", tmp_path / "resized"))
    before = load_whole(unpacked(GOLDEN / case, "scoped", tmp_path / "scoped"))
    assert model.config.vocab_size == 41
    path = next(path for path in model.weights_by_path() if path.endswith("token_embedding/embeddings"))
    table, old = (numpy(x.weights_by_path()[path]) for x in (model, before))
    np.testing.assert_array_equal(table[:37], old)


def test_another_head_is_left_out(tmp_path):
    with pytest.warns(UserWarning, match=r"left out, .*: cls\.predictions\.bias, .*cls\.seq_relationship\.weight"):
        model = BERTModel.from_pretrained(unpacked(GOLDEN / "BertForPreTraining", "built", tmp_path / "built"))
    whole = load_whole(unpacked(GOLDEN / "BertForPreTraining", "scoped", tmp_path / "scoped"))
    for path, weight in model.weights_by_path().items():
        np.testing.assert_array_equal(numpy(weight), numpy(whole.weights_by_path()[path]))


@pytest.mark.parametrize("outer", ["", "tf_dei_t_for_masked_image_modeling/"])
def test_masked_images_of_a_deit(tmp_path, outer):
    """There is no such head here: the encoder is loaded, and what predicts the patches is left out."""
    directory = unpacked(GOLDEN / "DeiTForImageClassification", "built", tmp_path / "built")
    config = (directory / "config.json").read_text()
    (directory / "config.json").write_text(config.replace("ForImageClassification", "ForMaskedImageModeling"))
    with h5py.File(directory / "tf_model.h5", "r+") as file:
        del file["classifier"]
        file[f"deit/{outer}deit/embeddings/mask_token:0"] = np.ones((1, 1, 8), "float32")
        file[f"decoder/{outer}decoder/0/kernel:0"] = np.ones((1, 1, 8, 27), "float32")
        file[f"decoder/{outer}decoder/0/bias:0"] = np.ones(27, "float32")
    with pytest.warns(UserWarning) as caught:
        load_pretrained(directory)
    fresh, left = (str(warning.message) for warning in caught)
    assert fresh.endswith(": classifier.weight, classifier.bias.")
    assert left.endswith(": decoder.0.bias, decoder.0.weight, embeddings.mask_token.")


def test_unknown_tensors_are_named_as_in_the_file(tmp_path):
    directory = unpacked(GOLDEN / "BertForSequenceClassification", "built", tmp_path / "built")
    with h5py.File(directory / "tf_model.h5", "r+") as file:
        file["adapter/adapter/down/kernel:0"] = np.ones((6, 2), "float32")
    with pytest.raises(ValueError, match="left over: /adapter/adapter/down/kernel:0"):
        load_pretrained(directory)


def test_two_heads_of_one_name(tmp_path):
    directory = unpacked(GOLDEN / "BertForSequenceClassification", "built", tmp_path / "built")
    with h5py.File(directory / "tf_model.h5", "r+") as file:
        file["other/classifier/bias:0"] = np.ones(2, "float32")
    message = "two tensors that stand for classifier.bias, .*: /classifier/classifier/bias:0 and /other/classifier/bias"
    with pytest.raises(ValueError, match=message):
        load_pretrained(directory)


def test_layers_beyond_the_config_are_named_as_others(tmp_path):
    directory = unpacked(GOLDEN / "T5EncoderModel", "built", tmp_path / "built")
    config = (directory / "config.json").read_text()
    (directory / "config.json").write_text(config.replace('"num_layers": 2', '"num_layers": 1'))
    with pytest.raises(ValueError, match=r"left over: encoder\.block\.1\.layer\.0\.SelfAttention\.k\.weight"):
        load_pretrained(directory)


KNOWN = KnownNames(
    [
        "bert.encoder.layer.0.output.weight",
        "classifier.bias",
        "encoder.block.0.wi.weight",
        "cls.predictions.bias",
    ],
    [r"decoder\..*", r".*\.position_ids"],
)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("/bert/tf_bert/bert/encoder/layer_._11/output/kernel:0", "bert.encoder.layer.11.output.weight"),
        (
            "/bert/a/b/tf_bert_1/bert/encoder/layer_._0/output/kernel:0",
            "bert.encoder.layer.0.output.weight",
        ),
        ("bert/encoder/layer_._0/output/kernel:0", "bert.encoder.layer.0.output.weight"),
        ("bert/encoder/layer_/_0/output/kernel:0", "bert.encoder.layer.0.output.weight"),
        ("/classifier/classifier/bias:0", "classifier.bias"),
        ("/mlm___cls/tf_bert/mlm___cls/predictions/bias:0", "cls.predictions.bias"),
        ("mlm___cls/predictions/bias:0", "cls.predictions.bias"),
        ("/encoder/encoder/block_._3/wi/kernel:0", "encoder.block.3.wi.weight"),
        ("/decoder/tf_vit/decoder/0/kernel:0", "decoder.0.weight"),
        ("/x/y/kernel:0", "/x/y/kernel:0"),
    ],
)
def test_names(key, name):
    assert list(to_torch({key: _tensor((3,))}, KNOWN)) == [name]


@pytest.mark.parametrize(
    ("key", "shape", "turned"),
    [
        ("dense/kernel:0", (3, 5), (5, 3)),
        ("conv/kernel:0", (7, 6, 3, 5), (5, 3, 7, 6)),
        ("table/embeddings:0", (3, 5), (3, 5)),
        ("c_attn/weight:0", (3, 5), (3, 5)),
        ("c_attn/bias:0", (1, 5), (5,)),
        ("table/bias:0", (2, 5), (2, 5)),
    ],
)
def test_layouts(key, shape, turned):
    (tensor,) = to_torch({key: _tensor(shape)}, KNOWN).values()
    assert tensor.shape == turned == tensor.read().shape
    np.testing.assert_array_equal(np.concatenate([np.atleast_1d(rows) for _, rows in tensor.chunks()]), tensor.read())


def _tensor(shape: tuple[int, ...]) -> Tensor:
    values = np.arange(np.prod(shape), dtype="float32").reshape(shape)
    return Tensor(shape, values.dtype, lambda start, stop: values[start:stop], Path("nowhere"))
