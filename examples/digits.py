"""Trains a small Vision Transformer or Swin Transformer from scratch on real handwritten digits.

    python examples/digits.py vit
    python examples/digits.py swin --seeds 1

The digits are scikit-learn's, 1,797 images of 8 x 8 pixels; a fifth of each class, always the same, is held out. Each
seed trains a fresh model; the accuracy on the held-out images is that of its last weights, not of its best epoch.
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np

from keras_tx.analysis import report_image_classifier
from keras_tx.models import SwinTransformer, VisionTransformer
from keras_tx.training.data.images import digits
from keras_tx.training.recipes.images import RECIPES, train_image_classifier

SHAPE = {"image_size": 8, "channels": 1, "num_classes": 10, "initializer_range": 0.1, "drop_path": 0.1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=MODELS, help="which")
    parser.add_argument("--seeds", type=int, default=3, help="how many models to train; %(default)s")
    parser.add_argument("--epochs", type=int, default=RECIPES["digits"].epochs, help="of each; %(default)s")
    parser.add_argument("--output", type=Path, default=Path("runs/digits"), help="directory; %(default)s")
    options = parser.parse_args()
    accuracies = [train(options.model, seed, options) for seed in range(options.seeds)]
    print(f"mean accuracy of {options.seeds} seeds: {np.mean(accuracies):.2%}")


def train(name: str, seed: int, options: argparse.Namespace) -> float:
    """Trains one model, draws what came of it, and gives the share of held-out digits that it knows."""
    keras.utils.set_random_seed(seed)
    directory, data = options.output / f"{name}-{seed}", digits()
    model = MODELS[name]()
    recipe = RECIPES["digits"].replace(epochs=options.epochs, seed=seed)
    began = time.perf_counter()
    train_image_classifier(model, data.train, data.validation, recipe, directory, verbose=0)
    seconds = time.perf_counter() - began
    model.save(directory / "model.keras")
    accuracy = report_image_classifier(directory, model, data.validation, data.label_names)
    print(f"{name}, seed {seed}: accuracy {accuracy:.2%}, {seconds:.0f} seconds: {directory}", flush=True)
    return accuracy


def vit() -> VisionTransformer:
    return VisionTransformer(patch_size=2, num_layers=3, num_heads=4, d_model=48, d_ff=192, **SHAPE)


def swin() -> SwinTransformer:
    return SwinTransformer(patch_size=2, embed_dim=32, depths=(2, 2), num_heads=(2, 4), window_size=2, **SHAPE)


MODELS = {"vit": vit, "swin": swin}

if __name__ == "__main__":
    main()
