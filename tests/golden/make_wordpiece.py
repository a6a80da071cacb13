"""Makes tests/golden/wordpiece: small tokenizers, and what Transformers' fast BERT tokenizer gives for hard strings.

    python tests/golden/make_wordpiece.py

needs Transformers 5.23, and writes beside itself. The strings are those of make_tokenizers.py and a few more.
"""

import json
import shutil
from pathlib import Path
from pydoc_data.topics import topics

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import AddedToken, BertTokenizerFast

GOLDEN = Path(__file__).parent
DIRECTORY = GOLDEN / "wordpiece"
TEXT = "\n".join(topics[name] for name in sorted(topics))
FOREIGN = "naïve café Ünïcödé Straße 汉字かなカナ 한글 Привет мир שלום עולם مرحبا नमस्ते 😀👩‍👩‍👧 — “quoted” … " * 9
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

STRINGS = [
    *("the [MASK] of [SEP] [CLS]", "[mask]", "[MASK", "[MASK][MASK]", "a[MASK]b", "## ##a the##", "[UNK][PAD]"),
    *("a" * 100, "a" * 101, "é" * 101, "e\u0301" * 100, "a" * 99 + "☃", "x☃y", "한국어 \u1112\u1161\u11ab", "字字a字"),
    *("ΌΣΟΣ Σ", "ǰ ΐ ﬃ İi", "don't do not can't", "a , b . c ! d ? ' e ' n't 's", "New York 字a New 字A york", "½™①"),
]
PAIRS = [
    ("", ""),
    ("the module", ""),
    ("", "the module"),
    ("one two three four five six", "seven eight nine"),
    ("a b", "c d"),
    ("", "one two three four five six seven"),
    ("one two three four five six seven", ""),
]
TRUNCATED = [("longest_first", length) for length in (5, 8, 11, 17)] + [("only_first", 17), ("only_second", 23)]
LONG = [("what is a module", TEXT[:701]), ("where", TEXT[1009:1031]), ("how", TEXT[2003:2600])]
WINDOWS = {"truncation": "only_second", "max_length": 41, "stride": 13}


def vocabulary(lowercase: bool) -> dict[str, int]:
    peer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    peer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    peer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=701, special_tokens=SPECIAL, show_progress=False)
    peer.train_from_iterator([TEXT, FOREIGN], trainer)
    return peer.get_vocab()


def save_plain(directory: Path, vocab: dict[str, int], config: dict) -> None:
    directory.mkdir(parents=True)
    (directory / "vocab.txt").write_text("\n".join(sorted(vocab, key=vocab.__getitem__)) + "\n")
    (directory / "tokenizer_config.json").write_text(json.dumps(config) + "\n")


def extended(directory: Path) -> None:
    """With accents, Chinese characters in words, added tokens of both kinds, and a length; as `tokenizer.json`."""
    options = {"strip_accents": False, "tokenize_chinese_chars": False, "model_max_length": 97}
    peer = BertTokenizerFast.from_pretrained(DIRECTORY / "uncased", **options)
    peer.add_tokens(["New York", AddedToken("字a", normalized=True), AddedToken("module", normalized=False)])
    peer.save_pretrained(directory)


def outputs(peer, strings: list[str]) -> dict:
    rows = [peer(text, return_offsets_mapping=True) for text in strings]
    pairs = [(*pair, truncation, length) for pair in [*PAIRS, *LONG[:2]] for truncation, length in TRUNCATED]
    windows = peer(*zip(*LONG, strict=True), **WINDOWS, return_overflowing_tokens=True, return_offsets_mapping=True)
    return {
        "ids": [row["input_ids"] for row in rows],
        "offsets": [row["offset_mapping"] for row in rows],
        "words": [[-1 if word is None else word for word in row.word_ids()] for row in rows],
        "texts": [peer.decode(row["input_ids"]) for row in rows],
        "bare": [peer.decode(row["input_ids"], skip_special_tokens=True) for row in rows],
        "pairs": [[pair, cut(peer, *pair)] for pair in pairs],
        "windows": {name: windows[name] for name in ("input_ids", "token_type_ids", "offset_mapping")},
        "samples": windows["overflow_to_sample_mapping"],
    }


def cut(peer, first: str, second: str, truncation: str, length: int) -> list[list[int]]:
    """Ids and types of a pair; nothing where the text that is not cut leaves no room."""
    try:
        rows = peer([first], [second], truncation=truncation, max_length=length)  # alone, "" would be no text
    except Exception as error:  # it has no other class
        assert "too short" in str(error), error
        return []
    return [rows["input_ids"][0], rows["token_type_ids"][0]]


def main() -> None:
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    save_plain(DIRECTORY / "uncased", vocabulary(True), {"do_lower_case": True})
    save_plain(DIRECTORY / "cased", vocabulary(False), {"do_lower_case": False, "tokenizer_class": "BertTokenizer"})
    extended(DIRECTORY / "added")
    strings = [*json.loads((GOLDEN / "tokenizers" / "expected.json").read_text())["strings"], *STRINGS]
    expected = {"strings": strings, "long": LONG}
    for name in ("uncased", "cased", "added"):
        expected[name] = outputs(BertTokenizerFast.from_pretrained(DIRECTORY / name), strings)
    (DIRECTORY / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
