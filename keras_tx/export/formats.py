"""The formats that models are exported in: a table for the exporters, the program and the docs.

A new format is a line here, a module of its name with `export_NAME`, and its runtime in `artifact_runner.RUNTIMES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        name: as `keras-tx export --format` takes it; also of the module that writes it, with `export_NAME`.
        title: how messages call an artifact of it.
        purpose: what it is for.
        runtime: the package that runs it.
        suffix: of its file; empty if an artifact is a directory.
        contents: the names that a directory of it may hold, the first of which it does hold. For a format of files,
            those of an encoder-decoder that generates, which has a directory with a file for each of its two graphs.
        modules: what writing it needs beyond the core, as it is imported.
        extra: the extra of `pyproject.toml` that installs these.
        one_file: whether the weights must fit into one file of less than 2 GiB.
        options: the exporter's arguments that the program has options for.
    """

    name: str
    title: str
    purpose: str
    runtime: str
    suffix: str = ""
    contents: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    extra: str = ""
    one_file: bool = True
    options: tuple[str, ...] = ()

    @property
    def exporter(self) -> Callable[..., Any]:
        """The function that writes this format."""
        return getattr(import_module(f"keras_tx.export.{self.name}"), f"export_{self.name}")


SAVED_MODEL = Format(
    "saved_model",
    "a SavedModel",
    "TensorFlow Serving",
    "tensorflow",
    contents=("saved_model.pb", "variables", "assets", "assets.extra", "fingerprint.pb", "model_card.json"),
    one_file=False,
    options=(
        "max_new_tokens",
        "temperature",
        "top_k",
        "top_p",
        "seed",
        "num_beams",
        "repetition_penalty",
        "no_repeat_ngram_size",
        "min_p",
        "penalty_alpha",
        "xla",
    ),
)
LITERT = Format(
    "litert",
    "a LiteRT file",
    "phones and small devices",
    "ai-edge-litert",
    suffix=".tflite",
    modules=("ai_edge_litert",),
    extra="litert",
    options=("quantize", "tolerance", "use_cache", "batch_size", "length", "image_size", "cache_length"),
)
ONNX = Format(
    "onnx",
    "an ONNX file",
    "onnxruntime",
    "onnxruntime",
    suffix=".onnx",
    contents=("encoder.onnx", "decoder.onnx"),
    modules=("tf2onnx", "onnx", "onnxruntime"),
    extra="onnx",
    options=("tolerance", "use_cache"),
)
FORMATS = {format.name: format for format in (SAVED_MODEL, LITERT, ONNX)}
"""All of them, by name."""
