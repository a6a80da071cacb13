"""Time and peak memory of every attention layer, over the length of the sequence.

    python -m benchmarks.attention_scaling --save
    python -m benchmarks.attention_scaling --variants full "window 256" --lengths 4096 8192 --backend jax

A point is a compiled forward pass of one layer, width 512 with 8 heads, on one sequence in float32: the least time of
several runs, and by how much the process's peak resident memory grew after a run of 16 tokens had loaded everything.
Each layer has a process of its own, in which lengths go up, so that a peak is that of the longest sequence so far.
Points that are saved join those of the same day and backend; table and plot show all of them.

Linux's C library is told to ask for huge pages, unless `GLIBC_TUNABLES` says something already: on JAX, whose arrays
come from it at each call, its small ones cost as much as the layers where sequences are long.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks import machine
from benchmarks.report import RESULTS, markdown

DIM, HEADS, WARM = 512, 8, 16
LENGTHS = (256, 512, 1024, 2048, 4096, 8192, 16384)
FITTED_FROM = 1024
"""Tokens; below, what each call costs by itself would flatten the slope."""
SCORES_LIMIT = 5 * 2**30
"""Bytes of all scores beyond which the layers that hold them are not run."""

Make = Callable[[int], Callable]


def _variants() -> dict[str, Make]:
    """By name: what makes a layer for sequences of a length."""
    import keras

    from keras_tx import layers

    def ours(layer, **options):
        return lambda length: layer(DIM, HEADS, **options)

    def keras_layer(make):
        def made(length):
            layer = make()
            return lambda x: layer(x, x)

        return made

    def keras_hub_window(length):
        from keras_hub.src.models.mistral.mistral_attention import CachedMistralAttention

        layer = CachedMistralAttention(HEADS, HEADS, sliding_window=256)
        layer.build((None, None, DIM))
        positions = np.arange(length)
        back = positions[:, None] - positions
        mask = ((back >= 0) & (back < 256))[None].astype("int32")
        return lambda x: layer(x, attention_mask=mask[:, : x.shape[1], : x.shape[1]])

    def longformer(length):
        layer = layers.LongformerAttention(DIM, HEADS, attention_window=512)
        return lambda x: layer(x, global_attention_mask=np.ones((1, 16), "int32"))

    width = DIM // HEADS
    window, linear = layers.SlidingWindowAttention, layers.LinearAttention
    return {
        "full": ours(layers.MultiHeadAttention),
        "full, causal": ours(layers.MultiHeadAttention, causal=True),
        "grouped-query": ours(layers.MultiHeadAttention, num_kv_heads=2),
        "latent, causal": ours(layers.LatentAttention, latent_dim=128),
        "chunked": ours(layers.MultiHeadAttention, chunk_size=256),
        "chunked, causal": ours(layers.MultiHeadAttention, chunk_size=256, causal=True),
        "window 256, causal": ours(window, window_size=256, causal=True),
        "window 256": ours(window, window_size=256),
        "window 256, dilated, causal": ours(window, window_size=256, dilation=2, causal=True),
        "window 256, 16 global": ours(window, window_size=256, num_global=16),
        "Longformer 512, 16 global": longformer,
        "block-sparse": ours(layers.BlockSparseAttention),
        "linear": ours(linear),
        "linear, causal": ours(linear, causal=True),
        "FAVOR+": ours(linear, feature_map="favor", seed=0),
        "FAVOR+, causal": ours(linear, feature_map="favor", seed=0, causal=True),
        "Linformer": lambda length: layers.LinformerAttention(DIM, HEADS, max(length, WARM), 128),
        "Nyström": ours(layers.NystromAttention, num_landmarks=64),
        "Keras MultiHeadAttention": keras_layer(lambda: keras.layers.MultiHeadAttention(HEADS, width)),
        "Keras GroupQueryAttention": keras_layer(lambda: keras.layers.GroupQueryAttention(width, HEADS, 2)),
        "KerasHub window 256, causal": keras_hub_window,
    }


def measure(name: str, lengths: Sequence[int]) -> Iterator[dict]:
    """The points of one layer, in this process."""
    import keras
    from keras import ops

    lengths = sorted(lengths)
    layer = _variants()[name](lengths[-1])
    layer(ops.zeros((1, WARM, DIM)))  # its weights are made here: none may be while JAX traces
    function = _compiled(layer)
    draws, before = np.random.default_rng(0), None
    for length in (WARM, *lengths):
        x = ops.convert_to_tensor(draws.normal(size=(1, length, DIM)).astype("float32"))
        output, seconds = np.asarray(function(x)), []  # this run compiles
        if output.shape != (1, length, DIM) or not np.isfinite(output).all():
            raise AssertionError(f"not an output of {length} tokens: {output.shape}")
        if before is None:
            before = _peak()
            continue
        while len(seconds) < 3 or (sum(seconds) < 1 and len(seconds) < 20):
            start = time.perf_counter()
            np.asarray(function(x))
            seconds.append(time.perf_counter() - start)
        yield {
            "backend": keras.backend.backend(),
            "variant": name,
            "length": length,
            "seconds": min(seconds),
            "bytes": _peak() - before,
        }


def _compiled(function: Callable) -> Callable:
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function, jit_compile=True)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def slope(points: Sequence[dict], what: str) -> float | None:
    """The exponent by which `what` grows with the length, fitted from `FITTED_FROM` tokens on; None for too few."""
    fitted = [(p["length"], p[what]) for p in points if p["length"] >= FITTED_FROM and p[what] > 0]
    if len(fitted) < 3:
        return None
    return float(np.polyfit(*np.log(np.array(fitted, "float64").T), 1)[0])


def table(points: Sequence[dict]) -> str:
    """Markdown: milliseconds and MiB of each variant at each length, and the slopes."""
    lengths = sorted({p["length"] for p in points})
    rows = [["ms / MiB", *(f"{n:,}" for n in lengths), "slope of time"]]
    for name, own in _by_variant(points).items():
        at = {p["length"]: f"{p['seconds'] * 1e3:.3g} / {p['bytes'] / 2**20:.0f}" for p in own}
        fitted = slope(own, "seconds")
        rows.append([name, *(at.get(n, "") for n in lengths), "" if fitted is None else f"{fitted:.2f}"])
    return markdown(rows)


def plot(points: Sequence[dict], path: Path) -> None:
    """Both measures over the length, on logarithmic axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6.5), layout="constrained")
    for axes, what, scale, label in zip(
        figure.subplots(1, 2),
        ("seconds", "bytes"),
        (1e-3, 2**20),
        ("time of a forward pass (ms)", "peak memory (MiB)"),
        strict=True,
    ):
        for i, (name, own) in enumerate(_by_variant(points).items()):
            peer = name.startswith("Keras")
            style = {"marker": "ovs^D"[i % 5], "linestyle": "--" if peer else "-", "color": f"C{i % 10}"}
            axes.loglog([p["length"] for p in own], [p[what] / scale for p in own], label=name, markersize=4, **style)
        lengths = sorted({p["length"] for p in points})
        axes.set_xticks(lengths, [f"{n:,}" for n in lengths], rotation=45)
        axes.minorticks_off()
        axes.set(xlabel="tokens", ylabel=label)
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", frameon=False)
    figure.savefig(path, dpi=110)


def _by_variant(points: Sequence[dict]) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for p in sorted(points, key=lambda p: p["length"]):
        found.setdefault(p["variant"], []).append(p)
    order = list(_NAMES)
    return dict(sorted(found.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))


_NAMES = (
    "full",
    "full, causal",
    "grouped-query",
    "latent, causal",
    "chunked",
    "chunked, causal",
    "window 256, causal",
    "window 256",
    "window 256, dilated, causal",
    "window 256, 16 global",
    "Longformer 512, 16 global",
    "block-sparse",
    "linear",
    "linear, causal",
    "FAVOR+",
    "FAVOR+, causal",
    "Linformer",
    "Nyström",
    "Keras MultiHeadAttention",
    "Keras GroupQueryAttention",
    "KerasHub window 256, causal",
)
_QUADRATIC = {*_NAMES[:4], *_NAMES[-3:]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, and returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks.attention_scaling", description=__doc__.split("\n")[0])
    parser.add_argument("--variants", nargs="+", choices=_NAMES, default=_NAMES, metavar="NAME")
    parser.add_argument("--lengths", nargs="+", type=int, default=LENGTHS, metavar="TOKENS")
    parser.add_argument("--backend", choices=["tensorflow", "jax"], default="tensorflow")
    parser.add_argument("--save", action="store_true", help="add to the day's points in benchmarks/results")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.here:
        for point in measure(args.variants[0], args.lengths):
            print(json.dumps(point), flush=True)
        return 0
    os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
    today, points = datetime.datetime.now(datetime.UTC).date(), list[dict]()
    for name in args.variants:
        lengths = [n for n in args.lengths if name not in _QUADRATIC or 4 * HEADS * n**2 <= SCORES_LIMIT]
        points += _in_a_process(name, lengths, args.backend)
        if args.save:  # at once, for the rest may be cut short
            points = _save(f"{today}-attention_scaling-{args.backend}", points, args.backend)
    print(table(points))
    return 0


def _in_a_process(name: str, lengths: Sequence[int], backend: str) -> list[dict]:
    own = ["--here", "--variants", name, "--lengths", *map(str, lengths)]
    command = [sys.executable, "-m", "benchmarks.attention_scaling", *own]
    env = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} failed after these points: {done.stdout}")
    print(done.stdout, end="", file=sys.stderr, flush=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _save(name: str, points: list[dict], backend: str) -> list[dict]:
    """Adds points to the file of that name, and writes table and plot of all of them beside it."""
    path = RESULTS / f"{name}.json"
    old = json.loads(path.read_text()) if path.exists() else []
    merged = {(p["variant"], p["length"]): p for p in (*old, *points)}
    points = list(merged.values())
    path.write_text(json.dumps(points, indent=1) + "\n")
    text = f"attention layers, forward, width {DIM}, {HEADS} heads, one sequence, float32, {backend} under XLA"
    parts = [text, table(points), _reading(), machine.describe()]
    path.with_suffix(".md").write_text("\n\n".join(parts) + "\n")
    plot(points, path.with_suffix(".png"))
    return points


def _reading() -> str:
    return (
        "The least of at least three runs, and the growth of the process's peak memory, each layer in a process of its "
        f"own. Slopes are of log-log lines from {FITTED_FROM:,} tokens on. Layers that hold all scores are not run "
        f"where these alone take more than {SCORES_LIMIT / 2**30:.0f} GiB."
    )


if __name__ == "__main__":
    sys.exit(main())
