"""Analysis of image models: what they look at, and which classes they confuse, in numbers and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from keras import ops

from keras_tx.analysis.plots import _figure, _save
from keras_tx.layers.image.swin_block import SwinBlock
from keras_tx.models.core.classification import ImageClassifier
from keras_tx.models.swin.model import SwinTransformer
from keras_tx.models.vit.model import VisionTransformer
from keras_tx.ops.image import windows

# === Numbers ===


def attention_rollout(maps: Sequence[np.ndarray]) -> np.ndarray:
    """Returns how much of each input token reaches each output token (Abnar & Zuidema 2020, equation 1).

    A block passes on half of what it gets by its residual branch, and half by its attention, the mean over the heads;
    blocks are multiplied.

    Args:
        maps: of every block from the first, `(B, heads, T, T)`, rows that sum to 1.

    Returns:
        float64 `(B, T, T)`, rows that sum to 1.

    Raises:
        ValueError: if there is no map, or they are not all of one such shape.
    """
    shapes = [np.shape(layer) for layer in maps]
    if len(set(shapes)) != 1 or len(shapes[0]) != 4 or shapes[0][2] != shapes[0][3]:
        raise ValueError(f"`maps` must be (B, heads, T, T), one or more, all alike; got shapes {shapes}.")
    passed = np.eye(maps[0].shape[-1])
    for layer in maps:
        passed = (0.5 * np.mean(layer, axis=1, dtype="float64") + 0.5 * np.eye(layer.shape[-1])) @ passed
    return passed


def attended_patches(model: VisionTransformer, images, *, rollout: bool = True) -> np.ndarray:
    """Returns how much a Vision Transformer's features take from each patch.

    The features are the class token's or, with mean pooling, all patches' alike.

    Args:
        model: a Vision Transformer.
        images: `(B, H, W, C)`, as it takes them.
        rollout: through all blocks together; otherwise by the last block's attention, head by head.

    Returns:
        float64 `(B, rows, columns)`, or `(B, heads, rows, columns)` for the last block.
    """
    config = model.config
    maps = [ops.convert_to_numpy(m) for m in model(images, return_attention=True)["attentions"]]
    passed: np.ndarray = attention_rollout(maps) if rollout else np.asarray(maps[-1], "float64")
    queries = passed[..., :1, :] if config.pooling == "token" else passed[..., config.prefix_tokens :, :]
    patches = queries.mean(axis=-2)[..., config.prefix_tokens :]
    return patches.reshape(*patches.shape[:-1], *model.backbone.grid_of(ops.convert_to_tensor(images)))


def attended_tokens(block: SwinBlock, maps, size: tuple[int, int]) -> np.ndarray:
    """Returns how much each token of a map is looked at in a Swin block, put back where it lies.

    Args:
        block: of which the maps are.
        maps: of all windows, `(B * N, heads, T, T)`.
        size: height and width of the block's input.

    Returns:
        float32 `(B, height, width)`: the mean over heads and queries, times the tokens of a window, so that 1 is
        attention alike to all.
    """
    (height, width), (rows, columns) = size, block.window_size
    padded, shift = (height + -height % rows, width + -width % columns), block._shift_at(*size)
    seen = ops.expand_dims(ops.sum(ops.mean(ops.cast(maps, "float32"), axis=1), axis=1), -1)
    seen = windows.merge(seen, (rows, columns), padded)
    rolled = padded if block.pad_first else size
    seen = windows.roll(windows.crop(seen, *rolled), (-shift[0], -shift[1]))
    return np.asarray(ops.convert_to_numpy(windows.crop(seen, height, width)))[..., 0]


def position_similarity(model: VisionTransformer) -> np.ndarray:
    """The cosines between the position embeddings of all patches of a Vision Transformer (its paper's figure 7).

    Returns:
        float32 `(rows, columns, rows, columns)`.
    """
    config = model.config
    table = ops.convert_to_numpy(model.backbone.position_embedding)[0, config.position_rows :]
    table = table / np.maximum(np.linalg.norm(table, axis=-1, keepdims=True), 1e-12)
    return (table @ table.T).reshape(*config.grid, *config.grid)


def confusion_matrix(labels, predictions, num_classes: int) -> np.ndarray:
    """Counts the images of each class, by rows, taken for each class, by columns: int `(classes, classes)`.

    Raises:
        ValueError: for labels or predictions that are not in [0, classes), or not as many.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape or labels.ndim != 1:
        raise ValueError(
            f"`labels` and `predictions` must be one a row each; got {labels.shape} and {predictions.shape}."
        )
    for name, values in (("labels", labels), ("predictions", predictions)):
        if len(values) and not 0 <= values.min() <= values.max() < num_classes:
            raise ValueError(f"`{name}` must lie in [0, {num_classes}); got {values.min()} to {values.max()}.")
    counts = np.zeros((num_classes, num_classes), int)
    np.add.at(counts, (labels, predictions), 1)
    return counts


def attention_of(model: ImageClassifier, images) -> tuple[np.ndarray, list[str]]:
    """Returns what a picture of a model's attention shows, map by map, and the maps' names.

    Args:
        model: a Vision Transformer or a Swin Transformer.
        images: `(B, H, W, C)`, as it takes them.

    Returns:
        `(B, M, rows, columns)`: for a Vision Transformer the rollout, then the heads of the last block; for a Swin
        Transformer the last block of each stage, on maps of the first stage's size.
    """
    if not isinstance(model, SwinTransformer):
        rollout, heads = attended_patches(model, images), attended_patches(model, images, rollout=False)
        names = ["rollout", *(f"head {i + 1}" for i in range(heads.shape[1]))]
        return np.concatenate([rollout[:, None], heads], axis=1), names
    outputs = model(images, return_attention=True, return_hidden_states=True)
    ends, size, found = np.cumsum(model.config.depths) - 1, model.config.grid, []
    for blocks, end, of_stage in zip(model.backbone.stages, ends, outputs["feature_maps"], strict=True):
        seen = attended_tokens(blocks[-1], outputs["attentions"][end], tuple(of_stage.shape[1:3]))
        rows, columns = (np.arange(new) * old // new for new, old in zip(size, seen.shape[1:], strict=True))
        found.append(seen[:, rows][:, :, columns])
    return np.stack(found, axis=1), [f"stage {i + 1}" for i in range(len(found))]


# === Pictures ===


def plot_overlays(
    path: str | Path,
    images: np.ndarray,
    maps: np.ndarray,
    titles: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
) -> None:
    """Draws images, and maps over them, into a PNG file: a row an image, first as it is, then under each map.

    Args:
        path: of the file.
        images: `(B, H, W, C)` of 1 or 3 channels; each is drawn from its least value to its greatest.
        maps: `(B, rows, columns)`, or `(B, M, rows, columns)` for several an image, as one a head.
        titles: of the images.
        names: of the maps.

    Raises:
        ValueError: if there are no images, or not as many maps.
    """
    maps = maps[:, None] if np.ndim(maps) == 3 else maps
    if np.ndim(images) != 4 or not len(images) or np.ndim(maps) != 4 or len(images) != len(maps):
        raise ValueError(f"`images` and `maps` must be as many; got shapes {np.shape(images)} and {np.shape(maps)}.")
    columns = 1 + maps.shape[1]
    figure = _figure(1.6 * columns, 1.75 * len(images))
    grid = figure.subplots(len(images), columns, squeeze=False)
    for row, (image, of_image) in enumerate(zip(images, maps, strict=True)):
        shown = _unit(image)
        height, width = image.shape[:2]
        for axes in grid[row]:
            axes.imshow(shown if image.shape[-1] == 3 else shown[..., 0], cmap="gray", vmin=0, vmax=1)
            axes.set_axis_off()
        for axes, weights in zip(grid[row, 1:], of_image, strict=True):
            over = (-0.5, width - 0.5, height - 0.5, -0.5)
            axes.imshow(_unit(weights), cmap="inferno", alpha=0.6, extent=over, interpolation="bilinear")
        if titles is not None:
            grid[row, 0].set_title(titles[row], fontsize=8)
    for axes, name in zip(grid[0, 1:], names or (), strict=False):
        axes.set_title(name, fontsize=8)
    _save(figure, path)


def plot_position_similarity(path: str | Path, similarity: np.ndarray) -> None:
    """Draws `position_similarity` into a PNG file: for each patch, at its place, the map of its cosines."""
    rows, columns = similarity.shape[:2]
    figure = _figure(max(3.0, 0.75 * columns) + 0.6, max(3.0, 0.75 * rows))
    grid = figure.subplots(rows, columns, squeeze=False)
    for place in np.ndindex(rows, columns):
        drawn = grid[place].imshow(similarity[place], cmap="viridis", vmin=-1, vmax=1, interpolation="nearest")
        grid[place].set(xticks=[], yticks=[])
    figure.colorbar(drawn, ax=grid, label="cosine", shrink=0.7)
    figure.supxlabel("column of the patch", fontsize=9)
    figure.supylabel("row of the patch", fontsize=9)
    _save(figure, path)


def plot_confusion_matrix(path: str | Path, counts: np.ndarray, label_names: Sequence[str]) -> None:
    """Draws a confusion matrix with its counts into a PNG file; colours are shares of each row.

    Raises:
        ValueError: if the names are not as many as the classes.
    """
    if counts.shape != (len(label_names), len(label_names)):
        raise ValueError(f"`counts` must be square, a row for each of {len(label_names)} names; got {counts.shape}.")
    side = max(3.5, 0.42 * len(label_names))
    figure = _figure(side + 0.6, side)
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)  # the root shows the few that went wrong
    for (i, j), count in np.ndenumerate(counts):
        if count:
            axes.text(j, i, str(count), ha="center", va="center", fontsize=7, color="w" if shares[i, j] > 0.4 else "k")
    axes.set_xticks(range(len(label_names)), label_names, fontsize=8, rotation=90 if _long(label_names) else 0)
    axes.set_yticks(range(len(label_names)), label_names, fontsize=8)
    axes.set(xlabel="taken for", ylabel="class")
    _save(figure, path)


def _unit(x: np.ndarray) -> np.ndarray:
    """Values from 0 to 1; all 0 where they are alike."""
    x = np.asarray(x, "float64") - np.min(x)
    return x / (x.max() or 1.0)


def _long(names: Sequence[str]) -> bool:
    return max(map(len, names)) > 3
