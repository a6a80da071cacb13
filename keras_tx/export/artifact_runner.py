"""Runs LiteRT and ONNX artifacts in a process of its own, with their runtime and NumPy alone.

python artifact_runner.py ARTIFACT REQUESTS.npz ANSWERS.npz [ARTIFACT REQUESTS.npz ANSWERS.npz ...]

An artifact is a `.tflite` file, an `.onnx` file, or a directory with `encoder.onnx` and `decoder.onnx`. The requests
are arrays called NUMBER/SIGNATURE/INPUT; the answers come as arrays called NUMBER/OUTPUT. The signature `generate` is
done here, by prefill and decode: `input_ids` and `attention_mask` `(B, P)`, `count`, `slots` where the cache's number
is fixed, and of an encoder-decoder `start`, to the likeliest `tokens` `(B, count)` and the `logits` `(B, count, V)`
that they were taken from.
"""

import sys
from pathlib import Path

import numpy as np


class LiteRT:
    """A `.tflite` file."""

    def __init__(self, path: Path):
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(str(path), num_threads=1)
        self.runners: dict = {}

    def ask(self, signature: str, inputs: dict) -> dict:
        """What a signature answers."""
        if signature not in self.runners:
            self.runners[signature] = self.interpreter.get_signature_runner(signature)
        return self.runners[signature](**inputs)

    def prefill(self, ids, mask, slots: int, start) -> tuple[dict, dict]:
        """The first answer, and what stays the same from step to step."""
        found = self.ask("prefill", {"input_ids": ids, "attention_mask": mask})
        for name in [name for name in found if name.startswith("present_")]:
            found[name] = np.pad(found[name], [(0, 0), (0, 0), (0, slots - found[name].shape[2]), (0, 0)])
        fixed = {name: found.pop(name) for name in [*found] if name.startswith("cross_")}
        return found, fixed


class ONNX:
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
        empty = {
            tensor.name: np.zeros((len(ids), tensor.shape[1], slots, tensor.shape[3]), "float32")
            for tensor in session.get_inputs()
            if tensor.name.startswith("past_")
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


def generate(artifact, input_ids, attention_mask, count, start=None, slots=None) -> dict:
    """The likeliest tokens, one by one."""
    begun = 1 if start is not None else input_ids.shape[1]
    slots = int(slots or begun + count)
    found, fixed = artifact.prefill(input_ids, attention_mask, slots, start)
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
        found = artifact.ask("decode", {**step, **past, **fixed})
    return {"tokens": np.stack(tokens, axis=1), "logits": np.stack(logits, axis=1)}


def main(path: str, requests: str, answers: str) -> None:
    """Asks one artifact."""
    calls: dict[tuple[int, str], dict] = {}
    with np.load(requests) as arrays:
        for key in arrays.files:
            number, signature, name = key.split("/")
            calls.setdefault((int(number), signature), {})[name] = arrays[key]
    artifact = (LiteRT if path.endswith(".tflite") else ONNX)(Path(path))
    found = {}
    for (number, signature), inputs in sorted(calls.items()):
        outputs = generate(artifact, **inputs) if signature == "generate" else artifact.ask(signature, inputs)
        found.update({f"{number}/{name}": x for name, x in outputs.items()})
    np.savez(answers, **found)


if __name__ == "__main__":
    if len(sys.argv) < 4 or len(sys.argv) % 3 != 1:
        sys.exit(__doc__)
    sys.modules["keras"] = sys.modules["keras_tx"] = sys.modules["tensorflow"] = None  # type: ignore[assignment]
    for i in range(1, len(sys.argv), 3):
        main(*sys.argv[i : i + 3])
