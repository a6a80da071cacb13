"""What image models look at: numbers by their definitions, and pictures of them."""

import numpy as np
import pytest
from helpers import normal, numpy, randomize
from matplotlib.image import imread

from keras_tx.analysis import (
    attended_patches,
    attended_tokens,
    attention_rollout,
    confusion_matrix,
    plot_confusion_matrix,
    plot_overlays,
    plot_position_similarity,
    position_similarity,
)
from keras_tx.analysis.images import attention_of
from keras_tx.layers.image.swin_block import SwinBlock
from keras_tx.models import SwinTransformer, VisionTransformer
from keras_tx.ops.image import windows

VIT = {
    "image_size": (6, 10),
    "patch_size": 2,
    "channels": 1,
    "num_classes": 3,
    "num_layers": 2,
    "num_heads": 2,
    "d_model": 14,
    "d_ff": 22,
}
SWIN = {
    "image_size": (10, 14),
    "patch_size": 2,
    "channels": 1,
    "num_classes": 3,
    "embed_dim": 6,
    "depths": (2, 1),
    "num_heads": (2, 3),
    "window_size": 3,
}


def drawn(path) -> np.ndarray:
    assert path.read_bytes().startswith(b"\x89PNG")
    return imread(path)


def stochastic(rng, *shape: int) -> np.ndarray:
    x = rng.uniform(0.01, 1, shape)
    return x / x.sum(axis=-1, keepdims=True)


def test_rollout_by_its_definition(rng):
    maps = [stochastic(rng, 2, 3, 7, 7) for _ in range(4)]
    found = attention_rollout(maps)
    for row in range(2):
        want = np.eye(7)
        for layer in maps:
            want = (layer[row].mean(axis=0) / 2 + np.eye(7) / 2) @ want
        np.testing.assert_allclose(found[row], want, atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=-1), 1)


def test_rollout_follows_the_order_of_blocks():
    """The last token reads the middle one only after that has read the first: the other way round nothing arrives."""
    reads = np.eye(3)[[0, 0, 2]][None, None], np.eye(3)[[0, 1, 1]][None, None]
    assert attention_rollout(reads)[0, 2, 0] == 0.25
    assert attention_rollout(reads[::-1])[0, 2, 0] == 0


@pytest.mark.parametrize(
    "maps", [[], [np.ones((2, 3, 4, 5))], [np.ones((4, 4))], [np.ones((1, 1, 2, 2))] * 1 + [np.ones((1, 1, 3, 3))]]
)
def test_rollout_of_other_shapes_is_an_error(maps):
    with pytest.raises(ValueError, match=r"`maps` must be \(B, heads, T, T\)"):
        attention_rollout(maps)


@pytest.mark.parametrize("pooling", ["token", "mean"])
def test_attended_patches(rng, pooling):
    model = randomize(VisionTransformer(**VIT, pooling=pooling, register_tokens=2), rng)
    images = normal(rng, 3, 6, 10, 1)
    maps = [numpy(layer) for layer in model(images, return_attention=True)["attentions"]]
    reads = maps[-1][:, :, 0] if pooling == "token" else maps[-1][:, :, 3:].mean(axis=2)
    heads = attended_patches(model, images, rollout=False)
    assert heads.shape == (3, 2, 3, 5)
    np.testing.assert_allclose(heads.reshape(3, 2, 15), reads[..., 3:], atol=1e-6)
    rolled = attention_rollout(maps)
    reads = rolled[:, 0] if pooling == "token" else rolled[:, 3:].mean(axis=1)
    found = attended_patches(model, images)
    np.testing.assert_allclose(found.reshape(3, 15), reads[:, 3:], atol=1e-6)
    everything, names = attention_of(model, images)
    assert everything.shape == (3, 3, 3, 5) and names == ["rollout", "head 1", "head 2"]


def test_attention_on_images_of_another_size(rng):
    """Padded to whole patches where the model does so."""
    images = normal(rng, 2, 9, 13, 1)
    maps, _ = attention_of(VisionTransformer(**VIT, pad_images=True), images)
    assert maps.shape == (2, 3, 5, 7)
    maps, _ = attention_of(SwinTransformer(**SWIN), images[:, :8, :12])
    assert maps.shape == (2, 2, 5, 7)


@pytest.mark.parametrize("pad_first", [False, True])
@pytest.mark.parametrize("shift", [(0, 0), (1, 1)])
def test_tokens_of_windows_lie_where_they_came_from(pad_first, shift):
    """Where each token looks at itself alone, each is looked at once: windows of 3 x 3 over a map of 5 x 7."""
    block = SwinBlock(6, 2, (3, 3), shift, pad_first=pad_first)
    maps = np.broadcast_to(np.eye(9), (2 * 2 * 3, 2, 9, 9))
    np.testing.assert_allclose(attended_tokens(block, maps, (5, 7)), np.ones((2, 5, 7)))


@pytest.mark.parametrize("pad_first", [False, True])
@pytest.mark.parametrize("place", [(0, 0), (2, 3), (4, 6), (3, 1)])
def test_a_token_that_all_look_at_is_found(pad_first, place):
    block = SwinBlock(6, 2, (3, 3), (1, 1), pad_first=pad_first)
    x = np.zeros((1, 5, 7, 1), "float32")
    x[0, place[0], place[1]] = 1.0
    x = windows.pad(x, (3, 3)) if pad_first else x
    keys = numpy(windows.partition(windows.pad(windows.roll(x, (1, 1)), (3, 3)), (3, 3)))[..., 0]
    maps = np.broadcast_to(keys[:, None, None, :], (6, 2, 9, 9))
    seen = attended_tokens(block, maps, (5, 7))[0]
    assert seen[place] == 9 and np.count_nonzero(seen) == 1


def test_attention_of_a_swin(rng):
    maps, names = attention_of(SwinTransformer(**SWIN), normal(rng, 2, 10, 14, 1))
    assert maps.shape == (2, 2, 5, 7) and names == ["stage 1", "stage 2"]


def test_position_similarity(rng):
    model = randomize(VisionTransformer(**VIT), rng)
    table = numpy(model.backbone.position_embedding)[0, 1:]
    found = position_similarity(model)
    assert found.shape == (3, 5, 3, 5)
    a, b = table[1 * 5 + 4], table[2 * 5 + 3]
    assert found[1, 4, 2, 3] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-5)
    np.testing.assert_allclose(found.reshape(15, 15).diagonal(), 1, atol=1e-5)


def test_confusion_matrix():
    found = confusion_matrix([0, 2, 2, 1, 2], [0, 1, 2, 1, 1], 4)
    np.testing.assert_array_equal(found, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 2, 1, 0], [0, 0, 0, 0]])
    with pytest.raises(ValueError, match=r"`predictions` must lie in \[0, 2\); got 0 to 2"):
        confusion_matrix([0, 1], [2, 0], 2)
    with pytest.raises(ValueError, match="one a row each"):
        confusion_matrix([0, 1], [0], 2)


def test_pictures(rng, tmp_path):
    plot_confusion_matrix(tmp_path / "confusion.png", np.array([[3, 1], [0, 5]]), ["cat", "dog"])
    maps = rng.uniform(size=(2, 3, 3, 5))
    plot_overlays(tmp_path / "grey.png", normal(rng, 2, 6, 10, 1), maps, ["a", "b"], ["all", "head 1", "head 2"])
    plot_overlays(tmp_path / "colour.png", normal(rng, 1, 6, 10, 3), rng.uniform(size=(1, 3, 5)))
    plot_position_similarity(tmp_path / "positions.png", rng.uniform(-1, 1, (3, 2, 3, 2)))
    pictures = [drawn(tmp_path / f"{name}.png") for name in ("confusion", "grey", "colour", "positions")]
    for pixels in pictures:
        assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 10
    assert pictures[1].shape[1] == 2 * pictures[2].shape[1]  # the image and three maps, the image and one


def test_what_does_not_fit_is_not_drawn(rng, tmp_path):
    with pytest.raises(ValueError, match="`images` and `maps` must be as many"):
        plot_overlays(tmp_path / "a.png", normal(rng, 2, 6, 10, 1), np.ones((3, 3, 5)))
    with pytest.raises(ValueError, match="`counts` must be square, a row for each of 3 names"):
        plot_confusion_matrix(tmp_path / "a.png", np.ones((2, 2), int), "abc")
    assert not list(tmp_path.iterdir())
