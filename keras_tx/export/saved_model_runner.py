"""Runs SavedModels with TensorFlow alone, in a process of its own.

python saved_model_runner.py DIRECTORY REQUESTS.npz ANSWERS.npz [DIRECTORY REQUESTS.npz ANSWERS.npz ...]

The requests are arrays called NUMBER/SIGNATURE/INPUT; the answers come as arrays called NUMBER/OUTPUT. Strings are
arrays of bytes.
"""

import sys


def main(directory: str, requests: str, answers: str) -> None:
    """Asks the SavedModel in a directory."""
    import numpy as np
    import tensorflow as tf

    calls: dict[tuple[int, str], dict] = {}
    with np.load(requests) as arrays:
        for key in arrays.files:
            number, signature, name = key.split("/")
            calls.setdefault((int(number), signature), {})[name] = arrays[key]
    loaded = tf.saved_model.load(directory)
    found = {}
    for (number, signature), inputs in sorted(calls.items()):
        tensors = {name: tf.constant(x.tolist() if x.dtype.kind == "S" else x) for name, x in inputs.items()}
        for name, x in loaded.signatures[signature](**tensors).items():
            found[f"{number}/{name}"] = x.numpy().astype("S") if x.dtype == tf.string else x.numpy()
    np.savez(answers, **found)


if __name__ == "__main__":
    if len(sys.argv) < 4 or len(sys.argv) % 3 != 1:
        sys.exit(__doc__)
    # TensorFlow imports Keras by itself where it finds it; here it shall not find it.
    sys.modules["keras"] = sys.modules["keras_tx"] = None  # type: ignore[assignment]
    for i in range(1, len(sys.argv), 3):
        main(*sys.argv[i : i + 3])
