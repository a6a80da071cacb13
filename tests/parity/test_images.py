"""ViT, DeiT and Swin beside Transformers and timm, live: `make parity`."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import transformers
from golden import make_swin, make_vit
from outputs import all_outputs
from parity.peers import drawn
from swin_helpers import run
from timm.models import save_for_hf
from timm.models.vision_transformer import checkpoint_filter_fn

from keras_tx.models import load_pretrained

ACTIVATIONS = ("gelu", "relu", "silu", "gelu_new")
VIT = {
    "ViTForImageClassification": "VisionTransformer",
    "ViTModel": "VisionTransformer",
    "ViTForMaskedImageModeling": "ViTForMaskedImageModeling",
    "ViTMAEForPreTraining": "ViTMAEForPreTraining",
    "DeiTForImageClassification": "VisionTransformer",
    "DeiTForImageClassificationWithTeacher": "VisionTransformer",
    "DeiTModel": "VisionTransformer",
}
"""Theirs, and ours."""
SWIN = ("SwinForImageClassification", "SwinModel", "Swinv2ForImageClassification", "Swinv2Model")
TIMM_VIT = (
    "vit_base_patch16_224",
    "vit_base_patch16_clip_224",
    "vit_medium_patch16_reg4_gap_256",
    "deit3_small_patch16_224",
    "deit_tiny_distilled_patch16_224",
    "flexivit_small",
    "vit_base_patch16_siglip_224",
    "vit_giant_patch14_dinov2",
    "vit_so150m_patch16_reg4_map_256",
    "test_vit3",
)
TIMM_SWIN = ("swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256")


def load(directory: Path):
    """Ours, with nothing fresh and nothing left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return load_pretrained(directory)


def assert_equal(found, wanted, name: str, atol: float = 1e-4) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), atol=atol, rtol=0, err_msg=name)


def assert_same_weights(again: torch.nn.Module, before: torch.nn.Module) -> None:
    weights, wanted = again.state_dict(), before.state_dict()
    assert weights.keys() == wanted.keys()
    assert all(torch.equal(weights[key], wanted[key]) for key in wanted)


# === Transformers ===


def vit_fields(name: str, rng: np.random.Generator) -> dict:
    one_of, heads = drawn(rng), int(rng.integers(1, 5))
    square = "Masked" in name or "MAE" in name
    patch = 3 if square else one_of(3, (3, 2), (2, 5))
    rows, columns = (3, 3) if square else (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
    height, width = (patch, patch) if isinstance(patch, int) else patch
    fields = {
        "image_size": rows * height if square else (rows * height, columns * width),
        "patch_size": patch,
        "num_channels": one_of(1, 3, 5),
        "num_attention_heads": heads,
        "hidden_size": 4 * heads,
        "num_hidden_layers": one_of(1, 2, 3),
        "intermediate_size": one_of(19, 31),
        "hidden_act": one_of(*ACTIVATIONS),
        "layer_norm_eps": one_of(1e-12, 1e-6, 1e-3),
        "qkv_bias": one_of(True, False),
        "encoder_stride": 3,
        "num_labels": one_of(1, 2, 7),
        "pooler_output_size": one_of(None, 11),
    }
    decoder = {"num_attention_heads": 2, "hidden_size": 8, "num_hidden_layers": 1, "intermediate_size": 13}
    decoder = {f"decoder_{name}": x for name, x in decoder.items()}
    return {**fields, **decoder, "norm_pix_loss": one_of(True, False)} if "MAE" in name else fields


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", VIT)
def test_vit_there_and_back(name, seed, tmp_path):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    cls = getattr(transformers, name)
    config = cls.config_class(**vit_fields(name, rng), attn_implementation="eager")
    peer = make_vit.randomize(cls(config))
    peer.save_pretrained(tmp_path / "theirs")
    model = load(tmp_path / "theirs")
    assert type(model).__name__ == VIT[name]

    size = config.image_size if isinstance(config.image_size, tuple) else (config.image_size, config.image_size)
    images = rng.normal(size=(2, *size, config.num_channels)).astype("float32")
    patches = peer.base_model.embeddings.patch_embeddings.num_patches
    given = {}
    if "Masked" in name:
        given["bool_masked_pos"] = rng.random((2, patches)) < 0.5
    if "MAE" in name:
        given["noise"] = rng.random((2, patches)).astype("float32")
    with torch.no_grad():
        pixels = torch.from_numpy(np.moveaxis(images, -1, 1).copy())
        others = {key: torch.from_numpy(x) for key, x in given.items()}
        wanted = peer(pixels, **others, output_attentions=True)
    found = all_outputs(model, {"images": images, **given})
    if "reconstruction" in wanted:
        assert_equal(found["logits"], wanted["reconstruction"].permute(0, 2, 3, 1), "logits")
    elif "logits" in wanted:
        assert_equal(found["logits"], wanted["logits"], "logits")
    else:
        assert_equal(found["features"], wanted["pooler_output"], "features")
    if "loss" in found:
        assert_equal(found["loss"], wanted["loss"], "loss")
    for i, maps in enumerate(wanted["attentions"]):
        assert_equal(found[f"attentions/{i}"], maps, f"attentions/{i}")

    model.save_pretrained(tmp_path / "ours", format="huggingface")
    again, info = cls.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert_same_weights(again, peer)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", SWIN)
def test_swin_there_and_back(name, seed, tmp_path):
    """Windows that do not divide. (Those larger than a map fail in Transformers, unless they are so in all stages.)"""
    rng = np.random.default_rng(seed)
    one_of = drawn(rng)
    fields = {
        **make_swin.SWIN,
        "window_size": one_of(2, 3),
        "hidden_act": one_of(*ACTIVATIONS[:3]),
        "qkv_bias": one_of(True, False),
        "layer_norm_eps": one_of(1e-5, 1e-3),
        "num_labels": one_of(1, 5),
    }
    peer = make_swin.make_transformers(name, fields, seed)
    peer.save_pretrained(tmp_path / "theirs")
    model = load(tmp_path / "theirs")
    assert_swins_equal(model, peer, make_swin.make_images(one_of((22, 26), (25, 33)), rng))

    model.save_pretrained(tmp_path / "ours", format="huggingface")
    again, info = type(peer).from_pretrained(tmp_path / "ours", output_loading_info=True)
    missing = {key for key in info["missing_keys"] if "relative_" not in key}  # buffers, which it makes anew
    assert not (missing or info["unexpected_keys"] or info["mismatched_keys"])
    assert_same_weights(again, peer)


def assert_swins_equal(model, peer: torch.nn.Module, given: dict[str, np.ndarray]) -> None:
    """Logits to 1e-4; inside, where sums are of 512, to what torch's own float32 keeps."""
    found = run(model, given, return_attention=True, return_hidden_states=True)
    for name, want in make_swin.run(peer, given).items():
        key, *index = name.split("/")
        key = "features" if key not in found else key  # of a model without a head
        got = found[key][int(index[0])] if index else found[key]
        assert_equal(got, want, name, atol=3e-4 if index else 1e-4)


# === timm ===


def random_tokens(name: str, rng: np.random.Generator) -> dict:
    """What comes before the patches, and what becomes of all of them."""
    one_of = drawn(rng)
    poolings = ["avg", "max", "avgmax", *([] if "giant" in name else ["map"])]  # which has a width of its own inside
    fields = {
        "class_token": one_of(True, False),
        "reg_tokens": one_of(0, 1, 3),
        "no_embed_class": one_of(True, False),
        "pre_norm": one_of(True, False),
        "fc_norm": one_of(None, None, True, False),
    }
    fields["global_pool"] = one_of(*poolings, *(["token"] * 3 if fields["class_token"] else []))
    if fields["global_pool"] != "token":
        fields["pool_include_prefix"] = one_of(True, False)
    return fields


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", TIMM_VIT)
def test_vit_of_timm_there_and_back(name, seed, tmp_path):
    """At its own size and, resampled, at another."""
    rng = np.random.default_rng(seed)
    one_of, heads = drawn(rng), int(rng.integers(1, 5))
    arguments = {
        **make_vit.SIZES,
        "embed_dim": 4 * heads,
        "num_heads": heads,
        "mlp_ratio": 3.0,
        "in_chans": one_of(1, 3, 5),
        "qkv_bias": one_of(True, False),
        "qk_norm": one_of(True, False),
        "init_values": one_of(None, 0.3),
    }
    if "distilled" not in name:
        arguments |= random_tokens(name, rng)
    torch.manual_seed(seed)
    peer = make_vit.randomize(timm.create_model(name, **arguments, dynamic_img_size=True))
    save_for_hf(peer, tmp_path / "theirs", model_args=arguments, safe_serialization=True)
    model = load(tmp_path / "theirs")
    model.save_pretrained(tmp_path / "ours", format="timm")
    again = timm.create_model(f"local-dir:{tmp_path / 'ours'}", pretrained=True, dynamic_img_size=True).eval()
    assert_same_weights(again, peer)
    for size in ((9, 14), (15, 8), (6, 22)):
        images = make_vit.draw(arguments["in_chans"], size)
        with torch.no_grad():
            wanted = peer(images)
            assert torch.equal(again(images), wanted)
        assert_equal(model(make_vit.nhwc(images)), wanted, f"logits of {size}")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", TIMM_SWIN)
def test_swin_of_timm_there_and_back(name, seed, tmp_path):
    rng = np.random.default_rng(seed)
    one_of = drawn(rng)
    arguments = {
        **make_swin.TIMM_SWIN,
        "img_size": one_of([14, 14], [22, 26]),
        "window_size": one_of(2, 3, 5),
        "qkv_bias": one_of(True, False),
    }
    peer = make_swin.make_timm(name, arguments, seed)
    save_for_hf(peer, tmp_path / "theirs", model_args=arguments, safe_serialization=True)
    model = load(tmp_path / "theirs")
    assert_swins_equal(model, peer, make_swin.make_images(one_of((14, 14), (22, 26), (26, 30)), rng))
    model.save_pretrained(tmp_path / "ours", format="timm")
    again = timm.create_model(f"local-dir:{tmp_path / 'ours'}", pretrained=True)
    assert_same_weights(again, peer)


# === Other sizes ===


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "flexivit_small"])
def test_a_checkpoint_at_other_sizes(name, tmp_path):
    """The position table is resampled as timm's, at call and at load."""
    torch.manual_seed(5)
    arguments = {"embed_dim": 24, "depth": 2, "num_heads": 3, "img_size": 224}
    peer = make_vit.randomize(timm.create_model(name, **arguments, dynamic_img_size=True))
    save_for_hf(peer, tmp_path, model_args=arguments, safe_serialization=True)
    model = load(tmp_path)
    for size in ((160, 160), (256, 256), (384, 384), (160, 256), (384, 224)):
        images = make_vit.draw(3, size)
        with torch.no_grad():
            wanted = peer(images)
        assert_equal(model(make_vit.nhwc(images)), wanted, f"logits of {size}", atol=1e-3)
        at_load = load_pretrained(tmp_path, image_size=size)
        assert_equal(at_load(make_vit.nhwc(images)), wanted, f"logits at {size}", atol=1e-3)


@pytest.mark.parametrize("patch", [8, 12, (16, 10), 20])
def test_a_checkpoint_with_other_patches(patch, tmp_path):
    torch.manual_seed(7)
    height, width = (patch, patch) if isinstance(patch, int) else patch
    sizes = {"embed_dim": 24, "depth": 2, "num_heads": 3}
    peer = make_vit.randomize(timm.create_model("vit_tiny_patch16_224", **sizes, img_size=96))
    save_for_hf(peer, tmp_path, model_args={**sizes, "img_size": 96}, safe_serialization=True)
    other = {"img_size": (6 * height, 6 * width), "patch_size": patch}
    again = timm.create_model("vit_tiny_patch16_224", **sizes, **other).eval()
    weights = checkpoint_filter_fn(dict(peer.state_dict()), again, antialias=True)
    again.load_state_dict(weights)
    images = make_vit.draw(3, other["img_size"])
    model = load_pretrained(tmp_path, image_size=other["img_size"], patch_size=patch)
    with torch.no_grad():
        assert_equal(model(make_vit.nhwc(images)), again(images), "logits", atol=1e-3)


@pytest.mark.parametrize("name", TIMM_SWIN)
@pytest.mark.parametrize(("size", "window"), [((28, 28), 5), ((22, 26), 2), ((36, 20), 4)])
def test_a_swin_with_other_windows(name, size, window, tmp_path):
    """The tables of relative positions are resampled as timm's."""
    arguments = {**make_swin.TIMM_SWIN, "img_size": [24, 24], "window_size": 3}
    peer = make_swin.make_timm(name, arguments, 11)
    save_for_hf(peer, tmp_path, model_args=arguments, safe_serialization=True)
    changed = {"img_size": size, "window_size": window}
    again = timm.create_model(f"local-dir:{tmp_path}", pretrained=True, **changed).eval()
    model = load_pretrained(tmp_path, image_size=size, window_size=window)
    images = make_swin.make_images(size, np.random.default_rng(13))
    with torch.no_grad():
        wanted = again(torch.from_numpy(np.moveaxis(images["images"], -1, 1).copy()))
    assert_equal(model(images), wanted, "logits", atol=1e-3)
