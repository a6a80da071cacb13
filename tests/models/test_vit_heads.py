"""Masked images and masked autoencoders by their definitions."""

import keras
import numpy as np
import pytest
from helpers import count_parameters, normal, numpy, randomize

from keras_tx.models import ViTForMaskedImageModeling, ViTMAEConfig, ViTMAEForPreTraining
from keras_tx.models.vit.config import VARIANTS
from keras_tx.models.vit.mae import sinusoids_on_grid
from keras_tx.models.vit.pretraining import TINY_MAE, TINY_SQUARE

MASKED_COUNTS = {
    "vit_base_patch16_224": 86390016,
    "vit_base_patch32_224": 89818368,
    "vit_large_patch16_224": 304089856,
    "vit_huge_patch14_224": 631519308,
}


@pytest.mark.parametrize("name", MASKED_COUNTS)
def test_parameter_counts(name):
    assert count_parameters(lambda: ViTForMaskedImageModeling(VARIANTS[name])) == MASKED_COUNTS[name]


def test_parameter_count_of_a_masked_autoencoder():
    tables = 197 * (768 + 512)  # fixed, and not trained
    assert count_parameters(lambda: ViTMAEForPreTraining(ViTMAEConfig())) == 111907840 - tables


@pytest.fixture
def masked(rng) -> ViTForMaskedImageModeling:
    return randomize(ViTForMaskedImageModeling(TINY_SQUARE), rng)


def test_hidden_patches_do_not_count(masked, rng):
    """What stands in a hidden patch changes the loss, not the pixels; without a mask there is no loss."""
    images, hidden = normal(rng, 2, 9, 15, 2), np.zeros((2, 15), bool)
    hidden[:, 7] = True  # row 1, column 2
    outputs = masked(images, bool_masked_pos=hidden)
    pixels = numpy(outputs["logits"])
    expected = np.abs(images - pixels)[:, 3:6, 6:9].mean()
    assert float(outputs["loss"]) == pytest.approx(expected, rel=1e-4)
    other = images.copy()
    other[:, 3:6, 6:9] = 7
    np.testing.assert_allclose(masked(other, bool_masked_pos=hidden)["logits"], pixels, atol=1e-5)
    assert set(masked(images)) == {"logits"} and not np.allclose(masked(images)["logits"], pixels, atol=1e-2)
    np.testing.assert_allclose(
        masked(images)["logits"], masked(images, bool_masked_pos=hidden * 0)["logits"], atol=1e-6
    )


def test_pixels_stand_where_their_patch_does(masked):
    """The decoder's bias is the pixels of each patch, channel by channel."""
    bias = np.arange(18, dtype="float32")
    masked.head.decoder.kernel.assign(0 * masked.head.decoder.kernel)
    masked.head.decoder.bias.assign(bias)
    pixels = numpy(masked(np.zeros((1, 9, 15, 2), "float32"))["logits"])
    for row in range(3):
        for column in range(5):
            patch = pixels[0, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
            np.testing.assert_array_equal(patch.transpose(2, 0, 1).ravel(), bias)


def test_errors_of_masked_images(masked, rng):
    images = normal(rng, 2, 9, 15, 2)
    with pytest.raises(ValueError, match=r"`bool_masked_pos` must have shape \(2, 15\); got \(2, 14\)"):
        masked(images, bool_masked_pos=np.zeros((2, 14), bool))
    with pytest.raises(
        ValueError, match=r"`patch_size` of a masked image model must be square; got patches of \(3, 5\)"
    ):
        ViTForMaskedImageModeling(TINY_SQUARE, patch_size=(3, 5))
    fresh = ViTForMaskedImageModeling(TINY_SQUARE)
    fresh.compile("sgd")
    with pytest.raises(ValueError, match='give "bool_masked_pos" among the inputs'):
        fresh.fit({"images": images}, verbose=0)


# === Masked autoencoders ===


@pytest.fixture
def mae(rng) -> ViTMAEForPreTraining:
    return randomize(ViTMAEForPreTraining(TINY_MAE), rng)


def test_positions_on_a_grid():
    """Sines and cosines of the column in the first half, of the row in the second."""
    table = sinusoids_on_grid((3, 5), 12).reshape(3, 5, 12)
    for row, column in ((0, 0), (2, 1), (1, 4)):
        for k in range(3):
            rate = 10000 ** (-k / 3)
            found = table[row, column, [k, 3 + k, 6 + k, 9 + k]]
            waves = [np.sin(column * rate), np.cos(column * rate), np.sin(row * rate), np.cos(row * rate)]
            np.testing.assert_allclose(found, waves, atol=1e-12)


def test_fixed_tables_are_no_trainable_weights(mae):
    for table, dim in ((mae.backbone.position_embedding, 20), (mae.head.position_embedding, 12)):
        assert not table.trainable and not numpy(table)[:, 0].any()
        np.testing.assert_allclose(numpy(table)[0, 1:], sinusoids_on_grid((3, 7), dim), atol=1e-6)


def test_the_encoder_sees_a_part(mae, rng):
    """6 of 21 patches, those with the lowest noise; the loss is of the others, and of every pixel in them."""
    images, noise = normal(rng, 2, 9, 14, 2), rng.random((2, 21)).astype("float32")
    outputs = mae(images, noise=noise, return_hidden_states=True)
    assert outputs["hidden_states"][0].shape == (2, 1 + 6, 20)
    hidden = noise > np.sort(noise, axis=1)[:, 5:6]
    np.testing.assert_array_equal(outputs["mask"], hidden.astype("float32"))
    np.testing.assert_array_equal(outputs["ids_restore"], noise.argsort(axis=1).argsort(axis=1))
    patches = images.reshape(2, 3, 3, 7, 2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(2, 21, 12)
    errors = ((patches - numpy(outputs["logits"])) ** 2).mean(axis=-1)
    assert float(outputs["loss"]) == pytest.approx(errors[hidden].mean(), rel=1e-4)
    other = images.copy()
    row, column = divmod(int(np.flatnonzero(hidden[0])[0]), 7)
    other[0, 3 * row : 3 * row + 3, 2 * column : 2 * column + 2] += 5
    np.testing.assert_allclose(mae(other, noise=noise)["logits"], outputs["logits"], atol=1e-5)


def test_normalized_pixels(mae, rng):
    images, noise = normal(rng, 2, 9, 14, 2), rng.random((2, 21)).astype("float32")
    other = ViTMAEForPreTraining(TINY_MAE, norm_pix_loss=True)
    other.set_weights(mae.get_weights())
    outputs = other(images, noise=noise)
    patches = images.reshape(2, 3, 3, 7, 2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(2, 21, 12)
    scale = np.sqrt(patches.var(axis=-1, ddof=1, keepdims=True) + 1e-6)
    errors = (((patches - patches.mean(axis=-1, keepdims=True)) / scale - numpy(outputs["logits"])) ** 2).mean(axis=-1)
    hidden = numpy(outputs["mask"]).astype(bool)
    assert float(outputs["loss"]) == pytest.approx(errors[hidden].mean(), rel=1e-4)


def test_noise_is_drawn_anew(mae, rng):
    images = normal(rng, 2, 9, 14, 2)
    first, second = (numpy(mae(images)["mask"]) for _ in range(2))
    assert not np.array_equal(first, second) and first.sum() == second.sum() == 2 * 15


@pytest.mark.slow
def test_the_loss_is_its_own(rng):
    """`fit` and `evaluate` need no labels, `predict` gives rows alone."""
    model, images = ViTMAEForPreTraining(TINY_MAE), normal(rng, 5, 9, 14, 2)
    model.compile(keras.optimizers.Adam(1e-3))
    assert np.isfinite(model.evaluate(images, verbose=0, batch_size=2))
    predicted = model.predict(images, verbose=0, batch_size=2)
    assert {name: x.shape[0] for name, x in predicted.items()} == {"logits": 5, "mask": 5, "ids_restore": 5}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mask_ratio": 1.0}, "`mask_ratio` must lie between 0 and 1"),
        ({"d_model": 15, "num_heads": 3}, "`d_model` must be a multiple of 4"),
        ({"decoder_d_model": 9}, "`decoder_d_model` must be a multiple of 4"),
        ({"decoder_num_heads": 5}, "`decoder_d_model` must be a multiple of `decoder_num_heads`"),
        ({"register_tokens": 1}, "the class token alone"),
        ({"decoder_d_ff": 0}, "`decoder_d_ff` must be"),
        ({"pad_images": True}, "`pad_images` is for classifiers"),
    ],
)
def test_bad_configs(fields, message):
    with pytest.raises(ValueError, match=message):
        ViTMAEForPreTraining(TINY_MAE, **fields)
