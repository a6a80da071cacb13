"""Segmentation: every pixel its class, at the image's size, by loss and metric."""

import keras
import numpy as np
import pytest
from helpers import normal, numpy, randomize, softmax

from keras_tx.models import SwinForSemanticSegmentation, ViTForSemanticSegmentation
from keras_tx.models.swin import dense as swin_dense
from keras_tx.models.vit import dense as vit_dense
from keras_tx.ops.image.resample import bilinear_matrix

MODELS = {
    "vit": (ViTForSemanticSegmentation, vit_dense.TINY_SEGMENTATION),
    "swin": (SwinForSemanticSegmentation, swin_dense.TINY_SEGMENTATION),
}


@pytest.fixture(params=MODELS, scope="module")
def model(request):
    cls, config = MODELS[request.param]
    return randomize(cls(config), np.random.default_rng(13))


def images_of(model, rng, height: int = 11, width: int = 19) -> np.ndarray:
    """That are no whole number of patches."""
    return normal(rng, 2, height, width, model.config.channels)


def maps_of(model, images) -> tuple:
    """The maps that the decoder gets."""
    outputs = model.backbone(images, return_hidden_states=True)
    return model.head.neck(model.backbone.feature_maps(outputs, images, model.head.levels))


def test_images_of_any_size(model, rng):
    """What is below and to the right of an image is 0, and leaves the logits' height and width alone."""
    images = images_of(model, rng)
    logits = numpy(model(images)["logits"])
    assert logits.shape == (2, 11, 19, 5)
    p, q = 6, 4  # multiples of every patch
    padded = np.pad(images, ((0, 0), (0, -11 % p), (0, -19 % q), (0, 0)))
    np.testing.assert_allclose(numpy(model(padded)["logits"])[:, :11, :19], logits, atol=1e-4)


def test_logits_are_enlarged_linearly(model, rng):
    """The class of each vector of the decoder, brought to the size of the patches."""
    images = images_of(model, rng, 12, 20)
    coarse = numpy(model.head.pixel_classifier(model.head.decoder(maps_of(model, images))))
    rows, columns = (bilinear_matrix(old, new) for old, new in zip(coarse.shape[1:3], (12, 20), strict=True))
    expected = np.einsum("ih,jw,bhwc->bijc", rows, columns, coarse)
    np.testing.assert_allclose(model(images)["logits"], expected, atol=1e-4)


def test_pixels_that_do_not_count(model, rng):
    images = images_of(model, rng)
    labels = rng.integers(0, 5, (2, 11, 19))
    ignored = rng.random(labels.shape) < 0.4
    likely = np.take_along_axis(softmax(numpy(model(images)["logits"])), labels[..., None], axis=-1)[..., 0]
    expected = -np.log(likely[~ignored]).mean()
    for number, dtype in ((255, "uint8"), (255, "int64"), (-100, "int32")):
        given = np.where(ignored, number, labels).astype(dtype)
        assert float(model(images, labels=given)["loss"]) == pytest.approx(expected, rel=1e-4)
    other = type(model)(model.config, semantic_loss_ignore_index=3)
    other.set_weights(model.get_weights())
    expected = -np.log(likely[labels != 3]).mean()
    assert float(other(images, labels=labels)["loss"]) == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match=r"`labels` must lie in \[0, classes\) = \[0, 5\)"):
        model(images, labels=labels + 1)


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64")  # by Keras's confusion matrix, on JAX
def test_mean_iou_in_fit(model, rng):
    """Keras's metric, compiled with the model, against a confusion matrix of what counts."""
    images = images_of(model, rng)
    labels = rng.integers(0, 4, (2, 11, 19)).astype("int32")  # of class 4 there is none
    labels[:, :3] = 255
    metric = keras.metrics.MeanIoU(5, sparse_y_pred=False, ignore_class=255, name="miou")
    model.compile(keras.optimizers.SGD(0.0), metrics=[metric], jit_compile=True)
    found = model.evaluate(images, labels, verbose=0, return_dict=True, batch_size=2)
    guesses = numpy(model(images)["logits"]).argmax(axis=-1)
    counts = np.zeros((5, 5))
    np.add.at(counts, (labels[labels != 255], guesses[labels != 255]), 1)
    union = counts.sum(axis=0) + counts.sum(axis=1) - np.diag(counts)
    expected = (np.diag(counts) / np.maximum(union, 1))[union > 0].mean()
    assert found["miou"] == pytest.approx(expected, abs=1e-5)
    assert found["loss"] == pytest.approx(float(model(images, labels=labels)["loss"]), rel=1e-4)


def test_blocks_at_equal_distances():
    """The last one among them; one of two where there are fewer than scales."""
    for layers, blocks in ((2, (1, 2, 2)), (5, (2, 4, 5))):
        model = ViTForSemanticSegmentation(vit_dense.TINY_SEGMENTATION, num_layers=layers)
        assert model.head.levels == blocks


def test_maps_of_all_scales(rng):
    """Of the Vision Transformer those that its config names, of the Swin Transformer its stages'."""
    vit = ViTForSemanticSegmentation(vit_dense.TINY_SEGMENTATION)
    maps = maps_of(vit, normal(rng, 2, 9, 14, 2))
    assert [x.shape[1:] for x in maps] == [(6, 14, 7), (3, 7, 15), (2, 4, 15)]
    swin = SwinForSemanticSegmentation(swin_dense.TINY_SEGMENTATION)
    maps = maps_of(swin, normal(rng, 2, 14, 18, 3))
    assert [x.shape[1:] for x in maps] == [(7, 9, 6), (4, 5, 12)]
    for x in maps:
        np.testing.assert_allclose(numpy(x).mean(axis=-1), 0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("vit", {"num_classes": 0}, "`num_classes` must be a whole number of at least 1"),
        ("swin", {"num_classes": 0}, "`num_classes` must be a whole number of at least 1"),
        ("vit", {"decoder_width": 0}, "`decoder_width` must be"),
        ("vit", {"pyramid_scales": (3, 1)}, "must be powers of 2"),
        ("vit", {"patch_dropout": 0.1}, "`patch_dropout` is for classifiers"),
    ],
)
def test_bad_configs(name, fields, message):
    cls, config = MODELS[name]
    with pytest.raises(ValueError, match=message):
        cls(config, **fields)
