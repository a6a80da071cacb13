"""Byte-pair encoding: GPT-2's, on bytes, and GPT-1's, on lower-cased words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from keras_tx.text.bpe import files as bpe_files
from keras_tx.text.bpe.bytes import byte_characters
from keras_tx.text.bpe.classes import WORD_END, Errors, WordRule
from keras_tx.text.core.vocabulary import VocabularyTokenizer
from keras_tx.text.graph.added_tokens import AddedToken, mark_added_tokens
from keras_tx.text.graph.cl100k import cl100k_words
from keras_tx.text.graph.lookup import find
from keras_tx.text.graph.marks import is_mark, number_of
from keras_tx.text.graph.merges import Merges
from keras_tx.text.graph.neighbours import following
from keras_tx.text.graph.pieces import UNKNOWN
from keras_tx.text.graph.splitting import bert_normalize, bert_words, gpt2_words, with_leading_blanks
from keras_tx.text.graph.unicode import UNCASED
from keras_tx.text.graph.utf8 import decode_utf8

_WORDS = {"gpt2": gpt2_words, "cl100k": cl100k_words}
_HASHES = np.iinfo("int64").max


class BPETokenizer(VocabularyTokenizer):
    r"""Byte-pair encoding that gives the ids that Transformers' fast tokenizers give.

    With `byte_level` it is GPT-2's: every text has ids, and `detokenize(tokenize(texts))` gives back every text byte
    for byte. Bytes that are not UTF-8 are kept: each becomes the token of that byte, a word by itself. Without, it is
    GPT-1's: the text is normalized and lower-cased, split at whitespace and punctuation, and unknown characters
    become the unknown token; bytes that are not UTF-8 go, as U+FFFD does.

    It is read from `tokenizer.json`, or from `vocab.json` and `merges.txt`, and what Transformers writes beside them:
    the tokenizers of GPT-2, OPT, RoBERTa, BART, Llama 3 and GPT-1 and those made like them; ByT5's, which has no
    vocabulary but the bytes, from its `tokenizer_config.json`.

    Sources: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, and "Improving Language
    Understanding by Generative Pre-Training", 2018.

    Args:
        vocab: ids of tokens; without gaps, those of `added_tokens` included.
        merges: pairs of tokens that merge, first come first.
        byte_level: GPT-2's kind, or GPT-1's.
        unk_token: stands for bytes and characters that the vocabulary has no token for, which are an error without it.
        add_prefix_space: puts a space before text that does not begin with one. GPT-2's kind only.
        words: the rule by which GPT-2's kind splits texts: GPT-2's own, or that of cl100k_base and Llama 3.
        ignore_merges: whether a word that is a token is that token, merges or not. GPT-2's kind only.
        errors: how `decode` shows bytes that are not UTF-8, as `bytes.decode` has it.
        **options: `added_tokens` and `special_tokens`, as of `VocabularyTokenizer`; `template`, `model_max_length`,
            `padding_side`, `truncation_side` and `model_input_names`, as of `Tokenizer`.

    Raises:
        ValueError: if ids repeat or leave gaps, or a merge or a role names what is no token.
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        merges: Sequence[tuple[str, str]],
        *,
        byte_level: bool = True,
        unk_token: str | None = None,
        add_prefix_space: bool = False,
        words: WordRule = "gpt2",
        ignore_merges: bool = False,
        errors: Errors = "replace",
        **options: Any,
    ):
        super().__init__(vocab, **options)
        self.merges = [(left, right) for left, right in merges]
        self.byte_level, self.unk_token, self.add_prefix_space = byte_level, unk_token, add_prefix_space
        self.words, self.ignore_merges, self.errors = words, ignore_merges, errors
        self._unknown = UNKNOWN if unk_token is None else self._id(unk_token, "`unk_token`")
        self._merges = Merges([self._merge(*pair) for pair in self.merges], self.vocab_size)

    @classmethod
    def from_directory(cls, directory):
        return cls(**bpe_files.read(directory))

    def save_pretrained(self, directory: str | Path) -> None:
        """Writes the files that Transformers reads and writes; others in the directory stay."""
        bpe_files.write(self, Path(directory))

    @classmethod
    def train(
        cls,
        texts: Iterable[str | Path],
        vocab_size: int,
        *,
        special_tokens: Sequence[str] = ("<|endoftext|>",),
        min_frequency: int = 2,
        add_prefix_space: bool = False,
        **options: Any,
    ) -> Self:
        """Learns GPT-2's kind of vocabulary, with the `tokenizers` library.

        Args:
            texts: strings; paths are of files of text.
            vocab_size: how many tokens at most, the 256 bytes and the special ones included.
            special_tokens: the first ids; the first of them begins and ends texts.
            min_frequency: how often a pair must occur to merge.
            add_prefix_space: as of the class.
            **options: as of the class.
        """
        from tokenizers import Tokenizer as Peer
        from tokenizers import models, pre_tokenizers, trainers

        if vocab_size < 256 + len(special_tokens):
            raise ValueError(
                f"`vocab_size` must hold 256 bytes and {len(special_tokens)} special tokens; got {vocab_size}."
            )
        peer = Peer(models.BPE())
        peer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            min_frequency=min_frequency,
            special_tokens=list(special_tokens),
            initial_alphabet=list(byte_characters()),
            show_progress=False,
        )
        peer.train_from_iterator(
            (text.read_text(encoding="utf-8") if isinstance(text, Path) else text for text in texts), trainer
        )
        trained = bpe_files.parse(json.loads(peer.to_str()))
        roles = dict.fromkeys(("bos_token", "eos_token", "unk_token"), special_tokens[0]) if special_tokens else {}
        return cls(**{**trained, "special_tokens": roles, **options})

    # === Python ===

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """Returns the text of ids; bytes that are not UTF-8, such as half a character's, show as `errors` says.

        Raises:
            ValueError: if an id is not the vocabulary's.
        """
        ids = self._shown(ids, skip_special_tokens)
        inner, last = self._pieces
        return b"".join([*(inner[i] for i in ids[:-1]), *(last[i] for i in ids[-1:])]).decode("utf-8", self.errors)

    # === TensorFlow ===

    def tokenize(self, texts):
        """The ids of TensorFlow strings `(B,)` of UTF-8, nothing put around them: a ragged int32 tensor `(B, None)`.

        Raises:
            InvalidArgumentError: when run on bytes or characters that the vocabulary has no token for.
        """
        return self._tokenize(texts)

    def knows(self, texts):
        import tensorflow as tf

        if self.unk_token is not None or (self.byte_level and UNKNOWN not in self._byte_ids):
            return super().knows(texts)
        points = self._points(texts)
        marks, rows = is_mark(points.values), points.value_rowids()
        if self.byte_level:
            stray = tf.where(marks, number_of(points.values) - self.vocab_size, -1)  # a token's is below 0
            missing = (stray >= 0) & (tf.gather(self._byte_ids, tf.maximum(stray, 0)) == UNKNOWN)
            characters = tf.strings.unicode_encode(tf.where(marks, ord(" "), points.values)[:, None], "UTF-8")
            data = tf.strings.bytes_split(characters)
            ids = tf.gather(self._byte_ids, tf.cast(tf.io.decode_raw(data.values, tf.uint8)[:, 0], "int32"))
            missing |= tf.reduce_any(data.with_values(ids == UNKNOWN), axis=1) & ~marks
        else:
            words = bert_words(points)
            rows = tf.gather(words.value_rowids(), words.values.value_rowids())
            ids = self._character_symbols(words.values)
            missing = (ids == UNKNOWN) & ~is_mark(words.values.values)
        unknown = tf.math.unsorted_segment_sum(tf.cast(missing, "int32"), rows, tf.size(texts))
        return unknown == 0

    def detokenize(self, ids):
        """The texts of ids, `(B, T)` or ragged: a TensorFlow string tensor `(B,)`.

        Of GPT-2's kind a token may end within a character; the bytes are given as they are, so that texts of ids one
        after another join to the text of all. Of GPT-1's kind a text ends without a blank, so that they do not.
        """
        import tensorflow as tf

        inner, last = (tf.constant(pieces) for pieces in self._pieces)
        if self.byte_level:
            return tf.strings.reduce_join(tf.gather(inner, ids), axis=-1)
        return tf.strings.reduce_join(
            tf.concat([tf.gather(inner, ids[:, :-1]), tf.gather(last, ids[:, -1:])], 1), axis=-1
        )

    @cached_property
    def _tokenize(self):
        import tensorflow as tf

        return tf.function(self._graph, input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)

    def _graph(self, texts):
        import tensorflow as tf

        points = self._points(texts)
        words = (_WORDS[self.words] if self.byte_level else bert_words)(points)
        words, counts = words.values, words.row_lengths()
        first = tf.gather(words.values, words.row_starts())
        marked = is_mark(first)  # added tokens and stray bytes, which are words of one element
        texts, place = tf.unique(tf.where(marked, "", tf.strings.unicode_encode(words, "UTF-8")))
        others = tf.RaggedTensor.from_tensor(self._marked_ids(number_of(tf.boolean_mask(first, marked)))[:, None])
        place = tf.where(marked, tf.size(texts) - 1 + tf.cumsum(tf.cast(marked, "int32")), place)
        ids = tf.gather(tf.concat([self._merged(texts), others], 0), place)
        return tf.RaggedTensor.from_row_lengths(ids, counts, validate=False).merge_dims(1, 2)

    def _points(self, texts):
        """Code points, with marks for added tokens and for bytes that are not UTF-8."""
        import tensorflow as tf

        as_they_are, normalized = self._added_tokens
        if self.byte_level:
            points = mark_added_tokens(decode_utf8(texts, self.vocab_size), as_they_are)
            points = mark_added_tokens(points, normalized)
            return with_leading_blanks(points, self.vocab_size) if self.add_prefix_space else points
        points = mark_added_tokens(tf.strings.unicode_decode(texts, "UTF-8", errors="replace"), as_they_are)
        return mark_added_tokens(bert_normalize(points).merge_dims(1, 2), normalized)

    def _marked_ids(self, numbers):
        """The ids of marked tokens and bytes, by their numbers."""
        import tensorflow as tf

        ids = tf.gather(np.concatenate([np.arange(self.vocab_size, dtype="int32"), self._byte_ids]), numbers)
        return self._known(ids, numbers - self.vocab_size)

    def _merged(self, words):
        """The ids of words, strings `(W,)`: ragged int32 `(W, None)`."""
        import tensorflow as tf

        if not self.ignore_merges:
            return self._merges(self._symbols(words))
        hashes, contents, ids = self._whole_words
        found, place = find(hashes, tf.strings.to_hash_bucket_fast(words, _HASHES))
        found &= tf.gather(tf.constant(contents), place) == words
        whole = tf.RaggedTensor.from_row_lengths(
            tf.gather(ids, tf.boolean_mask(place, found)), tf.cast(found, "int64"), validate=False
        )
        return tf.concat([self._merges(self._symbols(tf.where(found, "", words))), whole], 1)

    def _symbols(self, words):
        """The ids of the bytes or characters of words, which are strings `(W,)`: ragged int32 `(W, None)`."""
        import tensorflow as tf

        if self.byte_level:
            data = tf.cast(tf.io.decode_raw(tf.strings.reduce_join(words), tf.uint8), "int32")
            ids = self._known(tf.gather(self._byte_ids, data), data)
            return tf.RaggedTensor.from_row_lengths(ids, tf.cast(tf.strings.length(words), "int64"), validate=False)
        points = tf.strings.unicode_decode(words, "UTF-8")
        return points.with_values(self._known(self._character_symbols(points), points.values))

    def _character_symbols(self, points):
        """The ids of the characters of words, ragged `(W, None)`: of all of them `(N,)`, `UNKNOWN` among them."""
        import tensorflow as tf

        characters, inner, last = self._character_ids
        place = tf.minimum(tf.searchsorted(characters, points.values), len(characters) - 1)
        known = tf.gather(characters, place) == points.values
        rows = points.value_rowids()
        ends = rows != following(rows, -1)
        return tf.where(known, tf.where(ends, tf.gather(last, place), tf.gather(inner, place)), UNKNOWN)

    def _known(self, ids, units):
        """The ids, `UNKNOWN` replaced by the unknown token's, or refused if there is none."""
        import tensorflow as tf

        unknown = ids == UNKNOWN
        if self.unk_token is not None:
            return tf.where(unknown, self._unknown, ids)
        message = f"the vocabulary has no token for these {'bytes' if self.byte_level else 'characters'}:"
        which = tf.unique(tf.boolean_mask(units, unknown)).y
        check = tf.debugging.Assert(~tf.reduce_any(unknown), [message, which])
        with tf.control_dependencies([check] if check is not None else []):  # None when run eagerly
            return tf.identity(ids)

    # === The vocabulary ===

    def _merge(self, left: str, right: str) -> tuple[int, int, int]:
        what = f"the merge of {left!r} and {right!r}"
        return self._id(left, what), self._id(right, what), self._id(left + right, what)

    @cached_property
    def _whole_words(self) -> tuple[np.ndarray, list[bytes], np.ndarray]:
        """The vocabulary's tokens by their hashes, ascending: hashes, the bytes that they stand for, and their ids."""
        import tensorflow as tf

        added = {token.id for token in self.added_tokens}
        ids = np.array([i for i in self.vocab.values() if i not in added], "int32")
        contents = [self._pieces[0][i] for i in ids]
        with tf.init_scope():  # now, and not in the graph that is being made
            hashes = tf.strings.to_hash_bucket_fast(tf.constant(contents, tf.string), _HASHES).numpy()
        order = np.argsort(hashes)
        return hashes[order], [contents[i] for i in order], ids[order]

    @cached_property
    def _byte_ids(self) -> np.ndarray:
        """The ids of the bytes 0 to 255, `UNKNOWN` where the vocabulary has none."""
        return np.array([self.vocab.get(c, UNKNOWN) for c in byte_characters()], "int32")

    @cached_property
    def _character_ids(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Code points, ascending, and their ids within a word and at its end; `UNKNOWN` for none."""
        characters = sorted({token[0] for token in self.vocab if token and token[1:] in ("", WORD_END)})
        inner = [self.vocab.get(c, UNKNOWN) for c in characters]
        last = [self.vocab.get(c + WORD_END, UNKNOWN) for c in characters]
        return np.array([ord(c) for c in characters], "int32"), np.array(inner, "int32"), np.array(last, "int32")

    @cached_property
    def _pieces(self) -> tuple[list[bytes], list[bytes]]:
        """The bytes that each token stands for, and those it stands for at the end of a text."""
        added = {token.id for token in self.added_tokens}
        if self.byte_level:
            byte = {c: i for i, c in enumerate(byte_characters())}
            spelled = [i not in added and byte.keys() >= set(token) for i, token in enumerate(self._tokens)]
            pieces = [
                bytes(map(byte.__getitem__, token)) if by_byte else token.encode()
                for token, by_byte in zip(self._tokens, spelled, strict=True)
            ]
            return pieces, pieces
        inner, last = ([token.replace(WORD_END, end).encode() for token in self._tokens] for end in (" ", ""))
        return inner, last

    @cached_property
    def _added_tokens(self) -> tuple[list[AddedToken], list[AddedToken]]:
        """The tokens to find in the text as it is, and those to find in the normalized text."""
        first = [token for token in self.added_tokens if not token.normalized]
        then = [token for token in self.added_tokens if token.normalized]
        if not self.byte_level:
            then = [replace(token, content=UNCASED(token.content)) for token in then]
        return first, then
