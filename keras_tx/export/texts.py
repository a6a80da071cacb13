"""Signatures on strings of models that say something of texts: what the tasks do, in a graph.

Which of them a model has is told by what it is: by the task that fits it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_tx.export.samples import CHOICES, sample_inputs, sample_texts
from keras_tx.export.signature import Signature, by_row, checked_texts, strings
from keras_tx.export.tensors import named_outputs
from keras_tx.export.words import answer_signatures, entity_signatures
from keras_tx.generation.sampling import probabilities
from keras_tx.models.bert.heads import NextSentenceHead
from keras_tx.models.core.backbone import TextBackbone
from keras_tx.models.core.heads import MaskedLanguageModelHead
from keras_tx.models.core.text import TextModel
from keras_tx.tasks import (
    MultipleChoiceTask,
    QuestionAnsweringTask,
    Task,
    TextClassificationTask,
    TokenClassificationTask,
)
from keras_tx.tasks.labels import label_scores
from keras_tx.text import Tokenizer


def string_signatures(model: TextModel, tokenizer: Tokenizer) -> dict[str, Signature]:
    """`serve_text` of a model that says something of texts, and `serve_text_pair` where they may be pairs.

    Raises:
        ValueError: for a model of which nothing can be asked by strings, and a tokenizer that does not fit it.
    """
    for task, signatures in FORMS.items():
        if task.fits(model):
            return signatures(task(model, tokenizer))
    raise ValueError(f"{type(model).__name__} says nothing of strings: leave out `tokenizer`.")


def takes_strings(model: TextModel) -> bool:
    """Whether `string_signatures` has any of a model."""
    return any(task.fits(model) for task in FORMS)


def tokens_of(task: Task, *texts) -> dict[str, Any]:
    """Texts, or pairs, as the model's inputs."""
    import tensorflow as tf

    batch = task.tokenizer(*texts, truncation=True, max_length=task.max_length, padding_side="right")
    tf.debugging.assert_positive(tf.reduce_sum(batch["attention_mask"], axis=1), "a text must have a token")
    return task.model_inputs(batch)


def label_outputs(names, scores) -> dict[str, Any]:
    """The best label of each row of scores `(B, L)`: `label`, `score`, and all `scores` in the labels' order."""
    import tensorflow as tf

    best = tf.argmax(scores, axis=-1, output_type=tf.int32)
    return {
        "label": tf.gather(tf.constant(list(names)), best),
        "score": tf.reduce_max(scores, axis=-1),
        "scores": scores,
    }


def label_signatures(task: TextClassificationTask) -> dict[str, Signature]:
    """Texts to labels. Of a pair the longer text is cut first."""

    def labelled(*texts) -> dict[str, Any]:
        logits = task.model(tokens_of(task, *texts))["logits"]
        return label_outputs(task.label_names, label_scores(ops.cast(logits, "float32"), task.problem_type))

    def one(text):
        return labelled(checked_texts(text, "text"))

    def pair(text, text_pair):
        return labelled(checked_texts(text, "text"), checked_texts(text_pair, "text_pair"))

    return {
        "serve_text": Signature(one, {"text": strings()}, sample_inputs(task.tokenizer, "text")),
        "serve_text_pair": Signature(
            pair, {"text": strings(), "text_pair": strings()}, sample_inputs(task.tokenizer, "text", "text_pair")
        ),
    }


def choice_signatures(task: MultipleChoiceTask) -> dict[str, Signature]:
    """A text and its choices `(B, C)` to the one that goes best with it."""
    import tensorflow as tf

    def choose(text, choices):
        shape = tf.shape(choices)
        texts = tf.repeat(checked_texts(text, "text"), shape[1])
        batch = tokens_of(task, texts, tf.reshape(checked_texts(choices, "choices"), [-1]))
        batch = {name: tf.reshape(x, [shape[0], shape[1], tf.shape(x)[1]]) for name, x in batch.items()}
        scores = probabilities(ops.cast(task.model(batch)["logits"], "float32"))
        best = tf.argmax(scores, axis=-1, output_type=tf.int32)
        return {
            "choice": tf.gather(choices, best, batch_dims=1),
            "index": best,
            "score": tf.reduce_max(scores, axis=-1),
            "scores": scores,
        }

    def sample(rng, rows, length):
        texts = sample_texts(task.tokenizer, rng, (1 + CHOICES) * rows, length)
        return {"text": texts[:rows], "choices": texts[rows:].reshape(rows, CHOICES)}

    return {"serve_text": Signature(choose, {"text": strings(), "choices": strings(None, None)}, sample)}


class FillMaskTask(Task):
    """What may stand where a text has the tokenizer's mask token."""

    heads = "that predicts masked tokens"

    @staticmethod
    def fits(model: TextModel) -> bool:
        """Whether it gives logits of all tokens at every place, of texts read as a whole."""
        return isinstance(model.head, MaskedLanguageModelHead) and len(model.targets) == 1


def mask_signatures(task: FillMaskTask) -> dict[str, Signature]:
    """Texts with masks to the likeliest tokens of each: `token` and `score` `(B, M, top_k)`, `""` where no mask is."""
    import tensorflow as tf

    mask_id: Any = getattr(task.tokenizer, "mask_token_id", None)
    if mask_id is None:
        raise ValueError("`tokenizer` has no mask token, which a masked language model is asked with.")

    def fill(text, top_k):
        tf.debugging.Assert((top_k >= 1) & (top_k <= task.tokenizer.vocab_size), ["`top_k` must be a count of tokens"])
        batch = tokens_of(task, checked_texts(text, "text"))
        masked = batch["input_ids"] == mask_id
        tf.debugging.assert_equal(
            tf.reduce_all(tf.reduce_any(masked, axis=1)),
            True,
            "`text` must have the mask token, within its first tokens",
        )
        places, count = tf.where(masked), tf.shape(masked)[0]
        logits = tf.gather_nd(task.model(batch)["logits"], places)
        scores, ids = tf.math.top_k(probabilities(ops.cast(logits, "float32")), top_k)
        tokens = tf.reshape(task.tokenizer.detokenize(tf.reshape(ids, [-1, 1])), tf.shape(ids))
        tokens = tf.strings.unicode_transcode(tokens, "UTF-8", "UTF-8", errors="replace")
        return {
            "token": by_row(tokens, places[:, 0], count, ""),
            "token_id": by_row(ids, places[:, 0], count, -1),
            "score": by_row(scores, places[:, 0], count, 0.0),
        }

    top_k = tf.constant(5, name="top_k")
    mask = task.tokenizer.decode([mask_id]).encode()

    def sample(rng, rows, length):
        texts = sample_texts(task.tokenizer, rng, rows, length)
        # At the beginning, which no model cuts off.
        masked = [mask + b" " + text + (b" " + mask) * (i % 2) for i, text in enumerate(texts)]
        return {"text": np.array(masked, "S"), "top_k": np.int32(min(3, task.tokenizer.vocab_size))}

    specs = {"text": strings(), "top_k": tf.TensorSpec((), tf.int32)}
    return {"serve_text": Signature(fill, specs, sample, {"top_k": top_k})}


class NextSentenceTask(Task):
    """Whether the second text of a pair follows the first."""

    heads = "for next sentence prediction"

    @staticmethod
    def fits(model: TextModel) -> bool:
        """Whether it gives two logits of a pair, of following and of not."""
        return isinstance(model.head, NextSentenceHead)


def next_sentence_signatures(task: NextSentenceTask) -> dict[str, Signature]:
    """Pairs of texts to how probable it is that the second follows the first."""

    def follows(text, text_pair):
        batch = tokens_of(task, checked_texts(text, "text"), checked_texts(text_pair, "text_pair"))
        return {"score": probabilities(ops.cast(task.model(batch)["logits"], "float32"))[:, 0]}

    specs = {"text": strings(), "text_pair": strings()}
    return {"serve_text_pair": Signature(follows, specs, sample_inputs(task.tokenizer, *specs))}


class EncodingTask(Task):
    """The hidden states of texts."""

    heads = "without a head"

    @staticmethod
    def fits(model: TextModel) -> bool:
        """Whether it has no head."""
        return isinstance(model, TextBackbone) or (isinstance(model, TextModel) and model.head is None)


def encoding_signatures(task: EncodingTask) -> dict[str, Signature]:
    """Texts to what the model gives of their tokens, and the `attention_mask` of these, `(B, T)`."""

    def encode(text):
        batch = tokens_of(task, checked_texts(text, "text"))
        return {**named_outputs(task.model, task.model(batch)), "attention_mask": batch["attention_mask"]}

    return {"serve_text": Signature(encode, {"text": strings()}, sample_inputs(task.tokenizer, "text"))}


FORMS: dict[type[Task], Any] = {
    TextClassificationTask: label_signatures,
    TokenClassificationTask: entity_signatures,
    QuestionAnsweringTask: answer_signatures,
    MultipleChoiceTask: choice_signatures,
    FillMaskTask: mask_signatures,
    NextSentenceTask: next_sentence_signatures,
    EncodingTask: encoding_signatures,
}
"""The signatures of each task."""
