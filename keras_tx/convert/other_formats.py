"""What people keep models in that is not read here, and how it becomes what is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keras_tx.files import read_json

_ADAPTER = "adapter_config.json"
_WITH_TRANSFORMERS = "with Transformers: AutoModel.from_pretrained({path!r}, {option}).save_pretrained(DEST)"
_FORMATS = (
    ("*.gguf", "weights of llama.cpp", _WITH_TRANSFORMERS.format(path="{path}", option="gguf_file={name!r}")),
    (
        "flax_model*.msgpack*",
        "weights of a Flax class",
        _WITH_TRANSFORMERS.format(path="{path}", option="from_flax=True") + ", up to version 4",
    ),
    (
        "saved_model.pb",
        "a SavedModel, a program without the names of its weights",
        "run it with tf.saved_model.load({path!r}); to go on training, load the checkpoint that it was made from",
    ),
    ("*.keras", "a model that Keras saved", "keras.saving.load_model({file!r})"),
    ("*.weights.h5", "weights that Keras saved, without a config", "make the model, then model.load_weights({file!r})"),
    ("*.ckpt*.index", "a TensorFlow checkpoint", "with the bert_config.json of Google's BERT beside it, it is read"),
    ("*.onnx", "a model for ONNX Runtime", "load the checkpoint that it was made from"),
    ("*.tflite", "a model for LiteRT", "load the checkpoint that it was made from"),
    ("*.pth", "a pickle, which can run any code", "convert it where you trust it, with the program that wrote it"),
    ("*.pt", "a pickle, which can run any code", "convert it where you trust it, with the program that wrote it"),
)
"""Patterns of files' names, what such a file is, and what to do."""


def found_instead(directory: Path) -> str:
    """Returns what a directory without a checkpoint holds, and the next step; empty if nothing is known."""
    if (directory / _ADAPTER).is_file():
        return _of_adapter(directory)
    for pattern, what, step in _FORMATS:
        for file in sorted(directory.glob(pattern)):
            step = step.format(path=str(directory), name=file.name, file=str(file))
            return f" It holds {file.name}, {what}: {step}."
    return ""


def _of_adapter(directory: Path) -> str:
    content: Any = read_json(directory / _ADAPTER)
    base = content.get("base_model_name_or_path") if isinstance(content, dict) else None
    return (
        f" It holds an adapter for {base or 'another model'}: load that one, or merge both with PEFT: "
        f"AutoPeftModel.from_pretrained({str(directory)!r}).merge_and_unload().save_pretrained(DEST)."
    )
