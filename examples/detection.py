"""Trains a small DETR from scratch to find handwritten digits: a Vision Transformer or Swin Transformer, and queries.

    python examples/detection.py vit
    python examples/detection.py swin

The scenes are drawn here: scikit-learn's real handwritten digits, one to three, of several sizes, before a texture.
What the model is judged by are scenes of digits that it has not seen, by COCO's average precision. The picture shows
what was found in some, and where the query that found it looks.
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from keras_tx.models import SwinForObjectDetection, ViTForObjectDetection
from keras_tx.training import adamw, digits
from keras_tx.training.data.scenes import Scenes, digit_scenes
from keras_tx.training.metrics.average_precision import AveragePrecision

BATCH = 16
MOST = 3
"""Digits in a scene."""
SHAPE = {
    "image_size": 48,
    "channels": 1,
    "num_classes": 10,
    "initializer_range": 0.1,
    "num_queries": 8,
    "decoder_num_layers": 3,
    "decoder_num_heads": 4,
    "decoder_d_model": 96,
    "decoder_d_ff": 192,
    "decoder_dropout": 0.0,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=MODELS, help="which")
    parser.add_argument("--scenes", type=int, default=8000, help="to train on; %(default)s")
    parser.add_argument("--epochs", type=int, default=12, help="%(default)s")
    parser.add_argument("--output", type=Path, default=Path("runs/detection"), help="directory; %(default)s")
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    data = digits()
    train = digit_scenes(*data.train, options.scenes, most=MOST, seed=1)
    test = digit_scenes(*data.validation, max(options.scenes // 16, BATCH), most=MOST, seed=2)
    model = MODELS[options.model]()
    steps = options.epochs * (options.scenes // BATCH)
    model.compile(
        adamw(model, learning_rate=1e-3, steps=steps, warmup_steps=steps // 20, weight_decay=1e-4, clip_norm=0.1),
        jit_compile=True,
    )
    began = time.perf_counter()
    model.fit(normalized(train), objects(train), batch_size=BATCH, epochs=options.epochs, verbose=2)
    seconds = time.perf_counter() - began
    directory = options.output / options.model
    directory.mkdir(parents=True, exist_ok=True)
    draw(directory / "predictions.png", model, test, count=4)
    model.save(directory / "model.keras")
    found = precision(test, model.predict(normalized(test), batch_size=BATCH, verbose=0))
    guess = precision(test, constant(train, len(test.images)))
    print(
        f"{options.model}: AP {found['AP']:.3f}, AP50 {found['AP50']:.3f}, AP75 {found['AP75']:.3f}; "
        f"the mean box of each class, always, AP50 {guess['AP50']:.3f}; {seconds:.0f} seconds"
    )


def normalized(scenes: Scenes) -> np.ndarray:
    return scenes.images / 127.5 - 1


def objects(scenes: Scenes) -> dict[str, np.ndarray]:
    return {"class_labels": scenes.class_labels, "boxes": scenes.boxes}


def precision(scenes: Scenes, outputs: dict[str, np.ndarray]) -> dict[str, float]:
    metric = AveragePrecision()
    metric.update_state(objects(scenes), outputs)
    return metric.result()


def constant(scenes: Scenes, count: int) -> dict[str, np.ndarray]:
    """What a detector says that never looks: of each class the mean box, the more frequent the likelier."""
    classes = [scenes.class_labels == number for number in range(10)]
    logits = np.full((10, 11), -9.0)
    np.fill_diagonal(logits, [np.log(of_class.mean()) for of_class in classes])
    boxes = np.stack([scenes.boxes[of_class].mean(axis=0) for of_class in classes])
    return {"logits": np.stack([logits] * count), "pred_boxes": np.stack([boxes] * count)}


def draw(path: Path, model: keras.Model, scenes: Scenes, count: int) -> None:
    """Draws scenes with the boxes found in them, and beside each what the queries look at that found them."""
    images = normalized(scenes)[:count]
    outputs = model(images, return_attention=True)
    maps = keras.ops.convert_to_numpy(outputs["cross_attentions"][-1]).mean(axis=1)
    side = int(maps.shape[-1] ** 0.5)
    logits = keras.ops.convert_to_numpy(outputs["logits"])
    figure = Figure(figsize=(2 * (1 + MOST), 2 * count), layout="constrained")
    axes = figure.subplots(count, 1 + MOST)
    for i, found in enumerate(model.detect(images)):
        for ax in axes[i]:
            ax.imshow(scenes.images[i, ..., 0], cmap="gray")
            ax.set_axis_off()
        queries = np.flatnonzero(logits[i].argmax(axis=-1) < 10)[:MOST]
        for box, label, score in zip(found["boxes"], found["labels"], found["scores"], strict=True):
            x, y, right, bottom = box
            axes[i, 0].add_patch(Rectangle((x, y), right - x, bottom - y, fill=False, color="yellow"))
            axes[i, 0].text(x, y - 1, f"{label} {score:.2f}", color="yellow", fontsize=8)
        for ax, query in zip(axes[i, 1:], queries, strict=False):
            extent = (-0.5, 47.5, 47.5, -0.5)
            ax.imshow(maps[i, query].reshape(side, side), cmap="inferno", alpha=0.65, extent=extent)
            ax.set_title(f"query {query}: {logits[i, query].argmax()}", fontsize=8)
    figure.savefig(path, dpi=120)


def vit() -> ViTForObjectDetection:
    return ViTForObjectDetection(patch_size=6, num_layers=4, num_heads=4, d_model=96, d_ff=192, **SHAPE)


def swin() -> SwinForObjectDetection:
    return SwinForObjectDetection(
        patch_size=3, embed_dim=48, depths=(2, 2), num_heads=(3, 6), window_size=4, encoder_num_layers=1, **SHAPE
    )


MODELS = {"vit": vit, "swin": swin}

if __name__ == "__main__":
    main()
