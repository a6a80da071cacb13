"""Labels of words: named entities, parts of speech."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_tx.models.core.head import HeadModel
from keras_tx.models.core.heads import TokenHead
from keras_tx.ops.losses import IGNORED
from keras_tx.tasks.base import Task, probabilities, require_equal
from keras_tx.tasks.entities import OUTSIDE, entity_scores, entity_spans
from keras_tx.tasks.examples import labelled, listed
from keras_tx.tasks.rows import Windows, align_labels, windows
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
    depth = 1

    def __init__(self, model, tokenizer, *, max_length=None, stride: int | None = None, batch_size: int = 32):
        super().__init__(model, tokenizer, max_length=max_length, batch_size=batch_size)
        self.stride = self.max_length // 3 if stride is None else stride

    @staticmethod
    def fits(model: HeadModel) -> bool:
        return isinstance(model.head, TokenHead)

    def training_rows(self, examples, labels):
        """The rows of the model, windows of sentences.

        Args:
            examples: sentences as lists of words.
            labels: of each sentence, a list of its words' labels, names or numbers; -100 does not count.
        """
        ids = self._label_ids(examples, labels)
        found = self._windows([Words.of(words) for words in examples])
        inputs = self.arrays(found.batch)
        targets = np.full(inputs["input_ids"].shape, IGNORED, "int32")
        for target, words, sentence in zip(targets, found.numbers, found.samples, strict=True):
            firsts = np.flatnonzero(words >= 0)
            target[firsts] = np.array(ids[sentence])[words[firsts]]
        return inputs, targets, found.samples

    def predict(self, examples: Sequence[Sentence] | str) -> list[list[Entity]]:
        """The entities of each text, in order.

        Args:
            examples: strings, or lists of words. Strings are split at whitespace and punctuation.
        """
        texts = [Words.of(example) for example in listed(examples)]
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
        return [labels for labels, _ in self._label_words([Words.of(words) for words in listed(examples, self.depth)])]

    def evaluate(self, examples: Any, labels: Any = None) -> dict[str, float]:
        """`"precision"`, `"recall"` and `"f1"` of entities, and `"accuracy"` of words; labels of -100 do not count."""
        examples, labels, _ = labelled(examples, labels, depth=self.depth)
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

    def _windows(self, texts: Sequence[Words]) -> Windows:
        """Rows in which the first token of each word has the word for a number, and others a negative one."""
        subwords = iter(self.subwords([piece for words in texts for piece in words.pieces]))
        sentences, tokens = [], []
        for sentence, words in enumerate(texts):
            of_words = [(i, word) for word in range(len(words)) for i in next(subwords)]
            if of_words:
                ids, word_ids = zip(*of_words, strict=True)
                sentences.append(sentence)
                tokens.append((ids, align_labels(range(len(words)), word_ids)))
        found = windows(self.tokenizer, tokens, max_length=self.max_length, stride=self.stride)
        return found._replace(samples=np.array(sentences, int)[found.samples])

    def _label_words(self, texts: Sequence[Words]) -> list[tuple[list[str], list[float]]]:
        """The labels of each text's words, and how probable each is."""
        labels = [([OUTSIDE] * len(words), [0.0] * len(words)) for words in texts]
        best = [[-1] * len(words) for words in texts]  # tokens on the nearer side, where each label was read
        found = self._windows(texts)
        if not len(found.samples):
            return labels
        scores = probabilities(self.outputs(self.arrays(found.batch))["logits"])
        lengths = found.batch["attention_mask"].sum(axis=1)
        for sentence, words, length, of_tokens in zip(found.samples, found.numbers, lengths, scores, strict=True):
            names, likely = labels[sentence]
            for place in np.flatnonzero(words >= 0):
                word, context = words[place], min(place, length - 1 - place)
                if context > best[sentence][word]:
                    best[sentence][word] = context
                    names[word] = self.label_names[of_tokens[place].argmax()]
                    likely[word] = float(of_tokens[place].max())
        return labels
