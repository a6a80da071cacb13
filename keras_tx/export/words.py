"""Signatures whose answers are stretches of a text: entities, and answers to questions.

The graph splits texts into words, makes windows of long texts, and finds its way back from tokens to characters, as
`tasks` does in Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_tx.export.faults import Faults
from keras_tx.export.samples import sample_inputs
from keras_tx.export.signature import Signature, after, by_row, strings
from keras_tx.export.string_model import StringModel
from keras_tx.generation.sampling import probabilities
from keras_tx.ops.losses import IGNORED
from keras_tx.tasks.entities import OUTSIDE, entity_kind, goes_on
from keras_tx.tasks.rows import window_tensors
from keras_tx.tasks.spans import MAX_ANSWER_LENGTH, MAX_LENGTH, MAX_QUESTION_LENGTH
from keras_tx.text.graph.neighbours import following, previous
from keras_tx.text.graph.splitting import bert_starts

CANDIDATES = 20
"""The score of an answer is its probability among so many candidates."""
MOST_WINDOWS = 256
"""The most windows that the texts of a request may become, so that none can take a server's memory."""


@dataclass(frozen=True)
class TextWords:
    """The words of texts `(B,)`, one after another, and their tokens.

    Attributes:
        texts: the texts.
        rows: of which text each word is, int64 `(W,)`.
        begins, ends: its characters `[begin, end)`, int32 `(W,)`.
        ids: the tokens, int32 `(N,)`.
        words: of which of the W words each token is, int64 `(N,)`.
    """

    texts: Any
    rows: Any
    begins: Any
    ends: Any
    ids: Any
    words: Any

    @classmethod
    def of(cls, texts, tokenizer) -> TextWords:
        """Splits texts at whitespace and punctuation, and each word into tokens."""
        import tensorflow as tf

        points = tf.strings.unicode_decode(texts, "UTF-8")
        starts, blank = bert_starts(points)
        first = tf.where(starts)[:, 0]
        last = tf.concat([first, tf.size(starts, tf.int64)[None]], 0)[1:]
        solid = ~tf.gather(blank, first)
        first, last = tf.boolean_mask(first, solid), tf.boolean_mask(last, solid)
        rows = tf.gather(points.value_rowids(), first)
        offsets = tf.gather(points.row_starts(), rows)
        # A word with what stands before it: to some tokenizers blanks count.
        before = tf.where(rows == previous(rows, -1), previous(last, 0), offsets)
        pieces = tf.gather(points.flat_values, tf.ragged.range(before, last))
        tokens = tokenizer.tokenize(tf.strings.unicode_encode(pieces, "UTF-8"))
        begins, ends = (tf.cast(x - offsets, tf.int32) for x in (first, last))
        return cls(texts, rows, begins, ends, tokens.values, tokens.value_rowids())

    @property
    def token_rows(self):
        """The number of the text that each token is of, int64 `(N,)`."""
        import tensorflow as tf

        return tf.gather(self.rows, self.words)

    @property
    def is_first(self):
        """Whether each token begins a word, boolean `(N,)`."""
        return self.words != previous(self.words, -1)

    @property
    def is_last(self):
        """Whether each token ends a word, boolean `(N,)`."""
        return self.words != following(self.words, -1)

    def table(self, numbers):
        """The tokens of each text, each with a number, ragged int32 `(B, None, 2)`."""
        import tensorflow as tf

        values = tf.stack([self.ids, tf.cast(numbers, tf.int32)], axis=1)
        count = tf.size(self.texts, tf.int64)
        return tf.RaggedTensor.from_value_rowids(values, self.token_rows, count, validate=False)

    def stretch(self, rows, begins, ends):
        """The characters `[begin, end)` of texts."""
        import tensorflow as tf

        return tf.strings.substr(tf.gather(self.texts, rows), begins, ends - begins, unit="UTF8_CHAR")


# === Entities ===


def entity_signatures(served: StringModel) -> dict[str, Signature]:
    """From texts to entities: `label`, `text`, `start`, `end` and `score`, `(B, E)`.

    Rows with fewer entities than E are filled up with "", -1 and 0.
    """

    def find(text):
        faults = Faults(text, "text")
        return faults.marked(entities(served, faults.texts(text, "text", served.tokenizer)))

    return {"serve_text": Signature(find, {"text": strings()}, sample_inputs(served.tokenizer, "text"))}


def entities(served: StringModel, texts) -> dict[str, Any]:
    """What `TokenClassificationTask.predict` gives for texts `(B,)`, as tensors."""
    import tensorflow as tf

    words = TextWords.of(texts, served.tokenizer)
    labels, scores = _word_labels(served, words)
    names = [*served.label_names, OUTSIDE]  # the last one is that of words without a token
    kinds = [entity_kind(name) for name in names]
    continues = tf.constant([[goes_on(before, name) for name in names] for before in names])
    inside = tf.gather(tf.constant([kind is not None for kind in kinds]), labels)
    before = tf.where(words.rows == previous(words.rows, -1), previous(labels, 0), len(names) - 1)
    starts = inside & ~tf.gather_nd(continues, tf.stack([before, labels], axis=1))

    first = tf.where(starts)[:, 0]
    of_entity = tf.boolean_mask(tf.cumsum(tf.cast(starts, tf.int32)) - 1, inside)
    ends = tf.math.segment_max(tf.boolean_mask(words.ends, inside), of_entity)
    score = tf.math.segment_mean(tf.boolean_mask(scores, inside), of_entity)
    rows, begins = tf.gather(words.rows, first), tf.gather(words.begins, first)
    kind = tf.gather(tf.constant([kind or "" for kind in kinds]), tf.gather(labels, first))

    found = {
        "label": (kind, ""),
        "text": (words.stretch(rows, begins, ends), ""),
        "start": (begins, -1),
        "end": (ends, -1),
        "score": (score, 0.0),
    }
    return {name: by_row(values, rows, tf.size(texts), fill) for name, (values, fill) in found.items()}


def _word_labels(served: StringModel, words: TextWords):
    """The label of each word, int32 `(W,)`, and its probability; the number of labels for a word without a token.

    It is read in the window where the word's first token has the most context on the side with less of it.
    """
    import tensorflow as tf

    numbers = tf.where(words.is_first, tf.cast(words.words, tf.int32), IGNORED)
    found = window_tensors(served.tokenizer, words.table(numbers), max_length=served.max_length, stride=served.stride)
    scores = probabilities(ops.cast(_outputs(served, found.batch)["logits"], "float32"))
    places = tf.cast(tf.where(found.numbers >= 0), tf.int32)
    lengths = tf.reduce_sum(found.batch["attention_mask"], axis=1)
    context = tf.minimum(places[:, 1], tf.gather(lengths, places[:, 0]) - 1 - places[:, 1])
    word, count = tf.gather_nd(found.numbers, places), tf.size(words.rows)
    best = tf.math.unsorted_segment_max(context, word, count)
    order = tf.range(tf.size(word))
    chosen = tf.math.unsorted_segment_min(tf.where(context == tf.gather(best, word), order, tf.size(word)), word, count)
    read = chosen < tf.size(word)
    of_word = tf.gather_nd(scores, tf.gather(tf.concat([places, [[0, 0]]], 0), tf.minimum(chosen, tf.size(word))))
    labels = tf.argmax(of_word, axis=-1, output_type=tf.int32)
    return tf.where(read, labels, len(served.label_names)), tf.where(read, tf.reduce_max(of_word, axis=-1), 0.0)


# === Answers ===


def answer_signatures(served: StringModel) -> dict[str, Signature]:
    """From questions and contexts to `answer`, its characters `[start, end)` and its `score`, `(B,)` each."""

    def find(question, context):
        faults = Faults(question, "question")
        given = {"question": question, "context": context}
        texts = [faults.texts(text, name, served.tokenizer) for name, text in given.items()]
        return faults.marked(answers(served, faults, *texts))

    specs = {"question": strings(), "context": strings()}
    return {"serve_text": Signature(find, specs, sample_inputs(served.tokenizer, *specs))}


def answers(served: StringModel, faults: Faults, questions, contexts) -> dict[str, Any]:
    """What `QuestionAnsweringTask.predict` gives for questions and contexts `(B,)`, as tensors; faults are noted."""
    import tensorflow as tf

    served = StringModel(served.model, served.tokenizer, max_length=min(served.max_length, MAX_LENGTH))
    words = TextWords.of(contexts, served.tokenizer)
    count = tf.size(contexts)
    ids = served.tokenizer.tokenize(questions)[:, :MAX_QUESTION_LENGTH]
    for name, lengths in (
        ("question", ids.row_lengths()),
        ("context", tf.math.bincount(tf.cast(words.token_rows, tf.int32), minlength=count)),
    ):
        faults.note(lengths == 0, f"`{name}` must have a token")
    question = ids.with_values(tf.stack([ids.values, tf.fill(tf.shape(ids.values), -1)], axis=1))
    context = words.table(tf.range(tf.size(words.ids)))
    found = window_tensors(served.tokenizer, question, context, max_length=served.max_length, stride=served.stride)
    logits = _outputs(served, found.batch)
    scores, spans = _best_of_rows(words, found.numbers, logits)  # (R, K), (R, K, 2)
    return _best_answers(words, found.samples, scores, spans)


def _outputs(served: StringModel, batch: dict) -> dict:
    """The model's outputs for windows of texts."""
    import tensorflow as tf

    ids = batch["input_ids"]
    few = f"the texts of a request must fit into {MOST_WINDOWS} windows"
    check = tf.debugging.assert_less_equal(tf.shape(ids)[0], MOST_WINDOWS, few)
    return served.outputs({**batch, "input_ids": after([check], ids)})


def _best_of_rows(words: TextWords, numbers, logits: dict):
    """The scores `(R, K)` of the best spans of each row, -inf where there are fewer, and their first and last words."""
    import tensorflow as tf

    longest = MAX_ANSWER_LENGTH
    token = tf.maximum(numbers, 0)
    start = tf.where((numbers >= 0) & tf.gather(words.is_first, token), logits["start_logits"], -np.inf)
    end = tf.where((numbers >= 0) & tf.gather(words.is_last, token), logits["end_logits"], -np.inf)
    length = tf.shape(start)[1]
    end = tf.pad(end, [[0, 0], [0, longest - 1]], constant_values=-np.inf)
    scores = start[:, :, None] + tf.stack([end[:, i : i + length] for i in range(longest)], axis=2)
    scores = tf.reshape(scores, [-1, length * longest])
    best, place = tf.math.top_k(scores, tf.minimum(CANDIDATES, length * longest))
    first = tf.gather(token, place // longest, batch_dims=1)
    last = tf.gather(token, tf.minimum(place // longest + place % longest, length - 1), batch_dims=1)
    return best, tf.gather(words.words, tf.stack([first, last], axis=2))


def _best_answers(words: TextWords, samples, scores, spans) -> dict[str, Any]:
    """The best answer of each example, whose rows may have found the same span."""
    import tensorflow as tf

    count = tf.size(words.texts)
    real = scores > -np.inf
    example = tf.boolean_mask(tf.broadcast_to(samples[:, None], tf.shape(scores)), real)
    scores, spans = tf.boolean_mask(scores, real), tf.boolean_mask(spans, real)
    keys, which = tf.unique(spans[:, 0] * (tf.size(words.rows, tf.int64) + 1) + spans[:, 1])
    unique = tf.size(keys)
    scores = tf.math.unsorted_segment_max(scores, which, unique)
    any_of = tf.math.unsorted_segment_min(tf.range(tf.size(which)), which, unique)
    example, spans = tf.gather(example, any_of), tf.gather(spans, any_of)

    order = tf.argsort(scores, direction="DESCENDING", stable=True)
    order = tf.gather(order, tf.argsort(tf.gather(example, order), stable=True))
    example, scores, spans = (tf.gather(x, order) for x in (example, scores, spans))
    ranked = by_row(scores, example, count, -np.inf)[:, :CANDIDATES]
    ranked = tf.concat([ranked, tf.fill([count, 1], -np.inf)], 1)  # there may be none at all
    place = tf.searchsorted(example, tf.range(count))
    answered = ranked[:, 0] > -np.inf
    spans = tf.gather(tf.concat([spans, [[0, 0]]], 0), tf.where(answered, place, tf.size(example)))
    start = tf.where(answered, tf.gather(words.begins, spans[:, 0]), 0)
    end = tf.where(answered, tf.gather(words.ends, spans[:, 1]), 0)
    best = tf.where(answered, ranked[:, 0], 0.0)[:, None]
    return {
        "answer": words.stretch(tf.range(count), start, end),
        "start": start,
        "end": end,
        "score": tf.where(answered, 1 / tf.reduce_sum(tf.exp(ranked - best), axis=1), 1.0),
    }
