"""`keras-tx train vit` and `keras-tx train swin`: from labelled images to a run's directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_tx.cli.console import named, quiet
from keras_tx.cli.options import MAX_SEED, NameOption, OverwriteOption, ResumeOption, RunsOption
from keras_tx.cli.training import begin_or_continue, open_run, verbosity

if TYPE_CHECKING:
    from keras_tx.models import SwinTransformer, VisionTransformer
    from keras_tx.training import ImageRecipe, LabelledImages, Run

MODELS = {"vit": "Vision Transformer", "swin": "Swin Transformer"}
"""The models by the names of their commands."""


def train_images(
    context: typer.Context,
    images: Annotated[
        Path | None, typer.Option(help="Directory with a folder of images for each class.", show_default=False)
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="TFDS set to train on instead, such as mnist; TFDS_DATA_DIR says where sets lie.", show_default=False
        ),
    ] = None,
    name: NameOption = "images",
    runs: RunsOption = Path("runs"),
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    image_size: Annotated[int, typer.Option(min=1, help="Height and width that the images are resized to.")] = 64,
    grey: Annotated[bool, typer.Option("--grey", help="Read the images of --images in grey.")] = False,
    patch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Height and width of a patch; by default an eighth of the image's.",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Training recipe: vit, deit, swin, small or digits; by default digits for digits and small for other "
            "images.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs; by default the recipe's.", show_default=False)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images in a step; by default the recipe's.", show_default=False)
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak learning rate; by default the recipe's.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of weights, order and augmentation.")] = 0,
) -> None:
    """Train a small image classifier, a Vision Transformer (vit) or a Swin Transformer (swin).

    Without --images or --dataset the images are 1,797 handwritten digits of 8 x 8 pixels.

    A fifth of a folder's images, drawn at random, or a set's own validation or test part is for validation. RUNS/NAME
    gets the model (model.keras), its preprocessor (preprocessor_config.json), the weights of the last and of
    the best epoch, the metrics (metrics.csv) and their curves, a confusion matrix (confusion.png), and what the model
    looks at (attention.png; positions.png for vit). The state is saved after every epoch and on Ctrl-C; --resume
    continues from there, after a crash too.
    """
    run, options = open_run(context, model=context.info_name, images=str(images.resolve()) if images else None)
    if options["model"] != context.info_name:
        raise ValueError(f"the run was begun by `train {options['model']}`: continue it by that.")
    _train(context, run, options)


def _train(context: typer.Context, run: Run, options: dict[str, Any]) -> None:
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
    begin_or_continue(context, run, options, data.fingerprint)
    typer.echo(
        f"{len(data.label_names)} classes of images of {height} x {width} x {channels}; {model.count_params():,} "
        f"parameters; {recipe.epochs} epochs on {keras.backend.backend()}"
    )
    train_image_classifier(
        model,
        data.train,
        data.validation,
        recipe,
        run.directory,
        preprocessor=preprocessor,
        resume=context.params["resume"],
        verbose=verbosity(),
    )
    run.save_model(model, preprocessor)
    accuracy = report_image_classifier(run.directory, model, data.validation, data.label_names, preprocessor)
    typer.echo(f"validation accuracy {accuracy:.2%}")
    typer.echo(f"All of it is in {run.directory}: {run.model_path.name}, metrics.csv, accuracy.png, attention.png, ...")


def _recipe(options: dict[str, Any]) -> ImageRecipe:
    """Returns the recipe that the options name, with the fields they give."""
    from keras_tx.training.recipes.images import RECIPES

    name = options["recipe"] or ("small" if options["images"] or options["dataset"] else "digits")
    if name not in RECIPES:
        raise ValueError(f"--recipe {name} is not one of {', '.join(RECIPES)}.")
    fields = ("epochs", "batch_size", "learning_rate", "seed")
    return RECIPES[name].replace(**{field: options[field] for field in fields if options[field] is not None})


def _read(options: dict[str, Any]) -> LabelledImages:
    """Returns the images that the options name."""
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


def _model(options: dict[str, Any], data: LabelledImages) -> VisionTransformer | SwinTransformer:
    """Returns a small model for images of that shape."""
    from keras_tx.models import SwinTransformer, VisionTransformer

    *size, channels = data.shape
    patch_size = options["patch_size"] or max(size[0] // 8, 2)
    common: dict[str, Any] = {
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
