"""ViT against Transformers and timm: `golden/make_vit.py` and `make_vit_h5.py` made what is expected."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers import long_after, numpy
from outputs import read_golden

from keras_tx.models import VisionTransformer, load_pretrained

GOLDEN = Path(__file__).parents[1] / "golden"
CLASSES = {"masked": "ViTForMaskedImageModeling", "mae": "ViTMAEForPreTraining"}
"""Of cases whose names begin so; the others are classifiers and encoders."""
CASES = sorted(f"{path.parent.name}/{path.name}" for path in GOLDEN.glob("vit*/*") if path.is_dir())
TIMM = [case for case in CASES if "/timm" in case]
NAMES = {"pooler_output": "features", "reconstruction": "logits"}
"""Of outputs that are called otherwise here."""


def source(case: str) -> Path:
    return GOLDEN / case / "paper.npz" if case == "vit/paper" else GOLDEN / case


def test_the_cases():
    assert {case.split("/")[0] for case in CASES} == {"vit", "vit_h5"} and len(TIMM) == 6 and len(CASES) == 20


@pytest.mark.parametrize("case", CASES)
def test_outputs(case):
    """Logits, losses, every hidden state and every map; nothing in the checkpoint is lacking or left."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model = load_pretrained(source(case))
    wanted = next((name for prefix, name in CLASSES.items() if Path(case).name.startswith(prefix)), "VisionTransformer")
    assert type(model).__name__ == wanted
    given, expected = read_golden(GOLDEN / case)
    given = {name: x for name, x in given.items() if name not in ("other", "adapted")}
    outputs = model(given, return_attention=True, return_hidden_states=True)
    found = {name: x for name, x in outputs.items() if not isinstance(x, tuple)}
    for layers in ("hidden_states", "attentions"):
        found |= {f"{layers}/{i}": x for i, x in enumerate(outputs[layers])}
    compared = 0
    for name, want in expected.items():
        if NAMES.get(name, name) in found:
            np.testing.assert_allclose(found[NAMES.get(name, name)], want, atol=1e-4, rtol=0, err_msg=name)
            compared += 1
    if case not in (*TIMM, "vit/paper"):
        assert compared == len(expected) and sum("attentions" in name for name in expected) == model.config.num_layers
    if "mae" not in case and "masked" not in case:
        np.testing.assert_allclose(model(given), found["logits" if model.config.num_classes else "features"], atol=1e-5)


@pytest.mark.parametrize("case", long_after(2, TIMM))
def test_features_and_images_of_another_size(case):
    model, (given, expected) = VisionTransformer.from_pretrained(GOLDEN / case), read_golden(GOLDEN / case)
    np.testing.assert_allclose(model(given["images"], return_features=True), expected["features"], atol=1e-4)
    assert given["other"].shape[1:3] != given["images"].shape[1:3]
    np.testing.assert_allclose(model(given["other"]), expected["other"], atol=1e-4)
    np.testing.assert_allclose(model.predict(given["other"], verbose=0), expected["other"], atol=1e-4)


@pytest.mark.parametrize("case", TIMM)
@pytest.mark.parametrize("native", [False, True])
def test_other_sizes_patches_and_channels_at_load(case, native, tmp_path):
    given, expected = read_golden(GOLDEN / case)
    override = {name.removeprefix("override/"): x for name, x in expected.items() if name.startswith("override/")}
    override = {name: int(x) if x.ndim == 0 else tuple(x.tolist()) for name, x in override.items()}
    directory = GOLDEN / case
    if native:
        VisionTransformer.from_pretrained(directory).save_pretrained(tmp_path)
        directory = tmp_path
    model = VisionTransformer.from_pretrained(directory, **override)
    assert model.config.image_size == (20, 18) and model.backbone.patch_embedding.kernel.shape == (4, 3, 5, 15)
    np.testing.assert_allclose(model(given["adapted"]), expected["adapted"], atol=1e-4)


@pytest.mark.parametrize("case", [case for case in CASES if case != "vit/paper"])
def test_written_as_the_peer_writes(case, tmp_path):
    """Every tensor by its name, shape and numbers."""
    from safetensors.numpy import load_file

    model = load_pretrained(source(case))
    model.save_pretrained(tmp_path, format="timm" if case in TIMM else "huggingface")
    again = load_pretrained(tmp_path)
    for path, weight in model.weights_by_path().items():
        np.testing.assert_array_equal(numpy(again.weights_by_path()[path]), numpy(weight))
    if "h5" in case:
        return
    found, wanted = load_file(tmp_path / "model.safetensors"), load_file(GOLDEN / case / "model.safetensors")
    if case == "vit/model" or case == "vit/deit_model":  # the backbone by itself; Transformers reads both
        found = {name.split(".", 1)[1]: x for name, x in found.items()}
    assert found.keys() == wanted.keys()
    for name, want in wanted.items():
        np.testing.assert_array_equal(found[name], want, err_msg=name)
