"""Trains a small Vision Transformer or Swin Transformer from scratch to tell the digit that each pixel belongs to.

    python examples/segmentation.py vit
    python examples/segmentation.py swin

The scenes are drawn here: scikit-learn's real handwritten digits, one to four, of several sizes, before a texture. What
the model is judged by are scenes of digits that it has not seen: by the mean, over background and ten digits, of the
intersection over union of the pixels that are of a class and those that are said to be.
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure

from keras_tx.models import SwinForSemanticSegmentation, ViTForSemanticSegmentation
from keras_tx.training import adamw, digits
from keras_tx.training.data.scenes import Scenes, digit_scenes

CLASSES = 11
"""The background, and ten digits."""
BATCH = 16
SIZES = (16, 28)
"""The least and the largest height and width of a digit."""
SHAPE = {"image_size": 48, "channels": 1, "num_classes": CLASSES, "decoder_width": 32, "initializer_range": 0.1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=MODELS, help="which")
    parser.add_argument("--scenes", type=int, default=10_000, help="to train on; %(default)s")
    parser.add_argument("--epochs", type=int, default=6, help="%(default)s")
    parser.add_argument("--output", type=Path, default=Path("runs/segmentation"), help="directory; %(default)s")
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    data = digits()
    train = digit_scenes(*data.train, options.scenes, digit_sizes=SIZES, seed=1)
    test = digit_scenes(*data.validation, max(options.scenes // 16, BATCH), digit_sizes=SIZES, seed=2)
    model = MODELS[options.model]()
    compile_model(model, options.epochs * (options.scenes // BATCH))
    began = time.perf_counter()
    model.fit(normalized(train), train.masks, batch_size=BATCH, epochs=options.epochs, verbose=2)
    seconds = time.perf_counter() - began
    found = model.evaluate(normalized(test), test.masks, batch_size=BATCH, verbose=0, return_dict=True)
    directory = options.output / options.model
    directory.mkdir(parents=True, exist_ok=True)
    draw(directory / "predictions.png", model, test, count=6)
    model.save(directory / "model.keras")
    background = np.mean(test.masks == 0) / CLASSES
    print(f"{options.model}: mean IoU {found['miou']:.3f}; all background {background:.3f}; {seconds:.0f} seconds")


def compile_model(model: keras.Model, steps: int) -> None:
    """It trains with its own loss; the metric is Keras's."""
    metric = keras.metrics.MeanIoU(CLASSES, sparse_y_pred=False, ignore_class=255, name="miou")
    optimizer = adamw(model, learning_rate=2e-3, steps=steps, warmup_steps=steps // 10, weight_decay=0.05)
    model.compile(optimizer, metrics=[metric], jit_compile=True)


def normalized(scenes: Scenes) -> np.ndarray:
    return scenes.images / 127.5 - 1


def draw(path: Path, model: keras.Model, scenes: Scenes, count: int) -> None:
    """Draws scenes, what is in them, and what the model sees in them."""
    logits = model.predict(normalized(scenes)[:count], verbose=0)["logits"]
    figure = Figure(figsize=(1.6 * count, 5), layout="constrained")
    axes = figure.subplots(3, count)
    for i, guess in enumerate(np.argmax(logits, axis=-1)):
        axes[0, i].imshow(scenes.images[i, ..., 0], cmap="gray")
        for row, mask in ((1, scenes.masks[i]), (2, guess)):
            axes[row, i].imshow(mask, cmap="tab20", vmin=0, vmax=19, interpolation="nearest")
            for number in np.unique(mask[mask > 0]):
                y, x = np.argwhere(mask == number).mean(axis=0)
                axes[row, i].text(x, y, str(number - 1), color="w", ha="center", va="center", weight="bold")
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, title in zip(axes[:, 0], ("scene", "classes", "predicted"), strict=True):
        ax.set_title(title, fontsize=9, loc="left")
    figure.savefig(path, dpi=120)


def vit() -> ViTForSemanticSegmentation:
    return ViTForSemanticSegmentation(
        patch_size=4, num_layers=4, num_heads=4, d_model=64, d_ff=256, pyramid_scales=(2, 1), **SHAPE
    )


def swin() -> SwinForSemanticSegmentation:
    return SwinForSemanticSegmentation(
        patch_size=2, embed_dim=32, depths=(2, 2, 2), num_heads=(2, 4, 8), window_size=6, **SHAPE
    )


MODELS = {"vit": vit, "swin": swin}

if __name__ == "__main__":
    main()
