"""The command line program `keras-tx`. Heavy modules are imported by the commands that need them."""

from keras_tx.cli.program import app, main

__all__ = ["app", "main"]
