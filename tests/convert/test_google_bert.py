"""The folder that Google's BERT is published in, and directories of what is not read."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf
from helpers import numpy, randomize

from keras_tx.models import (
    BERTForPreTraining,
    BERTForQuestionAnswering,
    BERTForSequenceClassification,
    BERTModel,
    load_pretrained,
)
from keras_tx.models.bert.config import TINY_HEAD

_LAYERS = {
    "token_embedding/embeddings": "bert/embeddings/word_embeddings",
    "token_type_embedding/embeddings": "bert/embeddings/token_type_embeddings",
    "position_embedding/embeddings": "bert/embeddings/position_embeddings",
    "embedding_norm": "bert/embeddings/LayerNorm",
    "block_0/attention/query": "bert/encoder/layer_0/attention/self/query",
    "block_0/attention/key": "bert/encoder/layer_0/attention/self/key",
    "block_0/attention/value": "bert/encoder/layer_0/attention/self/value",
    "block_0/attention/output": "bert/encoder/layer_0/attention/output/dense",
    "block_0/attention_norm": "bert/encoder/layer_0/attention/output/LayerNorm",
    "block_0/feed_forward/up": "bert/encoder/layer_0/intermediate/dense",
    "block_0/feed_forward/down": "bert/encoder/layer_0/output/dense",
    "block_0/feed_forward_norm": "bert/encoder/layer_0/output/LayerNorm",
    "pooler": "bert/pooler/dense",
}
NAMES = {
    **{f"backbone/{ours}": theirs for ours, theirs in _LAYERS.items()},
    "head/transform": "cls/predictions/transform/dense",
    "head/transform_norm": "cls/predictions/transform/LayerNorm",
}
"""Our paths and the names of Google's variables, or the layers above both."""
SEQ = {"head/seq_relationship": "cls/seq_relationship"}
CASES = {
    BERTForPreTraining: {**SEQ, "head/output_bias": "cls/predictions/output_bias"},
    BERTForSequenceClassification: {"head/classifier": ""},
    BERTForQuestionAnswering: {"head/qa_outputs": "cls/squad"},
    BERTModel: {},
}
"""Of heads, where each has `output_weights`, (out, in), and `output_bias`."""


def variables(model) -> dict[str, np.ndarray]:
    """The model's weights as Google's programs name and lay them out."""
    found = {}
    for path, weight in model.weights_by_path().items():
        layer, _, part = path.rpartition("/")
        heads = CASES[type(model)]
        if path in (names := {**NAMES, **heads}):
            found[names[path]] = numpy(weight)
        elif layer in heads:
            x = numpy(weight)
            name = "output_weights" if part == "kernel" else "output_bias"
            found["/".join(filter(None, (heads[layer], name)))] = x.T if part == "kernel" else x
        else:
            found[f"{names[layer]}/{part}"] = numpy(weight)
    return found


def write(path, model, prefix="bert_model.ckpt") -> None:
    path.mkdir(exist_ok=True)
    c = model.config
    config = {
        **{"vocab_size": c.vocab_size, "max_position_embeddings": c.max_positions},
        **{"type_vocab_size": c.type_vocab_size, "hidden_size": c.d_model, "num_hidden_layers": c.num_layers},
        **{"num_attention_heads": c.num_heads, "intermediate_size": c.d_ff, "hidden_act": "gelu"},
        **{"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "initializer_range": 0.02},
    }
    (path / "bert_config.json").write_text(json.dumps(config))
    arrays = variables(model)
    left = {f"{name}/adam_{moment}": np.zeros_like(x) for name, x in arrays.items() for moment in "mv"}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, x in {**arrays, **left, "global_step": np.int64(7)}.items():
            tf.compat.v1.get_variable(name, initializer=tf.constant(x), use_resource=False)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(path / prefix), write_meta_graph=False)


@pytest.mark.parametrize("cls", CASES, ids=lambda cls: cls.__name__)
def test_there(cls, rng, tmp_path):
    model = randomize(cls(TINY_HEAD.replace(max_positions=13)), rng)
    write(tmp_path, model, "bert_model.ckpt" if cls is BERTForPreTraining else "model.ckpt-123")
    loaded = load_pretrained(tmp_path)
    assert type(loaded) is cls and loaded.config.num_labels == (5 if cls is BERTForSequenceClassification else 2)
    weights = loaded.weights_by_path()
    assert weights.keys() == model.weights_by_path().keys()
    for path, weight in model.weights_by_path().items():
        np.testing.assert_array_equal(numpy(weights[path]), numpy(weight), err_msg=path)


def test_a_classifier_of_the_published_model(rng, tmp_path):
    model = randomize(BERTForPreTraining(TINY_HEAD), rng)
    write(tmp_path, model)
    with pytest.warns(UserWarning, match="fresh"), pytest.warns(UserWarning, match="left out, .*seq_relationship"):
        classifier = BERTForSequenceClassification.from_pretrained(tmp_path, num_labels=3)
    assert classifier.head.classifier.kernel.shape == (15, 3)
    classifier.save_pretrained(tmp_path / "ours")
    assert type(load_pretrained(tmp_path / "ours")) is BERTForSequenceClassification


def test_a_broken_checkpoint(rng, tmp_path):
    write(tmp_path, randomize(BERTModel(TINY_HEAD), rng))
    (tmp_path / "bert_model.ckpt.index").write_bytes(b"no index")
    with pytest.raises(ValueError, match=r"bert_model\.ckpt is not a whole TensorFlow checkpoint"):
        load_pretrained(tmp_path)


def test_a_config_without_a_type_where_the_class_is_named(rng, tmp_path):
    """As that of the small BERTs on the hub."""
    model = randomize(BERTModel(TINY_HEAD), rng)
    model.save_pretrained(tmp_path, format="huggingface")
    config = json.loads((tmp_path / "config.json").read_text())
    del config["model_type"], config["architectures"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    loaded = BERTModel.from_pretrained(tmp_path)
    np.testing.assert_array_equal(numpy(loaded(np.array([[5, 7]]))[0]), numpy(model(np.array([[5, 7]]))[0]))
    with pytest.raises(ValueError, match="`model_type` is None"):
        load_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"model-q4.gguf": b""}, r"holds model-q4\.gguf, weights of llama\.cpp: .*gguf_file='model-q4\.gguf'"),
        ({"config.json": b"{}", "flax_model.msgpack": b""}, r"holds no model\.safetensors, .*Flax class: .*from_flax"),
        ({"saved_model.pb": b""}, r"holds saved_model\.pb, a SavedModel, .*tf\.saved_model\.load"),
        ({"model.keras": b""}, r"holds model\.keras, a model that Keras saved: keras\.saving\.load_model"),
        ({"model.weights.h5": b""}, r"model\.load_weights"),
        ({"model.ckpt-7.index": b""}, r"a TensorFlow checkpoint: with the bert_config\.json"),
        ({"consolidated.00.pth": b""}, "a pickle, which can run any code"),
        (
            {"adapter_config.json": b'{"base_model_name_or_path": "gpt2"}', "adapter_model.safetensors": b""},
            r"an adapter for gpt2: load that one, or merge both with PEFT: .*merge_and_unload",
        ),
        ({"config.json": b"{}"}, "Pickles, such as"),
        ({"notes.txt": b""}, r"there is no file .*config\.json\.$"),
    ],
)
def test_what_is_found_instead_is_named(files, message, tmp_path):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FileNotFoundError) as error:
        load_pretrained(tmp_path)
    assert re.search(message, str(error.value)), str(error.value)
