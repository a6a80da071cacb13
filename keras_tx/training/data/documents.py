"""Documents of sentences as ids, and the rows that pre-training makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from keras_tx.text import Tokenizer, read_text


def read_documents(paths: Iterable[str | Path]) -> Iterator[list[str]]:
    """The documents of text files, one file after another.

    Args:
        paths: of UTF-8 files; a document ends with its file.

    Raises:
        ValueError: if a file cannot be read, is empty, or is not UTF-8.
    """
    for path in paths:
        yield from split_documents(read_text(path))


def split_documents(text: str) -> Iterator[list[str]]:
    """The documents of a text: a sentence a line, and a blank line between documents."""
    sentences: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            sentences.append(line.strip())
        elif sentences:
            yield sentences
            sentences = []


@dataclass(frozen=True, eq=False)
class Documents:
    """Sentences one after another, without special tokens."""

    ids: np.ndarray
    """The ids of all documents one after another, int32 `(N,)`."""

    sentences: np.ndarray
    """Where each sentence begins in `ids`, and the end of the last: int64 `(S + 1,)`."""

    documents: np.ndarray
    """Where each document begins among the sentences, and the end of the last: int64 `(D + 1,)`."""

    @classmethod
    def of(cls, documents: Iterable[Sequence[str]], tokenizer: Tokenizer, *, batch_size: int = 1024) -> Self:
        """Tokenizes documents; sentences without tokens, and documents without sentences, are left out.

        Args:
            documents: lists of sentences.
            tokenizer: makes their ids.
            batch_size: sentences tokenized together.

        Raises:
            ValueError: if nothing is left.
        """
        texts: list[str] = []
        owners: list[int] = []
        for i, document in enumerate(documents):
            texts += document
            owners += [i] * len(document)
        rows: list[list[int]] = []
        for start in range(0, len(texts), batch_size):
            batch = tokenizer(texts[start : start + batch_size], add_special_tokens=False)
            lengths = batch["attention_mask"].sum(1)
            rows += [row[:length] for row, length in zip(batch["input_ids"], lengths, strict=True)]
        kept = [i for i, row in enumerate(rows) if len(row)]
        if not kept:
            raise ValueError("the documents have no tokens: give texts with words in them.")
        _, sizes = np.unique([owners[i] for i in kept], return_counts=True)
        return cls(np.concatenate([rows[i] for i in kept]), _splits([len(rows[i]) for i in kept]), _splits(sizes))

    def __len__(self) -> int:
        return len(self.documents) - 1

    def spans(self, document: int) -> np.ndarray:
        """Where the sentences of a document begin and end in `ids`, `(sentences, 2)`."""
        first, last = self.documents[document : document + 2]
        return np.stack([self.sentences[first:last], self.sentences[first + 1 : last + 1]], 1)


def pack(documents: Documents, tokenizer: Tokenizer, max_length: int) -> dict[str, np.ndarray]:
    """Full rows of text that go over the ends of documents, each of which a suffix stands at.

    Source: Liu et al., "RoBERTa: A Robustly Optimized BERT Pretraining Approach", 2019, FULL-SENTENCES, but that rows
    are filled to the last token.

    Args:
        documents: to pack; every token comes once.
        tokenizer: whose special tokens stand around rows.
        max_length: tokens of a row.

    Returns:
        `input_ids` and `attention_mask`, int32 `(R, max_length)`, the last row padded; and `segment_ids`, which tell
        the documents of a row apart, from 1 on, for `ops.masks.segments`: special tokens belong to the text before
        them, the first ones to the text after them; padding is 0.

    Raises:
        ValueError: if `max_length` leaves no room for text.
    """
    room = room_for(tokenizer, 1, max_length)
    ends = documents.sentences[documents.documents[1:]]
    prefix, suffix = (np.array(ids, "int32") for ids in (tokenizer.template.prefix, tokenizer.template.suffix))
    places = np.repeat(ends[:-1], len(suffix))
    stream = np.insert(documents.ids, places, np.tile(suffix, len(ends) - 1))
    owner = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
    owner = np.insert(owner, places, np.repeat(np.arange(len(ends) - 1), len(suffix)))

    count, begin = -(-len(stream) // room), len(prefix)
    batch = empty_rows(tokenizer, count, max_length, ("input_ids", "attention_mask", "segment_ids"))
    for i in range(count):
        part = slice(i * room, (i + 1) * room)
        ids = [*prefix, *stream[part], *suffix]
        segments = owner[part] - owner[i * room] + 1
        batch["input_ids"][i, : len(ids)], batch["attention_mask"][i, : len(ids)] = ids, 1
        batch["segment_ids"][i, : len(ids)] = segments[-1]
        batch["segment_ids"][i, :begin] = 1
        batch["segment_ids"][i, begin : begin + len(segments)] = segments
    return batch


def empty_rows(tokenizer: Tokenizer, count: int, max_length: int, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Rows of padding alone."""
    rows = {name: np.zeros((count, max_length), "int32") for name in names}
    rows["input_ids"] += tokenizer.pad_token_id
    return rows


def room_for(tokenizer: Tokenizer, texts: int, max_length: int) -> int:
    """Returns how many tokens of a row are not special.

    Raises:
        ValueError: if that is less than a token of each text.
    """
    room = max_length - tokenizer.template.special_tokens(texts)
    if room < texts:
        raise ValueError(
            f"`max_length` is {max_length}, which leaves no room for {'two texts' if texts == 2 else 'text'}: raise it."
        )
    return room


def _splits(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)])
