"""What goes along with a model's weights: the preprocessing of its images, and what its logits are of."""

import dataclasses
import json
import math
import shutil
from pathlib import Path

import pytest

import keras_tx
from keras_tx.convert.preprocessing import as_timm, preprocessing_fields, to_transformers

GOLDEN = Path(__file__).parents[1] / "golden"
FILE = "preprocessor_config.json"
THEIRS = {"image_processor_type": "ViTImageProcessor", "resample": 3, "image_mean": [0.1, 0.2, 0.3], "size": 12}
TIMM = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "crop_pct": 0.9, "interpolation": "bilinear"}


def checkpoint(case: str, directory: Path, preprocessor: dict | None = None, **entries) -> Path:
    """A golden checkpoint whose configs have these entries, too."""
    shutil.copytree(GOLDEN / case, directory)
    config = json.loads((directory / "config.json").read_text())
    if preprocessor is not None:
        (directory / FILE).write_text(json.dumps(preprocessor))
    config["pretrained_cfg"] = config.get("pretrained_cfg", {}) | entries.pop("pretrained_cfg", {})
    (directory / "config.json").write_text(json.dumps(config | entries))
    return directory


@pytest.mark.parametrize(("case", "format"), [("vit/classifier", "keras_tx"), ("swin/swin", "huggingface")])
def test_a_preprocessors_file_goes_along(case, format, tmp_path):
    model = keras_tx.load_pretrained(checkpoint(case, tmp_path / "theirs", THEIRS))
    model.save_pretrained(tmp_path / "ours", format=format)
    assert json.loads((tmp_path / "ours" / FILE).read_text()) == THEIRS
    keras_tx.ImagePreprocessor(image_size=5).save_pretrained(tmp_path / "ours")
    model.save_pretrained(tmp_path / "ours", format=format)  # leaves what was put there
    assert keras_tx.load_preprocessor(tmp_path / "ours").image_size == (5, 5)
    keras_tx.load_pretrained(tmp_path / "ours")


def test_a_backbone_brings_it_along(tmp_path):
    directory = checkpoint("vit/classifier", tmp_path / "theirs", THEIRS)
    keras_tx.models.ViTBackbone.from_pretrained(directory).save_pretrained(tmp_path / "ours")
    assert json.loads((tmp_path / "ours" / FILE).read_text()) == THEIRS


@pytest.mark.parametrize(("case", "size"), [("vit/timm", [9, 14]), ("swin/timm_swin", [22, 26])])
def test_from_timm_and_back(case, size, tmp_path):
    directory = checkpoint(case, tmp_path / "theirs", pretrained_cfg={**TIMM, "input_size": [3, *size]})
    model, wanted = keras_tx.load_pretrained(directory), keras_tx.load_preprocessor(directory)
    for format in ("timm", "keras_tx"):
        model.save_pretrained(tmp_path / format, format=format)
        assert keras_tx.load_preprocessor(tmp_path / format) == wanted
    written = json.loads((tmp_path / "timm" / "config.json").read_text())["pretrained_cfg"]
    assert written.items() >= TIMM.items() and not (tmp_path / "timm" / FILE).exists()
    keras_tx.load_pretrained(tmp_path / "keras_tx").save_pretrained(tmp_path / "again", format="timm")
    assert keras_tx.load_preprocessor(tmp_path / "again") == wanted


def test_timm_from_transformers(tmp_path):
    """Resizing to just a height and width is timm's "squash"; what it can't say is told."""
    model = keras_tx.load_pretrained(GOLDEN / "vit" / "timm")
    model.preprocessing = THEIRS
    model.save_pretrained(tmp_path / "timm", format="timm")
    entries = json.loads((tmp_path / "timm" / "config.json").read_text())["pretrained_cfg"]
    wanted = {"mean": [0.1, 0.2, 0.3], "std": [0.5] * 3, "interpolation": "bicubic", "crop_mode": "squash"}
    assert entries.items() >= {**wanted, "crop_pct": 1.0}.items()
    model.preprocessing = {**THEIRS, "rescale_factor": 1.0}
    with pytest.warns(UserWarning, match="timm's format has no way to say scale=1.0"):
        model.save_pretrained(tmp_path / "other", format="timm")
    model.preprocessing = {"image_processor_type": "DonutImageProcessor"}
    with pytest.warns(UserWarning, match="preprocessing of images is left out: .* is of a DonutImageProcessor"):
        model.save_pretrained(tmp_path / "third", format="timm")


def test_timm_reads_every_share_as_it_is_meant():
    """It divides the size by the share and takes the whole pixels, 24 of 14 / 0.56."""
    fields = preprocessing_fields(THEIRS)
    for resize in range(1, 60):
        for size in range(max(1, resize // 3), resize + 1):
            document = to_transformers({**fields, "image_size": (size, size), "resize": resize})
            share = as_timm(document)["crop_pct"]
            assert math.floor(size / share) == resize, (size, resize)


def test_images_of_another_size(tmp_path):
    """The same share is cut out of them."""
    size, larger = {"height": 9, "width": 14}, {"image_size": (18, 28)}
    cut = {"do_center_crop": True, "crop_size": size}
    for i, given in enumerate(({"size": size}, {"size": {"shortest_edge": 16}, **cut}, {"size": [10, 17], **cut})):
        directory = checkpoint("vit/classifier", tmp_path / f"theirs_{i}", {**THEIRS, **given})
        model = keras_tx.load_pretrained(directory, **larger)
        model.save_pretrained(tmp_path / f"ours_{i}")
        wanted = dataclasses.replace(keras_tx.load_preprocessor(directory), **larger, resize=(None, 32, (20, 34))[i])
        assert keras_tx.load_preprocessor(tmp_path / f"ours_{i}") == wanted


# === What logits are of ===


@pytest.mark.parametrize(
    ("case", "format", "kind"),
    [
        ("vit/classifier", "huggingface", "multi_label_classification"),
        ("vit/classifier", "keras_tx", "regression"),
        ("vit/timm", "timm", "multi_label_classification"),
        ("swin/swinv2", "huggingface", "regression"),
    ],
)
def test_the_problem_type_is_kept(case, format, kind, tmp_path):
    model = keras_tx.load_pretrained(checkpoint(case, tmp_path / "theirs", problem_type=kind))
    assert model.config.problem_type == kind
    model.save_pretrained(tmp_path / "ours", format=format)
    assert json.loads((tmp_path / "ours" / "config.json").read_text()).get("problem_type", kind) == kind
    assert keras_tx.load_pretrained(tmp_path / "ours").config.problem_type == kind
