"""ONNX files, run by onnxruntime and what else reads the format."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from keras_tx.export.cached import cached_signatures, encode_signature
from keras_tx.export.formats import ONNX
from keras_tx.export.frame import Progress, exportable, write_artifact
from keras_tx.export.signature import Integers, Signature
from keras_tx.export.tensors import Inside, tensor_signatures
from keras_tx.export.verify import Verification, verify
from keras_tx.generation import GenerationMixin
from keras_tx.models.core.base import Model
from keras_tx.models.core.seq2seq import EncoderDecoderModel
from keras_tx.ops.primitives import converted_graph

OPSET = 18
"""The version of ONNX's operations; onnxruntime has had it since 1.14."""


def export_onnx(
    model: Model,
    path: str | Path,
    *,
    use_cache: bool = True,
    inside: Collection[Inside] = (),
    integers: Integers = "int32",
    tolerance: float | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Writes ONNX, checks it in a process that has onnxruntime alone, and only then keeps it.

    Inputs are the tensors of `model.input_signature()`, outputs those of the model, flat and by name; batch and length
    are free, and the axes called `batch`, `length`, `decoder_length`, `choices` and `cache_length`. With `use_cache`, a
    model that generates becomes its step with an explicit cache instead: `decode` of
    `cached_signatures`, for any number of tokens, so that a prompt goes at once into an empty cache, and then token by
    token. An encoder-decoder becomes two files in a directory: `encoder.onnx`, from `input_ids` and `attention_mask` to
    `cross_key_i` and `cross_value_i` of each layer i, and `decoder.onnx`.

    Args:
        model: a model or a backbone; of one that does not compute in float32, a copy that does is exported. LoRA
            weights are part of what is exported, and layers that Keras has quantized to 8 bits stay so.
        path: of the file, which ends in `.onnx`; of an encoder-decoder with a cache, of the directory.
        use_cache: whether a model that generates is exported as its step.
        inside: what else the graph gives, beside the model's outputs, of what is inside the model: as the signatures of
            these names do that `inner_signatures` describes. A step has no such outputs.
        integers: the dtype of ids, masks and positions.
        tolerance: the largest difference of a number that is allowed, relative to the largest number of the output, or
            to 1 if that is larger; 1e-5 by default.
        progress: called with the number of steps done, and of all.

    Returns:
        The measured differences.

    Raises:
        ImportError: without `tf2onnx`, `onnx` and `onnxruntime`.
        ValueError: on another backend than TensorFlow; for a model that is larger than the format holds, or that needs
            operations which ONNX does not have; for a path or options that do not fit; and if the artifact does not
            answer as the model does. Nothing is written then.
    """
    model = exportable(model, ONNX)
    signatures = onnx_signatures(model, use_cache=use_cache, inside=inside, integers=integers)
    in_parts = len(signatures) > 1

    def write(path: Path) -> None:
        paths = [path / name for name in ONNX.contents] if in_parts else [path]
        for signature, file in zip(signatures.values(), paths, strict=True):
            write_graph(signature, file)

    def check(path: Path) -> Verification:
        return verify(ONNX, path, model, signatures, tolerance=tolerance)

    return write_artifact(ONNX, path, write, check, progress=progress, in_parts=in_parts)


def onnx_signatures(
    model: Model, *, use_cache: bool = True, inside: Collection[Inside] = (), integers: Integers = "int32"
) -> dict[str, Signature]:
    """The graphs that a model becomes: one, or of an encoder-decoder with a cache `encode` and `decode`."""
    if not use_cache or not isinstance(model, GenerationMixin):
        found = tensor_signatures(model, inside=inside, integers=integers)
        parts = [found[name] for name in ("serving_default", *inside)]

        def together(**inputs: Any) -> dict[str, Any]:
            return {name: x for part in parts for name, x in part(**inputs).items()}

        return {"serving_default": replace(parts[0], function=together)}
    if inside:
        raise ValueError(
            f"`inside` is for whole passes, and a {type(model).__name__} becomes its step: give `use_cache=False`, too."
        )
    steps = {"decode": cached_signatures(model, tokens=None)["decode"]}
    if isinstance(model, EncoderDecoderModel):
        steps = {"encode": encode_signature(model), **steps}
    return {name: step.with_integers(integers) for name, step in steps.items()}


def write_graph(signature: Signature, path: Path) -> None:
    """Writes a signature as one graph, its tensors called as they are in the signature.

    Raises:
        ValueError: for operations that ONNX does not have.
    """
    import onnx
    import tensorflow as tf
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # it logs what it cannot convert, and goes on
    specs = [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in signature.inputs.items()]
    with converted_graph():
        function = signature.traced()
    graph, _ = tf2onnx.convert.from_function(function, input_signature=specs, opset=OPSET)
    if names := other_operations(graph):
        raise ValueError(f"the model needs operations that ONNX does not have: {', '.join(names)}.")
    name_axes(graph, signature)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save_model(graph, str(path))


# === The axes' names ===

PROBED = {"batch": 3, "choices": 2, "length": 5, "decoder_length": 7, "cache_length": 11}
"""A size for each free axis, all different, by which it is found in the outputs."""


def name_axes(graph: Any, signature: Signature) -> None:
    """Calls the free axes of a graph's inputs and outputs by the names of `PROBED`."""
    import tensorflow as tf

    named = {name: _axes(name, signature.inputs) for name in signature.inputs}
    sizes = {
        name: [PROBED[axis or ""] if n is None else n for n, axis in zip(spec.shape, named[name], strict=True)]
        for name, spec in signature.inputs.items()
    }
    given = {name: tf.ones(sizes[name], spec.dtype) for name, spec in signature.inputs.items()}
    axes = {size: axis for axis, size in PROBED.items()}
    for name, x in signature(**given).items():
        named[name] = [axes.get(size) for size in x.shape]
    for tensor in (*graph.graph.input, *graph.graph.output):
        for dim, axis in zip(tensor.type.tensor_type.shape.dim, named[tensor.name], strict=True):
            if axis and not dim.HasField("dim_value"):
                dim.dim_param = axis


def _axes(name: str, inputs: Mapping[str, Any]) -> list[str | None]:
    """The names of the axes of an input that may be free."""
    length = "length"
    if name.startswith("past_") or (name == "attention_mask" and "cache_position" in inputs):
        length = "cache_length"
    elif name.startswith("decoder_") or (name == "input_ids" and "encoder_attention_mask" in inputs):
        length = "decoder_length"
    rank = inputs[name].shape.rank
    if name.startswith(("past_", "cross_")):
        return ["batch", None, length, None]
    several = any(spec.dtype.is_integer and spec.shape.rank == 3 for spec in inputs.values())
    middle = ["choices"] if several else []
    return ["batch", *middle, length, *[None] * rank][:rank]


def other_operations(graph) -> list[str]:
    """The names of a model's operations that are not ONNX's own, as Erfc."""
    import onnx

    def nodes(graph):
        for node in graph.node:
            yield node
            for attribute in node.attribute:
                for inner in [attribute.g, *attribute.graphs]:
                    yield from nodes(inner)

    known = {schema.name for schema in onnx.defs.get_all_schemas()}
    return sorted({node.op_type for node in nodes(graph.graph) if node.domain or node.op_type not in known})
