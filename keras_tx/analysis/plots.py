"""Pictures: loss curves and attention maps. Matplotlib, the extra `plot`, is imported when the first is drawn."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from keras_tx.extras import require_extra
from keras_tx.files import whole_file


def plot_metric(
    path: str | Path,
    table: Sequence[dict[str, float]],
    metric: str = "loss",
    label: str = "loss (nats per token)",
    baselines: dict[str, float] | None = None,
) -> None:
    """Draws a metric of training and validation over steps into a PNG file.

    Args:
        path: of the file.
        table: rows with `step`, the metric, and it with `val_` before it, as `read_table` gives them.
        metric: its name.
        label: what stands at the axis.
        baselines: values to draw as horizontal lines, by name.

    Raises:
        ValueError: if the table is empty.
    """
    if not table:
        raise ValueError(f"`table` is empty: there is no {metric} to draw.")
    figure = _figure(7, 4.2)
    axes = figure.add_subplot()
    note = partial(axes.annotate, xytext=(0, 6), textcoords="offset points", ha="right")
    steps, validation = [row["step"] for row in table], [row[f"val_{metric}"] for row in table]
    axes.plot(steps, [row[metric] for row in table], color="#9ab", marker=".", label="training, mean of the epoch")
    axes.plot(steps, validation, color="#c33", marker="o", label="validation")
    for name, value in (baselines or {}).items():
        axes.axhline(value, color="#555", linestyle=":")
        note(f"{name} {value:.2f}", (steps[-1], value), color="#555")
    note(f"{validation[-1]:.3f}", (steps[-1], validation[-1]), color="#c33")
    axes.set(xlabel="step", ylabel=label, xlim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    _save(figure, path)


def plot_attention(path: str | Path, maps: Sequence[np.ndarray], tokens: Sequence[str]) -> None:
    """Draws the attention maps of one sequence, a row a layer and a column a head, into a PNG file.

    Args:
        path: of the file.
        maps: one a layer, `(heads, queries, keys)`, rows that sum to 1.
        tokens: what stands at each position, to label the axes.

    Raises:
        ValueError: if there is no map, or one is not `(heads, T, T)` for the T tokens.
    """
    _plot_maps(path, maps, tokens, tokens)


def plot_cross_attention(
    path: str | Path, maps: Sequence[np.ndarray], target: Sequence[str], source: Sequence[str]
) -> None:
    """Draws where a target looks in its source, as `plot_attention` does.

    Args:
        path: of the file.
        maps: one a layer, `(heads, T, S)`, rows that sum to 1.
        target: the T tokens, of the rows; those that each row writes, or those that it reads.
        source: the S tokens, of the columns.

    Raises:
        ValueError: if there is no map, or one is not `(heads, T, S)`.
    """
    _plot_maps(path, maps, target, source)


def _plot_maps(path, maps: Sequence[np.ndarray], queries: Sequence[str], keys: Sequence[str]) -> None:
    if not maps:
        raise ValueError("`maps` is empty: there is no attention to draw.")
    for i, layer in enumerate(maps):
        if layer.ndim != 3 or layer.shape[1:] != (len(queries), len(keys)):
            raise ValueError(f"map {i} must be (heads, {len(queries)}, {len(keys)}); got shape {layer.shape}.")
    heads = max(len(layer) for layer in maps)
    width, height = (max(1.9, 0.085 * len(tokens)) for tokens in (keys, queries))
    figure = _figure(width * heads + 0.6, height * len(maps) + 0.8)
    grid = figure.subplots(len(maps), heads, squeeze=False, sharex=True, sharey=True)
    rows, columns = ([{" ": "·", "\n": "⏎"}.get(token, token) for token in tokens] for tokens in (queries, keys))
    for i, layer in enumerate(maps):
        for j, weights in enumerate(layer):
            axes = grid[i, j]
            # The root shows weak attention that a linear scale would hide.
            axes.imshow(np.sqrt(weights), cmap="magma", vmin=0, vmax=1, interpolation="nearest")
            axes.set_title(f"layer {i + 1}, head {j + 1}", fontsize=8)
            axes.set_xticks(range(len(columns)), columns, rotation=_rotation(columns), fontsize=5, family="monospace")
            axes.set_yticks(range(len(rows)), rows, fontsize=5, family="monospace")
            axes.tick_params(length=0, pad=1)
    figure.supxlabel("key: the token looked at", fontsize=9)
    figure.supylabel("query: the token that looks", fontsize=9)
    _save(figure, path)


def _rotation(labels: Sequence[str]) -> int:
    """Returns the rotation of labels in degrees: those longer than a character would overlap unless upright."""
    return 90 if max(map(len, labels), default=0) > 1 else 0


def _figure(width: float, height: float):
    """A figure of its own, apart from pyplot's state and any window system; inches."""
    require_extra("matplotlib", "plot")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure, path: str | Path) -> None:
    with whole_file(path) as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a box is drawn instead
        figure.savefig(file, dpi=150)
