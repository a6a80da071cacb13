"""Asks TensorFlow Serving by REST, with Python's standard library alone.

python examples/serving/rest_client.py char-gpt "The "
python examples/serving/rest_client.py char-gpt "The " --options '{"temperature": 0.0, "max_new_tokens": 40}'
python examples/serving/rest_client.py reviews "A fine film." --signature serve_text --input text
python examples/serving/rest_client.py digits --signature serve_image --image five.png
"""

import argparse
import base64
import json
import urllib.error
import urllib.request
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="the name that the server knows the model by")
    parser.add_argument("text", nargs="*", help="prompts, or what else the signature takes")
    parser.add_argument("--input", default="prompt", help="what the signature calls them; %(default)s")
    parser.add_argument("--image", type=Path, nargs="*", default=[], help="JPEG or PNG files")
    parser.add_argument("--signature", default="generate", help="which; %(default)s")
    parser.add_argument("--options", type=json.loads, default={}, help="further inputs, as JSON")
    parser.add_argument("--address", default="http://localhost:8501", help="of the server; %(default)s")
    arguments = parser.parse_intermixed_args()  # texts before or after options
    files = [{"b64": base64.b64encode(path.read_bytes()).decode()} for path in arguments.image]
    inputs = {"image_bytes": files} if files else {arguments.input: arguments.text} if arguments.text else {}
    print(json.dumps(predict(arguments.address, arguments.model, arguments.signature, inputs | arguments.options)))


def predict(address: str, model: str, signature: str, inputs: dict) -> dict | list:
    """What a signature gives for inputs by name, in columns; a list where it gives one tensor."""
    body = json.dumps({"signature_name": signature, "inputs": inputs}).encode()
    request = urllib.request.Request(f"{address}/v1/models/{model}:predict", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["outputs"]
    except urllib.error.HTTPError as error:  # the server says what was wrong
        raise SystemExit(f"{error.code}: {error.read().decode(errors='replace')}") from None


if __name__ == "__main__":
    main()
