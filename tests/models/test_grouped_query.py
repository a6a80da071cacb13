"""A multi-head model made a grouped-query one."""

import numpy as np
import pytest
from helpers import numpy, randomize

import keras_tx
from keras_tx import attention
from keras_tx.models.bert import config as bert
from keras_tx.models.gpt.config import TINY
from keras_tx.models.swin import config as swin_config
from keras_tx.models.t5 import config as t5_config
from keras_tx.models.vit import config as vit_config

SIX = TINY.replace(num_layers=1, num_heads=6, d_model=18)


def heads(weight, count: int) -> np.ndarray:
    """The heads of a kernel or a bias, `(count, ..., D)`."""
    weight = numpy(weight)
    return np.moveaxis(weight.reshape(*weight.shape[:-1], count, -1), -2, 0)


@pytest.mark.parametrize(("before", "after"), [(6, 3), (6, 1), (6, 2), (3, 1)])
def test_heads_are_the_means_of_those_they_stand_for(rng, before, after):
    """And the model computes what the one with these means for all its heads does."""
    model = randomize(keras_tx.GPTModel(SIX, num_kv_heads=before), rng)
    pooled = keras_tx.to_grouped_query(model, after)
    assert pooled.config == model.config.replace(num_kv_heads=after)
    group = before // after
    alike = keras_tx.GPTModel(model.config)
    for path, weight in alike.weights_by_path().items():
        old, new = (m.weights_by_path()[path] for m in (model, pooled))
        if "attention/key" in path or "attention/value" in path:
            means = heads(old, before).reshape(after, group, *heads(old, before).shape[1:]).mean(axis=1)
            np.testing.assert_allclose(heads(new, after), means, atol=1e-6)
            repeated = np.moveaxis(np.repeat(means, group, axis=0), 0, -2)
            weight.assign(repeated.reshape(weight.shape))
        else:
            np.testing.assert_array_equal(numpy(new), numpy(old))
            weight.assign(old)
    ids = rng.integers(0, SIX.vocab_size, (2, 5))
    np.testing.assert_allclose(pooled(ids)["logits"], alike(ids)["logits"], atol=1e-5)
    assert not np.allclose(pooled(ids)["logits"], model(ids)["logits"], atol=1e-2)


@pytest.mark.parametrize(
    ("cls", "config", "given"),
    [
        (keras_tx.BERTForMaskedLM, bert.TINY.replace(num_heads=6, d_model=18), None),
        (keras_tx.VisionTransformer, vit_config.TINY.replace(num_heads=6, d_model=18), attention.MultiHead(sinks=True)),
        (keras_tx.T5Model, t5_config.TINY.replace(num_heads=6), attention.GroupedQuery(num_kv_heads=6)),
        (keras_tx.GPTModel, SIX, attention.GroupedQuery(num_kv_heads=6, alibi=True)),
    ],
)
def test_models_that_say_their_heads_in_their_attention(cls, config, given, rng):
    model = randomize(cls(config, attention=given), rng)
    pooled = keras_tx.to_grouped_query(model, 2)
    fields = {} if given is None else given.fields
    assert pooled.config.attention == attention.GroupedQuery(**{**fields, "num_kv_heads": 2})
    changed = {path for path, weight in pooled.weights_by_path().items() if weight.shape != old(model, path).shape}
    for path, weight in pooled.weights_by_path().items():
        if path in changed:
            means = heads(old(model, path), 6).reshape(2, 3, *heads(weight, 2).shape[1:]).mean(axis=1)
            np.testing.assert_allclose(heads(weight, 2), means, atol=1e-6)
        else:
            np.testing.assert_array_equal(numpy(weight), numpy(old(model, path)))
    kinds = {"/".join(path.split("/")[-3:-1]) for path in changed}
    assert kinds == {"attention/key", "attention/value"}


def old(model, path: str):
    return model.weights_by_path()[path]


def test_layers_with_other_attention_in_turn():
    given = [attention.MultiHead(alibi=True), "multi_head"]
    model = keras_tx.BERTModel(bert.TINY.replace(num_heads=6, d_model=18), attention=given)
    fewer = attention.GroupedQuery(num_kv_heads=2)
    pooled = keras_tx.to_grouped_query(model, 2)
    assert pooled.config.attention == (attention.GroupedQuery(num_kv_heads=2, alibi=True), fewer)
    model = keras_tx.GPTModel(SIX, num_layers=2, attention=[attention.SlidingWindow(window_size=3), "multi_head"])
    pooled = keras_tx.to_grouped_query(model, 2)
    assert pooled.config == model.config.replace(num_kv_heads=2)
    mixed = keras_tx.GPTModel(SIX, num_layers=2, attention=["multi_query", "multi_head"])
    with pytest.raises(ValueError, match=r"equally many key/value heads in all layers; got \[1, 6\]"):
        keras_tx.to_grouped_query(mixed, 1)


def test_what_cannot_be_grouped():
    with pytest.raises(ValueError, match=r"`key/value heads` must be a multiple of `num_kv_heads`; got .*=6 .*=4"):
        keras_tx.to_grouped_query(keras_tx.GPTModel(SIX), 4)
    with pytest.raises(ValueError, match=r"`num_kv_heads` in its config, .* got a SwinTransformer"):
        keras_tx.to_grouped_query(keras_tx.SwinTransformer(swin_config.TINY), 1)
    with pytest.raises(ValueError, match=r"or multi-head attention, .* got a BERTModel with Linear attention"):
        keras_tx.to_grouped_query(keras_tx.BERTModel(bert.TINY, attention="linear"), 1)
