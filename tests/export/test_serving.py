"""The checked-in model, and the clients of `examples/serving` against servers that speak as TensorFlow Serving does."""

import hashlib
import json
import runpy
from concurrent import futures
from pathlib import Path

import keras
import pytest
import tensorflow as tf
from helpers import run_python
from load_test import MODEL, server
from model_server import Loaded

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the checked-in model needs no backend")

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "examples" / "serving"


@pytest.fixture(scope="module")
def loaded():
    return Loaded(str(MODEL))


def test_the_checked_in_model_is_small_and_whole():
    card = json.loads((MODEL / "model_card.json").read_text())
    assert sum(file.stat().st_size for file in MODEL.rglob("*") if file.is_file()) < 3 * 2**20
    for name, facts in card["files"].items():
        assert hashlib.sha256((MODEL / name).read_bytes()).hexdigest() == facts["sha256"]


def test_it_writes_english(loaded):
    [text] = loaded.predict("generate", {"prompt": ["The value of "], "temperature": 0.0, "max_new_tokens": 60})["text"]
    words = text.removeprefix("The value of ").split()[:-1]
    assert len(words) > 5 and {"the", "of", "a", "is", "to", "an", "in", "and"} & set(words)


@pytest.mark.slow
def test_rest_client(loaded):
    predict = runpy.run_path(str(CLIENTS / "rest_client.py"))["predict"]
    inputs = {"prompt": ["The ", "A"], "temperature": 0.0, "max_new_tokens": 9}
    with server(MODEL) as (port, _):
        address = f"http://127.0.0.1:{port}"
        assert predict(address, "any", "generate", inputs) == loaded.predict("generate", inputs)
        beside = predict(address, "any", "generate", {**inputs, "prompt": ["The ", ""]})
        assert beside["text"][1] == "" and "must have a token" in beside["error"][1] and not beside["error"][0]
        with pytest.raises(SystemExit, match=r"400: .*`top_k` must be at least 0"):
            predict(address, "any", "generate", {"prompt": ["The "], "top_k": -1})
        program = str(CLIENTS / "rest_client.py"), "any", "--address", address
        options = json.dumps({name: x for name, x in inputs.items() if name != "prompt"})
        printed = run_python(*program, *inputs["prompt"], "--options", options)
        assert json.loads(printed) == loaded.predict("generate", inputs)
        printed = run_python(*program, "The ", "--signature", "serve_text", "--input", "prompt")
        found = json.loads(printed)
        assert found["text"][0].startswith("The ") and found["error"] == [""]


def test_grpc_client(loaded):
    grpc = pytest.importorskip("grpc")
    pytest.importorskip("tensorflow_serving")
    from tensorflow_serving.apis.predict_pb2 import PredictResponse
    from tensorflow_serving.apis.prediction_service_pb2_grpc import (
        PredictionServiceServicer,
        add_PredictionServiceServicer_to_server,
    )

    class Service(PredictionServiceServicer):
        def Predict(self, request, context):
            given = {name: tf.make_ndarray(x).tolist() for name, x in request.inputs.items()}
            response = PredictResponse()
            for name, x in loaded.predict(request.model_spec.signature_name, given).items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(x))
            return response

    served = grpc.server(futures.ThreadPoolExecutor(1))
    add_PredictionServiceServicer_to_server(Service(), served)
    port = served.add_insecure_port("127.0.0.1:0")
    served.start()
    try:
        predict = runpy.run_path(str(CLIENTS / "grpc_client.py"))["predict"]
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            inputs = {"prompt": ["The "], "temperature": 0.0, "max_new_tokens": 9}
            found = predict(channel, "char-gpt", "generate", inputs)["text"]
    finally:
        served.stop(None)
    assert [text.decode() for text in found] == loaded.predict("generate", inputs)["text"]
