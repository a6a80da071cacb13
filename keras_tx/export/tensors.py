"""Signatures on tensors: of the whole model, and of the halves of an encoder-decoder."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import keras

from keras_tx.export.samples import sample_tensors
from keras_tx.export.signature import Signature
from keras_tx.models.core.base import LOSSES, Model
from keras_tx.models.core.seq2seq import Seq2SeqLanguageModel


def named_outputs(model: Model, outputs: Any) -> dict[str, Any]:
    """The outputs of a model, flat and by name; without losses, which have no batch axis."""
    if not isinstance(outputs, dict):
        outputs = dict(zip(model.output_keys, keras.tree.flatten(outputs), strict=True))
    return {name: x for name, x in outputs.items() if name not in LOSSES}


def spec_of(spec: keras.InputSpec):
    """A `keras.InputSpec` as a `tf.TensorSpec`."""
    import tensorflow as tf

    return tf.TensorSpec(spec.shape, spec.dtype)


def tensor_signatures(model: Model, *, xla: bool = False) -> dict[str, Signature]:
    """`serving_default`, from a model's inputs to its outputs, and for a `Seq2SeqLanguageModel` its two halves."""
    import tensorflow as tf

    specs = {name: spec_of(spec) for name, spec in model.input_signature().items()}

    def signature(function, **specs) -> Signature:
        return Signature(function, specs, partial(sample_tensors, specs, model))

    found = {"serving_default": signature(lambda **inputs: named_outputs(model, model(inputs)), **specs)}
    if xla:
        whole = found["serving_default"]
        compiled = tf.function(whole.function, jit_compile=True, autograph=False)
        compiled.get_concrete_function(**specs)
        found["serving_default_xla"] = replace(whole, function=compiled, xla=True)
    if not isinstance(model, Seq2SeqLanguageModel):
        return found
    halves: Any = model
    ids, vectors = tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None, None, halves.config.d_model), tf.float32)

    def encode(input_ids, attention_mask):
        return {"context": halves.encode(input_ids, attention_mask)}

    def decode(decoder_input_ids, decoder_attention_mask, context, context_mask):
        x = halves.decode(decoder_input_ids, context, context_mask, decoder_attention_mask)
        return {"logits": halves.logits(x)}

    found["encode"] = signature(encode, input_ids=ids, attention_mask=ids)
    found["decode"] = signature(
        decode, decoder_input_ids=ids, decoder_attention_mask=ids, context=vectors, context_mask=ids
    )
    return found
