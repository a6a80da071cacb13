"""Pictures of training and of attention."""

import numpy as np
import pytest
from matplotlib.image import imread

from keras_tx.analysis import plot_attention, plot_cross_attention, plot_metric

TABLE = [{"step": 10 * i, "loss": 3 / i, "val_loss": 3.5 / i} for i in (1, 2, 3)]


def colours(path) -> int:
    assert path.read_bytes().startswith(b"\x89PNG")
    pixels = imread(path)
    return len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0))


@pytest.mark.parametrize("rows", [1, 3])
def test_loss(tmp_path, rows):
    plot_metric(tmp_path / "bare.png", TABLE[:rows])
    plot_metric(tmp_path / "loss.png", TABLE[:rows], baselines={"bigram": 2.5})
    assert colours(tmp_path / "loss.png") > 10
    assert not np.array_equal(imread(tmp_path / "loss.png"), imread(tmp_path / "bare.png"))


def test_attention(tmp_path):
    tokens = list("a b\n字")
    causal = np.tril(np.ones((3, 5, 5))) / np.arange(1, 6)[:, None]
    plot_attention(tmp_path / "a.png", [causal, causal], tokens)
    plot_attention(tmp_path / "b.png", [np.eye(5)[None].repeat(3, 0)] * 2, tokens)
    assert colours(tmp_path / "a.png") > 10
    a, b = imread(tmp_path / "a.png"), imread(tmp_path / "b.png")
    assert a.shape == b.shape and not np.array_equal(a, b)


def test_nothing_to_draw_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="`table` is empty"):
        plot_metric(tmp_path / "loss.png", [])
    with pytest.raises(ValueError, match="`maps` is empty"):
        plot_attention(tmp_path / "a.png", [], ["a"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(4, 4), (2, 4, 3), (2, 3, 3), (1, 2, 4, 4)])
def test_maps_of_another_shape_are_errors(tmp_path, shape):
    good = np.full((2, 4, 4), 0.25)
    with pytest.raises(ValueError, match=r"map 1 must be \(heads, 4, 4\); got shape"):
        plot_attention(tmp_path / "a.png", [good, np.ones(shape)], "abcd")
    assert not list(tmp_path.iterdir())


def test_cross_attention(tmp_path, rng):
    """Of as many rows as the target has tokens; a map the other way round is refused."""
    maps = [rng.dirichlet(np.ones(7), (3, 5)) for _ in range(2)]
    target, source = list("abcde"), ["▁the", *"fghijk"]
    plot_cross_attention(tmp_path / "maps.png", maps, target, source)
    assert (tmp_path / "maps.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"map 0 must be \(heads, 7, 5\)"):
        plot_cross_attention(tmp_path / "maps.png", maps, source, target)
