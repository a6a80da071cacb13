"""The program `keras-tx`: its commands, and how it ends."""

from __future__ import annotations

import errno
import os
import sys

import typer

from keras_tx.cli.convert import convert
from keras_tx.cli.export import export
from keras_tx.cli.generate import generate
from keras_tx.cli.inspect import inspect
from keras_tx.cli.prepare import prepare
from keras_tx.cli.train import train
from keras_tx.cli.train_images import MODELS, train_images
from keras_tx.extras import MissingExtraError

app = typer.Typer(
    help="Train a character GPT or an image classifier, generate text, export models; convert and inspect checkpoints.",
    epilog="Try: keras-tx train --name first, then: keras-tx generate runs/first --prompt 'The '",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

training = typer.Typer(invoke_without_command=True)
training.callback()(train)
for name, title in MODELS.items():
    training.command(name, short_help=f"Train a small {title} to classify images.")(train_images)
app.add_typer(training, name="train", short_help="Train a character GPT, or an image classifier (vit, swin).")

for command in (generate, export, convert, inspect, prepare):
    app.command()(command)


def main() -> None:
    """Runs the program; prints an error as one line, and exits with its code."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up notes
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except Exception as error:
        if os.environ.get("KERAS_TX_TRACEBACK"):
            raise
        typer.echo(f"keras-tx: {_explained(error)}", err=True)
        signal = getattr(error, "signal", None)  # of training.Interrupted
        sys.exit(128 + signal if signal else getattr(error, "exit_code", 1))
    sys.exit(code)


def _explained(error: Exception) -> str:
    if hasattr(error, "format_message"):  # an error of usage
        command = getattr(getattr(error, "ctx", None), "command_path", "keras-tx")
        message = " ".join(error.format_message().split())  # choices come in lines of their own
        return f"{message.rstrip('.')}: see {command} --help."
    message = " ".join(str(error).split()) or "no more is known"
    if isinstance(error, (ValueError, MissingExtraError)) or hasattr(error, "signal"):
        return message
    if isinstance(error, OSError) and error.strerror:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        hint = "free some space and try again" if full else "choose another place"
        return f"{error.strerror}: {error.filename or 'the disk'}; {hint}. Earlier results are intact."
    if os.strerror(errno.ENOSPC) in message:  # TensorFlow's own kind of error
        return f"{message}; free some space and try again. Earlier results are intact."
    return f"{type(error).__name__}: {message[:500]} (KERAS_TX_TRACEBACK=1 shows where)"
