"""SentencePiece, T5's tokenizer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from keras_tx.text.core.aligned_tokenizer import AlignedTokenizer
from keras_tx.text.core.template import T5, Template
from keras_tx.text.graph.added_tokens import AddedToken
from keras_tx.text.graph.aligned import AlignedText
from keras_tx.text.graph.character_bpe import CharacterBPE
from keras_tx.text.graph.marks import is_mark, number_of
from keras_tx.text.graph.metaspace import Metaspace
from keras_tx.text.graph.normalizers import Normalizer, peer_of
from keras_tx.text.graph.piece_text import PieceText, byte_piece
from keras_tx.text.graph.pieces import UNKNOWN
from keras_tx.text.graph.unigram import Unigram
from keras_tx.text.sentencepiece import files as sentencepiece_files

SPECIAL_TOKENS = ("<pad>", "</s>", "<unk>")


class SentencePieceTokenizer(AlignedTokenizer):
    """T5's tokenizer and its kin, which give what Transformers' fast ones give: ids, offsets and words.

    A text is normalized and split into words, which begin with `▁` in place of a blank, and each word is taken apart
    into pieces: by their probabilities, or by merging characters. Bytes that are not UTF-8 come as U+FFFD.

    It is read from `tokenizer.json` or `spiece.model`, and what Transformers writes beside them. All of
    `tokenizer.json` counts, as for Transformers 4; version 5 takes T5's vocabulary, normalization rules and special
    tokens of it and splits texts as T5's first file did. A model of SentencePiece is read as version 5 reads it.

    Sources: Kudo and Richardson, "SentencePiece: A simple and language independent subword tokenizer and detokenizer
    for Neural Text Processing", 2018; Raffel et al., "Exploring the Limits of Transfer Learning with a Unified
    Text-to-Text Transformer", 2020.

    Args:
        vocab: ids of pieces; without gaps, those of `added_tokens` included.
        scores: logarithms of the pieces' probabilities, by id: the tokenizer is a unigram model.
        merges: pairs of pieces that merge, first come first: it is byte-pair encoding. Either this or `scores`.
        unk_token: stands for characters that no piece is for, those side by side together.
        fuse_unk: False: with `merges`, each of them by itself.
        byte_fallback: spell such characters in the pieces `<0x00>` to `<0xFF>` instead.
        normalizers: steps done to each stretch of text between added tokens.
        words: how the normalized text is split; None: not at all.
        text: how pieces show.
        **options: `added_tokens` and `special_tokens`, as of `VocabularyTokenizer`; `template`, `model_max_length`,
            `padding_side`, `truncation_side` and `model_input_names`, as of `Tokenizer`.

    Raises:
        ValueError: if ids repeat or leave gaps, a role names what is no token, or pieces of bytes are missing.
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        *,
        scores: Sequence[float] | None = None,
        merges: Sequence[tuple[str, str]] | None = None,
        unk_token: str | None = "<unk>",
        fuse_unk: bool = True,
        byte_fallback: bool = False,
        normalizers: Sequence[Normalizer] = (),
        words: Metaspace | None = Metaspace(),  # noqa: B008
        text: PieceText = PieceText(),  # noqa: B008
        **options: Any,
    ):
        super().__init__(vocab, **options)
        if (scores is None) == (merges is None):
            raise ValueError("give `scores`, of a unigram model, or `merges`, of byte-pair encoding: one of them.")
        if scores is not None and sorted(self.vocab.values()) != list(range(len(scores))):
            raise ValueError(
                f"`scores` must be of the first ids, those of {len(self.vocab)} pieces; got {len(scores)}."
            )
        self.scores = None if scores is None else list(scores)
        self.merges = None if merges is None else [(left, right) for left, right in merges]
        for left, right in self.merges or ():
            for piece in (left, right, left + right):
                self._id(piece, "`merges`")
        self.unk_token, self.fuse_unk, self.byte_fallback = unk_token, fuse_unk, byte_fallback
        self.normalizers, self.words, self.text = tuple(normalizers), words, text
        self._byte_ids = np.array([self._byte_id(i) for i in range(256 * byte_fallback)], "int32")
        if unk_token is None and not (byte_fallback and scores is None):
            raise ValueError("`unk_token` is None, and there is nothing else for characters without a piece.")
        self._unknown = UNKNOWN if unk_token is None else self._id(unk_token, "`unk_token`")

    @classmethod
    def from_directory(cls, directory):
        return cls(**sentencepiece_files.read(directory))

    def save_pretrained(self, directory: str | Path) -> None:
        """Writes the files that Transformers reads and writes; others in the directory stay."""
        sentencepiece_files.write(self, Path(directory))

    @classmethod
    def train(
        cls,
        texts: Iterable[str | Path],
        vocab_size: int,
        *,
        model: Literal["unigram", "bpe"] = "unigram",
        extra_ids: int = 100,
        normalizers: Sequence[Normalizer] = (),
        **options: Any,
    ) -> Self:
        """Learns a vocabulary with the `tokenizers` library.

        Args:
            texts: strings; paths are of files of text.
            vocab_size: how many tokens at most, characters, special tokens and sentinels included.
            model: by probabilities, or by merging the most frequent pairs.
            extra_ids: number of sentinels; they have the last ids, and `<extra_id_0>` the last of all.
            normalizers: as of the class.
            **options: as of the class.
        """
        from tokenizers import Tokenizer as Peer
        from tokenizers import models, pre_tokenizers, trainers

        if model not in ("unigram", "bpe"):
            raise ValueError(f'`model` must be "unigram" or "bpe"; got {model!r}.')
        size = vocab_size - extra_ids
        if size <= len(SPECIAL_TOKENS):
            raise ValueError(
                f"`vocab_size` must hold {len(SPECIAL_TOKENS) + extra_ids} special tokens; got {vocab_size}."
            )
        given: dict[str, Any] = {"vocab_size": size, "special_tokens": [*SPECIAL_TOKENS], "show_progress": False}
        unigram = model == "unigram"
        peer = Peer(models.Unigram() if unigram else models.BPE(unk_token="<unk>", fuse_unk=True))
        peer.normalizer = peer_of(normalizers)
        peer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
        peer.train_from_iterator(
            (text.read_text(encoding="utf-8") if isinstance(text, Path) else text for text in texts),
            trainers.UnigramTrainer(unk_token="<unk>", **given) if unigram else trainers.BpeTrainer(**given),
        )
        trained = sentencepiece_files.parse_model(json.loads(peer.to_str())["model"])
        sentinels = [f"<extra_id_{i}>" for i in reversed(range(extra_ids))]
        vocab = {token: i for i, token in enumerate([*trained["vocab"], *sentinels])}
        if unigram:
            trained["scores"] += [0.0] * extra_ids
        added = [AddedToken(vocab[token], token) for token in (*SPECIAL_TOKENS, *sentinels)]
        roles = dict(zip(("pad_token", "eos_token", "unk_token"), SPECIAL_TOKENS, strict=True))
        special = {"added_tokens": added, "special_tokens": roles, "template": Template.parse(*T5, vocab)}
        return cls(**{**trained, "vocab": vocab, "normalizers": normalizers, **special, **options})

    @property
    def sentinel_ids(self) -> list[int]:
        """The ids of `<extra_id_0>`, `<extra_id_1>` and so on, which stand for spans left out of a text."""
        names = (f"<extra_id_{i}>" for i in range(self.vocab_size))
        return [self._ids[name] for name in takewhile(self._ids.__contains__, names)]

    # === Python ===

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """The text of ids.

        Raises:
            ValueError: if an id is not the vocabulary's.
        """
        return self.text([self._tokens[i] for i in self._shown(ids, skip_special_tokens)])

    # === TensorFlow ===

    def detokenize(self, ids):
        """The texts of ids, `(B, T)` or ragged, as `decode`'s: a TensorFlow string tensor `(B,)`.

        Where pieces spell bytes these are given as they are, UTF-8 or not.
        """
        return self.text.in_graph(self._tokens, ids)

    def table(self, texts):
        import tensorflow as tf

        text = self._normalized(texts)
        text, starts = self.words(text) if self.words else (text, text.starts)
        first = tf.where(starts)[:, 0]
        words = tf.RaggedTensor.from_row_starts(text.points, first, validate=False)
        begin = tf.gather(text.points, first)
        found = is_mark(begin)  # added tokens, which are words of one element
        texts, place = tf.unique(tf.where(found, "", tf.strings.unicode_encode(words, "UTF-8")))
        tokens = number_of(tf.boolean_mask(begin, found))
        tokens = tf.stack([tokens, tf.zeros_like(tokens), tf.ones_like(tokens)], 1)
        pieces = tf.concat([self._pieces(texts), tf.RaggedTensor.from_tensor(tokens[:, None])], 0)
        place = tf.where(found, tf.size(texts) - 1 + tf.cumsum(tf.cast(found, tf.int32)), place)
        return _table(text, first, tf.gather(pieces, place))

    def _normalized(self, texts) -> AlignedText:
        """The texts normalized, with added tokens marked."""
        as_they_are, normalized = self._added_tokens
        text = AlignedText.of(texts).with_tokens(as_they_are)
        for step in self.normalizers:
            text = step(text)
        return text.with_tokens(normalized)

    def _pieces(self, texts):
        """Returns the pieces of words, strings `(W,)`, ragged: their ids, and where in the word they begin and end."""
        import tensorflow as tf

        words = tf.strings.unicode_decode(texts, "UTF-8")
        pieces = self._model(words)
        if self.byte_fallback:
            pieces = pieces.spelled(words.values, self._byte_ids)
        rows = tf.gather(words.value_rowids(), pieces.begins)
        start = tf.cast(tf.gather(words.row_starts(), rows), tf.int32)
        ids = tf.where(pieces.ids == UNKNOWN, self._unknown, pieces.ids)
        table = tf.stack([ids, pieces.begins - start, pieces.ends - start], 1)
        return tf.RaggedTensor.from_value_rowids(table, rows, words.nrows(), validate=False)

    # === The vocabulary ===

    def _byte_id(self, byte: int) -> int:
        """The id of a byte's piece; Gemma has a piece of the character itself in place of the tab's."""
        piece, character = byte_piece(byte), chr(byte)
        alone = byte < 128 and piece not in self._ids and character in self._ids
        return self._id(character if alone else piece, "`byte_fallback`")

    @cached_property
    def _model(self) -> Unigram | CharacterBPE:
        if self.scores is not None:
            return Unigram(self.vocab, self.scores, self._unknown)
        return CharacterBPE(self.vocab, self.merges or (), fused=self.fuse_unk and not self.byte_fallback)

    def normalized_content(self, content):
        peer = peer_of(self.normalizers)
        return peer.normalize_str(content) if peer else content


def _table(text: AlignedText, first, pieces):
    """Ids, words and offsets of the pieces of words that begin at `first`."""
    import tensorflow as tf

    word = pieces.value_rowids()
    ids, begins, ends = tf.unstack(tf.cast(pieces.values, tf.int64), axis=1)
    start = tf.gather(first, word)
    rows = tf.gather(text.rows, start)
    number = word - tf.gather(word, tf.searchsorted(rows, rows))
    begins, ends = tf.gather(text.begins, start + begins), tf.gather(text.ends, start + ends - 1)
    table = [tf.cast(ids, tf.int32), tf.cast(number, tf.int32), begins, ends]
    return tf.RaggedTensor.from_value_rowids(tf.stack(table, 1), rows, text.count, validate=False)
