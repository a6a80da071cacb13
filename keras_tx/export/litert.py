"""LiteRT (TFLite) files, run by `ai-edge-litert` on phones and small machines."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from keras_tx.convert import over_layers
from keras_tx.export.cached import cached_signatures
from keras_tx.export.calibration import Data, calibration_data
from keras_tx.export.formats import LITERT
from keras_tx.export.frame import Progress, exportable, write_artifact
from keras_tx.export.signature import Integers, Signature
from keras_tx.export.sizes import Sizes
from keras_tx.export.tensors import Inside, tensor_signatures
from keras_tx.export.verify import Verification, verify
from keras_tx.generation import GenerationMixin
from keras_tx.models.core.base import Model
from keras_tx.ops.checks import require_positive
from keras_tx.ops.image.patches import Size
from keras_tx.ops.primitives import converted_graph

Quantization = Literal["float16", "dynamic_int8", "int8"]


def export_litert(
    model: Model,
    path: str | Path,
    *,
    quantize: Quantization | None = None,
    representative_data: Data | None = None,
    use_cache: bool = True,
    inside: Collection[Inside] = (),
    integers: Integers = "int32",
    batch_size: int | None = None,
    length: int | None = None,
    num_choices: int | None = None,
    image_size: Size | None = None,
    cache_length: int | None = None,
    tolerance: float | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Writes a `.tflite` file, checks it in a process that has `ai-edge-litert` alone, and only then keeps it.

    The file has none of TensorFlow's operations, only LiteRT's own. Its signatures share their weights:
        serving_default: from the tensors of `model.input_signature()` to the model's outputs, flat and by name; batch
            and length are free.
        prefill, decode, of a model that generates, with `use_cache`: its steps with an explicit cache, which
            `cached_signatures` describes. `examples/generate_with_litert.py` is the host's loop.
        hidden_states, attentions, embedding, with `inside`: what is inside the model, as `inner_signatures` describes.

    Interpreters that know no signatures, and delegates, run the main graph: it is `serving_default`.

    Args:
        model: a model or a backbone; of one that does not compute in float32, a copy that does is exported. LoRA
            weights are part of what is exported.
        path: of the file; it ends in `.tflite`.
        quantize: "float16": kernels are stored in half precision, and computed with in float32. "dynamic_int8": kernels
            are stored in 8 bits, and activations are quantized by their range in each call. "int8": activations are
            quantized by their range in `representative_data`, where LiteRT has an operation for that. Inputs and
            outputs stay as they are.
        representative_data: for "int8", a few dozen inputs of `serving_default` as the model will get them: a dict of
            arrays, an array of the first input, several of these, or a function that gives them. Masks and token types
            may be left out, and lengths differ.
        use_cache: whether a model that generates gets `prefill` and `decode`.
        inside: which signatures to add for what is inside the model.
        integers: the dtype of ids, masks and positions.
        batch_size, length, num_choices, image_size, cache_length: fix the rows, the tokens of a text, the texts to
            choose from in a row, the size of images, and the slots of the cache of `decode`; None leaves them free.
            Delegates, and LiteRT's fastest kernels, run only where all sizes are known.
        tolerance: how much the artifact may differ from the model: in float32 the largest difference of a number, 1e-5
            by default; in other forms the root mean square of the differences, by default 0.01, 0.15 and 0.5. Both are
            relative to the numbers of the output.
        progress: called with the number of steps done, and of all.

    Returns:
        The measured differences.

    Raises:
        ImportError: without `ai-edge-litert`.
        ValueError: on another backend than TensorFlow; for a model that Keras has quantized, that is larger than the
            format holds, or that needs operations which LiteRT does not have; for options that do not fit; and if the
            artifact does not answer as the model does. Nothing is written then.
    """
    _require_float(model)
    model = exportable(model, LITERT)
    if quantize is not None and quantize not in get_args(Quantization):
        raise ValueError(f"`quantize` must be None or one of {', '.join(get_args(Quantization))}; got {quantize!r}.")
    if (quantize == "int8") != (representative_data is not None):
        raise ValueError('`quantize="int8"` needs `representative_data`, and no other form takes it.')
    require_positive(cache_length=cache_length)
    sizes = Sizes(batch_size, length, num_choices, image_size)
    signatures = litert_signatures(model, sizes, cache_length, use_cache=use_cache, inside=inside, integers=integers)
    data = None
    if representative_data is not None:
        data = calibration_data(signatures["serving_default"], representative_data)

    def write(path: Path) -> None:
        content = convert(model, signatures, quantize, data)
        require_builtin(content)
        path.write_bytes(content)

    def check(path: Path) -> Verification:
        return verify(LITERT, path, model, signatures, quantize=quantize, tolerance=tolerance)

    return write_artifact(LITERT, path, write, check, progress=progress)


def _require_float(model: Model) -> None:
    """Raises ValueError for layers that Keras has quantized: LiteRT does not multiply with their integers."""
    layers = model._flatten_layers()  # all of them, parts of parts too, which Keras has no public way to list
    quantized = [layer.path for layer in layers if getattr(layer, "quantization_mode", None)]
    if quantized:
        raise ValueError(
            f"LiteRT does not run layers that Keras has quantized: {', '.join(over_layers(sorted(quantized)))}. Export "
            'the model as it was before `quantize`, with `quantize="dynamic_int8"` here.'
        )


def litert_signatures(
    model: Model,
    sizes: Sizes | None = None,
    cache_length: int | None = None,
    *,
    use_cache: bool = True,
    inside: Collection[Inside] = (),
    integers: Integers = "int32",
) -> dict[str, Signature]:
    """The signatures of a model's file."""
    sizes = sizes or Sizes()
    found = tensor_signatures(model, inside=inside, integers=integers, sizes=sizes)
    kept = {name: found[name] for name in ("serving_default", *inside)}
    if use_cache and isinstance(model, GenerationMixin):
        steps = cached_signatures(model, batch_size=sizes.batch_size, length=sizes.length, cache_length=cache_length)
        return kept | {name: step.with_integers(integers) for name, step in steps.items()}
    if cache_length is not None:
        raise ValueError(
            "`cache_length` fixes the slots of `decode`, which only a model that generates has, with `use_cache`; got "
            f"a {type(model).__name__} and `use_cache={use_cache}`."
        )
    return kept


# === Conversion ===


def convert(
    model: Model,
    signatures: Mapping[str, Signature],
    quantize: Quantization | None,
    data: list[dict[str, np.ndarray]] | None,
) -> bytes:
    """The content of the file.

    Raises:
        ValueError: for operations that LiteRT does not have.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as scratch:
        module = tf.Module()
        module.weights = [variable.value for variable in model.variables]
        with converted_graph(fixed_ranges=quantize == "int8"):
            traced = {name: signature.traced() for name, signature in signatures.items()}
            for name, function in traced.items():
                setattr(module, name, function)
            tf.saved_model.save(module, scratch, signatures=traced)
        converter = tf.lite.TFLiteConverter.from_saved_model(scratch, signature_keys=list(signatures))
        if quantize is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if quantize == "int8":
            converter.representative_dataset = lambda: _samples(signatures, data or [], model.max_positions)
            kinds = tf.lite.OpsSet
            converter.target_spec.supported_ops = [kinds.TFLITE_BUILTINS_INT8, kinds.TFLITE_BUILTINS]
        try:
            return converter.convert()
        except Exception as error:  # of MLIR, with the operations on a line of its own
            lines = [line.strip() for line in str(error).splitlines() if "tf." in line and "op" in line]
            raise ValueError(
                f"{type(model).__name__} does not convert to LiteRT: {'; '.join(lines[:5]) or str(error)[:500]}"
            ) from error


def _samples(signatures: Mapping[str, Signature], data: list[dict[str, np.ndarray]], max_positions: int | None):
    """The inputs with which int8 finds its ranges: the data, and what follows from them for `prefill` and `decode`."""
    import tensorflow as tf

    stepwise = {"prefill", "decode"}
    for given in data:
        yield from ((name, given) for name in signatures if name not in stepwise)
        if "prefill" not in signatures:
            continue
        prompt = {name: given[name] for name in ("input_ids", "attention_mask")}
        yield "prefill", prompt
        decode = signatures["decode"]
        if "attention_mask" in decode.inputs and (slots := decode.slots or max_positions):
            prompt = {name: x[:, : slots - 1] for name, x in prompt.items()}  # there must be room for the next token
        found = signatures["prefill"](**{name: tf.constant(x) for name, x in prompt.items()})
        yield "decode", _next_step(decode, prompt, {name: np.asarray(x) for name, x in found.items()})


def _next_step(decode: Signature, prompt: Mapping[str, np.ndarray], found: dict[str, np.ndarray]) -> dict[str, Any]:
    """The inputs of `decode` after a prompt, made of what `prefill` gave."""
    masked = "attention_mask" if "attention_mask" in decode.inputs else "encoder_attention_mask"
    begun = prompt["input_ids"].shape[1] if masked == "attention_mask" else 1
    step = {
        "input_ids": found["logits"].argmax(axis=-1)[:, None].astype(prompt["input_ids"].dtype),
        "cache_position": np.array(begun, prompt["input_ids"].dtype),
        masked: prompt["attention_mask"],
    }
    more = (decode.slots or begun + 1) - begun
    if masked == "attention_mask":
        step[masked] = np.pad(step[masked], [(0, 0), (0, more)], constant_values=1)
    for name, x in found.items():
        if name.startswith("cross_"):
            step[name] = x
        elif name.startswith("present_"):
            past = name.replace("present_", "past_")
            length = decode.inputs[past].shape[2] or begun + 1
            step[past] = np.pad(x, [(0, 0), (0, 0), (0, length - x.shape[2]), (0, 0)])
    return step


def require_builtin(content: bytes) -> None:
    """Raises ValueError with the names of the operations that are not LiteRT's own, if there are any."""
    names = other_operations(content)
    if names:
        raise ValueError(f"the model needs operations that LiteRT does not have: {', '.join(names)}.")


def other_operations(content: bytes) -> list[str]:
    """The names of operations that are not LiteRT's own, as FlexErf, TensorFlow's `Erf`."""
    from ai_edge_litert import schema_py_generated as schema

    table = schema.Model.GetRootAs(content, 0)
    codes = [table.OperatorCodes(i).CustomCode() for i in range(table.OperatorCodesLength())]
    return sorted({code.decode() for code in codes if code})
