"""Signatures on tensors: of the whole model, of what is inside it, and of the halves of an encoder-decoder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal, get_args

from keras import ops

from keras_tx.export.samples import sample_tensors
from keras_tx.export.signature import Integers, Signature
from keras_tx.export.sizes import Sizes
from keras_tx.models.core.backbone import Backbone, TextBackbone
from keras_tx.models.core.base import Model
from keras_tx.models.core.images import ImageModel
from keras_tx.models.core.seq2seq import Seq2SeqLanguageModel
from keras_tx.models.core.text import TextModel

Inside = Literal["hidden_states", "attentions", "embedding"]
"""The inner tensors of a model that can have a signature of their own."""


def tensor_signatures(
    model: Model,
    *,
    xla: bool = False,
    inside: Collection[Inside] = (),
    integers: Integers = "int32",
    sizes: Sizes | None = None,
) -> dict[str, Signature]:
    """The signatures of a model on tensors.

    They are `serving_default`, from a model's inputs to its outputs; those of `inner_signatures`; and for a
    `Seq2SeqLanguageModel` its two halves.

    Args:
        model: the model.
        xla: whether to add `serving_default_xla`.
        inside: which of `inner_signatures` to add.
        integers: the dtype of the inputs that are integers.
        sizes: those of the model's inputs to be fixed.
    """
    import tensorflow as tf

    specs = (sizes or Sizes()).specs(model)

    def signature(function, **specs) -> Signature:
        return Signature(function, specs, partial(sample_tensors, specs, model))

    found = {"serving_default": signature(lambda **inputs: model.named_outputs(model(inputs)), **specs)}
    if xla:
        whole = found["serving_default"]
        compiled = tf.function(whole.function, jit_compile=True, autograph=False)
        compiled.get_concrete_function(**specs)
        found["serving_default_xla"] = replace(whole, function=compiled, xla=True)
    found |= inner_signatures(model, found["serving_default"], inside)
    if isinstance(model, Seq2SeqLanguageModel):
        halves: Any = model
        ids = tf.TensorSpec((None, None), tf.int32)
        vectors = tf.TensorSpec((None, None, halves.config.d_model), tf.float32)

        def encode(input_ids, attention_mask):
            return {"context": halves.encode(input_ids, attention_mask)}

        def decode(decoder_input_ids, decoder_attention_mask, context, context_mask):
            x = halves.decode(decoder_input_ids, context, context_mask, decoder_attention_mask)
            return {"logits": halves.logits(x)}

        found["encode"] = signature(encode, input_ids=ids, attention_mask=ids)
        found["decode"] = signature(
            decode, decoder_input_ids=ids, decoder_attention_mask=ids, context=vectors, context_mask=ids
        )
    return {name: one.with_integers(integers) for name, one in found.items()}


# === What is inside ===


def inner_signatures(model: Model, whole: Signature, inside: Collection[Inside]) -> dict[str, Signature]:
    """Signatures with the model's inputs, and outputs that are inside it.

    They are `hidden_states`, to the tensors of `return_hidden_states=True`, NAME_i for number i; `attentions`, to those
    of `return_attention=True`; and `embedding`, to one vector of each text or image, as `embedded` gives it.

    Raises:
        ValueError: for other names, and for a model that has no such thing.
    """
    for name in inside:
        if name not in get_args(Inside):
            raise ValueError(f"`inside` must name some of {', '.join(get_args(Inside))}; got {name!r}.")
    functions: dict[str, Callable[..., dict[str, Any]]] = {
        "hidden_states": partial(_asked, model, "return_hidden_states", "hidden_states"),
        "attentions": partial(_asked, model, "return_attention", "attentions"),
        "embedding": lambda **inputs: {"embedding": embedded(model, inputs)},
    }
    if "embedding" in inside:
        require_embedding(model)
    return {name: replace(whole, function=functions[name]) for name in inside}


def _asked(model: Model, argument: str, kind: str, **inputs: Any) -> dict[str, Any]:
    outputs = model.named_outputs(model(inputs, **{argument: True}), kind)
    found = {name: x for name, x in outputs.items() if kind in name}
    if not found:
        raise ValueError(f"a {type(model).__name__} has no {kind.replace('_', ' ')}: leave them out of `inside`.")
    return found


def require_embedding(model: Model) -> None:
    """Raises ValueError for a model that makes no one vector of a text or an image."""
    if isinstance(model, ImageModel):
        fits = model.gives_features
    else:
        fits = isinstance(_encoder(model), TextBackbone) and not (isinstance(model, TextModel) and model.choices)
    if not fits:
        raise ValueError(f"a {type(model).__name__} has no `embedding`: leave it out of `inside`.")


def embedded(model: Model, inputs: Mapping[str, Any]) -> Any:
    """One vector of each text or image, `(B, d_model)`.

    That is a classifier's pooled features of an image; of a text, the mean of the last hidden states of its tokens.
    """
    if isinstance(model, ImageModel):
        return model(inputs, return_features=True)
    backbone = _encoder(model)
    given = {name: x for name, x in inputs.items() if name in backbone.input_names}
    states = backbone(given)["last_hidden_state"]
    mask = ops.expand_dims(ops.cast(given["attention_mask"], states.dtype), -1)
    return ops.sum(states * mask, axis=1) / ops.maximum(ops.sum(mask, axis=1), 1.0)


def _encoder(model: Any) -> Any:
    return model if isinstance(model, Backbone) else getattr(model, "backbone", None)
