"""The contract of every model that has a backbone and a head: each part can be used, frozen, shared and saved alone."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from contract import CASES, KINDS, arrays, cases, inputs, labels, predicted
from helpers import numpy

from keras_tx.models import (
    BERTForSequenceClassification,
    BERTForTokenClassification,
    GPTForTokenClassification,
    GPTModel,
    SwinTransformer,
    T5ForQuestionAnswering,
    T5Model,
    VisionTransformer,
)
from keras_tx.models.bert.config import TINY_HEAD
from keras_tx.models.core.backbone import Backbone

every_owner = cases(has_parts=True, is_first=True)
SHARING = (
    (BERTForSequenceClassification, BERTForTokenClassification, TINY_HEAD),
    (GPTModel, GPTForTokenClassification, None),
    (T5Model, T5ForQuestionAnswering, None),
)


@every_owner
def test_the_parts_are_a_model_and_a_layer(case, model):
    assert isinstance(model.backbone, Backbone) and isinstance(model.backbone, keras.Model)
    assert (model.head is None) == (model.head_class is None)
    assert model.head is None or isinstance(model.head, keras.layers.Layer)
    outputs = model.backbone(inputs(model.backbone))
    assert all(name in outputs for name in model.backbone.output_keys)
    owned = [*model.backbone.weights, *(model.head.weights if model.head else [])]
    assert {id(weight) for weight in model.weights} == {id(weight) for weight in owned}
    assert {path.split("/")[0] for path in model.weights_by_path()} <= {"backbone", "head"}
    assert len(model.weights_by_path()) == len(model.weights)


@every_owner
def test_a_new_head_keeps_the_backbone(case, model):
    """It is the same object, and gives the same hidden states."""
    other = case.cls(case.config, backbone=model.backbone)
    assert other.backbone is model.backbone and other.config == model.config
    if model.head is None or not model.head.weights:
        return
    other.head.set_weights(model.head.get_weights())
    for have, want in zip(
        arrays(predicted(other(inputs(model)))), arrays(predicted(model(inputs(model)))), strict=True
    ):
        np.testing.assert_allclose(have, want, atol=1e-5, rtol=1e-5)
    shared = case.cls(case.config, backbone=model.backbone, head=model.head)
    assert shared.head is model.head and not set(map(id, shared.weights)) ^ set(map(id, model.weights))


@every_owner
def test_freezing_the_backbone_leaves_the_head_to_train(case):
    model = case.make()
    model.backbone.trainable = False
    trained = {id(weight) for weight in model.trainable_weights}
    assert trained == ({id(weight) for weight in model.head.trainable_weights} if model.head else set())


@every_owner
def test_a_backbone_is_saved_alone(case, model, tmp_path):
    backbone = model.backbone
    given = inputs(backbone)
    expected = arrays(backbone(given))
    backbone.save_pretrained(tmp_path / "native")
    loaded = type(backbone).from_pretrained(tmp_path / "native")
    backbone.save(tmp_path / "backbone.keras")
    for copy in (loaded, keras.models.load_model(tmp_path / "backbone.keras")):
        assert type(copy) is type(backbone) and copy.config == backbone.config
        for have, want in zip(arrays(copy(given)), expected, strict=True):
            np.testing.assert_allclose(have, want, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Gradients do not exist.*pooler")  # which the second head does not read
@pytest.mark.parametrize(("first", "second", "config"), SHARING, ids=lambda x: getattr(x, "__name__", ""))
def test_one_backbone_under_two_heads_trains_both(first, second, config):
    case = next(case for case in CASES if case.cls is first)
    config = config or case.config
    one = first(config)
    two = second(backbone=one.backbone, num_labels=3)
    assert two.config.num_labels == 3 and two.backbone is one.backbone
    before = {path: numpy(weight) for path, weight in one.weights_by_path().items()}
    given = inputs(two)
    two.compile("sgd", jit_compile=True)
    two.fit(given, labels(two, given), verbose=0)
    after = one.weights_by_path()
    moved = {path.split("/")[0] for path in before if not np.array_equal(before[path], numpy(after[path]))}
    assert moved == {"backbone"}


class TwoTasks(keras.Model):
    """Two models on one backbone, trained together."""

    def __init__(self, sequence, token, **options):
        super().__init__(**options)
        self.sequence, self.token = sequence, token

    def call(self, ids):
        return [self.sequence(ids)["logits"], self.token(ids)["logits"]]

    def build_from_config(self, config):
        """Both are built when they are made."""

    def get_config(self):
        parts = {"sequence": self.sequence, "token": self.token}
        return {name: keras.saving.serialize_keras_object(part) for name, part in parts.items()}

    @classmethod
    def from_config(cls, config):
        return cls(**{name: keras.saving.deserialize_keras_object(part) for name, part in config.items()})


def test_a_shared_backbone_is_one_again_when_loaded(tmp_path):
    first = BERTForSequenceClassification(TINY_HEAD)
    both = TwoTasks(first, BERTForTokenClassification(backbone=first.backbone, num_labels=3))
    ids = np.random.default_rng(1).integers(1, 60, (2, 7))
    expected = arrays(both(ids))
    assert len(both.weights) == len(first.weights) + len(both.token.head.weights)
    both.save(tmp_path / "both.keras")
    loaded = keras.models.load_model(tmp_path / "both.keras", custom_objects={"TwoTasks": TwoTasks})
    assert loaded.sequence.backbone is loaded.token.backbone
    for have, want in zip(arrays(loaded(ids)), expected, strict=True):
        np.testing.assert_allclose(have, want, atol=1e-6)


def test_parts_that_do_not_fit_are_refused():
    bert = BERTForTokenClassification(TINY_HEAD)
    with pytest.raises(ValueError, match="`backbone` of a GPTModel must be a GPTBackbone; got a BERTBackbone"):
        GPTModel(backbone=bert.backbone)
    with pytest.raises(ValueError, match="needs a backbone with `pooler=True`"):
        BERTForSequenceClassification(backbone=bert.backbone)
    with pytest.raises(ValueError, match="the backbone has `d_ff=29`; got 30"):
        BERTForTokenClassification(backbone=bert.backbone, d_ff=30)
    with pytest.raises(ValueError, match="`head` has `num_labels=5`; the model's config asks for 3"):
        BERTForTokenClassification(backbone=bert.backbone, head=bert.head, num_labels=3)
    with pytest.raises(ValueError, match="has a PooledSequenceHead; got `head` = a TokenHead"):
        BERTForSequenceClassification(TINY_HEAD, head=bert.head)


@pytest.mark.parametrize("cls", [VisionTransformer, SwinTransformer])
def test_images_of_other_classes(cls):
    model = next(case for case in CASES if case.cls is cls).make()
    other = cls(backbone=model.backbone, num_classes=7)
    assert other(inputs(model)["images"]).shape[-1] == 7 and other.config.num_classes == 7


@pytest.mark.parametrize("case", KINDS, ids=lambda case: case.name)
def test_a_head_is_made_of_its_config(case):
    head = case.make().head
    copy = type(head).from_config(json.loads(json.dumps(head.get_config())))
    copy.build()
    assert [weight.shape for weight in copy.weights] == [weight.shape for weight in head.weights]
    assert copy.get_config() == head.get_config()
