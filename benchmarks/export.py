"""Artifacts measured: the error and size of every form, and how fast LiteRT decodes.

python -m benchmarks.export table [NAME ...]        every family in every format and form; docs/export.md has the table
python -m benchmarks.export write DIRECTORY         GPT-2 small, random weights, as LiteRT in float32 and 8 bits
python -m benchmarks.export decode DIRECTORY        tokens/s of these two, side by side, in turns
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

FORMS = (None, "float16", "dynamic_int8", "int8")
SLOTS = 128
PROMPT = 16
STEPS = 16
ROUNDS = 5


def models() -> dict:
    """A model of each family, of one layout with the published ones, small enough to be measured in a minute."""
    import keras_tx as kt

    text = {"num_layers": 4, "num_heads": 4, "d_model": 128}
    return {
        "BERT": lambda: kt.BERTForSequenceClassification(vocab_size=4096, d_ff=512, **text),
        "GPT": lambda: kt.GPTModel(vocab_size=4096, max_positions=256, **text),
        "T5": lambda: kt.T5Model(vocab_size=4096, d_kv=32, d_ff=512, **text),
        "Transformer": lambda: kt.Transformer(vocab_size=4096, d_model=128, num_heads=4, num_layers=4),
        "ViT": lambda: kt.VisionTransformer(image_size=64, patch_size=8, num_classes=100, d_ff=512, **text),
        "Swin": lambda: kt.SwinTransformer(
            image_size=64, window_size=4, embed_dim=48, depths=(2, 2, 2), num_heads=(3, 6, 12), num_classes=100
        ),
    }


def table(names: list[str]) -> None:
    """A row for each family, format and form."""
    import keras

    from keras_tx.export import export_litert, export_onnx
    from keras_tx.export.tensors import tensor_signatures

    print("| Model | Format | Form | Bytes | Largest error | Error, rms | Tokens |\n|---|---|---|---|---|---|---|")
    for name, make in models().items():
        if names and name not in names:
            continue
        keras.utils.set_random_seed(0)
        model = make()
        signature, rng = tensor_signatures(model)["serving_default"], np.random.default_rng(1)
        data = [signature.sample(rng, 2, 16) for _ in range(16)]
        with tempfile.TemporaryDirectory() as scratch:
            for form in FORMS:
                path = Path(scratch) / "model.tflite"
                options = {"representative_data": data} if form == "int8" else {}
                found = export_litert(model, path, quantize=form, tolerance=10 if form else None, **options)
                print(row(name, "LiteRT", form, found), flush=True)
            two = name in ("T5", "Transformer")
            found = export_onnx(model, Path(scratch) / ("model" if two else "model.onnx"))
            print(row(name, "ONNX", None, found), flush=True)


def row(name: str, format: str, form: str | None, found) -> str:
    tokens = "" if found.tokens is None else f"{found.tokens:.0%}"
    cells = (name, format, form or "float32", f"{found.size:,}", f"{found.error:.1e}", f"{found.rms:.1e}", tokens)
    return f"| {' | '.join(cells)} |"


def write(directory: Path) -> None:
    import keras

    import keras_tx as kt

    keras.utils.set_random_seed(0)
    model = kt.gpt2_small()
    for form in (None, "dynamic_int8"):
        begun = time.perf_counter()
        path = directory / f"{form or 'float32'}.tflite"
        found = kt.export_litert(model, path, quantize=form, batch_size=1, cache_length=SLOTS)
        print(row("GPT-2 small", "LiteRT", form, found), f"{time.perf_counter() - begun:.0f} s", flush=True)


def decode(directory: Path) -> None:
    """Each form and setting in turn, round after round, so that what else the machine does strikes all alike."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolvers = {"XNNPACK": OpResolverType.AUTO, "no delegate": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}
    settings = [
        (form, name, threads) for name in resolvers for threads in (1, 2) for form in ("float32", "dynamic_int8")
    ]
    rates: dict[tuple, list[float]] = {setting: [] for setting in settings}
    runs = {}
    for form, name, threads in settings:
        interpreter = Interpreter(
            str(directory / f"{form}.tflite"), num_threads=threads, experimental_op_resolver_type=resolvers[name]
        )
        runs[form, name, threads] = interpreter.get_signature_runner("decode")
    for _ in range(ROUNDS):
        for setting, run in runs.items():
            rates[setting].append(tokens_per_second(run))
    for setting, found in rates.items():
        low, middle, high = min(found), float(np.median(found)), max(found)
        print(*setting, f"{low:.1f} / {middle:.1f} / {high:.1f} tokens/s (min / median / max of {ROUNDS})", sep=" | ")


def tokens_per_second(run) -> float:
    """Of one row, from slot `PROMPT` on, the cache going out and in again as in the example."""
    details = run.get_input_details()
    cache = {name: np.zeros(x["shape"], "float32") for name, x in details.items() if name.startswith("past_")}
    mask, token = np.ones((1, SLOTS), "int32"), np.zeros((1, 1), "int32")
    for step in range(STEPS + 2):
        if step == 2:  # the first are for warming up
            begun = time.perf_counter()
        position = np.array(PROMPT + step, "int32")
        found = run(input_ids=token, attention_mask=mask, cache_position=position, **cache)
        cache = {name.replace("present_", "past_"): x for name, x in found.items() if name.startswith("present_")}
        token = found["logits"].argmax(-1)[:, None].astype("int32")
    return STEPS / (time.perf_counter() - begun)


if __name__ == "__main__":
    what, *rest = sys.argv[1:] or [""]
    if what == "table":
        table(rest)
    elif what in ("write", "decode") and len(rest) == 1:
        {"write": write, "decode": decode}[what](Path(rest[0]))
    else:
        sys.exit(__doc__)
