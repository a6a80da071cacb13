"""Preprocessing: the numbers of Transformers' processors, and their files."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers import numpy
from hub_helpers import put_into_cache

import keras_tx
from keras_tx.vision import ImagePreprocessor

GOLDEN = Path(__file__).parents[1] / "golden" / "preprocessing"
CASES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())
EXPECTED = np.load(GOLDEN / "expected.npz")
IMAGE = EXPECTED["image"]


@pytest.mark.parametrize("case", CASES)
def test_equals_transformers(case):
    """But for rounding: a few of the values lie one of 255 steps off, and more where Pillow took columns first."""
    preprocessor = ImagePreprocessor.from_pretrained(GOLDEN / case)
    found = numpy(preprocessor(IMAGE))
    steps = np.abs(found - EXPECTED[case]) * np.array(preprocessor.std) / preprocessor.scale
    assert found.shape == EXPECTED[case].shape and found.dtype == "float32"
    assert steps.max() < 1.01 and np.mean(steps > 0.01) < (0.25 if case == "cut" else 0.02)


@pytest.mark.parametrize("case", CASES)
def test_files_round_trip(case, tmp_path):
    preprocessor = ImagePreprocessor.from_pretrained(GOLDEN / case)
    preprocessor.save_pretrained(tmp_path)
    assert ImagePreprocessor.from_pretrained(tmp_path) == preprocessor
    theirs = json.loads((GOLDEN / case / "preprocessor_config.json").read_text())
    ours = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert ours["image_processor_type"] == theirs["image_processor_type"]
    assert ours["size"] == theirs["size"] and ours["resample"] == theirs["resample"]


def test_images_of_the_right_size_are_only_normalized():
    preprocessor = ImagePreprocessor(image_size=IMAGE.shape[:2], mean=(0.1, 0.2, 0.3), std=(0.5, 0.4, 0.3))
    want = (IMAGE / 255 - np.array([0.1, 0.2, 0.3])) / np.array([0.5, 0.4, 0.3])
    np.testing.assert_allclose(numpy(preprocessor(IMAGE))[0], want, atol=1e-5)
    batch = np.stack([IMAGE, IMAGE[::-1]])
    np.testing.assert_allclose(numpy(preprocessor(batch))[1], want[::-1], atol=1e-5)
    np.testing.assert_allclose(preprocessor.normalize(batch.astype("float32"))[0], want, atol=1e-5)


def test_floats_are_not_rounded():
    half = np.zeros((4, 4, 1), "float32")
    half[:, 2:] = 1.0
    preprocessor = ImagePreprocessor(image_size=(2, 3), mean=(0.0,), std=(1.0,), scale=1.0)
    found = numpy(preprocessor(half))[0, 0, :, 0]
    np.testing.assert_allclose(found, [0.0, 0.5, 1.0], atol=0.2)
    assert 0 < found[1] < 1
    np.testing.assert_array_equal(numpy(preprocessor(half.astype("uint8"))), np.floor(numpy(preprocessor(half)) + 0.5))


def test_timm_config(tmp_path):
    config = {
        "input_size": [3, 13, 13],
        "crop_pct": 0.9,
        "interpolation": "bicubic",
        "mean": [0.4] * 3,
        "std": [0.2] * 3,
    }
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "vit", "pretrained_cfg": config}))
    preprocessor = ImagePreprocessor.from_pretrained(tmp_path)
    assert preprocessor == ImagePreprocessor(
        image_size=13, resize=14, crop_rounding="even", interpolation="bicubic", mean=(0.4,) * 3, std=(0.2,) * 3
    )
    assert numpy(preprocessor(IMAGE)).shape == (1, 13, 13, 3)


@pytest.mark.parametrize("graph", [False, True])
def test_images_that_are_not_resized(tmp_path, graph):
    """They are cut, or have to be of the model's size."""
    size = {"height": 9, "width": 31}
    document = {"image_processor_type": "DeiTImageProcessor", "do_resize": False, "crop_size": size}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(document))
    cut = ImagePreprocessor.from_pretrained(tmp_path)
    assert cut.resize_mode == "cut"
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_resize": False, "size": size}))
    exact = ImagePreprocessor.from_pretrained(tmp_path)
    image = np.random.default_rng(0).integers(0, 256, (21, 24, 3)).astype("uint8")
    wanted = np.pad(image[6:15], ((0, 0), (3, 4), (0, 0)))[None]

    def resized(preprocessor, image):
        if not graph:
            return numpy(preprocessor.resized(image))
        spec = tf.TensorSpec((None, None, 3), tf.uint8)
        return tf.function(preprocessor.resized, input_signature=[spec])(image).numpy()

    np.testing.assert_array_equal(resized(cut, image), wanted)
    np.testing.assert_array_equal(resized(exact, wanted[0]), wanted)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="must be of 9 x 31 pixels"):
        resized(exact, image)
    for preprocessor in (cut, exact):
        preprocessor.save_pretrained(tmp_path)
        assert ImagePreprocessor.from_pretrained(tmp_path) == preprocessor
    with pytest.raises(ValueError, match="`resize` must be None with `resize_mode='cut'`"):
        ImagePreprocessor(resize=9, resize_mode="cut")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"resample": 7}, '"resample" .* must be one of 0, 1, 2, 3; got 7'),
        ({"size": {"shortest_edge": 5}}, '"shortest_edge" without "do_center_crop"'),
        ({"size": {"shortest_edge": 5, "longest_edge": 9}}, '"size" in .* must have "height" and "width", or'),
        ({"image_processor_type": "DPTImageProcessor", "keep_aspect_ratio": True}, '"keep_aspect_ratio": true'),
        ({"image_processor_type": "DonutImageProcessor"}, "is of a DonutImageProcessor, and there are ViT, DeiT, "),
        ({"do_pad": True}, '"do_pad": true .* gives images of many sizes'),
    ],
)
def test_configs_that_ask_for_more(tmp_path, config, words):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=words):
        ImagePreprocessor.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"crop_mode": "corner"}, '"crop_mode" in config.json must be one of .*border.*; got .corner.'),
        ({"interpolation": "hamming"}, '"interpolation" in config.json must be one of'),
    ],
)
def test_timm_configs_that_ask_for_more(tmp_path, entries, words):
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "vit", "pretrained_cfg": entries}))
    with pytest.raises(ValueError, match=words):
        ImagePreprocessor.from_pretrained(tmp_path)


def test_older_directories_of_timm(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "vit", "input_size": [3, 8, 8], "crop_pct": 0.5}))
    preprocessor = ImagePreprocessor.from_pretrained(tmp_path)
    assert preprocessor.image_size == (8, 8) and preprocessor.resize == 16
    assert preprocessor.mean == (0.485, 0.456, 0.406)


def test_a_file_without_a_class_is_of_the_models(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text('{"do_resize": true}')
    assert ImagePreprocessor.from_pretrained(tmp_path).resize is None
    (tmp_path / "config.json").write_text('{"model_type": "deit"}')
    assert ImagePreprocessor.from_pretrained(tmp_path).resize == (256, 256)


def test_boxes_are_led_back_to_the_file():
    """The corners of what was cut out, and of an image that was padded."""
    corners = np.array([[0.0, 0.0, 10.0, 10.0]], "float32")
    cut = ImagePreprocessor(image_size=10, resize=15, crop_rounding="even")  # 30 x 15 pixels: 10 and 2 are cut off
    np.testing.assert_allclose(numpy(cut.in_file(corners, 60, 30)), [[4.0, 20.0, 24.0, 40.0]])
    padded = ImagePreprocessor(image_size=10, resize=(10, 10), resize_mode="contain")  # 10 x 5, 2 to the left
    np.testing.assert_allclose(numpy(padded.in_file(corners, 20, 10)), [[-4.0, 0.0, 16.0, 20.0]])


def test_a_preprocessor_by_its_hub_id(tmp_path):
    preprocessor = ImagePreprocessor(image_size=(33, 31), interpolation="bicubic")
    preprocessor.save_pretrained(tmp_path / "saved")
    put_into_cache(tmp_path / "cache", "some/model", tmp_path / "saved")
    hub = {"cache_dir": tmp_path / "cache", "local_files_only": True}
    assert keras_tx.load_preprocessor("some/model", **hub) == preprocessor
    assert ImagePreprocessor.from_pretrained("some/model", **hub) == preprocessor
    with pytest.raises(FileNotFoundError, match="no preprocessor of the hub's some/other"):
        keras_tx.load_preprocessor("some/other", **hub)


def test_no_config(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no preprocessor_config\.json"):
        ImagePreprocessor.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"interpolation": "cubic"}, "`interpolation` must be one of 'nearest', .*; got 'cubic'"),
        ({"image_size": (0, 3)}, "`image_size` must be a whole number"),
        ({"std": (1.0, 0.0, 1.0)}, "`std` above 0"),
        ({"mean": (0.5, 0.5)}, "`mean` and `std` must be as many"),
        ({"resize_mode": "fill"}, "`resize_mode` must be one of 'stretch', .*; got 'fill'"),
        ({"crop_rounding": "up"}, "`crop_rounding` must be one of 'floor', 'even'; got 'up'"),
    ],
)
def test_bad_fields(fields, words):
    with pytest.raises(ValueError, match=words):
        ImagePreprocessor(**fields)


def test_bad_images():
    with pytest.raises(ValueError, match=r"`images` must be \(height, width, channels\) or"):
        ImagePreprocessor()(IMAGE[0])
    with pytest.raises(ValueError, match="`mean` has 3 channels; got images"):
        ImagePreprocessor()(IMAGE[..., :2])
