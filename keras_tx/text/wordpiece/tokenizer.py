"""WordPiece, BERT's tokenizer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from keras_tx.text.core.aligned_tokenizer import AlignedTokenizer
from keras_tx.text.core.template import BERT, Template
from keras_tx.text.graph.aligned import AlignedText
from keras_tx.text.graph.clean_up import cleaned, cleaned_in_graph
from keras_tx.text.graph.longest_match import PREFIX, LongestMatch
from keras_tx.text.graph.splitting import bert_normalize, bert_starts
from keras_tx.text.graph.unicode import BertNormalization
from keras_tx.text.wordpiece import files as wordpiece_files

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class WordPieceTokenizer(AlignedTokenizer):
    """BERT's tokenizer, which gives what Transformers' fast one gives: ids, token types, offsets and words.

    A text is normalized, split at whitespace, punctuation and Chinese characters, and each word is taken apart into
    the longest pieces of the vocabulary from left to right. It is read from `tokenizer.json` or `vocab.txt`, and what
    Transformers writes beside them. Bytes that are not UTF-8 go, as U+FFFD does. The one known
    difference: marks too new for the library's table of accents stay in the order in which they stand in the text.

    Source: Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", 2019.

    Args:
        vocab: ids of pieces; those that continue a word begin with `##`. Without gaps, those of `added_tokens`
            included.
        unk_token: stands for a word that is not made of pieces.
        max_input_chars_per_word: a longer word is unknown.
        clean_text, handle_chinese_chars, strip_accents, lowercase, nfkc: as of `BertNormalization`.
        clean_up: whether more blanks go from texts that are shown, as `clean_up_tokenization_spaces` says: those around
            an apostrophe.
        **options: `added_tokens` and `special_tokens`, as of `VocabularyTokenizer`; `template`, `model_max_length`,
            `padding_side`, `truncation_side` and `model_input_names`, as of `Tokenizer`.

    Raises:
        ValueError: if ids repeat or leave gaps, or a role names what is no token.
    """

    model_input_names: tuple[str, ...] = ("input_ids", "token_type_ids", "attention_mask")

    def __init__(
        self,
        vocab: Mapping[str, int],
        *,
        unk_token: str = "[UNK]",
        max_input_chars_per_word: int = 100,
        clean_text: bool = True,
        handle_chinese_chars: bool = True,
        strip_accents: bool | None = None,
        lowercase: bool = True,
        nfkc: bool = False,
        clean_up: bool = False,
        **options: Any,
    ):
        super().__init__(vocab, **options)
        self.unk_token, self.max_input_chars_per_word = unk_token, max_input_chars_per_word
        self.normalization = BertNormalization(clean_text, handle_chinese_chars, strip_accents, lowercase, nfkc)
        self.clean_up = clean_up
        self._match = LongestMatch(self.vocab, self._id(unk_token, "`unk_token`"), max_input_chars_per_word)

    @classmethod
    def from_directory(cls, directory):
        return cls(**wordpiece_files.read(directory))

    def save_pretrained(self, directory: str | Path) -> None:
        """Writes the files that Transformers reads and writes; others in the directory stay."""
        wordpiece_files.write(self, Path(directory))

    @classmethod
    def train(
        cls,
        texts: Iterable[str | Path],
        vocab_size: int,
        *,
        min_frequency: int = 2,
        lowercase: bool = True,
        **options: Any,
    ) -> Self:
        """Learns a vocabulary with the `tokenizers` library.

        Args:
            texts: strings; paths are of files of text.
            vocab_size: how many tokens at most, characters and the five special tokens included.
            min_frequency: how often a pair must occur to become a piece.
            lowercase: as of the class.
            **options: as of the class.
        """
        from tokenizers import Tokenizer as Peer
        from tokenizers import models, normalizers, pre_tokenizers, trainers

        peer = Peer(models.WordPiece(unk_token="[UNK]"))
        peer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
        peer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(
            vocab_size=vocab_size,
            min_frequency=min_frequency,
            special_tokens=list(SPECIAL_TOKENS),
            show_progress=False,
        )
        peer.train_from_iterator(
            (text.read_text(encoding="utf-8") if isinstance(text, Path) else text for text in texts), trainer
        )
        trained = wordpiece_files.parse(json.loads(peer.to_str()))
        vocab, roles = trained["vocab"], {f"{token[1:-1].lower()}_token": token for token in SPECIAL_TOKENS}
        return cls(
            vocab,
            lowercase=lowercase,
            **{
                "added_tokens": trained["added_tokens"],
                "special_tokens": roles,
                "template": Template.parse(*BERT, vocab),
                **options,
            },
        )

    # === Python ===

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """The text of ids: words with blanks between them, but for those before punctuation marks.

        Raises:
            ValueError: if an id is not the vocabulary's.
        """
        ids = self._shown(ids, skip_special_tokens)
        first, others = self._pieces
        text = "".join([*(first[i] for i in ids[:1]), *(others[i] for i in ids[1:])])
        return cleaned(text) if self.clean_up else text

    # === TensorFlow ===

    def detokenize(self, ids):
        """The texts of ids, `(B, T)` or ragged, as `decode`'s: a TensorFlow string tensor `(B,)`."""
        import tensorflow as tf

        first, others = map(tf.constant, self._pieces)
        pieces = [tf.gather(first, ids[:, :1]), tf.gather(others, ids[:, 1:])]
        texts = tf.strings.reduce_join(tf.concat(pieces, 1), axis=-1)
        return cleaned_in_graph(texts) if self.clean_up else texts

    def table(self, texts):
        import tensorflow as tf

        text = self._normalized(texts)
        starts, blank = bert_starts(text.ragged)
        ids, places, ends = self._match(text.points, starts)
        word = tf.cumsum(tf.cast(starts & ~blank, tf.int32)) - 1
        solid = ~tf.gather(blank, places)
        ids, places, ends = (tf.boolean_mask(x, solid) for x in (ids, places, ends))

        rows = tf.gather(text.rows, places)
        word = tf.gather(word, places)
        first = tf.gather(word, tf.searchsorted(rows, rows))  # of the text
        table = [ids, word - first, tf.gather(text.begins, places), tf.gather(text.ends, ends - 1)]
        return tf.RaggedTensor.from_value_rowids(tf.stack(table, 1), rows, text.count, validate=False)

    def _normalized(self, texts) -> AlignedText:
        """The texts normalized, with added tokens marked."""
        as_they_are, normalized = self._added_tokens
        text = AlignedText.of(texts).with_tokens(as_they_are)
        became = bert_normalize(text.ragged, self.normalization).values  # of each element, ragged
        return text.at(became.value_rowids(), became.flat_values).with_tokens(normalized)

    def normalized_content(self, content):
        return self.normalization(content)

    # === The vocabulary ===

    @cached_property
    def _pieces(self) -> tuple[list[str], list[str]]:
        """The text of each token at the beginning of a text, and elsewhere."""
        normalized = {token.id: token.content for token in self._added_tokens[1]}
        tokens = [normalized.get(i, token) for i, token in enumerate(self._tokens)]
        others = [token.removeprefix(PREFIX) if token.startswith(PREFIX) else f" {token}" for token in tokens]
        return [_cleaned(token) for token in tokens], [_cleaned(token) for token in others]


def _cleaned(piece: str) -> str:
    """A token without the blanks that do not belong before it."""
    for before in (" .", " ?", " !", " ,", " n't", " 'm", " 's", " 've", " 're"):
        piece = piece.replace(before, before[1:])
    return piece.replace(" ' ", "'").replace(" do not", " don't")
