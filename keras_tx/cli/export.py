"""`keras-tx export`: a trained run as a SavedModel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from keras_tx.cli.console import quiet, size_of
from keras_tx.cli.options import RunArgument, not_negative


def export(
    run: RunArgument,
    output: Annotated[
        Path | None,
        typer.Option(help="Directory of the SavedModel; RUN/saved_model/1 unless given.", show_default=False),
    ] = None,
    length: Annotated[int, typer.Option(min=1, help="Characters that the signature `generate` adds.")] = 200,
    temperature: Annotated[
        float, typer.Option(callback=not_negative, help="Temperature of the signature `generate`.")
    ] = 0.8,
) -> None:
    """Export a SavedModel that takes a string and gives a string.

    It runs with TensorFlow alone. The signature `generate` takes the prompt; `generate_with_options` also takes
    max_new_tokens, temperature, top_p and seed; `serving_default` takes ids and gives logits.
    """
    with quiet():
        import keras

    if keras.backend.backend() != "tensorflow":
        # A SavedModel holds a TensorFlow graph; the backend of a process cannot change.
        environment = os.environ | {"KERAS_BACKEND": "tensorflow"}
        command = [sys.executable, "-m", "keras_tx.cli", *sys.argv[1:]]
        raise typer.Exit(subprocess.run(command, env=environment, check=False).returncode)

    from keras_tx.export import export_saved_model
    from keras_tx.training import Run

    model, tokenizer = Run(run).load_model()
    path = output or Run(run).saved_model_path
    export_saved_model(model, path, tokenizer, max_new_tokens=length, temperature=temperature)
    typer.echo(f"{path}: {size_of(path.rglob('*')) / 2**20:.1f} MiB, its logits equal to the model's")
