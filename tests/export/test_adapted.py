"""Backbones by themselves, and models whose layers are adapted or quantized: the artifact gives what they compute."""

import keras
import numpy as np
import pytest
from helpers import numpy, randomize

from keras_tx import BERTForSequenceClassification, T5Model, VisionTransformer
from keras_tx.export.formats import FORMATS, LITERT, ONNX, SAVED_MODEL
from keras_tx.export.process import run_artifacts
from keras_tx.layers.core.linear import Linear

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="exports are made on TensorFlow")

TEXT = {"vocab_size": 13, "num_layers": 1, "num_heads": 3, "d_model": 15, "d_ff": 7}
MASK = np.array([[1, 1, 1, 0], [1, 1, 1, 1]], "int32")
IDS = np.random.default_rng(5).integers(0, 13, MASK.shape, "int32")
TOKENS = {"input_ids": IDS, "attention_mask": MASK}
IMAGES = np.random.default_rng(5).normal(size=(2, 6, 6, 3)).astype("float32")
BACKBONES = {
    "text": (lambda: BERTForSequenceClassification(max_positions=17, **TEXT), TOKENS | {"token_type_ids": 1 - MASK}),
    "pair": (
        lambda: T5Model(d_kv=5, **TEXT),
        TOKENS | {"decoder_input_ids": IDS[:, :3], "decoder_attention_mask": MASK[:, :3]},
    ),
    "image": (
        lambda: VisionTransformer(
            image_size=6, patch_size=3, num_layers=1, num_heads=3, d_model=15, d_ff=7, num_classes=5
        ),
        {"images": IMAGES},
    ),
}
QUICK = {("saved_model", "text"), ("onnx", "pair"), ("litert", "image")}


def exported(model, format, path, **inputs) -> dict[str, np.ndarray]:
    """What the model's artifact gives, in a process of its own."""
    path = path / f"model{format.suffix}"
    format.exporter(model, path)
    (answers,) = run_artifacts([(format, path, [("serving_default", inputs)])])
    return {name.partition("/")[2]: x for name, x in answers.items()}


SLOW_SAVED_MODEL = pytest.param(SAVED_MODEL, marks=pytest.mark.slow, id="saved_model")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(name, kind, marks=[pytest.mark.slow] * ((name, kind) not in QUICK))
        for name in FORMATS
        for kind in BACKBONES
    ],
)
def test_a_backbone_alone(name, kind, tmp_path):
    make, inputs = BACKBONES[kind]
    backbone = randomize(make(), np.random.default_rng(2)).backbone
    expected = backbone(inputs)
    found = exported(backbone, FORMATS[name], tmp_path, **inputs)
    assert "last_hidden_state" in found and set(found) == set(expected)
    for key, x in expected.items():
        np.testing.assert_allclose(found[key], numpy(x), atol=1e-5)


def classifier() -> BERTForSequenceClassification:
    return randomize(BERTForSequenceClassification(max_positions=17, **TEXT), np.random.default_rng(2))


def linear_layers(model) -> list[Linear]:
    return [layer for layer in model._flatten_layers() if isinstance(layer, Linear)]


@pytest.mark.parametrize(
    "format", [SLOW_SAVED_MODEL, *(x for x in FORMATS.values() if x is not SAVED_MODEL)], ids=lambda format: format.name
)
def test_lora_weights_are_part_of_what_is_exported(format, tmp_path):
    """The artifact gives what a model with the merged kernels gives, and not what the kernels alone do."""
    tuned, merged, rng = classifier(), classifier(), np.random.default_rng(3)
    inputs = TOKENS | {"token_type_ids": 1 - MASK}
    before = numpy(tuned(inputs)["logits"])
    for layer, other in zip(linear_layers(tuned), linear_layers(merged), strict=True):
        layer.enable_lora(2, lora_alpha=3)
        for weight in (layer.lora_kernel_a, layer.lora_kernel_b):
            weight.assign(0.3 * rng.normal(size=weight.shape))
        other.kernel.assign(other.kernel + 1.5 * numpy(layer.lora_kernel_a) @ numpy(layer.lora_kernel_b))
    found = exported(tuned, format, tmp_path, **inputs)["logits"]
    np.testing.assert_allclose(found, numpy(merged(inputs)["logits"]), atol=1e-4)
    assert np.abs(found - before).max() > 1e-2


def quantized() -> BERTForSequenceClassification:
    model = classifier()
    model.quantize("int8", type_check=False, filters=lambda layer: isinstance(layer, Linear))
    return model


@pytest.mark.slow
@pytest.mark.parametrize("format", [SLOW_SAVED_MODEL, ONNX], ids=lambda format: format.name)
def test_quantized_layers_stay_quantized(format, tmp_path):
    model, inputs = quantized(), TOKENS | {"token_type_ids": 1 - MASK}
    expected = numpy(model(inputs)["logits"])
    assert np.abs(expected - numpy(classifier()(inputs)["logits"])).max() > 1e-5
    np.testing.assert_allclose(exported(model, format, tmp_path, **inputs)["logits"], expected, atol=1e-4)


def test_litert_refuses_quantized_layers_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"quantized: .*block_0/feed_forward/up.*`quantize=\"dynamic_int8\"` here"):
        LITERT.exporter(quantized(), tmp_path / "model.tflite")
    assert not list(tmp_path.iterdir())
