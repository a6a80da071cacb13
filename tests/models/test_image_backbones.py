"""Backbones of images: alone, frozen, shared by several heads, from peers' checkpoints, and what does not fit them."""

from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import normal, numpy, randomize

from keras_tx.models import (
    SwinBackbone,
    SwinForObjectDetection,
    SwinForSemanticSegmentation,
    SwinTransformer,
    VisionTransformer,
    ViTBackbone,
    ViTConfig,
    ViTForMaskedImageModeling,
    ViTForObjectDetection,
    ViTForSemanticSegmentation,
    ViTMAEForPreTraining,
)
from keras_tx.models.swin import config as swin_config
from keras_tx.models.vit.config import TINY, TINY_DISTILLED, TINY_MEAN
from keras_tx.models.vit.mae import ViTMAEBackbone
from keras_tx.models.vit.pretraining import TINY_MAE, TINY_SQUARE

GOLDEN = Path(__file__).parents[1] / "golden"


def test_a_vit_alone(rng):
    """Tokens after the final norm, wherever the classifier has its norm."""
    images = normal(rng, 2, 9, 14, 2)
    model = randomize(VisionTransformer(TINY_MEAN), rng)
    outputs = model.backbone(images, return_hidden_states=True, return_attention=True)
    assert set(outputs) == {"last_hidden_state", "hidden_states", "attentions"}
    np.testing.assert_allclose(
        outputs["last_hidden_state"], model.backbone.norm(outputs["hidden_states"][-1]), atol=1e-6
    )
    assert set(model.backbone(images)) == {"last_hidden_state"}
    asked = model(images, return_hidden_states=True)
    np.testing.assert_allclose(asked["hidden_states"][1], outputs["hidden_states"][1], atol=1e-6)
    with pytest.raises(ValueError, match="takes no 'bool_masked_pos'; it takes 'images'"):
        model.backbone(images, bool_masked_pos=np.zeros((2, 21), bool))


def test_a_swin_alone(rng):
    images = normal(rng, 2, 26, 34, 3)
    model = randomize(SwinTransformer(swin_config.TINY), rng)
    last = numpy(model.backbone(images)["last_hidden_state"])
    assert last.shape == (2, 7, 9, 12)
    np.testing.assert_allclose(model(images, return_features=True), last.mean(axis=(1, 2)), atol=1e-5)


# === Several heads on one backbone ===


def test_a_new_head_on_a_backbone(rng):
    """It may differ in what heads alone read; weights are the same objects, and a frozen backbone stays as it is."""
    first = randomize(VisionTransformer(TINY), rng)
    second = VisionTransformer(backbone=first.backbone, num_classes=11, pooling="mean", head_dropout=0.1)
    assert second.backbone is first.backbone and second.config == TINY.replace(
        num_classes=11, pooling="mean", head_dropout=0.1
    )
    images = normal(rng, 4, 9, 14, 2)
    assert second(images).shape == (4, 11)
    second.backbone.trainable = False
    assert {path.split("/")[0] for path, w in second.weights_by_path().items() if w.trainable} == {"head"}
    before = {path: numpy(weight) for path, weight in second.weights_by_path().items()}
    second.compile("sgd", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    second.fit(images, np.arange(4), batch_size=4, verbose=0)
    changed = {path for path, w in second.weights_by_path().items() if not np.array_equal(numpy(w), before[path])}
    assert changed == {"head/classifier/kernel", "head/classifier/bias"}
    with pytest.raises(ValueError, match=r"the backbone has `num_layers=2`; got 3: .* Of a head there are .*pooling"):
        VisionTransformer(backbone=first.backbone, num_layers=3)


@pytest.mark.parametrize("cls", [ViTForSemanticSegmentation, ViTForObjectDetection])
def test_dense_heads_on_a_classifiers_backbone(cls, rng):
    """The backbone's config is the classifier's, whatever head it is made with."""
    classifier = VisionTransformer(TINY)
    small = {"decoder_width": 7, "pyramid_scales": (2, 1)}
    if cls is ViTForObjectDetection:
        small = {"decoder_d_model": 12, "decoder_num_heads": 2, "decoder_num_layers": 1, "num_queries": 3}
    model = cls(backbone=classifier.backbone, num_classes=3, **small)
    images = normal(rng, 2, 10, 13, 2)
    assert model(images)["logits"].shape == ((2, 10, 13, 3) if cls is ViTForSemanticSegmentation else (2, 3, 4))
    assert type(cls(model.config).backbone.config) is ViTConfig
    again = VisionTransformer(backbone=cls(model.config).backbone)
    assert type(again.config) is ViTConfig and again.config.num_classes == 3


def test_a_swins_dense_heads(rng):
    backbone = SwinBackbone(swin_config.TINY)
    segmentation = SwinForSemanticSegmentation(backbone=backbone, decoder_width=7)
    detection = SwinForObjectDetection(
        backbone=backbone, decoder_d_model=12, decoder_num_heads=2, decoder_num_layers=1, num_queries=3
    )
    images = normal(rng, 2, 13, 17, 3)
    assert segmentation(images)["logits"].shape == (2, 13, 17, 5) and detection(images)["logits"].shape == (2, 3, 6)


def test_the_mask_token_is_a_backbones_option(rng):
    with pytest.raises(
        ValueError, match=r"needs a backbone with `mask_token=True`: .*ViTBackbone\(config, mask_token=True\)"
    ):
        ViTForMaskedImageModeling(backbone=ViTBackbone(TINY_SQUARE))
    model = randomize(ViTForMaskedImageModeling(TINY_SQUARE), rng)
    images, masked = normal(rng, 2, 9, 15, 2), rng.random((2, 15)) < 0.5
    assert "backbone/mask_token" in model.weights_by_path()
    hidden = model.backbone({"images": images, "bool_masked_pos": masked})["last_hidden_state"]
    assert not np.allclose(hidden, model.backbone(images)["last_hidden_state"], atol=1e-3)
    classifier = VisionTransformer(backbone=model.backbone, num_classes=3)
    assert set(classifier.input_signature()) == {"images"} and "backbone/mask_token" not in classifier.weights_by_path()
    with pytest.raises(ValueError, match="takes no 'bool_masked_pos'"):
        classifier(images, bool_masked_pos=masked)


def test_a_masked_autoencoders_backbone(rng):
    """It sees a part of the patches alone, so that no other head fits it."""
    model = ViTMAEForPreTraining(TINY_MAE)
    outputs = model.backbone(normal(rng, 2, 9, 14, 2))
    assert outputs["last_hidden_state"].shape == (2, 1 + 6, 20)
    assert numpy(outputs["mask"]).sum() == 2 * 15 and outputs["ids_restore"].shape == (2, 21)
    with pytest.raises(
        ValueError, match="`backbone` of a VisionTransformer must be a ViTBackbone; got a ViTMAEBackbone"
    ):
        VisionTransformer(backbone=model.backbone)


# === Saved and loaded ===


@pytest.mark.parametrize(
    ("backbone", "case", "classifier"),
    [
        (ViTBackbone, "vit/classifier", VisionTransformer),
        (ViTBackbone, "vit/model", VisionTransformer),
        (ViTBackbone, "vit/deit_teacher", VisionTransformer),
        (ViTBackbone, "vit/timm", VisionTransformer),
        (ViTBackbone, "vit/mae", None),
        (ViTBackbone, "vit/paper/paper.npz", VisionTransformer),
        (ViTMAEBackbone, "vit/mae", ViTMAEForPreTraining),
        (SwinBackbone, "swin/swin", SwinTransformer),
        (SwinBackbone, "swin/swinv2_model", SwinTransformer),
        (SwinBackbone, "swin/timm_swin", SwinTransformer),
    ],
)
@pytest.mark.filterwarnings("ignore:.*left out, for they belong to another head")
def test_from_a_peers_checkpoint(backbone, case, classifier, tmp_path):
    alone = backbone.from_pretrained(GOLDEN / case)
    weights = {path: numpy(weight) for path, weight in alone.weights_by_path().items()}
    assert all(path.startswith("backbone/") for path in weights)
    if classifier is not None:
        whole = classifier.from_pretrained(GOLDEN / case).backbone.weights_by_path()
        assert weights.keys() == whole.keys()
        for path, weight in whole.items():
            np.testing.assert_array_equal(weights[path], numpy(weight), err_msg=path)
    alone.save_pretrained(tmp_path)
    again = backbone.from_pretrained(tmp_path)
    assert again.config == alone.config
    for path, weight in again.weights_by_path().items():
        np.testing.assert_array_equal(weights[path], numpy(weight), err_msg=path)


def test_depths_by_path():
    vit, swin = VisionTransformer(TINY_DISTILLED), SwinTransformer(swin_config.TINY)
    depths = {
        "backbone/distillation_token": 0,
        "backbone/patch_embedding/kernel": 0,
        "backbone/block_1/attention/query/kernel": 2,
        "backbone/norm/gamma": None,
        "head/distillation_classifier/kernel": None,
    }
    assert {path: vit.layer_depth(path) for path in depths} == depths and depths.keys() <= vit.weights_by_path().keys()
    depths = {
        "backbone/patch_norm/gamma": 0,
        "backbone/stage_0_block_1/attention/query/kernel": 2,
        "backbone/merging_0/reduction/kernel": 3,
        "backbone/stage_1_block_0/feed_forward/up/kernel": 3,
        "backbone/final_norm/gamma": None,
        "head/classifier/kernel": None,
    }
    assert {
        path: swin.layer_depth(path) for path in depths
    } == depths and depths.keys() <= swin.weights_by_path().keys()


def test_features_are_of_classifiers():
    images = np.zeros((1, 9, 15, 2), "float32")
    with pytest.raises(ValueError, match="a ViTForMaskedImageModeling has no pooled features"):
        ViTForMaskedImageModeling(TINY_SQUARE)(images, return_features=True)
    with pytest.raises(ValueError, match="this model takes no 'labels'; it takes 'images'"):
        VisionTransformer(TINY)(np.zeros((1, 9, 14, 2), "float32"), labels=np.zeros(1, "int32"))


def test_own_losses_alone():
    """What learns from images alone takes no Keras loss; what needs one says so."""
    model = ViTMAEForPreTraining(TINY_MAE)
    model.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match="a ViTMAEForPreTraining trains with its own loss: compile it without one"):
        model.fit(np.zeros((2, 9, 14, 2), "float32"), np.zeros((2, 21, 12), "float32"), verbose=0)
    classifier = VisionTransformer(TINY)
    classifier.compile("sgd")
    with pytest.raises(ValueError, match="this model has no loss of its own: compile it with a Keras loss"):
        classifier.fit(np.zeros((2, 9, 14, 2), "float32"), np.zeros(2, "int32"), verbose=0)
