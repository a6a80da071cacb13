"""Detection: losses of all blocks, boxes in pixels, attention of the queries, errors."""

import keras
import numpy as np
import pytest
from helpers import compiled, normal, numpy, randomize, softmax
from keras import ops

from keras_tx.models import SwinForObjectDetection, ViTForObjectDetection
from keras_tx.models.swin import dense as swin_dense
from keras_tx.models.vit import dense as vit_dense
from keras_tx.ops.image.detection import detection_loss

MODELS = {
    "vit": (ViTForObjectDetection, vit_dense.TINY_DETECTION),
    "swin": (SwinForObjectDetection, swin_dense.TINY_DETECTION),
}


@pytest.fixture(params=MODELS, scope="module")
def model(request):
    cls, config = MODELS[request.param]
    return randomize(cls(config, decoder_num_layers=3), np.random.default_rng(13))


@pytest.fixture
def given(model, rng) -> dict[str, np.ndarray]:
    return {
        "images": normal(rng, 3, 11, 19, model.config.channels),
        "class_labels": np.array([[1, 4, -100, 0], [-100] * 4, [3, 3, 3, 3]], "int32"),
        "boxes": rng.uniform(0.2, 0.6, (3, 4, 4)).astype("float32"),
    }


def vit_with(**fields) -> ViTForObjectDetection:
    return ViTForObjectDetection(vit_dense.TINY_DETECTION, decoder_num_layers=3, **fields)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["vit"], indirect=True, scope="module")
def test_every_block_is_trained(model, given):
    """In training the loss is the sum of those of all blocks; otherwise, and if not wanted, the last one's."""
    loss = compiled(detection_loss)
    outputs = model(given, training=True)
    every = [*outputs["auxiliary_outputs"], outputs]
    each = [
        float(loss(*map(ops.convert_to_tensor, (x["logits"], x["pred_boxes"], given["class_labels"], given["boxes"]))))
        for x in every
    ]
    assert len(set(each)) == 3
    assert float(outputs["loss"]) == pytest.approx(sum(each), rel=1e-4)
    assert float(model(given)["loss"]) == pytest.approx(each[-1], rel=1e-4)
    assert "auxiliary_outputs" not in model(given["images"])
    assert "auxiliary_outputs" not in vit_with(auxiliary_loss=False)(given["images"], training=True)


@pytest.mark.slow
def test_batches_without_objects(rng):
    """As `padded_batch` makes them, of no slots at all, among others; compiled for lengths that are not known."""
    import tensorflow as tf

    counts = [2, 0, 0, 0]

    def examples():
        for count in counts:
            labels = {"class_labels": np.ones(count, "int32"), "boxes": np.full((count, 4), 0.4, "float32")}
            yield normal(rng, 11, 19, 2), labels

    specs = {"class_labels": tf.TensorSpec((None,), tf.int32), "boxes": tf.TensorSpec((None, 4), tf.float32)}
    data = tf.data.Dataset.from_generator(examples, output_signature=(tf.TensorSpec((11, 19, 2)), specs))
    empty = {"class_labels": np.int32(-100), "boxes": np.float32(0)}
    data = data.padded_batch(2, padding_values=(np.float32(0), empty))
    data = data.apply(tf.data.experimental.assert_cardinality(2))
    model = vit_with()
    model.compile("sgd")
    history = model.fit(data, epochs=2, shuffle=False, verbose=0).history["loss"]
    assert np.isfinite(history).all() and history[0] != history[1]


@pytest.mark.any_backend
@pytest.mark.parametrize("model", ["vit"], indirect=True, scope="module")
def test_the_configs_weights_count(model, given):
    weights = {
        "class_cost": 3.0,
        "bbox_cost": 0.5,
        "giou_cost": 7.0,
        "bbox_loss_coefficient": 11.0,
        "giou_loss_coefficient": 13.0,
        "eos_coefficient": 0.7,
    }
    outputs = model(given["images"])
    expected = detection_loss(
        outputs["logits"], outputs["pred_boxes"], given["class_labels"], given["boxes"], **weights
    )
    found = vit_with(**weights).own_losses(outputs, given)["loss"]
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_boxes_and_classes_of_the_queries(model, given):
    outputs = model(given["images"])
    assert outputs["logits"].shape == (3, 7, 6) and outputs["pred_boxes"].shape == (3, 7, 4)
    boxes = numpy(outputs["pred_boxes"])
    assert ((boxes > 0) & (boxes < 1)).all()
    assert set(outputs) == {"logits", "pred_boxes"}


@pytest.mark.slow
def test_detect(model, given):
    """As Transformers' post-processing: a class and a probability above the threshold; corners in pixels."""
    outputs = {name: numpy(x) for name, x in model(given["images"]).items()}
    likely = softmax(outputs["logits"])[..., :-1]
    threshold = float(np.sort(likely.max(axis=-1), axis=None)[10:12].mean())
    found = model.detect(given["images"], threshold, batch_size=2)
    assert len(found) == 3 and sum(len(of_image["scores"]) for of_image in found) == 10
    for of_image, scores, (x, y, width, height) in zip(
        found, likely, np.moveaxis(outputs["pred_boxes"], -1, 1), strict=True
    ):
        kept = scores.max(axis=-1) > threshold
        corners = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=-1) * [19, 11, 19, 11]
        np.testing.assert_allclose(of_image["scores"], scores.max(axis=-1)[kept], atol=1e-5)
        np.testing.assert_array_equal(of_image["labels"], scores.argmax(axis=-1)[kept])
        np.testing.assert_allclose(of_image["boxes"], corners[kept], atol=1e-3)
    assert not any(len(of_image["boxes"]) for of_image in model.detect(given["images"], 1.0))


def test_where_the_queries_look(model, given):
    outputs = model(given["images"], return_attention=True)
    places = {"vit": 4 * 10, "swin": 3 * 5}["vit" if isinstance(model, ViTForObjectDetection) else "swin"]
    assert [x.shape for x in outputs["cross_attentions"]] == [(3, 2, 7, places)] * 3
    assert [x.shape for x in outputs["decoder_attentions"]] == [(3, 2, 7, 7)] * 3
    assert [x.shape for x in outputs.get("encoder_attentions", ())] == [
        (3, 2, places, places)
    ] * model.config.encoder_num_layers
    for weights in outputs["cross_attentions"]:
        np.testing.assert_allclose(numpy(weights).sum(axis=-1), 1, atol=1e-5)


def test_keras_losses_are_refused(model, given):
    model.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match=r"predictions have to be matched to objects .* compile without one"):
        model.compute_loss(y=given, y_pred=model(given["images"]))
    with pytest.raises(ValueError, match="7 queries: give fewer slots"):
        model(given["images"], class_labels=np.zeros((3, 8), "int32"), boxes=np.zeros((3, 8, 4), "float32"))


@pytest.mark.slow
def test_it_learns_where_a_square_is(rng):
    """One bright square in dark images, found in images that it has not seen."""
    images, boxes = np.zeros((96, 8, 8, 1), "float32"), np.zeros((96, 1, 4), "float32")
    for image, (box,) in zip(images, boxes, strict=True):
        row, column, side = *rng.integers(0, 5, 2), rng.integers(2, 4)
        image[row : row + side, column : column + side] = 1
        box[:] = np.array([column + side / 2, row + side / 2, side, side]) / 8
    model = ViTForObjectDetection(
        image_size=8,
        patch_size=1,
        channels=1,
        num_classes=2,
        num_layers=1,
        num_heads=2,
        d_model=24,
        d_ff=48,
        num_queries=3,
        decoder_num_layers=1,
        decoder_num_heads=2,
        decoder_d_model=24,
        decoder_d_ff=48,
        decoder_dropout=0.0,
        initializer_range=0.1,
    )
    labels = {"class_labels": np.ones((96, 1), "int32"), "boxes": boxes}
    train, test = slice(0, 80), slice(80, 96)
    model.compile(keras.optimizers.Adam(2e-3), jit_compile=True)
    model.fit(images[train], {name: x[train] for name, x in labels.items()}, epochs=50, batch_size=16, verbose=0)
    found = model.detect(images[test], 0.5)
    assert np.mean([set(of_image["labels"]) == {1} for of_image in found]) > 0.8
    nearest = [of_image["boxes"][np.argmax(of_image["scores"])] for of_image in found if len(of_image["boxes"])]
    assert len(nearest) > 12


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_classes": 0}, "`num_classes` must be a whole number of at least 1"),
        ({"num_queries": 0}, "`num_queries` must be"),
        ({"decoder_d_model": 6}, "`d_model` must be a multiple of 4"),
        ({"decoder_num_heads": 5}, "`decoder_d_model` must be a multiple of `decoder_num_heads`"),
        ({"encoder_num_layers": -1}, "`encoder_num_layers` must be at least 0; got -1"),
        ({"decoder_dropout": 1.0}, "`decoder_dropout` must be a rate"),
        ({"class_cost": 0, "bbox_cost": 0, "giou_cost": 0}, "there would be no match"),
    ],
)
def test_bad_configs(fields, message):
    with pytest.raises(ValueError, match=message):
        ViTForObjectDetection(vit_dense.TINY_DETECTION, **fields)
