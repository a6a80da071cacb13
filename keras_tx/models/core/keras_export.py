"""Keras's and TensorFlow's own ways to export a model, told what it takes: of no subclass do they know that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from keras_tx.ops.primitives import converted_graph, portable_graph


class KerasExport(keras.Model):
    """A model that Keras exports without having called it, its ids integers and batch and length free.

    Subclasses say what they take, `input_signature`, and call by name what they give, `named_outputs`.
    """

    if TYPE_CHECKING:

        def input_signature(self) -> dict[str, keras.InputSpec]: ...

        def named_outputs(self, outputs: Any, *asked: str) -> dict[str, Any]: ...

    def export(
        self,
        filepath: str | Path,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **options: Any,
    ) -> None:
        """Writes an artifact as `keras.Model.export` does; the exporters of keras_tx check theirs, and offer more.

        Args:
            filepath: where to.
            format: "tf_saved_model", "onnx", "litert" or "openvino".
            verbose: whether Keras says what it wrote.
            input_signature: as in Keras; a dict of the tensors of `input_signature()` unless given.
            options: of the format, as in Keras.
        """
        signature = [self.input_signature()] if input_signature is None else input_signature
        with portable_graph() if format == "tf_saved_model" else converted_graph():
            super().export(str(filepath), format, verbose, signature, **options)

    def _post_build(self):
        """Records the shapes that the model is built for, by which `TFLiteConverter.from_keras_model` traces it."""
        super()._post_build()
        self._build_shapes_dict = {"input_shape": {name: spec.shape for name, spec in self.input_signature().items()}}

    @property
    def _default_save_signature(self):
        """The `serving_default` that `tf.saved_model.save` gives the model; it asks for it by this name."""
        import tensorflow as tf

        def serving_default(inputs):
            with portable_graph():
                return self.named_outputs(self(inputs, training=False))

        specs = {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in self.input_signature().items()}
        return tf.function(serving_default, input_signature=[specs], autograph=False)

    @property
    def inputs(self):
        """Nothing: a model that is no functional one has none.

        Raises:
            AttributeError: with the ways to what is inside.
        """
        raise AttributeError(
            f"a {type(self).__name__} is no functional model, whose `inputs` another could begin with: "
            '`keras_tx.intermediate(model, ["block_1"])` gives a model of what layers inside it give.'
        )
