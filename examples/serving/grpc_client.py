"""Asks TensorFlow Serving by gRPC. It needs `pip install 'keras_tx[serving]'`, which is `tensorflow-serving-api`.

python examples/serving/grpc_client.py char-gpt "The "
python examples/serving/grpc_client.py char-gpt "The " --temperature 0 --max-new-tokens 40
"""

import argparse

import grpc
import tensorflow as tf
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="the name that the server knows the model by")
    parser.add_argument("prompt", nargs="+")
    parser.add_argument("--max-new-tokens", type=int)
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--top-k", type=int)
    parser.add_argument("--top-p", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--address", default="localhost:8500", help="of the server; %(default)s")
    arguments = vars(parser.parse_args())
    model, address = arguments.pop("model"), arguments.pop("address")
    # What is left out has the default that was exported.
    inputs = {name: value for name, value in arguments.items() if value is not None}
    with grpc.insecure_channel(address) as channel:
        answer = predict(channel, model, "generate", inputs)
    for text, error in zip(answer["text"], answer["error"], strict=True):
        print((text or error).decode())


def predict(channel: grpc.Channel, model: str, signature: str, inputs: dict) -> dict:
    """What a signature gives for inputs by name, as NumPy arrays."""
    request = PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    response = PredictionServiceStub(channel).Predict(request, timeout=60)
    return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}


if __name__ == "__main__":
    main()
