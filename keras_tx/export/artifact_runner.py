"""Runs artifacts in a process of its own, with their runtime and NumPy alone.

python artifact_runner.py ARTIFACT REQUESTS.npz ANSWERS.npz [ARTIFACT REQUESTS.npz ANSWERS.npz ...]

An artifact is the directory of a SavedModel, a `.tflite` file, an `.onnx` file, or a directory with `encoder.onnx` and
`decoder.onnx`. The requests are arrays called NUMBER/SIGNATURE/INPUT; the answers come as arrays called NUMBER/OUTPUT;
strings are arrays of bytes. Where an artifact has no signature `generate` it is done here, by prefill and decode:
`input_ids` and `attention_mask` `(B, P)`, `count`, `slots` where the cache's number is fixed, and of an
encoder-decoder `start`, to the likeliest `tokens` `(B, count)` and the `logits` `(B, count, V)` that they were taken
from.
"""

import sys
from pathlib import Path

import numpy as np


class SavedModel:
    """A directory that TensorFlow loads."""

    without = ("keras", "keras_tx")

    def __init__(self, path: Path):
        import tensorflow as tf

        self.signatures = tf.saved_model.load(str(path)).signatures

    def ask(self, signature: str, inputs: dict) -> dict:
        """What a signature answers."""
        import tensorflow as tf

        tensors = {name: tf.constant(x.tolist() if x.dtype.kind == "S" else x) for name, x in inputs.items()}
        answers = {name: x.numpy() for name, x in self.signatures[signature](**tensors).items()}
        return {name: x.astype("S") if x.dtype == object else x for name, x in answers.items()}


class Stepwise:
    """An artifact that generates, if it does, by steps which the host asks for."""

    without = (*SavedModel.without, "tensorflow")

    def generate(self, input_ids, attention_mask, count, start=None, slots=None) -> dict:
        """The likeliest tokens, one by one."""
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
        """What a signature answers."""
        raise NotImplementedError

    def prefill(self, ids, mask, slots: int, start) -> tuple[dict, dict]:
        """The first answer, and what stays the same from step to step."""
        raise NotImplementedError


class LiteRT(Stepwise):
    """A `.tflite` file."""

    def __init__(self, path: Path):
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(str(path), num_threads=1)
        self.runners: dict = {}

    def ask(self, signature: str, inputs: dict) -> dict:
        """What a signature answers."""
        return self.runner(signature)(**inputs)

    def runner(self, signature: str):
        """LiteRT's own, kept: making one takes time."""
        if signature not in self.runners:
            self.runners[signature] = self.interpreter.get_signature_runner(signature)
        return self.runners[signature]

    def prefill(self, ids, mask, slots: int, start) -> tuple[dict, dict]:
        """The first answer, and what stays the same from step to step."""
        found = self.ask("prefill", {"input_ids": ids, "attention_mask": mask})
        wanted = self.runner("decode").get_input_details()
        for name in [name for name in found if name.startswith("present_")]:
            length = wanted[name.replace("present_", "past_")]["shape_signature"][2]
            length = slots if length < 0 else length  # other lengths are fixed, as that of linear attention's sums
            found[name] = np.pad(found[name], [(0, 0), (0, 0), (0, length - found[name].shape[2]), (0, 0)])
        fixed = {name: found.pop(name) for name in [*found] if name.startswith("cross_")}
        return found, fixed


class ONNX(Stepwise):
    """An `.onnx` file, or a directory of two."""

    def __init__(self, path: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        files = {"encode": path / "encoder.onnx", "decode": path / "decoder.onnx"} if path.is_dir() else {"": path}
        self.sessions = {name: onnxruntime.InferenceSession(str(file), options) for name, file in files.items()}

    def ask(self, signature: str, inputs: dict) -> dict:
        """What a graph answers."""
        session = self.sessions.get(signature) or self.sessions[""]
        taken = {tensor.name for tensor in session.get_inputs()}
        names = [tensor.name for tensor in session.get_outputs()]
        answers = session.run(names, {name: x for name, x in inputs.items() if name in taken})
        return dict(zip(names, answers, strict=True))

    def prefill(self, ids, mask, slots: int, start) -> tuple[dict, dict]:
        """The first answer, and what stays the same from step to step."""
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
    """A mask `(B, P)` of prompts over all slots: what is not theirs is no padding."""
    return np.pad(mask, [(0, 0), (0, slots - mask.shape[1])], constant_values=1)


def kind_of(path: Path) -> type[SavedModel] | type[LiteRT] | type[ONNX]:
    """Of an artifact."""
    if path.suffix == ".tflite":
        return LiteRT
    return SavedModel if (path / "saved_model.pb").exists() else ONNX


def answer(path: Path, requests: str, answers: str) -> None:
    """Asks one artifact."""
    calls: dict[tuple[int, str], dict] = {}
    with np.load(requests) as arrays:
        for key in arrays.files:
            number, signature, name = key.split("/")
            calls.setdefault((int(number), signature), {})[name] = arrays[key]
    artifact = kind_of(path)(path)
    found = {}
    for (number, signature), inputs in sorted(calls.items()):
        if signature == "generate" and isinstance(artifact, Stepwise):
            outputs = artifact.generate(**inputs)
        else:
            outputs = artifact.ask(signature, inputs)
        found.update({f"{number}/{name}": x for name, x in outputs.items()})
    np.savez(answers, **found)


if __name__ == "__main__":
    if len(sys.argv) < 4 or len(sys.argv) % 3 != 1:
        sys.exit(__doc__)
    artifacts = [Path(path) for path in sys.argv[1::3]]
    # TensorFlow imports Keras by itself where it finds it; here it shall not find it.
    for module in set.intersection(*({*kind_of(path).without} for path in artifacts)):
        sys.modules[module] = None  # type: ignore[assignment]
    for path, requests, answers in zip(artifacts, sys.argv[2::3], sys.argv[3::3], strict=True):
        answer(path, requests, answers)
