"""Swin Transformers: counts, windows of each stage, sizes of images, masked images, errors."""

import keras
import numpy as np
import pytest
from helpers import count_parameters, normal, numpy, randomize
from swin_helpers import run

from keras_tx import models
from keras_tx.models import SwinConfig, SwinForMaskedImageModeling, SwinTransformer, create_model
from keras_tx.models.swin.config import TINY, TINY_MASKED, TINY_V2, VARIANTS

COUNTS = {
    "swin_tiny_patch4_window7_224": (28288354, 27519354, 29881818),
    "swin_small_patch4_window7_224": (49606258, 48837258, 51199722),
    "swin_base_patch4_window7_224": (87768224, 86743224, 89892152),
    "swin_large_patch4_window7_224": (196532476, 194995476, 199717332),
    "swin_base_patch4_window12_384": (87903584, None, None),
    "swin_large_patch4_window12_384": (196735516, None, None),
    "swinv2_tiny_patch4_window8_256": (28347154, None, None),
    "swinv2_small_patch4_window8_256": (49728418, None, None),
    "swinv2_base_patch4_window8_256": (87918816, None, None),
    "swinv2_tiny_patch4_window16_256": (28347154, None, None),
    "swinv2_small_patch4_window16_256": (49728418, None, None),
    "swinv2_base_patch4_window16_256": (87918816, None, None),
}
"""With a thousand classes, without a head, and for masked images: as timm and Transformers count."""


@pytest.mark.parametrize("name", VARIANTS)
def test_parameters(name):
    whole, headless, masked = COUNTS[name]
    assert count_parameters(getattr(models, name)) == whole
    if headless:
        assert count_parameters(lambda: create_model(name, num_classes=0)) == headless
        assert count_parameters(lambda: SwinForMaskedImageModeling(VARIANTS[name])) == masked


# === Windows ===

DEEP = TINY.replace(depths=(2, 1, 2), num_heads=(1, 3, 2), window_size=3)


@pytest.mark.parametrize(
    ("fit", "size", "window", "expected"),
    [
        # maps of 8 x 14, 4 x 7 and 2 x 4 tokens
        ("axes", (16, 28), 4, [((4, 4), (2, 2)), ((4, 4), (0, 2)), ((2, 4), (0, 0))]),
        ("axes", (16, 28), (3, (2, 9), 5), [((3, 3), (1, 1)), ((2, 7), (1, 0)), ((2, 4), (0, 0))]),
        ("shorter_side", (16, 28), 4, [((4, 4), (2, 2))] * 3),
        ("height", (16, 28), 4, [((4, 4), (2, 2)), ((4, 4), (0, 0)), ((2, 2), (0, 0))]),
        # 7 x 8, 4 x 4 and 2 x 2, but of the height 7, 3 and 1
        ("axes", (14, 16), 3, [((3, 3), (1, 1)), ((3, 3), (1, 1)), ((2, 2), (0, 0))]),
        ("height", (14, 16), 3, [((3, 3), (1, 1)), ((3, 3), (0, 0)), ((1, 1), (0, 0))]),
    ],
)
def test_windows_of_small_maps(fit, size, window, expected):
    assert DEEP.replace(image_size=size, window_size=window, window_fit=fit).windows() == expected


# === What it gives ===


def test_what_is_inside(rng):
    """Maps of every stage and block; every second block of a stage is shifted, and the later more often dropped."""
    model, images = SwinTransformer(DEEP, window_size=(3, (2, 5), 4), drop_path=0.4), normal(rng, 2, 26, 34, 3)
    blocks = [block for stage in model.backbone.stages for block in stage]
    assert [block.shift for block in blocks] == [(0, 0), (1, 1), (0, 0), (0, 0), (0, 2)]
    assert [block.drop_path for block in blocks] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    outputs = run(model, images, return_attention=True, return_hidden_states=True)
    sizes = [(13, 17, 6), (7, 9, 12), (4, 5, 24)]
    assert [x.shape[1:] for x in outputs["feature_maps"]] == sizes
    assert [x.shape[1:] for x in outputs["hidden_states"]] == [sizes[i] for i in (0, 0, 0, 1, 2, 2)]
    assert [x.shape for x in outputs["attentions"]] == [
        *[(2 * 5 * 6, 1, 9, 9)] * 2,
        (2 * 4 * 2, 3, 10, 10),
        *[(2 * 1 * 2, 2, 16, 16)] * 2,
    ]


def test_starts_as_the_papers_do(rng):
    """Kernels and tables are narrow; in the second version each block starts as the identity."""
    assert VARIANTS["swinv2_tiny_patch4_window8_256"].norm_scale == 0.0
    model = SwinTransformer(TINY_V2, norm_scale=0.0)
    states = run(model, normal(rng, 2, 26, 34, 3), return_hidden_states=True)["hidden_states"]
    np.testing.assert_array_equal(numpy(states[0]), numpy(states[2]))
    drawn = [weight for weight in SwinTransformer(TINY).weights if weight.name in ("kernel", "table")]
    values = np.concatenate([numpy(weight).reshape(-1) for weight in drawn])
    assert values.std() == pytest.approx(0.02 * 0.88, rel=0.03) and np.abs(values).max() <= 0.04


def test_traces_for_images_of_any_size(rng):
    """Of tensors whose sizes are not known; the shift of small maps is decided when it runs."""
    config = TINY.replace(window_fit="shorter_side", window_size=3, absolute_positions=True)
    model = randomize(SwinTransformer(config), rng)
    inputs = keras.Input((None, None, 3))
    traced = keras.Model(inputs, model(inputs))
    for size in ((12, 22), (28, 34)):
        images = normal(rng, 2, *size, 3)
        np.testing.assert_allclose(numpy(run(traced, images)), numpy(run(model, images)), atol=1e-5)


def test_patches_need_not_be_normalized(rng):
    model = randomize(SwinTransformer(TINY, patch_norm=False), rng)
    images = normal(rng, 2, 26, 34, 3)
    assert not any("patch_norm" in weight.path for weight in model.weights)
    embedded = numpy(model.backbone.patch_embedding(images)).reshape(2, 13, 17, 6)
    np.testing.assert_allclose(numpy(model.backbone.embed(images)), embedded, atol=1e-6)


# === Masked images ===


def test_masked_images(rng):
    model = randomize(SwinForMaskedImageModeling(TINY_MASKED), rng)
    images, masked = normal(rng, 2, 24, 28, 3), rng.random((2, 12 * 14)) < 0.3
    outputs = run(model, {"images": images, "bool_masked_pos": masked})
    pixels = masked.reshape(2, 12, 1, 14, 1).repeat(2, axis=2).repeat(2, axis=4).reshape(2, 24, 28)
    errors = np.abs(images - numpy(outputs["logits"])).mean(axis=-1)
    np.testing.assert_allclose(outputs["loss"], errors[pixels].mean(), rtol=1e-5)
    plain = run(model, images)
    assert set(plain) == {"logits"} and not np.allclose(plain["logits"], outputs["logits"], atol=1e-3)
    hidden = images.copy()
    hidden[pixels] = 0.0
    again = run(model, {"images": hidden, "bool_masked_pos": masked})["logits"]
    np.testing.assert_allclose(numpy(again), numpy(outputs["logits"]), atol=1e-5)


def test_bad_masked_images(rng):
    model = SwinForMaskedImageModeling(TINY_MASKED)
    images = normal(rng, 2, 24, 28, 3)
    with pytest.raises(ValueError, match=r"`bool_masked_pos` must have shape \(2, 168\); got \(2, 167\)"):
        model(keras.Input((24, 28, 3), 2), bool_masked_pos=keras.Input((167,), 2))
    with pytest.raises(
        ValueError, match=r"a square of 4 pixels for each token .* makes images of \(24, 28\); got \(24, 26\)"
    ):
        model(keras.Input((24, 26, 3)))
    with pytest.raises(ValueError, match="`patch_size` of a masked image model must be square"):
        SwinForMaskedImageModeling(TINY_MASKED, patch_size=(2, 4))
    model.compile("sgd")
    with pytest.raises(ValueError, match='give "bool_masked_pos" among the inputs'):
        model.fit({"images": images}, verbose=0)


# === Errors ===


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_heads": (1, 5)}, "`width of a stage` must be a multiple of `num_heads`"),
        ({"num_heads": (1, 3, 2)}, "`depths` and `num_heads` must have a number for each stage"),
        ({"depths": (2, 0)}, "`depths` must be a whole number of at least 1"),
        ({"window_size": (3, 3, 3)}, "`window_size` must be one number, or one for each of 2 stages"),
        ({"window_size": 0}, "`window_size` must be a whole number of at least 1"),
        ({"pretrained_window_size": (3, 3, 3)}, "`pretrained_window_size` must be one number"),
        ({"window_fit": "both"}, "`window_fit` must be one of axes, shorter_side, height"),
        ({"image_size": 1}, "`image_size` must be no smaller than a patch"),
        ({"window_fit": "height", "image_size": (2, 34)}, "`window_size` must be a whole number of at least 1; got 0"),
        ({"mlp_ratio": 0.0}, "`mlp_ratio` must be above 0"),
        ({"drop_path": 1.0}, "`drop_path` must be a rate"),
        ({"scores": "l2"}, '`scores` must be "dot" or "cosine"'),
        ({"position_bias": "none"}, '`position_bias` must be "table" or "continuous"'),
        ({"norm_position": "none"}, '`norm_position` must be "pre" or "post"'),
    ],
)
def test_bad_configs(fields, message):
    with pytest.raises(ValueError, match=message):
        SwinTransformer(TINY, **fields)


def test_images_that_are_no_whole_number_of_patches(rng):
    """The rest is left out, as by timm; images that are masked must have none."""
    model, images = randomize(SwinTransformer(TINY, image_size=(27, 35)), rng), normal(rng, 2, 27, 35, 3)
    np.testing.assert_allclose(model(images), model(images[:, :26, :34]), atol=1e-6)
    masked, hidden = SwinForMaskedImageModeling(TINY, encoder_stride=4), np.zeros((2, 13 * 17), bool)
    with pytest.raises(ValueError, match=r"must be multiples of the patches', \(2, 2\); got \(27, 35\)"):
        masked(images, bool_masked_pos=hidden)
    with pytest.raises(ValueError, match=r"`image_size` must be no smaller than a patch, \(2, 2\); got 1"):
        SwinTransformer(TINY, image_size=1)


def test_configs_are_equal_after_json():
    config = SwinConfig.from_dict(TINY.to_dict() | {"window_size": [3, [2, 5]]})
    assert config == TINY and hash(config) == hash(TINY) and TINY_V2 != TINY
