"""Signatures on strings of models that read texts: in a graph, what the tasks do in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_tx.export.faults import Faults
from keras_tx.export.samples import sample_choices, sample_inputs, sample_texts
from keras_tx.export.signature import Signature, by_row, strings
from keras_tx.export.string_model import StringModel
from keras_tx.export.tensors import embedded
from keras_tx.export.words import answer_signatures, entity_signatures
from keras_tx.generation.sampling import probabilities
from keras_tx.models.bert.heads import NextSentenceHead
from keras_tx.models.core.backbone import Backbone, TextBackbone
from keras_tx.models.core.embedding import TextEmbeddingModel
from keras_tx.models.core.head import HeadModel
from keras_tx.models.core.heads import ChoiceHead, MaskedLanguageModelHead, SequenceHead, SpanHead, TokenHead
from keras_tx.tasks.inputs import require_mask_token
from keras_tx.tasks.labels import entailment_ids, entailment_scores, label_scores, problem_type
from keras_tx.text import Tokenizer


def string_signatures(model: HeadModel | Backbone, tokenizer: Tokenizer) -> dict[str, Signature]:
    """`serve_text` for a model that reads texts, and `serve_text_pair` and others if it reads pairs of them.

    Raises:
        ValueError: for a model that cannot be asked with strings, and for a tokenizer that does not fit it.
    """
    make = _maker(model)
    if make is None:
        raise ValueError(f"a {type(model).__name__} cannot be asked with strings: leave out `tokenizer`.")
    return make(StringModel(model, tokenizer))


def takes_strings(model: HeadModel | Backbone) -> bool:
    """Whether there are `string_signatures` for a model."""
    return _maker(model) is not None


def _maker(model: HeadModel | Backbone) -> Callable[[StringModel], dict[str, Signature]] | None:
    """The function of `SIGNATURES` for what gives a model's outputs: its head, or its backbone if it has no head."""
    part: Any = model
    if isinstance(model, HeadModel):
        part = model.backbone if model.head is None else model.head
    return next((SIGNATURES[cls] for cls in type(part).__mro__ if cls in SIGNATURES), None)


def label_outputs(names, scores) -> dict[str, Any]:
    """The best label of each row of scores `(B, L)`: `label`, `score`, and all `scores` in the labels' order."""
    import tensorflow as tf

    best = tf.argmax(scores, axis=-1, output_type=tf.int32)
    return {
        "label": tf.gather(tf.constant(list(names)), best),
        "score": tf.reduce_max(scores, axis=-1),
        "scores": scores,
    }


def label_signatures(served: StringModel) -> dict[str, Signature]:
    """From texts, or pairs of texts, to labels. Of a pair that is too long the longer text is cut first.

    A classifier of natural language inference has `zero_shot_signature` too.
    """

    def labelled(**texts) -> dict[str, Any]:
        faults = Faults(texts["text"], "text")
        logits = ops.cast(served.model(served.tokens(faults, **texts))["logits"], "float32")
        scores = label_scores(logits, problem_type(served.model.config))
        return faults.marked(label_outputs(served.label_names, scores))

    def signature(*names: str) -> Signature:
        return Signature(labelled, dict.fromkeys(names, strings()), sample_inputs(served.tokenizer, *names))

    found = {"serve_text": signature("text"), "serve_text_pair": signature("text", "text_pair")}
    ids = entailment_ids(served.label_names)
    return found if ids is None else {**found, "serve_zero_shot": zero_shot_signature(served, *ids)}


def zero_shot_signature(served: StringModel, contradiction: int, entailment: int) -> Signature:
    """From texts and hypotheses `(B, C)` to the hypothesis that each text entails, as `ZeroShotClassificationTask`.

    Of a hypothesis that has more than half of a row, and a text that does not fit beside it, both are cut.
    """
    import tensorflow as tf

    def classify(text, hypotheses, multi_label):
        faults = Faults(hypotheses, "hypotheses")
        logits = ops.cast(served.model(side_by_side(served, faults, text, hypotheses=hypotheses))["logits"], "float32")
        logits = tf.reshape(logits, [*tf.unstack(tf.shape(hypotheses)), logits.shape[-1]])
        scores = entailment_scores(logits, contradiction, entailment, multi_label)
        return faults.marked(chosen(hypotheses, scores, "hypothesis"))

    specs = {"text": strings(), "hypotheses": strings(None, None), "multi_label": tf.TensorSpec((), tf.bool)}
    sample = sample_choices(served.tokenizer, "hypotheses")
    return Signature(
        classify,
        specs,
        lambda *sizes: {**sample(*sizes), "multi_label": np.bool_(False)},
        {"multi_label": tf.constant(False, name="multi_label")},
    )


def choice_signatures(served: StringModel) -> dict[str, Signature]:
    """From texts and their choices `(B, C)` to the choice that goes best with each text."""
    import tensorflow as tf

    def choose(text, choices):
        faults, shape = Faults(choices, "choices"), tf.shape(choices)
        batch = side_by_side(served, faults, text, choices=choices)
        batch = {name: tf.reshape(x, [shape[0], shape[1], tf.shape(x)[1]]) for name, x in batch.items()}
        scores = probabilities(ops.cast(served.model(batch)["logits"], "float32"))
        return faults.marked(chosen(choices, scores, "choice"))

    specs = {"text": strings(), "choices": strings(None, None)}
    return {"serve_text": Signature(choose, specs, sample_choices(served.tokenizer, "choices"))}


def side_by_side(served: StringModel, faults: Faults, text, **choices) -> dict[str, Any]:
    """The model's inputs `(B * C, T)` for texts `(B,)`, each with its choices `(B, C)`, by the name of the input."""
    import tensorflow as tf

    [(name, options)] = choices.items()
    shape = tf.shape(options)
    texts = tf.repeat(faults.texts(text, "text", served.tokenizer), shape[1])
    options = tf.reshape(faults.texts(options, name, served.tokenizer), [-1])
    of_options = Faults(options, name)
    batch = served.tokens_of(of_options, text=texts, **{name: options})
    faults.note(tf.reshape(~of_options.none, shape), f"`text` and `{name}` must have a token")
    return batch


def chosen(choices, scores, name: str) -> dict[str, Any]:
    """The best of choices `(B, C)` by its name, its `index` and `score`, and all `scores` `(B, C)`."""
    import tensorflow as tf

    best = tf.argmax(scores, axis=-1, output_type=tf.int32)
    found = {name: tf.gather(choices, best, batch_dims=1), "index": best}
    return {**found, "score": tf.reduce_max(scores, axis=-1), "scores": scores}


def mask_signatures(served: StringModel) -> dict[str, Signature]:
    """From texts to the likeliest tokens of each mask: `token`, `token_id` and `score`, `(B, M, top_k)`.

    Rows with fewer masks than M are filled up with "", -1 and 0.
    """
    import tensorflow as tf

    mask_id = require_mask_token(served.tokenizer)

    def fill(text, top_k):
        tf.debugging.Assert(
            (top_k >= 1) & (top_k <= served.tokenizer.vocab_size), ["`top_k` must be a count of tokens"]
        )
        faults = Faults(text, "text")
        batch = served.tokens(faults, text=text)
        masked = batch["input_ids"] == mask_id
        unmasked = ~tf.reduce_any(masked, axis=1)
        faults.note(unmasked, "`text` must have the mask token, and not among the tokens that are cut off")
        places, count = tf.where(masked), tf.shape(masked)[0]
        logits = tf.gather_nd(served.model(batch)["logits"], places)
        known = probabilities(ops.cast(logits, "float32"))[:, : served.tokenizer.vocab_size]
        scores, ids = tf.math.top_k(known, top_k)
        tokens = tf.reshape(served.tokenizer.detokenize(tf.reshape(ids, [-1, 1])), tf.shape(ids))
        tokens = tf.strings.unicode_transcode(tokens, "UTF-8", "UTF-8", errors="replace")
        found = {"token": (tokens, ""), "token_id": (ids, -1), "score": (scores, 0.0)}
        return faults.marked({name: by_row(x, places[:, 0], count, fill) for name, (x, fill) in found.items()})

    top_k = tf.constant(5, name="top_k")
    mask = served.tokenizer.decode([mask_id]).encode()

    def sample(rng, rows, length):
        texts = sample_texts(served.tokenizer, rng, rows, length)
        # At the beginning, which is never cut off.
        masked = [mask + b" " + text + (b" " + mask) * (i % 2) for i, text in enumerate(texts)]
        return {"text": np.array(masked, "S"), "top_k": np.int32(min(3, served.tokenizer.vocab_size))}

    specs = {"text": strings(), "top_k": tf.TensorSpec((), tf.int32)}
    return {"serve_text": Signature(fill, specs, sample, {"top_k": top_k})}


def next_sentence_signatures(served: StringModel) -> dict[str, Signature]:
    """From pairs of texts to the probability that the second follows the first."""

    def follows(text, text_pair):
        faults = Faults(text, "text")
        batch = served.tokens(faults, text=text, text_pair=text_pair)
        return faults.marked({"score": probabilities(ops.cast(served.model(batch)["logits"], "float32"))[:, 0]})

    specs = {"text": strings(), "text_pair": strings()}
    return {"serve_text_pair": Signature(follows, specs, sample_inputs(served.tokenizer, *specs))}


def encoding_signatures(served: StringModel) -> dict[str, Signature]:
    """From texts to the outputs of a model without a head, and the `attention_mask` of the tokens, `(B, T)`."""

    def encode(text):
        faults = Faults(text, "text")
        batch = served.tokens(faults, text=text)
        outputs = served.model.named_outputs(served.model(batch))
        return faults.marked({**outputs, "attention_mask": batch["attention_mask"]})

    return {"serve_text": Signature(encode, {"text": strings()}, sample_inputs(served.tokenizer, "text"))}


def embedding_signature(model: Any, tokenizer: Tokenizer) -> Signature:
    """From texts to one vector of each, as `embedded` gives it."""
    served = StringModel(model, tokenizer)

    def embed(text):
        faults = Faults(text, "text")
        return faults.marked({"embedding": embedded(model, served.tokens(faults, text=text))})

    return Signature(embed, {"text": strings()}, sample_inputs(tokenizer, "text"))


def text_embedding_signatures(served: StringModel) -> dict[str, Signature]:
    """From texts, any prompt before them, to their embeddings."""

    def embed(text):
        faults = Faults(text, "text")
        return faults.marked({"embedding": served.model(served.tokens(faults, text=text))})

    return {"serve_text": Signature(embed, {"text": strings()}, sample_inputs(served.tokenizer, "text"))}


SIGNATURES: dict[type, Callable[[StringModel], dict[str, Signature]]] = {
    SequenceHead: label_signatures,
    TokenHead: entity_signatures,
    SpanHead: answer_signatures,
    ChoiceHead: choice_signatures,
    MaskedLanguageModelHead: mask_signatures,
    NextSentenceHead: next_sentence_signatures,
    TextBackbone: encoding_signatures,
    TextEmbeddingModel: text_embedding_signatures,
}
"""The signatures of each class of head, its subclasses included, and of backbones without one."""
