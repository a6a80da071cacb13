"""`serve_image`: files in, and out what the model says of them after the eager preprocessor."""

import io
import struct

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import normal, numpy, randomize
from PIL import Image, ImageOps

from keras_tx import SwinTransformer, VisionTransformer
from keras_tx.export.saved_model import model_signatures
from keras_tx.export.text_generator import TextOptions
from keras_tx.models import ViTForMaskedImageModeling, ViTForObjectDetection, ViTForSemanticSegmentation
from keras_tx.vision import ImagePreprocessor

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="SavedModels are made on TensorFlow")

SIZES = {"image_size": (15, 21), "patch_size": 3, "num_layers": 1, "num_heads": 3, "d_model": 24, "d_ff": 29}


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, channels)).astype("uint8")
    image = Image.fromarray(coarse.squeeze()).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image).reshape(height, width, channels)


def file_of(image: np.ndarray, format: str) -> bytes:
    data = io.BytesIO()
    Image.fromarray(image.squeeze()).save(data, format)
    return data.getvalue()


def served(model, preprocessor, files) -> dict[str, np.ndarray]:
    signatures = model_signatures(model, None, preprocessor, TextOptions())
    return {name: x.numpy() for name, x in signatures["serve_image"].traced()(tf.constant(files)).items()}


@pytest.fixture(scope="module")
def classifier():
    model = VisionTransformer(**SIZES, num_classes=3, label_names=("cat", "dog", "owl"))
    return randomize(model, np.random.default_rng(1))


PREPROCESSORS = [
    ImagePreprocessor(image_size=(15, 21)),
    ImagePreprocessor(image_size=(15, 21), resize=23, interpolation="bicubic", mean=(0.4, 0.5, 0.6)),
    ImagePreprocessor(image_size=(15, 21), resize=(17, 31), interpolation="lanczos3", scale=1.0, std=(0.2, 0.3, 0.5)),
    ImagePreprocessor(image_size=(15, 21), interpolation="nearest"),
]


@pytest.mark.parametrize("preprocessor", PREPROCESSORS, ids=lambda p: p.interpolation)
def test_labels_are_those_of_the_eager_preprocessor(classifier, preprocessor):
    images = [picture(40, 61, seed=1), picture(37, 29, seed=2), picture(90, 23, seed=3)]
    found = served(classifier, preprocessor, [file_of(image, "PNG") for image in images])
    logits = numpy(classifier(np.concatenate([numpy(preprocessor(image)) for image in images])))
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found["scores"], shares, atol=1e-5)
    assert [label.decode() for label in found["label"]] == [
        classifier.config.label_names[i] for i in logits.argmax(axis=1)
    ]
    np.testing.assert_array_equal(found["score"], found["scores"].max(axis=1))


def test_jpeg_is_decoded_as_pillow_does(classifier):
    from keras_tx.export.pictures import decoded

    image = picture(120, 163)
    file = file_of(image, "JPEG")
    found, sizes, _ = decoded(tf.constant([file]), ImagePreprocessor(image_size=(120, 163)), 3)
    wanted = np.asarray(Image.open(io.BytesIO(file))).astype("float32")
    assert np.abs(numpy(found)[0] - wanted).max() <= 2 and np.mean(numpy(found)[0] != wanted) < 0.05
    assert sizes.numpy().tolist() == [[120, 163]]


def exif(orientation: int, order: str) -> bytes:
    """As cameras write it, with a tag before the orientation."""
    tags = [(0x010F, 2, 4, 0, 0), (0x0112, 3, 1, orientation, 0)]
    directory = struct.pack(order + "H", len(tags)) + b"".join(struct.pack(order + "HHIHH", *tag) for tag in tags)
    begin = b"II*\0" if order == "<" else b"MM\0*"
    return b"Exif\0\0" + begin + struct.pack(order + "I", 8) + directory + b"\0" * 4


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("turned", range(1, 9))
def test_photographs_are_turned_as_they_were_taken(turned, order):
    from keras_tx.export.pictures import decoded

    data = io.BytesIO()
    Image.fromarray(picture(24, 40)).save(data, "JPEG", quality=95, exif=exif(turned, order))
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data.getvalue())))
    size = (upright.height, upright.width)
    assert size == ((40, 24) if turned >= 5 else (24, 40))
    found, sizes, _ = decoded(tf.constant([data.getvalue()]), ImagePreprocessor(image_size=size), 3)
    assert sizes.numpy().tolist() == [[*size]]
    assert np.abs(numpy(found)[0] - np.asarray(upright).astype("float32")).max() <= 2


@pytest.mark.parametrize("damaged", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", exif(6, "<")[:17], exif(77, ">")])
def test_damaged_exif_data_say_nothing(damaged):
    from keras_tx.export.image_files import orientation

    data = io.BytesIO()
    Image.fromarray(picture(24, 40)).save(data, "JPEG")
    file = data.getvalue()
    file = file[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(damaged)) + damaged + file[2:]
    assert orientation(tf.constant(file)) == 1 == orientation(tf.constant(data.getvalue()))


def test_one_class_alone_is_as_probable_as_its_logit_says():
    model = randomize(VisionTransformer(**SIZES, num_classes=1), np.random.default_rng(1))
    preprocessor, image = PREPROCESSORS[0], picture(40, 61)
    found = served(model, preprocessor, [file_of(image, "PNG")])
    logit = float(numpy(model(preprocessor(image)))[0, 0])
    assert found["label"].tolist() == [b"LABEL_0"]
    np.testing.assert_allclose(found["score"], [1 / (1 + np.exp(-logit))], atol=1e-5)


@pytest.mark.parametrize("problem_type", ["multi_label_classification", "regression"])
def test_scores_are_what_the_problem_type_says(problem_type):
    model = randomize(VisionTransformer(**SIZES, num_classes=3, problem_type=problem_type), np.random.default_rng(1))
    preprocessor, image = PREPROCESSORS[0], picture(40, 61)
    logits = numpy(model(preprocessor(image)))
    wanted = {
        "multi_label_classification": 1 / (1 + np.exp(-logits)),
        "regression": logits,
    }[problem_type]
    serve = model_signatures(model, None, preprocessor, TextOptions())["serve_image"].function
    np.testing.assert_allclose(serve(tf.constant([file_of(image, "PNG")]))["scores"], wanted, atol=1e-5)


def test_grey_images_have_one_channel():
    model = randomize(VisionTransformer(**SIZES, channels=1, num_classes=0), np.random.default_rng(1))
    preprocessor = ImagePreprocessor(image_size=(15, 21), mean=(0.5,), std=(0.5,))
    image = picture(31, 33, 1)
    found = served(model, preprocessor, [file_of(image, "PNG")])
    np.testing.assert_allclose(found["features"], numpy(model(preprocessor(image))), atol=1e-5)


def test_classes_of_pixels():
    model = randomize(ViTForSemanticSegmentation(**SIZES, num_classes=5, decoder_width=13), np.random.default_rng(1))
    preprocessor, image = ImagePreprocessor(image_size=(15, 21)), picture(40, 61)
    found = served(model, preprocessor, [file_of(image, "PNG")])["classes"]
    wanted = numpy(model(preprocessor(image))["logits"]).argmax(axis=-1)
    assert found.shape == (1, 15, 21) and (found == wanted).mean() > 0.99 and len(np.unique(wanted)) > 1


@pytest.mark.parametrize("preprocessor", PREPROCESSORS[:2], ids=["resized", "cut"])
def test_boxes_are_in_the_file_s_pixels(preprocessor):
    decoder = {"num_queries": 7, "decoder_num_layers": 1, "decoder_num_heads": 3, "decoder_d_model": 24}
    model = randomize(ViTForObjectDetection(**SIZES, **decoder, num_classes=5), np.random.default_rng(1))
    image = picture(46, 69)
    found = served(model, preprocessor, [file_of(image, "PNG")])
    pixels = numpy(preprocessor(image))
    [wanted] = model.detect(pixels, threshold=0.0)
    np.testing.assert_allclose(found["score"][0], wanted["scores"], atol=1e-5)
    assert [label.decode() for label in found["label"][0]] == [f"LABEL_{i}" for i in wanted["labels"]]
    if preprocessor.resize:  # to 23 x 34, of which the middle 15 x 21
        boxes = (wanted["boxes"] + [6, 4, 6, 4]) * np.array([69 / 34, 46 / 23] * 2)
    else:
        boxes = wanted["boxes"] * np.array([69 / 21, 46 / 15] * 2)
    np.testing.assert_allclose(found["box"][0], boxes, atol=1e-3)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ViTForMaskedImageModeling(**SIZES), "ViTForMaskedImageModeling takes images, .*, with 3 channels"),
        (lambda: VisionTransformer(**SIZES, channels=2), "VisionTransformer takes images, with 2 channels"),
    ],
)
def test_what_no_file_holds_has_no_preprocessor(make, words):
    with pytest.raises(ValueError, match=f"{words}, .*: leave out `preprocessor`"):
        model_signatures(make(), None, PREPROCESSORS[0], TextOptions())


PNG_OF_A_BILLION = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 2**15, 2**15)
JPEG = file_of(picture(9, 9), "JPEG")
SIZE = JPEG.index(b"\xff\xc0") + 5
JPEG_OF_A_BILLION = JPEG[:SIZE] + struct.pack(">HH", 2**15, 2**15) + JPEG[SIZE + 4 :]


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (b"no image", "must be JPEG or PNG files"),
        (b"", "must be JPEG or PNG files"),
        (b"\x89PNG\r\n\x1a\n", "must be JPEG or PNG files"),
        (file_of(picture(9, 9), "GIF"), "must be JPEG or PNG files"),
        (b"\x89PNG\r\n\x1a\n" + bytes(2**24), "must be of 16777216 bytes at most"),
        (PNG_OF_A_BILLION, "must have images of 67108864 pixels at most"),
        (JPEG_OF_A_BILLION, "must have images of 67108864 pixels at most"),
    ],
    ids=["text", "nothing", "eight bytes", "GIF", "large file", "large PNG", "large JPEG"],
)
def test_what_is_no_image_is_its_row_s_error(classifier, file, words):
    good = [file_of(picture(40, 61, seed=seed), kind) for seed, kind in enumerate(("PNG", "JPEG"))]
    found, alone = (served(classifier, PREPROCESSORS[0], files) for files in ([good[0], file, good[1]], good))
    assert found["error"][[0, 2]].tolist() == [b"", b""] and words in found["error"][1].decode()
    assert found["label"][1] == b"" and np.isnan(found["score"][1]) and np.isnan(found["scores"][1]).all()
    np.testing.assert_allclose(found["scores"][[0, 2]], alone["scores"], atol=1e-6)


@pytest.mark.parametrize("files", [[file_of(picture(9, 9), "PNG")[:40]], [JPEG[:40]], np.array([], str)])
def test_damaged_files_and_none_are_errors(classifier, files):
    with pytest.raises(tf.errors.InvalidArgumentError):
        served(classifier, PREPROCESSORS[0], files)


def test_swin_takes_any_batch():
    sizes = {"image_size": 12, "patch_size": 1, "embed_dim": 6, "depths": (1,), "num_heads": (3,), "window_size": 3}
    model = randomize(SwinTransformer(**sizes, num_classes=3), np.random.default_rng(1))
    serve = model_signatures(model, None, None, TextOptions())["serving_default"].traced()
    for batch in (1, 5):
        images = normal(np.random.default_rng(batch), batch, 12, 12, 3)
        np.testing.assert_allclose(serve(images)["logits"], numpy(model(images)), atol=1e-5)
