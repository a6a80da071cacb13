"""Runs artifacts with their runtime and NumPy alone: a program, for a process of its own.

python artifact_runner.py FORMAT ARTIFACT REQUESTS.npz ANSWERS.npz [FORMAT ARTIFACT REQUESTS.npz ANSWERS.npz ...]

A format is one of `RUNTIMES`, and an artifact a file or directory of it. The requests are arrays called
NUMBER/SIGNATURE/INPUT; the answers come as arrays called NUMBER/OUTPUT; strings are arrays of bytes.

A request `generate` to an artifact without such a signature is answered by its `prefill` and `decode`: `input_ids` and
`attention_mask` `(B, P)`, `count`, `slots` where the cache has a fixed number of them and, for an encoder-decoder,
`start`, to the likeliest `tokens` `(B, count)` and the `logits` `(B, count, V)` that they were taken from.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np


class SavedModel:
    """A SavedModel's directory, run by TensorFlow.

    Attributes:
        hidden: the modules that it must run without.
    """

    hidden = ("keras", "keras_tx")

    def __init__(self, path: Path):
        import tensorflow as tf

        self.signatures = tf.saved_model.load(str(path)).signatures

    def ask(self, signature: str, inputs: dict) -> dict:
        """The answer of a signature, by name."""
        import tensorflow as tf

        tensors = {name: tf.constant(x.tolist() if x.dtype.kind == "S" else x) for name, x in inputs.items()}
        answers = {name: x.numpy() for name, x in self.signatures[signature](**tensors).items()}
        return {name: x.astype("S") if x.dtype == object else x for name, x in answers.items()}


class Stepwise:
    """An artifact whose host generates with it, token by token."""

    hidden = (*SavedModel.hidden, "tensorflow")

    def generate(self, input_ids, attention_mask, count, start=None, slots=None) -> dict:
        """The likeliest tokens, and the logits that they were taken from."""
        begun = 1 if start is not None else input_ids.shape[1]
        slots = int(slots or begun + count)
        found, fixed = self.prefill(input_ids, attention_mask, slots, start)
        masked = "attention_mask" if start is None else "encoder_attention_mask"
        mask = filled(attention_mask, slots) if start is None else attention_mask
        tokens, logits = [], []
        for position in range(begun, begun + int(count)):
            logits.append(found.pop("logits"))
            tokens.append(logits[-1].argmax(axis=-1).astype("int32"))
            if len(tokens) == count:
                break
            past = {name.replace("present_", "past_"): x for name, x in found.items()}
            step = {"input_ids": tokens[-1][:, None], masked: mask, "cache_position": np.array(position, "int32")}
            found = self.ask("decode", {**step, **past, **fixed})
        return {"tokens": np.stack(tokens, axis=1), "logits": np.stack(logits, axis=1)}

    def ask(self, signature: str, inputs: dict) -> dict:
        """The answer of a signature, by name."""
        raise NotImplementedError

    def prefill(self, ids, mask, slots: int, start) -> tuple[dict, dict]:
        """The first answer, and the inputs of `decode` that stay the same from step to step."""
        raise NotImplementedError


class LiteRT(Stepwise):
    """A `.tflite` file, run by LiteRT."""

    def __init__(self, path: Path):
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(str(path), num_threads=1)
        self.runners: dict = {}

    def ask(self, signature: str, inputs: dict) -> dict:
        """The answer of a signature, by name."""
        runner = self.runner(signature)
        details = runner.get_input_details()
        return runner(**{name: x.astype(details[name]["dtype"]) for name, x in inputs.items()})

    def runner(self, signature: str):
        """LiteRT's runner of a signature, kept because it takes time to make."""
        if signature not in self.runners:
            self.runners[signature] = self.interpreter.get_signature_runner(signature)
        return self.runners[signature]

    def prefill(self, ids, mask, slots: int, start) -> tuple[dict, dict]:
        """The first answer, and the inputs of `decode` that stay the same from step to step."""
        found = self.ask("prefill", {"input_ids": ids, "attention_mask": mask})
        wanted = self.runner("decode").get_input_details()
        for name in [name for name in found if name.startswith("present_")]:
            length = wanted[name.replace("present_", "past_")]["shape_signature"][2]
            length = slots if length < 0 else length  # other lengths are fixed, as that of linear attention's sums
            found[name] = np.pad(found[name], [(0, 0), (0, 0), (0, length - found[name].shape[2]), (0, 0)])
        fixed = {name: found.pop(name) for name in [*found] if name.startswith("cross_")}
        return found, fixed


DTYPES = {"tensor(int32)": "int32", "tensor(int64)": "int64"}
"""NumPy's names of ONNX's integers."""


class ONNX(Stepwise):
    """An `.onnx` file, or a directory with `encoder.onnx` and `decoder.onnx`, run by onnxruntime."""

    def __init__(self, path: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        files = {"encode": path / "encoder.onnx", "decode": path / "decoder.onnx"} if path.is_dir() else {"": path}
        self.sessions = {name: onnxruntime.InferenceSession(str(file), options) for name, file in files.items()}

    def ask(self, signature: str, inputs: dict) -> dict:
        """The answer of a graph, by name."""
        session = self.sessions.get(signature) or self.sessions[""]
        types = {tensor.name: DTYPES.get(tensor.type) for tensor in session.get_inputs()}
        names = [tensor.name for tensor in session.get_outputs()]
        given = {name: x.astype(types[name] or x.dtype) for name, x in inputs.items() if name in types}
        answers = session.run(names, given)
        return dict(zip(names, answers, strict=True))

    def prefill(self, ids, mask, slots: int, start) -> tuple[dict, dict]:
        """The first answer, and the inputs of `decode` that stay the same from step to step."""
        session = self.sessions.get("decode") or self.sessions[""]
        shapes = {x.name: x.shape for x in session.get_inputs() if x.name.startswith("past_")}
        empty = {
            name: np.zeros([len(ids), *(n if isinstance(n, int) else slots for n in shape[1:])], "float32")
            for name, shape in shapes.items()
        }
        zero = np.array(0, "int32")
        if start is None:
            fixed, step = {}, {"input_ids": ids, "attention_mask": filled(mask, slots)}
        else:
            fixed = self.ask("encode", {"input_ids": ids, "attention_mask": mask})
            step = {"input_ids": np.full((len(ids), 1), start, "int32"), "encoder_attention_mask": mask}
        return self.ask("decode", {**step, "cache_position": zero, **empty, **fixed}), fixed


def filled(mask, slots: int):
    """The mask `(B, P)` of prompts over all slots of a cache: 1 at those after the prompts."""
    return np.pad(mask, [(0, 0), (0, slots - mask.shape[1])], constant_values=1)


RUNTIMES: dict[str, type[SavedModel | LiteRT | ONNX]] = {"saved_model": SavedModel, "litert": LiteRT, "onnx": ONNX}
"""What runs the artifacts of each format of `formats.FORMATS`, which this program cannot import."""


def answer(format: str, path: Path, requests: str, answers: str) -> None:
    """Answers the requests to one artifact."""
    calls: dict[tuple[int, str], dict] = {}
    with np.load(requests) as arrays:
        for key in arrays.files:
            number, signature, name = key.split("/")
            calls.setdefault((int(number), signature), {})[name] = arrays[key]
    artifact: Any = RUNTIMES[format](path)
    found = {}
    for (number, signature), inputs in sorted(calls.items()):
        if signature == "generate" and isinstance(artifact, Stepwise):
            outputs = artifact.generate(**inputs)
        else:
            outputs = artifact.ask(signature, inputs)
        found.update({f"{number}/{name}": x for name, x in outputs.items()})
    np.savez(answers, **found)


if __name__ == "__main__":
    if len(sys.argv) < 5 or len(sys.argv) % 4 != 1:
        sys.exit(__doc__)
    calls = [sys.argv[i : i + 4] for i in range(1, len(sys.argv), 4)]
    # TensorFlow imports Keras by itself where it finds it; here it must not find it.
    for module in set.intersection(*({*RUNTIMES[format].hidden} for format, *_ in calls)):
        sys.modules[module] = None  # type: ignore[assignment]
    for format, path, requests, answers in calls:
        answer(format, Path(path), requests, answers)
