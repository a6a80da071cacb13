"""LiteRT (TFLite) files, run by `ai-edge-litert` on phones and small machines."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from keras_tx.export.cached import cached_signatures
from keras_tx.export.signature import Signature
from keras_tx.export.source import require_below_2_gib, require_exportable
from keras_tx.export.tensors import tensor_signatures
from keras_tx.export.verify import Verification, verify
from keras_tx.extras import require_extra
from keras_tx.files import whole_file
from keras_tx.generation import GenerationMixin
from keras_tx.models.core.base import Model
from keras_tx.ops.checks import require_positive
from keras_tx.ops.primitives import converted_graph

Quantization = Literal["float16", "dynamic_int8", "int8"]
Progress = Callable[[int, int], None]


def export_litert(
    model: Model,
    path: str | Path,
    *,
    quantize: Quantization | None = None,
    representative_data: Iterable[Mapping[str, np.ndarray]] | None = None,
    use_cache: bool = True,
    batch_size: int | None = None,
    cache_length: int | None = None,
    tolerance: float | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Writes a `.tflite` file, checks it in a process that has `ai-edge-litert` alone, and only then keeps it.

    It has LiteRT's own operations alone, none of TensorFlow's. Signatures, which share their weights:
        serving_default: the tensors of `model.input_signature()` to the model's outputs, flat and by name; batch and
            length are free.
        prefill, decode, with `use_cache`, of a model that generates: its steps with an explicit cache;
            `cached_signatures` describes them. `examples/generate_with_litert.py` is the host's loop.

    Args:
        model: a model of the registry, in float32.
        path: of the file, which ends in `.tflite`.
        quantize: "float16", kernels in half precision, computed with in float32; "dynamic_int8", kernels in 8 bits, and
            activations too, by their range in each call; "int8", activations by their range in `representative_data`,
            where LiteRT has an operation for it. Inputs and outputs stay as they are.
        representative_data: for "int8", inputs of `serving_default` as the model will get them, a few dozen.
        use_cache: whether a model that generates gets its steps too.
        batch_size, cache_length: fix the rows and the cache's slots of `decode`; None leaves them free. LiteRT's
            fastest kernels run only where all sizes are known.
        tolerance: how much the artifact may differ: in float32 the largest difference of a number, 1e-5 unless given;
            in other forms the root mean square of the differences, 0.01, 0.15 and 0.5 unless given; both in units of
            the output's own numbers.
        progress: called with how many steps are done, and of how many.

    Returns:
        What was measured.

    Raises:
        ImportError: without `ai-edge-litert`.
        ValueError: on another backend than TensorFlow, for a model that does not compute in float32 or is larger than
            the format holds, for options that do not fit, for a model that needs other operations than LiteRT's, or if
            the artifact's answers are not the model's; nothing is written then.
    """
    require_exportable(model, "a LiteRT file")
    require_below_2_gib(model, "a LiteRT file")
    require_extra("ai_edge_litert", "litert")
    if quantize is not None and quantize not in get_args(Quantization):
        raise ValueError(f"`quantize` must be None or one of {', '.join(get_args(Quantization))}; got {quantize!r}.")
    if (quantize == "int8") != (representative_data is not None):
        raise ValueError('`representative_data` is what `quantize="int8"` needs, and nothing else takes.')
    require_positive(batch_size=batch_size, cache_length=cache_length)
    path = Path(path)
    if path.suffix != ".tflite" or path.is_dir():
        raise ValueError(f"`path` must be of a file that ends in .tflite; got {path}.")
    signatures = litert_signatures(model, batch_size, cache_length, use_cache=use_cache)
    data = None if representative_data is None else list(representative_data)
    if data == []:
        raise ValueError("`representative_data` holds nothing: give some inputs as the model will get them.")
    step = progress or (lambda done, total: None)
    with whole_file(path) as partial:
        content = convert(model, signatures, quantize, data, step)
        require_builtin(content)
        partial.write_bytes(content)
        del content
        step(2, 3)
        found = verify(partial, model, signatures, quantize=quantize, tolerance=tolerance)
    step(3, 3)
    return found


def litert_signatures(
    model: Model, batch_size: int | None = None, cache_length: int | None = None, *, use_cache: bool = True
) -> dict[str, Signature]:
    """What a file offers."""
    whole = tensor_signatures(model)["serving_default"]
    steps = {}
    if use_cache and isinstance(model, GenerationMixin):
        steps = cached_signatures(model, batch_size=batch_size, cache_length=cache_length)
    elif (batch_size, cache_length) != (None, None):
        raise ValueError(
            f"`batch_size` and `cache_length` are of `decode`, which needs a model that generates and `use_cache`; got "
            f"a {type(model).__name__} and `use_cache={use_cache}`."
        )
    return {"serving_default": whole, **steps}


# === Conversion ===


def convert(
    model: Model,
    signatures: Mapping[str, Signature],
    quantize: Quantization | None,
    data: list[Mapping[str, np.ndarray]] | None,
    progress: Progress,
) -> bytes:
    """The file's content.

    Raises:
        ValueError: for operations that LiteRT has not.
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
        progress(1, 3)
        converter = tf.lite.TFLiteConverter.from_saved_model(scratch, signature_keys=list(signatures))
        if quantize is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if quantize == "int8":
            converter.representative_dataset = lambda: _samples(signatures, data or [])
            kinds = tf.lite.OpsSet
            converter.target_spec.supported_ops = [kinds.TFLITE_BUILTINS_INT8, kinds.TFLITE_BUILTINS]
        try:
            return converter.convert()
        except Exception as error:  # of MLIR, with the operations on a line of its own
            lines = [line.strip() for line in str(error).splitlines() if "tf." in line and "op" in line]
            raise ValueError(
                f"{type(model).__name__} does not convert to LiteRT: {'; '.join(lines[:5]) or str(error)[:500]}"
            ) from error


def _samples(signatures: Mapping[str, Signature], data: list[Mapping[str, np.ndarray]]):
    """What full int8 finds its ranges with: the data, and what `prefill` and `decode` get of it."""
    import tensorflow as tf

    for inputs in data:
        given = {name: np.asarray(inputs[name]) for name in signatures["serving_default"].inputs}
        yield "serving_default", given
        if "prefill" not in signatures:
            continue
        prompt = {name: given[name] for name in ("input_ids", "attention_mask")}
        yield "prefill", prompt
        found = signatures["prefill"](**{name: tf.constant(x) for name, x in prompt.items()})
        yield "decode", _next_step(signatures["decode"], prompt, {name: np.asarray(x) for name, x in found.items()})


def _next_step(decode: Signature, prompt: Mapping[str, np.ndarray], found: dict[str, np.ndarray]) -> dict[str, Any]:
    """The inputs of `decode` after a prompt, of what `prefill` gave."""
    masked = "attention_mask" if "attention_mask" in decode.inputs else "encoder_attention_mask"
    begun = prompt["input_ids"].shape[1] if masked == "attention_mask" else 1
    step = {
        "input_ids": found["logits"].argmax(axis=-1)[:, None].astype("int32"),
        "cache_position": np.array(begun, "int32"),
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
    """Raises ValueError, with their names, for operations that are not LiteRT's own."""
    names = other_operations(content)
    if names:
        raise ValueError(f"the model needs operations that LiteRT does not have: {', '.join(names)}.")


def other_operations(content: bytes) -> list[str]:
    """The names of operations that are not LiteRT's own, as FlexErf, TensorFlow's `Erf`."""
    from ai_edge_litert import schema_py_generated as schema

    table = schema.Model.GetRootAs(content, 0)
    codes = [table.OperatorCodes(i).CustomCode() for i in range(table.OperatorCodesLength())]
    return sorted({code.decode() for code in codes if code})
