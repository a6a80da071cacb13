"""Swin's checkpoints: what is written is what the peers wrote; other windows and images at load."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import normal, numpy, randomize
from outputs import read_golden
from safetensors.numpy import load_file, save_file
from swin_helpers import run

from keras_tx.models import SwinForMaskedImageModeling, SwinTransformer, load_pretrained
from keras_tx.models.swin.config import TINY, VARIANTS
from keras_tx.ops.image.windows import resample_bias_table

GOLDEN = Path(__file__).parents[1] / "golden" / "swin"
CASES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())

SMALL = {"embed_dim": 12, "depths": (2, 1), "num_heads": (2, 3), "patch_size": 2, "num_classes": 5}


def read(directory: Path) -> tuple[dict, dict[str, np.ndarray]]:
    return json.loads((directory / "config.json").read_text()), load_file(directory / "model.safetensors")


@pytest.mark.parametrize("case", CASES)
def test_written_as_the_peer_wrote_it(case, tmp_path):
    """The same tensors, bit for bit, and the same entries in the config."""
    load_pretrained(GOLDEN / case).save_pretrained(tmp_path, format="timm" if "timm" in case else "huggingface")
    (config, tensors), (peers_config, peers_tensors) = read(tmp_path), read(GOLDEN / case)
    if case.endswith("model"):  # an encoder by itself, which they write without the prefix, and read with it
        tensors = {name.split(".", 1)[1]: tensor for name, tensor in tensors.items()}
    assert tensors.keys() == peers_tensors.keys()
    for name, want in peers_tensors.items():
        np.testing.assert_array_equal(tensors[name], want, err_msg=name)
    if "timm" in case:
        assert config["num_classes"] == peers_config["num_classes"] and config["global_pool"] == "avg"
        config, peers_config = config["model_args"], peers_config["model_args"]
    respelled = {"pretrained_window_sizes", "window_size" if "timm" in case else "architectures"}
    for name in config.keys() & peers_config.keys() - respelled:
        assert config[name] == peers_config[name], name
    assert {"depths", "num_heads", "embed_dim", "mlp_ratio"} <= config.keys() & peers_config.keys()


@pytest.mark.parametrize("version", ["swin_tiny_patch4_window7_224", "swinv2_tiny_patch4_window8_256"])
def test_from_one_peer_to_the_other(version, rng, tmp_path):
    """Where windows divide the maps all rules come to the same."""
    model = randomize(SwinTransformer(VARIANTS[version], **SMALL, image_size=(32, 48), window_size=4), rng)
    images = normal(rng, 2, 32, 48, 3)
    model.save_pretrained(tmp_path / "huggingface", format="huggingface")
    copy = SwinTransformer.from_pretrained(tmp_path / "huggingface")
    assert copy.config.window_fit in ("shorter_side", "height") and copy.config.pad_images
    np.testing.assert_allclose(numpy(run(copy, images)), numpy(run(model, images)), atol=1e-5)
    copy.save_pretrained(tmp_path / "timm", format="timm")
    again = SwinTransformer.from_pretrained(tmp_path / "timm")
    assert again.config.windows() == model.config.windows() and again.config.window_fit == "axes"
    for weight, other in zip(again.weights, model.weights, strict=True):
        np.testing.assert_array_equal(numpy(weight), numpy(other))


def test_what_a_format_cannot_say(tmp_path):
    """Windows that pad by another rule, and are not alike in all stages."""
    alike = {"image_size": (32, 48), "window_size": 4}
    for fields, message in (
        ({"image_size": (20, 32), "window_size": 4}, "`window_fit='shorter_side'`, and this model 'axes'"),
        ({**alike, "window_size": (4, 2)}, "this format has one `window_size` for all stages"),
        ({**alike, "patch_norm": False}, "`patch_norm=True`, and this model False"),
    ):
        with pytest.raises(ValueError, match=message):
            SwinTransformer(TINY, **{**SMALL, **fields}).save_pretrained(tmp_path, format="huggingface")
    mixed = SwinTransformer(TINY, **SMALL, **alike, scores="cosine")
    for format in ("huggingface", "timm"):
        with pytest.raises(ValueError, match='save it with format="keras_tx"'):
            mixed.save_pretrained(tmp_path, format=format)
    with pytest.raises(ValueError, match="`format` of a SwinForMaskedImageModeling must be one of"):
        SwinForMaskedImageModeling(TINY, image_size=(24, 40), encoder_stride=8).save_pretrained(tmp_path, "timm")


# === The authors' names ===


def test_names_of_the_authors(tmp_path):
    """Merging ends a stage there, and the classifier is `head`."""
    shutil.copytree(GOLDEN / "timm_swin", tmp_path / "original")
    file = tmp_path / "original" / "model.safetensors"
    renamed = {}
    for name, tensor in load_file(file).items():
        for stage in (1, 2):
            name = name.replace(f"layers.{stage}.downsample", f"layers.{stage - 1}.downsample ")
        renamed[name.replace(" ", "").replace("head.fc", "head")] = tensor
    renamed["layers.0.blocks.1.attn_mask"] = np.zeros((4, 9, 9), "float32")
    renamed["layers.0.blocks.0.attn.relative_position_index"] = np.zeros((9, 9), "int64")
    save_file(renamed, file)
    given, expected = read_golden(GOLDEN / "timm_swin")
    np.testing.assert_allclose(run(load_pretrained(tmp_path / "original"), given), expected["logits"], atol=1e-4)


# === Other windows and images at load ===


def test_a_table_of_another_size():
    """By hand: seven offsets become five, three neighbours about zero stay as they are."""
    table = np.array([[4.0], [2.0], [1.0], [0.0], [10.0], [20.0], [40.0]])
    smaller = resample_bias_table(table, (1, 4), (1, 3))
    ratio = 1.01  # the least: the old axis then is longer than the new one
    assert smaller.shape == (5, 1)
    np.testing.assert_allclose(smaller[1:4, 0], [1.0, 0.0, 10.0], atol=1e-6)
    np.testing.assert_allclose(smaller[[0, 4], 0], [1 + 1 / ratio, 10 + 10 / ratio], atol=1e-4)
    larger = resample_bias_table(table, (1, 4), (1, 6))
    np.testing.assert_allclose(larger[[0, 4, 5, 6, 10], 0], [4.0, 1.0, 0.0, 10.0, 40.0], atol=1e-4)
    square = np.add.outer(table[:, 0], table[:, 0]).reshape(-1, 1)
    both = np.add.outer(smaller[:, 0], larger[:, 0]).reshape(-1, 1)
    np.testing.assert_allclose(resample_bias_table(square, (4, 4), (3, 6)), both, atol=1e-5)
    np.testing.assert_array_equal(resample_bias_table(square, (4, 4), (4, 4)), square)


@pytest.mark.parametrize("format", ["keras_tx", "timm"])
def test_other_windows_at_load(format, rng, tmp_path):
    before = randomize(SwinTransformer(TINY, **SMALL, image_size=(24, 32), window_size=4), rng)
    before.save_pretrained(tmp_path, format=format)
    model = SwinTransformer.from_pretrained(tmp_path, image_size=(20, 32), window_size=(6, (3, 7)))
    assert model.config.windows() == [((6, 6), (3, 3)), ((3, 7), (1, 3))]
    for stage, window in enumerate([(6, 6), (3, 7)]):
        table = numpy(before.backbone.stages[stage][0].attention.bias.table)
        found = numpy(model.backbone.stages[stage][0].attention.bias.table)
        np.testing.assert_allclose(found, resample_bias_table(table, (4, 4), window), atol=1e-6)
    for weight, other in zip(before.weights, model.weights, strict=True):
        if weight.name != "table":
            np.testing.assert_array_equal(numpy(weight), numpy(other))
    grey = SwinTransformer.from_pretrained(tmp_path, channels=1)
    images = normal(rng, 2, 24, 32, 1)
    np.testing.assert_allclose(numpy(run(grey, images)), numpy(run(before, images.repeat(3, axis=-1))), atol=1e-4)


def test_a_network_of_offsets_fits_any_window(rng, tmp_path):
    config = VARIANTS["swinv2_tiny_patch4_window8_256"]
    before = randomize(SwinTransformer(config, **SMALL, image_size=24, window_size=4), rng)
    before.save_pretrained(tmp_path, format="timm")
    model = SwinTransformer.from_pretrained(tmp_path, window_size=6, pretrained_window_size=4)
    bias, small = (numpy(x.backbone.stages[0][0].attention.bias.pairs()) for x in (model, before))
    assert bias.shape == (1, 2, 36, 36)
    corner = bias[0].reshape(2, 6, 6, 6, 6)[:, :4, :4, :4, :4]
    np.testing.assert_allclose(corner, small[0].reshape(2, 4, 4, 4, 4), atol=1e-5)


# === What does not fit ===


def test_errors_of_what_does_not_fit(tmp_path):
    shutil.copytree(GOLDEN / "swin", tmp_path / "swin")
    file = tmp_path / "swin" / "model.safetensors"
    tensors = load_file(file)
    del tensors["swin.encoder.layers.1.blocks.0.attention.self.relative_position_bias_table"]
    save_file({**tensors, "swin.more": np.zeros(3, "float32")}, file)
    with pytest.raises(ValueError, match=r"(?s)missing: swin.*layers\.1.*bias_table.*left over: swin\.more"):
        load_pretrained(tmp_path / "swin")
    shutil.copytree(GOLDEN / "timm_swin", tmp_path / "timm")
    config = json.loads((tmp_path / "timm" / "config.json").read_text())
    for arguments, message in (
        ({"always_partition": True}, "always_partition=True; only False is supported"),
        ({"head_dim": 3}, "head_dim=3; only None is supported"),
        ({"register": 1}, "`model_args` have register=1, which is not supported"),
    ):
        changed = {**config, "model_args": config["model_args"] | arguments}
        (tmp_path / "timm" / "config.json").write_text(json.dumps(changed))
        with pytest.raises(ValueError, match=message):
            load_pretrained(tmp_path / "timm")


def test_another_head_starts_fresh():
    with pytest.warns(UserWarning, match=r"(?s)fresh.*classifier|left out.*decoder"):
        model = SwinTransformer.from_pretrained(GOLDEN / "swin_masked")
    assert model.config.num_classes == 2
    with pytest.warns(UserWarning, match=r"fresh.*classifier.weight"):
        assert SwinTransformer.from_pretrained(GOLDEN / "swin", num_classes=7).config.num_classes == 7
