"""ViT's checkpoints: heads that are lacking or too many, what is adapted at load, what cannot be said."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import numpy, randomize
from safetensors.numpy import load_file, save_file

from keras_tx.convert import CheckpointDirectory
from keras_tx.models import VisionTransformer, ViTConfig, ViTForMaskedImageModeling, ViTMAEForPreTraining
from keras_tx.models.vit.config import TINY, TINY_DISTILLED, TINY_HEADLESS, TINY_MEAN, VARIANTS
from keras_tx.models.vit.timm import ARCHITECTURES, DISTILLED
from keras_tx.ops.image.resample import resample_positions

GOLDEN = Path(__file__).parents[1] / "golden" / "vit"
FILE = "model.safetensors"


def configure(directory: Path, **entries) -> None:
    config = json.loads((directory / "config.json").read_text()) | entries
    (directory / "config.json").write_text(json.dumps({key: x for key, x in config.items() if x is not None}))


def copied(case: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / case, tmp_path / case))


def equal(a, b) -> bool:
    """Whether the weights that both have hold the same numbers."""
    ours, theirs = a.weights_by_path(), b.weights_by_path()
    return all(np.array_equal(numpy(ours[path]), numpy(theirs[path])) for path in ours.keys() & theirs.keys())


# === Heads ===


@pytest.mark.parametrize("case", ["classifier", "timm_deit3"])
def test_other_classes_or_none(case):
    whole = VisionTransformer.from_pretrained(GOLDEN / case)
    with pytest.warns(UserWarning, match="fresh, .*: (classifier|head).weight"):
        model = VisionTransformer.from_pretrained(GOLDEN / case, num_classes=11)
    assert model.head.classifier.kernel.shape == (15, 11)
    np.testing.assert_array_equal(model.backbone.position_embedding, whole.backbone.position_embedding)
    with pytest.warns(UserWarning, match="left out, .*: (classifier|head).bias"):
        model = VisionTransformer.from_pretrained(GOLDEN / case, num_classes=0)
    assert model.head.classifier is None and equal(model, whole)


def test_the_encoder_by_itself(tmp_path):
    """It becomes a model without classes, whose features are the pooler's; the pooler may be left out."""
    model = VisionTransformer.from_pretrained(GOLDEN / "model")
    assert (model.config.num_classes, model.config.representation_size) == (0, 11)
    with pytest.warns(UserWarning) as caught:
        model = VisionTransformer.from_pretrained(GOLDEN / "model", representation_size=None, num_classes=5)
    assert ["fresh" in str(w.message) for w in caught] == [True, False] and "pooler.dense.bias" in str(
        caught[1].message
    )
    assert model.head.classifier.kernel.shape == (15, 5)


def test_a_masked_autoencoder_is_fine_tuned():
    encoder = ViTMAEForPreTraining.from_pretrained(GOLDEN / "mae")
    with pytest.warns(UserWarning) as caught:
        model = VisionTransformer.from_pretrained(GOLDEN / "mae", num_classes=5, pooling="mean")
    fresh, left = (str(w.message) for w in caught)
    assert fresh.endswith("classifier.weight, classifier.bias.") and "decoder.mask_token" in left
    assert equal(model, encoder) and model.backbone.position_embedding.trainable


def test_masked_images_of_a_classifier(tmp_path, rng):
    classifier = randomize(VisionTransformer(TINY, patch_size=3, image_size=(9, 15)), rng)
    classifier.save_pretrained(tmp_path, format="huggingface")
    with pytest.warns(UserWarning, match="fresh.*mask_token.*decoder.0.weight"):
        model = ViTForMaskedImageModeling.from_pretrained(tmp_path)
    assert equal(model, classifier)


def test_newer_names_of_a_decoder(tmp_path):
    directory = copied("mae", tmp_path)
    names = {name: name.replace("decoder_layers.", "decoder_encoder.layer.") for name in load_file(directory / FILE)}
    assert sum(name != other for name, other in names.items()) == 32
    save_file({names[name]: x for name, x in load_file(directory / FILE).items()}, directory / FILE)
    model = ViTMAEForPreTraining.from_pretrained(directory)
    assert equal(model, ViTMAEForPreTraining.from_pretrained(GOLDEN / "mae"))


# === Sizes ===


def test_larger_images_at_load(tmp_path):
    """The table is resampled, all else is as it was; and so in our own format, and of both tables of an autoencoder."""
    whole = VisionTransformer.from_pretrained(GOLDEN / "classifier")
    whole.save_pretrained(tmp_path / "native")
    expected = resample_positions(numpy(whole.backbone.position_embedding), 1, (3, 7), (5, 4))
    for source in (GOLDEN / "classifier", tmp_path / "native"):
        model = VisionTransformer.from_pretrained(source, image_size=(15, 8))
        np.testing.assert_array_equal(model.backbone.position_embedding, expected)
        np.testing.assert_array_equal(model.head.classifier.kernel, whole.head.classifier.kernel)
    autoencoder = ViTMAEForPreTraining.from_pretrained(GOLDEN / "mae", image_size=(15, 6))
    assert autoencoder.head.position_embedding.shape == (1, 11, 12)


def test_what_is_not_adapted():
    """Other patches are another decoder; other widths another model."""
    with pytest.raises(ValueError, match=r"wrong: decoder\.decoder_pred\.weight"):
        ViTMAEForPreTraining.from_pretrained(GOLDEN / "mae", patch_size=2)
    with pytest.raises(ValueError, match=r"wrong: .*intermediate\.dense\.weight .*; the config asks for \(31, 15\)"):
        VisionTransformer.from_pretrained(GOLDEN / "classifier", d_ff=31)


# === timm ===


def test_architectures_are_as_ours():
    for name, config in VARIANTS.items():
        arguments = ARCHITECTURES[name]
        sizes = (config.d_model, config.num_layers, config.num_heads, config.patch_size)
        assert tuple(arguments[key] for key in ("embed_dim", "depth", "num_heads", "patch_size")) == sizes
        assert config.d_ff == arguments["mlp_ratio"] * config.d_model
    assert not ARCHITECTURES.keys() & DISTILLED.keys() and len(ARCHITECTURES) + len(DISTILLED) == 145


def test_a_config_that_names_an_architecture_alone(tmp_path):
    """As those of old: arguments follow from the name, the size from `pretrained_cfg`."""
    directory = copied("timm", tmp_path)
    configure(
        directory,
        architecture="deit3_small_patch16_384",
        model_args=None,
        num_classes=1000,
        pretrained_cfg={"input_size": [3, 384, 384], "fixed_input_size": True},
    )
    config = VisionTransformer.read_config(CheckpointDirectory(directory))
    assert config == ViTConfig(
        image_size=384, num_layers=12, num_heads=6, d_model=384, d_ff=1536, no_embed_class=True, layer_scale=1e-6
    )


def test_the_least_epsilon_of_timm(tmp_path, rng):
    """ViTs of Transformers have one of 1e-12, timm's layer norm 1e-6, and nothing in its config says another."""
    model = randomize(VisionTransformer(TINY.replace(norm_epsilon=1e-12)), rng)
    with pytest.warns(UserWarning, match="timm has no norm_epsilon=1e-12: it is written as 1e-06"):
        model.save_pretrained(tmp_path, format="timm")
    again, images = VisionTransformer.from_pretrained(tmp_path), rng.normal(size=(2, 9, 14, 2)).astype("float32")
    assert again.config == model.config.replace(norm_epsilon=1e-6)
    np.testing.assert_allclose(numpy(again(images)), numpy(model(images)), atol=1e-4)


@pytest.mark.parametrize("config", [TINY, TINY_MEAN, TINY_DISTILLED], ids=["token", "mean", "distilled"])
def test_timm_round_trip(config, tmp_path, rng):
    config = config.replace(label_names=tuple("abcde"))
    model = randomize(VisionTransformer(config), rng)
    model.save_pretrained(tmp_path, format="timm")
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    again = VisionTransformer.from_pretrained(tmp_path)
    assert again.config == config and equal(again, model)


def test_names_of_the_first_layer_scales(tmp_path):
    directory = copied("timm_deit3", tmp_path)
    old = {f"ls{i}.gamma": f"gamma_{i}" for i in (1, 2)}
    arrays = load_file(directory / FILE)
    for new, name in old.items():
        arrays = {key.replace(new, name): x for key, x in arrays.items()}
    save_file(arrays, directory / FILE)
    assert equal(VisionTransformer.from_pretrained(directory), VisionTransformer.from_pretrained(GOLDEN / "timm_deit3"))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"architecture": "vit_base_patch16_rpn_224"}, "is 'timm/vit_base_patch16_rpn_224'; .* 'timm/vit'"),
        ({"model_args": {"final_norm": False}}, "final_norm=False; only True is supported"),
        ({"model_args": {"global_pool": "prr"}}, "global_pool='prr'; known are 'token', 'avg'"),
        ({"model_args": {"block_fn": "parallel"}}, "`model_args` have block_fn='parallel', which is not supported"),
        ({"model_args": {"depth": 3}}, r"missing: blocks\.2\.norm1\.weight"),
    ],
)
def test_timm_configs_that_cannot_be(entries, message, tmp_path):
    directory = copied("timm", tmp_path)
    if "model_args" in entries:
        saved = json.loads((directory / "config.json").read_text())["model_args"]
        entries = {"model_args": saved | entries["model_args"]}
    configure(directory, **entries)
    with pytest.raises(ValueError, match=message):
        VisionTransformer.from_pretrained(directory)


# === What a format cannot hold ===


@pytest.mark.parametrize(
    ("config", "format", "message"),
    [
        (TINY_MEAN, "huggingface", "and this model"),
        (TINY.replace(position_dropout=0.1), "huggingface", "one `hidden_dropout_prob` for several fields"),
        (TINY.replace(norm_epsilon=1e-3), "timm", "no architecture of timm's has norm_eps=0.001"),
        (TINY.replace(activation="gelu_new"), "timm", "`activation='gelu_new'` cannot be said in this format"),
        (TINY.replace(representation_size=7), "timm", "has `representation_size=None`"),
        (TINY, "npz", "`format` of a VisionTransformer must be one of 'keras_tx', 'huggingface', 'timm'; got 'npz'"),
    ],
)
def test_what_cannot_be_said(config, format, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        VisionTransformer(config).save_pretrained(tmp_path, format=format)
    VisionTransformer(config).save_pretrained(tmp_path)
    assert VisionTransformer.from_pretrained(tmp_path).config == config


@pytest.mark.parametrize(
    "config", [TINY, TINY_DISTILLED.replace(pad_images=False), TINY_HEADLESS, TINY.replace(num_classes=0)]
)
def test_transformers_round_trip(config, tmp_path, rng):
    config = config.replace(dropout=0.1, position_dropout=0.1, attention_dropout=0.2, activation="gelu_tanh")
    model = randomize(VisionTransformer(config), rng)
    model.save_pretrained(tmp_path, format="huggingface")
    again = VisionTransformer.from_pretrained(tmp_path)
    assert again.config == config and equal(again, model)


# === The authors' file ===


def test_the_authors_file(tmp_path):
    path = GOLDEN / "paper" / "paper.npz"
    config = VisionTransformer.from_pretrained(path).config
    assert config == ViTConfig(
        image_size=12, patch_size=4, num_classes=7, num_layers=2, num_heads=3, d_model=15, d_ff=29
    )
    arrays = dict(np.load(path))
    np.savez(tmp_path / "more.npz", **arrays, other=np.zeros(3, "float32"))
    with pytest.raises(ValueError, match="left over: other"):
        VisionTransformer.from_pretrained(tmp_path / "more.npz")
    arrays = {name: x for name, x in arrays.items() if not name.startswith("head")}
    arrays |= {"pre_logits/kernel": np.ones((15, 11), "float32"), "pre_logits/bias": np.ones(11, "float32")}
    np.savez(tmp_path / "pretrained.npz", **arrays)
    model = VisionTransformer.from_pretrained(tmp_path / "pretrained.npz")
    assert (model.config.num_classes, model.config.representation_size) == (0, 11)
    (tmp_path / "broken.npz").write_bytes(path.read_bytes()[:999])
    with pytest.raises(ValueError, match="is not a whole archive of arrays"):
        VisionTransformer.from_pretrained(tmp_path / "broken.npz")
