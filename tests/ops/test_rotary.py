"""Rotary embeddings: rotations against complex numbers, scalings against Transformers' Llama."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import normal, numpy
from helpers import rotate as turned_by

from keras_tx.ops import Rotary, RotaryScaling, apply_rotary_pos_emb, rotate
from keras_tx.ops.attention.rotary import rotary

B, H, T, D = 2, 3, 5, 14
GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "rotary.npz")
PEER = json.loads(str(GOLDEN["cases"]))
BASE, ORIGINAL = 700.0, 37

SCALINGS = {
    "default": None,
    "linear": RotaryScaling(rope_type="linear", factor=3.0),
    "dynamic": RotaryScaling(rope_type="dynamic", factor=2.5, original_max_positions=ORIGINAL),
    "yarn": RotaryScaling(rope_type="yarn", factor=4.0, original_max_positions=ORIGINAL),
    "yarn_blended": RotaryScaling(
        rope_type="yarn",
        factor=5.0,
        original_max_positions=ORIGINAL,
        beta_slow=0.5,
        beta_fast=9.0,
        attention_factor=1.3,
        truncate=False,
    ),
    "yarn_short": RotaryScaling(rope_type="yarn", factor=4.0, original_max_positions=5, truncate=False),
    "llama3": RotaryScaling(
        rope_type="llama3",
        factor=6.0,
        original_max_positions=ORIGINAL,
        low_freq_factor=1.5,
        high_freq_factor=3.0,
    ),
}


@pytest.mark.parametrize("at", [np.array([0, 2, 3, 7, 31]), np.array([[0, 1, 2, 3, 4], [9, 8, 5, 2, 17]])])
@pytest.mark.parametrize("base", [10000.0, 17.0])
def test_rotation_is_multiplication_by_a_unit_complex_number(rng, at, base):
    x = normal(rng, 2, 3, 5, 14)
    turned = numpy(rotate(x, *rotary(at, 14, base)))
    np.testing.assert_allclose(turned, turned_by(x, at if at.ndim == 1 else at[:, None], base), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=-1), np.linalg.norm(x, axis=-1), rtol=1e-5)


def test_scores_depend_on_the_distance_alone(rng):
    q, k = normal(rng, 1, 1, 1, 22), normal(rng, 1, 1, 1, 22)

    def score(query_position, key_position):
        turned_q = rotate(q, *rotary(np.array([query_position]), 22))
        turned_k = rotate(k, *rotary(np.array([key_position]), 22))
        return float(np.sum(numpy(turned_q) * numpy(turned_k)))

    assert score(3, 1) == pytest.approx(score(19, 17), abs=1e-4)
    assert score(3, 1) != pytest.approx(score(1, 3), abs=1e-2)
    assert score(5, 5) == pytest.approx(float(np.sum(q * k)), abs=1e-4)


def test_apply_rotary_pos_emb_rotates_both(rng):
    q, k, at = normal(rng, 2, 6, 5, 14), normal(rng, 2, 3, 5, 14), np.arange(5)
    turned_q, turned_k = apply_rotary_pos_emb(q, k, *rotary(at, 14))
    np.testing.assert_allclose(turned_q, turned_by(q, at), atol=1e-5)
    np.testing.assert_allclose(turned_k, turned_by(k, at), atol=1e-5)


def test_every_kind_of_the_peer_is_here():
    assert SCALINGS.keys() == PEER.keys()


@pytest.mark.parametrize("name", SCALINGS)
@pytest.mark.parametrize("length", ["short", "long"])
def test_scalings_are_transformers_own(name, length):
    tables = Rotary(rope_theta=BASE, scaling=SCALINGS[name]).tables(GOLDEN[f"positions.{length}"], D)
    for table, part in zip(tables, ("cos", "sin"), strict=True):
        np.testing.assert_allclose(table, GOLDEN[f"{name}.{length}.{part}"], atol=2e-5)


def test_ntk_raises_the_base():
    positions = np.arange(T)
    found = Rotary(rope_theta=BASE, scaling=RotaryScaling(rope_type="ntk", factor=3.0)).tables(positions, D)
    np.testing.assert_allclose(found, Rotary(rope_theta=BASE * 3.0 ** (D / (D - 2))).tables(positions, D), atol=1e-6)


def test_pairs_in_halves_or_side_by_side(rng):
    x, positions = normal(rng, B, H, T, D), np.arange(T) * 3
    tables = rotary(positions, D, BASE)
    np.testing.assert_allclose(rotate(x, *tables), turned_by(x, positions, BASE), atol=1e-5)
    halves = [*range(0, D, 2), *range(1, D, 2)]  # where the channels of a pair lie when they are side by side
    side_by_side = numpy(rotate(x, *tables, interleaved=True))
    np.testing.assert_allclose(side_by_side[..., halves], turned_by(x[..., halves], positions, BASE), atol=1e-5)


@pytest.mark.parametrize("interleaved", [False, True])
def test_channels_past_the_width_stay(interleaved, rng):
    x, partial = normal(rng, B, H, T, D), Rotary(rope_theta=BASE, dim=6, interleaved=interleaved)
    tables = partial.tables(np.arange(T), D)
    found = numpy(rotate(x, *tables, interleaved=interleaved))
    np.testing.assert_array_equal(found[..., 6:], x[..., 6:])
    whole = rotate(x[..., :6], *rotary(np.arange(T), 6, BASE), interleaved=interleaved)
    np.testing.assert_allclose(found[..., :6], whole, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rotary(dim=7), "7"),
        (lambda: Rotary(rope_theta=1.0), "`rope_theta` must be above 1; got 1.0"),
        (lambda: Rotary(dim=16).width(D), "`dim` 16 do not fit into heads of width 14"),
        (lambda: Rotary().width(5), "5"),
        (lambda: Rotary(scaling=SCALINGS["dynamic"]).width(2), "more than one pair"),
        (lambda: RotaryScaling(rope_type="cubic", factor=2.0), "`rope_type` must be one of .*'cubic'"),
        (
            lambda: RotaryScaling(rope_type="linear", factor=0.5),
            "`factor` of a rotary scaling must be at least 1; got 0.5",
        ),
        (lambda: RotaryScaling(rope_type="yarn", factor=2.0), "needs `original_max_positions`"),
        (
            lambda: RotaryScaling(rope_type="yarn", factor=2.0, original_max_positions=9, beta_slow=40.0),
            "`beta_slow` must lie",
        ),
        (
            lambda: RotaryScaling(rope_type="llama3", factor=2.0, original_max_positions=0),
            "original_max_positions",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_fields_and_back():
    assert Rotary.of(None) is None and Rotary.of(50) == Rotary(rope_theta=50.0)
    full = Rotary(rope_theta=BASE, dim=6, interleaved=True, scaling=SCALINGS["yarn"])
    fields = json.loads(json.dumps({"rope_theta": BASE, "dim": 6, "interleaved": True, "scaling": vars(full.scaling)}))
    assert Rotary.of(fields) == full and Rotary.of(full) is full
