"""An ordinary HTTP server of one SavedModel on loopback, with TensorFlow's loader alone; a fixture of the tests.

python tests/model_server.py DIRECTORY

It prints its port, and answers `POST /v1/models/NAME:predict` as TensorFlow Serving does where inputs are in columns.
"""

import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

if __name__ == "__main__":  # TensorFlow imports Keras by itself where it finds it
    sys.modules["keras"] = sys.modules["keras_tx"] = None  # type: ignore[assignment]

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

LARGEST_BODY = 2**22


class Loaded:
    """The signatures of a SavedModel, called with what JSON holds."""

    def __init__(self, directory: str):
        self.model = tf.saved_model.load(directory)
        (meta,) = SavedModel.FromString((Path(directory) / "saved_model.pb").read_bytes()).meta_graphs
        self.defaults = {name: dict(signature.defaults) for name, signature in meta.signature_def.items()}

    def predict(self, name: str, inputs: dict) -> dict:
        """Raises ValueError for what the signature does not take."""
        if name not in self.model.signatures:
            raise ValueError(f"no signature {name!r}")
        function = self.model.signatures[name]
        specs = function.structured_input_signature[1]
        given = {key: tf.constant(tf.make_ndarray(value)) for key, value in self.defaults[name].items()}
        given |= {key: self._tensor(key, specs, value) for key, value in inputs.items()}
        if given.keys() != specs.keys():
            raise ValueError(f"inputs must be {sorted(specs)}; got {sorted(inputs)}")
        return {key: _plain(x.numpy()) for key, x in function(**given).items()}

    @staticmethod
    def _tensor(key: str, specs: dict, value):
        if key not in specs:
            raise ValueError(f"no input {key!r}")
        spec = specs[key]
        tensor = tf.constant(_with_bytes(value), None if value != [] else spec.dtype)
        if tensor.dtype != spec.dtype and spec.dtype.is_floating and tensor.dtype.is_integer:
            tensor = tf.cast(tensor, spec.dtype)
        if tensor.dtype != spec.dtype or not spec.shape.is_compatible_with(tensor.shape):
            raise ValueError(f"{key!r} must be {spec.dtype.name} {spec.shape}; got {tensor.dtype.name} {tensor.shape}")
        return tensor


def _with_bytes(value):
    if isinstance(value, dict) and list(value) == ["b64"]:
        return base64.b64decode(value["b64"])
    return [_with_bytes(x) for x in value] if isinstance(value, list) else value


def _plain(x: np.ndarray):
    return np.vectorize(bytes.decode, otypes=[object])(x).tolist() if x.dtype == object else x.tolist()


class Handler(BaseHTTPRequestHandler):
    loaded: Loaded
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        try:
            length = int(self.headers["Content-Length"])
            if length > LARGEST_BODY:
                self.close_connection = True
                return self._answer(413, {"error": f"a body of {length} bytes is too large"})
            body = json.loads(self.rfile.read(length))
            outputs = self.loaded.predict(body["signature_name"], body["inputs"])
        except Exception as error:  # whatever a request holds, the server goes on
            return self._answer(400, {"error": f"{type(error).__name__}: {error}"[:1000]})
        return self._answer(200, {"outputs": outputs if len(outputs) > 1 else next(iter(outputs.values()))})

    def _answer(self, status: int, content: dict) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format, *arguments):
        pass


if __name__ == "__main__":
    Handler.loaded = Loaded(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
