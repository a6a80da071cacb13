"""ONNX files, run by onnxruntime and what else reads the format."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from keras_tx.export.cached import cached_signatures, encode_signature
from keras_tx.export.signature import Signature
from keras_tx.export.source import require_below_2_gib, require_exportable
from keras_tx.export.tensors import tensor_signatures
from keras_tx.export.verify import Verification, verify
from keras_tx.extras import require_extra
from keras_tx.files import whole_directory, whole_file
from keras_tx.generation import GenerationMixin
from keras_tx.models.core.base import Model
from keras_tx.models.core.seq2seq import EncoderDecoderModel
from keras_tx.ops.primitives import converted_graph

OPSET = 18
"""The version of ONNX's operations; onnxruntime has had it since 1.14."""
FILES = {"encode": "encoder.onnx", "decode": "decoder.onnx"}
"""Of an encoder-decoder that generates."""


def export_onnx(
    model: Model,
    path: str | Path,
    *,
    use_cache: bool = True,
    tolerance: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Writes ONNX, checks it in a process that has onnxruntime alone, and only then keeps it.

    Inputs are the tensors of `model.input_signature()`, outputs the model's, flat and by name; all batches and lengths
    are free. With `use_cache`, a model that generates becomes its step with an explicit cache instead, `decode` of
    `cached_signatures`, for any number of tokens: a prompt at once into an empty cache, then token by token. Of an
    encoder-decoder there are two files in a directory: `encoder.onnx`, from `input_ids` and `attention_mask` to
    `cross_key_i` and `cross_value_i` of each layer i, and `decoder.onnx`.

    Args:
        model: a model of the registry, in float32.
        path: of the file, which ends in `.onnx`; of an encoder-decoder with a cache, of the directory.
        use_cache: whether a model that generates is exported as its step.
        tolerance: the largest difference of a number that is allowed, in units of the largest number of the output, or
            of 1; 1e-5 unless given.
        progress: called with how many steps are done, and of how many.

    Returns:
        What was measured.

    Raises:
        ImportError: without `tf2onnx`, `onnx` and `onnxruntime`.
        ValueError: on another backend than TensorFlow, for a model that does not compute in float32 or is larger than
            the format holds, for a path that does not fit, for a model that needs other operations than ONNX's, or if
            the artifact's answers are not the model's; nothing is written then.
    """
    require_exportable(model, "an ONNX file")
    require_below_2_gib(model, "an ONNX file")
    for module in ("tf2onnx", "onnx", "onnxruntime"):
        require_extra(module, "onnx")
    path, step = Path(path), progress or (lambda done, total: None)
    signatures = onnx_signatures(model, use_cache=use_cache)
    two = len(signatures) > 1
    _require_fitting(path, two)
    with (whole_directory if two else whole_file)(path) as partial:
        for number, (name, signature) in enumerate(signatures.items()):
            write_graph(signature, partial / FILES[name] if two else partial)
            step(number + 1, len(signatures) + 1)
        found = verify(partial, model, signatures, tolerance=tolerance)
    step(1, 1)
    return found


def onnx_signatures(model: Model, *, use_cache: bool = True) -> dict[str, Signature]:
    """The graphs that a model becomes."""
    if not use_cache or not isinstance(model, GenerationMixin):
        return {"serving_default": tensor_signatures(model)["serving_default"]}
    decode = {"decode": cached_signatures(model, tokens=None)["decode"]}
    return {"encode": encode_signature(model), **decode} if isinstance(model, EncoderDecoderModel) else decode


def _require_fitting(path: Path, two: bool) -> None:
    """Raises ValueError for a path of the wrong kind, or whose content is not ours to remove."""
    if not two:
        if path.suffix != ".onnx" or path.is_dir():
            raise ValueError(f"`path` must be of a file that ends in .onnx; got {path}.")
    elif path.suffix == ".onnx":
        raise ValueError(
            f"an encoder-decoder becomes two files, {' and '.join(FILES.values())}: `path` must be of their directory, "
            f"and got {path}. With `use_cache=False` it is one file, of whole passes."
        )
    elif path.is_file() or (path.is_dir() and {file.name for file in path.iterdir()} - {*FILES.values()}):
        raise ValueError(f"{path} exists and is not an ONNX encoder-decoder: choose a new directory.")


def write_graph(signature: Signature, path: Path) -> None:
    """Writes a signature as one graph, its tensors called as they are in the signature.

    Raises:
        ValueError: for operations that ONNX has not.
    """
    import onnx
    import tensorflow as tf
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # what it cannot convert it logs, and goes on
    specs = [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in signature.inputs.items()]
    with converted_graph():
        function = signature.traced()
    graph, _ = tf2onnx.convert.from_function(function, input_signature=specs, opset=OPSET)
    if names := other_operations(graph):
        raise ValueError(f"the model needs operations that ONNX does not have: {', '.join(names)}.")
    onnx.checker.check_model(graph, full_check=True)
    onnx.save_model(graph, str(path))


def other_operations(graph) -> list[str]:
    """The names of operations of a model that are not ONNX's own, as Erfc."""
    import onnx

    def nodes(graph):
        for node in graph.node:
            yield node
            for attribute in node.attribute:
                for inner in [attribute.g, *attribute.graphs]:
                    yield from nodes(inner)

    known = {schema.name for schema in onnx.defs.get_all_schemas()}
    return sorted({node.op_type for node in nodes(graph.graph) if node.domain or node.op_type not in known})
