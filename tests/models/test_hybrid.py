"""Hybrids against timm: `golden/make_hybrid.py` made what is expected."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from golden.drawn import draw_by_name
from helpers import long_after, numpy
from outputs import read_golden
from safetensors.numpy import load_file, save_file

from keras_tx.models import VisionTransformer, ViTConfig, ViTMAEForPreTraining

GOLDEN = Path(__file__).parents[1] / "golden" / "hybrid"


def drawn(case: str) -> dict[str, np.ndarray]:
    shapes = json.loads((GOLDEN / case / "shapes.json").read_text())
    return {name: draw_by_name(name, tuple(shape)) for name, shape in shapes.items()}


def loaded(source: Path, **overrides) -> VisionTransformer:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # nothing fresh, nothing left out
        return VisionTransformer.from_pretrained(source, **overrides)


def test_first_layers_alone():
    model, (given, expected) = loaded(GOLDEN / "stem"), read_golden(GOLDEN / "stem")
    assert model.config.stem == () and model.config.stride == (12, 8) and model.config.grid == (2, 4)
    np.testing.assert_allclose(model(given["images"]), expected["logits"], atol=1e-4)


def test_other_channels():
    (given, expected) = read_golden(GOLDEN / "stem")
    model = loaded(GOLDEN / "stem", channels=5)
    np.testing.assert_allclose(model(given["adapted"]), expected["adapted"], atol=1e-4)


@pytest.mark.any_backend
@pytest.mark.parametrize("case", long_after(1, ["stages", "paper"]))
def test_all_stages(case, tmp_path):
    """The map before the patches and the logits; and every tensor of timm's goes back."""
    weights, (given, expected) = drawn(case), read_golden(GOLDEN / case)
    if case == "paper":
        source = tmp_path / "paper.npz"
        np.savez(source, **weights)
    else:
        source = Path(shutil.copytree(GOLDEN / case, tmp_path / case))
        save_file(weights, source / "model.safetensors")
    model = loaded(source)
    assert model.config.stem == (2, 2, 2, 2) and model.config.grid == (2, 2 if case == "paper" else 1)
    made = numpy(model.backbone.stem(given["images"]))
    assert made.shape == model.backbone.stem.compute_output_shape(given["images"].shape)
    np.testing.assert_allclose(made, expected["map"], atol=1e-3)
    np.testing.assert_allclose(model(given["images"]), expected["logits"], atol=1e-4)
    if case == "stages":
        model.save_pretrained(tmp_path / "back", format="timm")
        found = load_file(tmp_path / "back" / "model.safetensors")
        assert found.keys() == weights.keys()
        assert all(np.array_equal(found[name], x) for name, x in weights.items())
        assert json.loads((tmp_path / "back" / "config.json").read_text())["architecture"].startswith("vit_small_r26")


def test_what_does_not_go_together():
    config = ViTConfig(image_size=32, patch_size=2, stem=(1,), num_layers=1, num_heads=1, d_model=8, d_ff=8)
    with pytest.raises(ValueError, match="`stem` is for classifiers"):
        ViTMAEForPreTraining(decoder_num_layers=1, **{**config.to_dict(), "pooling": "token"})
    for fields, words in (
        ({"pad_images": True}, "`pad_images` does not go with `stem`"),
        ({"image_size": 36}, r"`image_size` must be a multiple of `patch_size \* stem`"),
        ({"stem": (0,)}, "`stem` must be a whole number of at least 1"),
    ):
        with pytest.raises(ValueError, match=words):
            config.replace(**fields)
    model = VisionTransformer(config, num_classes=3)
    with pytest.raises(ValueError, match=r"multiples of the patches', \(8, 8\); got \(32, 36\)"):
        model(np.zeros((1, 32, 36, 3), "float32"))
    with pytest.raises(ValueError, match=r"no architecture of timm's has .*stem=.*format=\"keras_tx\""):
        model.save_pretrained("nowhere", format="timm")
