"""Labels of words: named entities, parts of speech."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_tx.models.base import TextModel
from keras_tx.models.heads import TokenClassification
from keras_tx.ops.losses import IGNORED
from keras_tx.tasks.base import Task, probabilities, require_equal
from keras_tx.tasks.entities import OUTSIDE, entity_scores, entity_spans
from keras_tx.tasks.rows import Row, align_labels, make_row, specials, windows
from keras_tx.tasks.words import Words

Sentence = str | Sequence[str]


@dataclasses.dataclass(frozen=True)
class Entity:
    """A labelled stretch of a text.

    Attributes:
        label: without "B-" and "I-".
        text: the stretch.
        start, end: the characters `[start, end)` of the text; of given words, of these joined by blanks.
        score: the mean probability of its words' labels.
    """

    label: str
    text: str
    start: int
    end: int
    score: float


class _Window(NamedTuple):
    row: Row
    sentence: int
    words: list[int]  # of each token of the row, the word that it is the first token of, or -100


class TokenClassificationTask(Task):
    """Labels of the words of texts.

    A word's label is that of its first token; the others do not count (Devlin et al. 2019, section 5.3). Sentences
    longer than a row are split into windows that overlap, and a word's label is read where it has the most context.
    A word that the tokenizer makes no token of, such as a control character, is outside of entities.

    Args:
        model: with a token classifier's head, as `BERTForTokenClassification`; its `label_names` say what is an entity,
            as "O", "B-PER" and "I-PER" do.
        tokenizer, max_length, batch_size: as of `Task`.
        stride: by how many tokens windows overlap; a third of `max_length` unless given.
    """

    heads = "for token classification"

    def __init__(self, model, tokenizer, *, max_length=None, stride: int | None = None, batch_size: int = 32):
        super().__init__(model, tokenizer, max_length=max_length, batch_size=batch_size)
        self.stride = self.max_length // 3 if stride is None else stride

    @staticmethod
    def fits(model: TextModel) -> bool:
        return isinstance(model, TokenClassification)

    def training_data(self, examples: Sequence[Sequence[str]], labels: Sequence[Sequence]):
        """The model's inputs and labels.

        Args:
            examples: sentences as lists of words.
            labels: of each sentence, a list of its words' labels, names or numbers; -100 does not count.
        """
        ids = self._label_ids(examples, labels)
        found = self._windows([Words.of(words) for words in examples])
        inputs = self.arrays([window.row for window in found])
        targets = np.full(inputs["input_ids"].shape, IGNORED, "int32")
        for target, window in zip(targets, found, strict=True):
            of_words = ids[window.sentence]
            target[: len(window.words)] = [word if word == IGNORED else of_words[word] for word in window.words]
        return inputs, targets

    def predict(self, examples: Sequence[Sentence]) -> list[list[Entity]]:
        """The entities of each text, in order.

        Args:
            examples: strings, or lists of words. Strings are split at whitespace and punctuation.
        """
        texts = [Words.of(example) for example in examples]
        found = []
        for words, (labels, scores) in zip(texts, self._label_words(texts), strict=True):
            entities = []
            for label, first, last in entity_spans(labels):
                start, end = words.spans[first][0], words.spans[last - 1][1]
                score = float(np.mean(scores[first:last]))
                entities.append(Entity(label, words.text[start:end], start, end, score))
            found.append(entities)
        return found

    def predict_labels(self, examples: Sequence[Sequence[str]]) -> list[list[str]]:
        """The label of every word of sentences that are lists of words."""
        return [labels for labels, _ in self._label_words([Words.of(words) for words in examples])]

    def evaluate(self, examples: Sequence[Sequence[str]], labels: Sequence[Sequence]) -> dict[str, float]:
        """`"precision"`, `"recall"` and `"f1"` of entities, and `"accuracy"` of words; labels of -100 do not count."""
        names, wanted, found = self.label_names, [], []
        ids = self._label_ids(examples, labels)
        for of_words, predicted in zip(ids, self.predict_labels(examples), strict=True):
            known = [i for i, label in enumerate(of_words) if label != IGNORED]
            wanted.append([names[of_words[i]] for i in known])
            found.append([predicted[i] for i in known])
        pairs = [pair for both in zip(wanted, found, strict=True) for pair in zip(*both, strict=True)]
        accuracy = sum(a == b for a, b in pairs) / max(len(pairs), 1)
        return {**entity_scores(wanted, found), "accuracy": accuracy}

    def _label_ids(self, examples: Sequence[Sequence[str]], labels: Sequence[Sequence]) -> list[list[int]]:
        require_equal(examples, labels)
        for i, (words, of_words) in enumerate(zip(examples, labels, strict=True)):
            if isinstance(words, str) or len(words) != len(of_words):
                count = "a string" if isinstance(words, str) else f"{len(words)} words"
                raise ValueError(
                    f"sentence {i} must be a list of words, one for each label; got {count} and labels {of_words}."
                )
        return [
            [
                IGNORED
                if isinstance(label, (int, np.integer)) and label == IGNORED
                else self.label_id(label, f"the label of word {k} of sentence {i}")
                for k, label in enumerate(of_words)
            ]
            for i, of_words in enumerate(labels)
        ]

    def _windows(self, texts: Sequence[Words]) -> list[_Window]:
        subwords = iter(self.subwords([piece for words in texts for piece in words.pieces]))
        before, after = [IGNORED] * len(self.tokenizer.prefix), [IGNORED] * len(self.tokenizer.suffix)
        room = self.max_length - specials(self.tokenizer, 1)
        found = []
        for sentence, words in enumerate(texts):
            tokens = [(i, word) for word in range(len(words)) for i in next(subwords)]
            ids, firsts = [i for i, _ in tokens], align_labels(range(len(words)), [word for _, word in tokens])
            for start, end in windows(len(ids), room, self.stride) if ids else []:
                row = make_row(self.tokenizer, ids[start:end])
                found.append(_Window(row, sentence, [*before, *firsts[start:end], *after]))
        return found

    def _label_words(self, texts: Sequence[Words]) -> list[tuple[list[str], list[float]]]:
        """The labels of each text's words, and how probable each is."""
        labels = [([OUTSIDE] * len(words), [0.0] * len(words)) for words in texts]
        best = [[-1] * len(words) for words in texts]  # tokens on the nearer side, where each label was read
        found = self._windows(texts)
        if not found:
            return labels
        scores = probabilities(self.outputs(self.arrays([window.row for window in found]))["logits"])
        for window, of_tokens in zip(found, scores, strict=True):
            names, likely = labels[window.sentence]
            for place, word in enumerate(window.words):
                context = min(place, len(window.words) - 1 - place)
                if word != IGNORED and context > best[window.sentence][word]:
                    best[window.sentence][word] = context
                    names[word] = self.label_names[of_tokens[place].argmax()]
                    likely[word] = float(of_tokens[place].max())
        return labels
