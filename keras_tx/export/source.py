"""What every exporter asks of a model."""

from __future__ import annotations

import keras

from keras_tx.models.core.base import Model


def require_exportable(model: Model, what: str) -> None:
    """Raises ValueError on another backend than TensorFlow, for what is no model of ours, and one not in float32."""
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"{what} is made on the TensorFlow backend; this is {keras.backend.backend()!r}. Save the model as "
            "`.keras` and load it with KERAS_BACKEND=tensorflow."
        )
    if not isinstance(model, Model):
        raise ValueError(f"{what} is made of a model of keras_tx, as `GPTModel`; got a {type(model).__name__}.")
    if model.compute_dtype != "float32":
        raise ValueError(f"export a float32 model: this one computes in {model.compute_dtype}.")


def require_below_2_gib(model: Model, what: str) -> None:
    """Raises ValueError for a model that does not fit into one file of protocol or flat buffers."""
    if (size := 4 * model.count_params()) >= 2**31:
        raise ValueError(
            f"{what} holds less than 2 GiB; this model's weights are {size / 2**30:.1f} GiB in float32: export a "
            "SavedModel."
        )
