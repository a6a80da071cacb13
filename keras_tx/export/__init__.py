"""Artifacts that run without keras_tx, each checked against the model it came from."""

from keras_tx.export.litert import export_litert
from keras_tx.export.onnx import export_onnx
from keras_tx.export.saved_model import export_saved_model
from keras_tx.export.verify import Verification

__all__ = ["Verification", "export_litert", "export_onnx", "export_saved_model"]
