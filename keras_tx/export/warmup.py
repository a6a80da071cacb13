"""Requests with which TensorFlow Serving warms a model up: `assets.extra/tf_serving_warmup_requests`.

The file holds `PredictionLog` messages, encoded here by their definitions in TensorFlow Serving's
`apis/prediction_log.proto`, `predict.proto` and `model.proto`, which is four nested fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

FILE = "assets.extra/tf_serving_warmup_requests"
MOST = 1000
"""The most records that TensorFlow Serving reads."""


def write_warmup(directory: Path, requests: Iterable[tuple[str, Mapping[str, np.ndarray]]]) -> None:
    """Writes requests, each a signature's name and its inputs by name, into a SavedModel's directory."""
    import tensorflow as tf

    path = directory / FILE
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in list(requests)[:MOST]:
            writer.write(prediction_log(signature, inputs))


def prediction_log(signature: str, inputs: Mapping[str, np.ndarray]) -> bytes:
    """A `PredictionLog` of a `PredictLog` (6) of a `PredictRequest` (1), without the model's name."""
    import tensorflow as tf

    model_spec = _field(1, _field(3, signature.encode()))
    tensors = {
        name: tf.make_tensor_proto(x.tolist() if x.dtype.kind == "S" else x).SerializeToString()
        for name, x in inputs.items()
    }
    entries = [_field(2, _field(1, name.encode()) + _field(2, tensor)) for name, tensor in tensors.items()]
    return _field(6, _field(1, model_spec + b"".join(entries)))


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protobuf message."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])
