"""`keras-tx train vit` and `keras-tx train swin`: from labelled images to a run's directory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from keras_tx.cli.console import named, quiet
from keras_tx.cli.options import (
    ABOUT_THE_RUN,
    MAX_SEED,
    NameOption,
    OverwriteOption,
    ResumeOption,
    RunsOption,
    resumed,
)

MODELS = {"vit": "Vision Transformer", "swin": "Swin Transformer"}
"""By the names of the commands."""


def train_images(
    context: typer.Context,
    images: Annotated[
        Path | None, typer.Option(help="Directory with a folder of images for each class.", show_default=False)
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="TFDS set to train on instead, as mnist; TFDS_DATA_DIR says where sets lie.", show_default=False
        ),
    ] = None,
    name: NameOption = "images",
    runs: RunsOption = Path("runs"),
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    image_size: Annotated[int, typer.Option(min=1, help="Height and width that images are resized to.")] = 64,
    grey: Annotated[bool, typer.Option("--grey", help="Take the images in a folder without colours.")] = False,
    patch_size: Annotated[
        int | None,
        typer.Option(
            min=1, help="Height and width of a patch; an eighth of the image's, and 2 for digits.", show_default=False
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="How: vit, deit, swin, small or digits; small, and digits for digits.", show_default=False),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="The recipe's unless given.", show_default=False)] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="The recipe's unless given.", show_default=False)
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="The highest; the recipe's unless given.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Makes the run repeatable.")] = 0,
) -> None:
    """Train a small classifier of images, a Vision Transformer (vit) or a Swin Transformer (swin).

    Without --images or --dataset the images are 1,797 handwritten digits of 8 x 8 pixels.

    A fifth of a folder's images, drawn at random, or the set's own validation or test part is validated on. RUNS/NAME
    gets the model (model.keras), its preprocessor (preprocessor_config.json), the weights of the last and of the best
    epoch, the metrics (metrics.csv) and curves of them, a confusion matrix (confusion.png), and what the model looks at
    (attention.png; positions.png for vit). Ctrl-C saves the state and stops; so does a state saved after every epoch
    survive any crash. Continue with --resume.
    """
    asked = {key: value for key, value in context.params.items() if key not in ABOUT_THE_RUN}
    asked |= {"model": context.info_name, "images": str(images.resolve()) if images else None}
    with quiet():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401 - for tf.data, on any backend
    from keras_tx.training import Run

    run = Run(runs / name)
    options = resumed(context, run.options(), asked) if resume else asked
    if options["model"] != context.info_name:
        raise ValueError(f"the run was begun by `train {options['model']}`: continue it by that.")
    _train(run, options, resume=resume, overwrite=overwrite)


def _train(run, options: dict, *, resume: bool, overwrite: bool) -> None:
    import keras

    from keras_tx.analysis import report_image_classifier
    from keras_tx.training.recipes.images import train_image_classifier
    from keras_tx.vision import ImagePreprocessor

    recipe = _recipe(options)
    data = _read(options)
    height, width, channels = data.shape
    keras.utils.set_random_seed(recipe.seed)
    model = _model(options, data)
    preprocessor = ImagePreprocessor(image_size=(height, width), mean=(0.5,), std=(0.5,))
    if resume:
        run.require(data.fingerprint)
    else:
        run.begin(options, data.fingerprint, overwrite=overwrite)
    typer.echo(
        f"{len(data.label_names)} classes of images of {height} x {width} x {channels}; {model.count_params():,} "
        f"parameters; {recipe.epochs} epochs on {keras.backend.backend()}"
    )
    verbose = 1 if sys.stdout.isatty() else 2
    train_image_classifier(
        model,
        data.train,
        data.validation,
        recipe,
        run.directory,
        preprocessor=preprocessor,
        resume=resume,
        verbose=verbose,
    )
    run.save_model(model, preprocessor)
    accuracy = report_image_classifier(run.directory, model, data.validation, data.label_names, preprocessor)
    typer.echo(f"validation accuracy {accuracy:.2%}")
    typer.echo(f"All of it is in {run.directory}: {run.model_path.name}, metrics.csv, accuracy.png, attention.png, ...")


def _recipe(options: dict):
    """The recipe that the options name, with the fields they give."""
    from keras_tx.training.recipes.images import RECIPES

    name = options["recipe"] or ("small" if options["images"] or options["dataset"] else "digits")
    if name not in RECIPES:
        raise ValueError(f"--recipe {name} is not one of {', '.join(RECIPES)}.")
    fields = ("epochs", "batch_size", "learning_rate", "seed")
    return RECIPES[name].replace(**{field: options[field] for field in fields if options[field] is not None})


def _read(options: dict):
    """The images that the options name."""
    from keras_tx.training.data.images import dataset_images, digits, folder_images

    if options["images"] and options["dataset"]:
        raise ValueError("give --images or --dataset, not both.")
    if options["images"]:
        with named("--images"):
            channels = 1 if options["grey"] else 3
            return folder_images(options["images"], options["image_size"], channels, seed=options["seed"])
    if options["dataset"]:
        with named("--dataset"), quiet():
            return dataset_images(options["dataset"], options["image_size"])
    return digits()


def _model(options: dict, data):
    """A small model of the images."""
    from keras_tx.models import SwinTransformer, VisionTransformer

    *size, channels = data.shape
    patch_size = options["patch_size"] or max(size[0] // 8, 2)
    common = {
        "image_size": tuple(size),
        "channels": channels,
        "num_classes": len(data.label_names),
        "label_names": data.label_names,
        "patch_size": patch_size,
        "initializer_range": 0.1,  # wide models start narrower
        "drop_path": 0.1,
    }
    if options["model"] == "vit":
        return VisionTransformer(num_layers=3, num_heads=4, d_model=48, d_ff=192, **common)
    window = max(size[0] // patch_size // 2, 1)
    return SwinTransformer(embed_dim=32, depths=(2, 2), num_heads=(2, 4), window_size=window, **common)
