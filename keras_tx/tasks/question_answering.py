"""Extractive question answering: the stretch of a text that answers a question."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_tx.models.core.head import HeadModel
from keras_tx.models.core.heads import SpanHead
from keras_tx.tasks.base import Task, probabilities, require_equal
from keras_tx.tasks.examples import labelled
from keras_tx.tasks.rows import Windows, windows
from keras_tx.tasks.spans import MAX_ANSWER_LENGTH, MAX_LENGTH, MAX_QUESTION_LENGTH, best_spans
from keras_tx.tasks.squad import squad_scores
from keras_tx.tasks.words import Words


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer to a question.

    Attributes:
        text: a stretch of the context; "" if it has no answer.
        start, end: the characters `[start, end)` of the context.
        score: how probable the answer is among the best ones.
    """

    text: str
    start: int
    end: int
    score: float


class _Context(NamedTuple):
    words: Words
    ids: list[int]
    word_ids: np.ndarray  # of each token
    firsts: np.ndarray  # whether a token is its word's first
    lasts: np.ndarray


class QuestionAnsweringTask(Task):
    """Answers to questions, found in texts.

    Examples are pairs of a question and a context. Contexts longer than a row are split into windows that overlap;
    where a window does not have the whole answer, its first token is the answer to be learned (Devlin et al. 2019,
    section 4.3). Answers begin and end where words do. Of a question longer than `max_question_length` the end is cut.

    Args:
        model: with a question answering head, as `BERTForQuestionAnswering`.
        tokenizer, max_length, batch_size: as of `Task`; rows have at most 384 tokens unless `max_length` is given.
        stride: by how many tokens windows overlap, as Transformers' `stride`; a third of `max_length` unless given.
        max_question_length: tokens of a question.
        max_answer_length: tokens of an answer that is predicted.
        no_answer_threshold: how much the score of there being no answer must exceed the best answer's for the answer
            to be ""; None where every question has an answer. For data as SQuAD 2.0, 0 or what suits best.
    """

    heads = "for question answering"

    def __init__(
        self,
        model,
        tokenizer,
        *,
        max_length: int | None = None,
        stride: int | None = None,
        max_question_length: int = MAX_QUESTION_LENGTH,
        max_answer_length: int = MAX_ANSWER_LENGTH,
        no_answer_threshold: float | None = None,
        batch_size: int = 32,
    ):
        super().__init__(model, tokenizer, max_length=max_length, batch_size=batch_size)
        if max_length is None:
            self.max_length = min(self.max_length, MAX_LENGTH)
        self.stride = self.max_length // 3 if stride is None else stride
        self.max_question_length, self.max_answer_length = max_question_length, max_answer_length
        self.no_answer_threshold = no_answer_threshold

    @staticmethod
    def fits(model: HeadModel) -> bool:
        return isinstance(model.head, SpanHead)

    def training_rows(self, examples, labels):
        """The rows of the model, windows of contexts.

        Args:
            examples: questions and contexts.
            labels: of each question, its answers with the characters where they start in the context; the first is
                learned. None where there is no answer.
        """
        require_equal(examples, labels)
        contexts, found = self._windows(examples)
        answers = [
            _answer_tokens(context, of_example, i)
            for i, (context, of_example) in enumerate(zip(contexts, labels, strict=True))
        ]
        where = found.numbers[:, None] == np.array(answers)[found.samples][:, :, None]  # (R, 2, T)
        whole = where.any(axis=-1).all(axis=-1, keepdims=True)
        ends = np.where(whole, where.argmax(axis=-1), 0).astype("int32")
        targets = {"start_positions": ends[:, 0], "end_positions": ends[:, 1]}
        return self.arrays(found.batch), targets, found.samples

    def predict(self, examples: Sequence[tuple[str, str]]) -> list[Answer]:
        """The best answer to each question.

        Args:
            examples: questions and contexts.
        """
        return [answers[0] for answers in self.predict_best(examples)]

    def predict_best(self, examples: Sequence[tuple[str, str]], count: int = 20) -> list[list[Answer]]:
        """The best answers to each question, best first.

        Args:
            examples: questions and contexts.
            count: how many, at most. The scores are probabilities among these.
        """
        examples = self.pairs(examples)
        if not examples:
            return []
        contexts, found = self._windows(examples)
        logits = self.outputs(self.arrays(found.batch))
        candidates: list[dict[tuple[int, int], float]] = [{} for _ in examples]
        none = np.full(len(examples), np.inf)
        rows = zip(found.samples, found.numbers, logits["start_logits"], logits["end_logits"], strict=True)
        for example, tokens, starts, ends in rows:
            none[example] = min(none[example], starts[0] + ends[0])
            for words, score in self._spans(contexts[example], tokens, starts, ends, count):
                of_example = candidates[example]
                of_example[words] = max(score, of_example.get(words, -np.inf))
        return [self._best(*of_example, count) for of_example in zip(contexts, candidates, none, strict=True)]

    def evaluate(self, examples: Any, labels: Any = None):
        """`"exact_match"` and `"f1"` as SQuAD has them, in [0, 1], against the best of each question's answers."""
        examples, labels, _ = labelled(examples, labels)
        require_equal(examples, labels)
        answers = [[text for text, _ in of_question] for of_question in labels]
        return squad_scores(answers, [answer.text for answer in self.predict(examples)])

    def _windows(self, examples: Sequence[tuple[str, str]]) -> tuple[list[_Context], Windows]:
        """The contexts, and rows whose tokens have their place in the context for a number."""
        questions = self.subwords([question for question, _ in examples])
        texts = {text: Words.of(text) for _, text in examples}  # several questions are asked of one text
        subwords = iter(self.subwords([piece for words in texts.values() for piece in words.pieces]))
        by_text = {text: _context(words, [next(subwords) for _ in words.pieces]) for text, words in texts.items()}
        contexts = [by_text[text] for _, text in examples]
        for i, (question, context) in enumerate(zip(questions, contexts, strict=True)):
            for what, ids in (("question", question), ("context", context.ids)):
                if not ids:
                    raise ValueError(f"the {what} of example {i} has no token: leave it out, or put words into it.")
        questions = [ids[: self.max_question_length] for ids in questions]
        found = windows(
            self.tokenizer,
            [(ids, [-1] * len(ids)) for ids in questions],
            [(context.ids, range(len(context.ids))) for context in contexts],
            max_length=self.max_length,
            stride=self.stride,
        )
        return contexts, found

    def _spans(self, context: _Context, tokens, starts, ends, count: int):
        """The best spans of a row, as first and last word of the context, with their scores."""
        inside = np.flatnonzero(tokens >= 0)
        tokens = tokens[inside]
        where = (context.firsts[tokens], context.lasts[tokens])
        for score, first, last in best_spans(
            starts[inside], ends[inside], *where, max_length=self.max_answer_length, count=count
        ):
            words = context.word_ids[tokens[[first, last]]]
            yield (int(words[0]), int(words[1])), score

    def _best(
        self, context: _Context, candidates: dict[tuple[int, int], float], none: float, count: int
    ) -> list[Answer]:
        ranked = sorted(candidates.items(), key=lambda item: -item[1])[:count]
        spans = [(context.words.spans[first][0], context.words.spans[last][1]) for (first, last), _ in ranked]
        scores = [score for _, score in ranked]
        if self.no_answer_threshold is not None or not ranked:
            place = sum(score >= none - (self.no_answer_threshold or 0.0) for score in scores)
            spans.insert(place, (0, 0))
            scores.insert(place, none)
        shares = probabilities(np.array(scores))
        return [Answer(context.words.text[a:b], a, b, float(p)) for (a, b), p in zip(spans, shares, strict=True)]


def _context(words: Words, subwords: list[list[int]]) -> _Context:
    word_ids = np.repeat(np.arange(len(words)), [len(ids) for ids in subwords])
    change = np.flatnonzero(np.diff(word_ids, prepend=-1, append=-1))
    firsts, lasts = np.zeros((2, len(word_ids)), bool)
    firsts[change[:-1]] = lasts[change[1:] - 1] = True
    return _Context(words, [i for ids in subwords for i in ids], word_ids, firsts, lasts)


def _answer_tokens(context: _Context, answers: Sequence[tuple[str, int]], example: int) -> tuple[int, int]:
    """The first and last token of the words that the first answer has a part of.

    (-1, -1) for no answer: the number of tokens outside the context, of which a row's first token is one.
    """
    if not len(answers):
        return -1, -1
    text, start = answers[0]
    end = start + len(text)
    if not text.strip() or context.words.text[max(start, 0) : end] != text:
        raise ValueError(
            f"the answer to question {example} is {text!r}, which does not stand at {start} of its context."
        )
    spans = np.array(context.words.spans)[context.word_ids]
    tokens = np.flatnonzero((spans[:, 1] > start) & (spans[:, 0] < end))
    if not len(tokens):
        raise ValueError(f"the answer to question {example} is {text!r}, of which the tokenizer makes no token.")
    return int(tokens[0]), int(tokens[-1])
