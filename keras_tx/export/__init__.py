"""Artifacts that run without keras_tx, each checked against the model it came from."""

from keras_tx.export.saved_model import export_saved_model

__all__ = ["export_saved_model"]
