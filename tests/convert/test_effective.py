"""What is saved is what the model computes, whatever has been put on its layers."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from helpers import normal, numpy, randomize
from keras import ops

from keras_tx.convert import effective_weights, sources
from keras_tx.convert.table import transposed
from keras_tx.models import BERTForSequenceClassification, GPTModel, VisionTransformer, load_pretrained

TEXT = {"vocab_size": 61, "max_positions": 37, "num_layers": 2, "num_heads": 3, "d_model": 15}
IMAGE = {"image_size": 8, "patch_size": 4, "num_layers": 2, "num_heads": 3, "d_model": 15, "num_classes": 5}
CASES = [
    (GPTModel, TEXT, "huggingface"),
    (BERTForSequenceClassification, {**TEXT, "d_ff": 29}, "huggingface"),
    (VisionTransformer, {**IMAGE, "d_ff": 29}, "huggingface"),
    (VisionTransformer, {**IMAGE, "d_ff": 29}, "timm"),
]
CASES += [(cls, fields, "keras_tx") for cls, fields, format in CASES if format == "huggingface"]


def layers(model: keras.Model, *names: str) -> list[keras.layers.Layer]:
    return [layer for layer in model._flatten_layers() if layer.name in names]


def enable_lora(model: keras.Model, rng: np.random.Generator) -> None:
    """On every attention, with numbers that leave their mark."""
    for layer in layers(model, "query", "value", "output"):
        layer.enable_lora(3, lora_alpha=5)
        for weight in (layer.lora_kernel_a, layer.lora_kernel_b):
            weight.assign(0.5 * normal(rng, *weight.shape))


def outputs(model: keras.Model, given: np.ndarray) -> np.ndarray:
    found = model(given)
    return numpy(found["logits"] if isinstance(found, dict) else found)


@pytest.mark.parametrize(("cls", "fields", "format"), CASES)
def test_a_lora_is_merged(cls, fields, format, tmp_path, rng):
    model = randomize(cls(**fields), rng)
    given = normal(rng, 2, 8, 8, 3) if "image_size" in fields else rng.integers(0, 61, (2, 7))
    before = outputs(model, given)
    enable_lora(model, rng)
    tuned = outputs(model, given)
    assert np.abs(tuned - before).max() > 0.1
    model.save_pretrained(tmp_path, format=format)
    np.testing.assert_allclose(outputs(load_pretrained(tmp_path), given), tuned, atol=1e-5)
    np.testing.assert_array_equal(outputs(model, given), tuned)  # the model itself is as it was


def test_a_lora_is_merged_in_float32(rng, tmp_path):
    """Under mixed precision too, in which the layer itself merges in half precision."""
    model = randomize(GPTModel(**TEXT, dtype="mixed_bfloat16"), rng)
    enable_lora(model, rng)
    model.save_pretrained(tmp_path)
    (layer,) = layers(model, "block_0")
    query = layer.attention.query
    weights = {weight.name: numpy(weight).astype("float64") for weight in query.weights}
    merged = weights["kernel"] + 5 / 3 * weights["lora_kernel_a"] @ weights["lora_kernel_b"]
    found = load_pretrained(tmp_path).weights_by_path()
    (path,) = [path for path in found if path.endswith("block_0/attention/query/kernel")]
    np.testing.assert_allclose(numpy(found[path]), merged, rtol=1e-5, atol=1e-6)


class Masked(keras.layers.Dense):
    """Computes with half of its kernel."""

    @property
    def kernel(self):
        return self._kernel * ops.reshape(ops.arange(self._kernel.shape[0]) % 2, (-1, 1))


def test_layers_of_keras(rng):
    """Those with `enable_lora`, and any whose class has a property in its variable's place."""
    parts = [
        keras.layers.Embedding(11, 4, name="table"),
        keras.layers.EinsumDense("btd,dhk->bthk", (None, 2, 3), bias_axes="k", name="heads"),
        keras.layers.Conv2D(5, 1, name="image"),
        keras.layers.LayerNormalization(name="norm"),
        Masked(2, name="masked"),
    ]
    model = randomize(keras.Sequential([keras.Input((7,), dtype="int32"), *parts]), rng)
    for layer in parts[:3]:
        layer.enable_lora(2)
        for weight in layer.trainable_weights:
            weight.assign(normal(rng, *weight.shape))
    variables = {weight.path: weight for weight in model.weights}
    found = {path: values() for path, (shape, values) in effective_weights(model, variables).items()}
    assert not any("lora" in path for path in found) and len(found) == 9
    for layer, name in ((parts[0], "embeddings"), (parts[1], "kernel"), (parts[2], "kernel"), (parts[4], "kernel")):
        (path,) = [path for path in found if path.endswith(f"{layer.name}/{name}")]
        np.testing.assert_allclose(found[path], numpy(getattr(layer, name)), atol=1e-6, err_msg=path)
    assert not np.allclose(found[path], numpy(variables[path]))


@pytest.mark.parametrize("format", ["keras_tx", "huggingface"])
def test_quantized_layers_are_refused_by_name(format, tmp_path, rng):
    model = GPTModel(**TEXT)
    for layer in layers(model, "up"):
        layer.quantize("int8", type_check=False)
    message = (
        r"no quantized weights, and backbone/block_\{0\.\.1\}/feed_forward/up are quantized: save the model before"
    )
    with pytest.raises(ValueError, match=message):
        model.save_pretrained(tmp_path / "new", format=format)
    assert not (tmp_path / "new").exists()


def test_weights_that_a_format_has_no_place_for(rng):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")])
    weights = effective_weights(model, {f"head/{weight.name}": weight for weight in model.weights})
    with pytest.raises(ValueError, match=r'has no place for head/bias, .*format="keras_tx"'):
        sources(weights, [transposed("head.weight", "2 3", "head/kernel")])
