"""Makes tests/golden/sentencepiece: small tokenizers, and what Transformers' fast ones give for hard strings.

    python tests/golden/make_sentencepiece.py

needs Transformers 5.23 and sentencepiece, and writes beside itself. The strings are those of make_tokenizers.py and a
few more.
"""
# ruff: noqa: RUF001

import io
import json
import shutil
import tempfile
from pathlib import Path
from pydoc_data.topics import topics

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

GOLDEN = Path(__file__).parent
DIRECTORY = GOLDEN / "sentencepiece"
TEXT = "\n".join(topics[name] for name in sorted(topics))
FOREIGN = "naïve café Ünïcödé Straße 汉字かなカナ 한글 Привет мир שלום עולם مرحبا नमस्ते 😀👩‍👩‍👧 — “quoted” … " * 9
T5 = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
SENTINELS = 7

RULES = {
    **dict.fromkeys("\t\n\r\u00a0\u3000", " "),
    **{"ﬁ": "fi", "①": "1", "½": "1⁄2", "\u200b": "", "\x01": "", "e\u0301": "é", "A\u0302": "Â", "A\u0302\u0301": "Ấ"},
    **{
        "Ａ": "A",
        "㍿": "株式会社",
        "か\u3099": "が",
        "\u0600": "x",
        "\u1100\u1161": "가",
        "ß": "ss",
        "\u0301\u0301": "\u0301",
    },
}
"""Normalization rules that join, lengthen, shorten and remove, and some that begin as others do."""

STRINGS = [
    *(
        "<extra_id_0>",
        "a<extra_id_0>b",
        "a <extra_id_0> b",
        " <extra_id_0>",
        "<extra_id_0> ",
        "<extra_id_1><extra_id_0>",
    ),
    *(
        "<extra_id_0> <extra_id_1>",
        "<extra_id_6> the <extra_id_7>",
        "a</s>b",
        "</s>",
        "<pad> <unk>",
        "<unk>☃",
        "x\t<unk> y",
    ),
    *("▁", "▁▁", "a▁b", "a ▁ b", "▁the", " ▁the", "the▁ ", "☃☃ ☃", "☃the☃", "ﬁne", "ﬁ\u0301x", "\ufb01\u0301\u0301"),
    *(
        "e\u0301",
        "e\u0301\u0301",
        "A\u0302\u0301",
        "A\u0302\u0301\u0301",
        "①②",
        "½ cup",
        "\u200bthe",
        "the\u200b of\u200b\u200b",
    ),
    *(
        "\x01\x01the",
        "a\x01b",
        "ﬁ\x01b",
        "\u0600a",
        "\u0600\u0301",
        "㍿\u0301",
        "か\u3099",
        "\u1100\u1161\u11a8",
        "ß\u0301",
    ),
    *(
        "\r\n",
        "a\r\nb",
        "ＡＢＣ",
        "a\u0301\r\n\u0301",
        "<0x41>",
        "<0x0A> \n",
        "the <mask> of",
        "New York",
        "aaaa bbbbbbb",
    ),
    *("=" * 31, "a" * 103, "汉字" * 41, "12 345", "don't do not . , ? ! a ' b", "it 's we 're ."),
]
PAIRS = [("", ""), ("the module", ""), ("", "the"), ("one two three four five", "six seven eight"), ("a b", "c d")]


def rules_file() -> str:
    lines = [
        " ".join(f"{ord(c):X}" for c in of) + "\t" + " ".join(f"{ord(c):X}" for c in to) for of, to in RULES.items()
    ]
    path = Path(tempfile.mkdtemp()) / "rules.tsv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def train(size: int, **options) -> bytes:
    written = io.BytesIO()
    lines = [line for line in [*TEXT.split("\n"), *[FOREIGN] * 3] if line]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=written, vocab_size=size, minloglevel=2, num_threads=1, **options
    )
    return written.getvalue()


def save_model(name: str, data: bytes, config: dict) -> None:
    (DIRECTORY / name).mkdir(parents=True)
    (DIRECTORY / name / "spiece.model").write_bytes(data)
    (DIRECTORY / name / "tokenizer_config.json").write_text(json.dumps(config) + "\n")


def pieces_of(data: bytes) -> tuple[list[tuple[str, float]], bytes]:
    """The pieces of a model, and its normalization rules."""
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto.FromString(data)
    return [(piece.piece, piece.score) for piece in proto.pieces], proto.normalizer_spec.precompiled_charsmap


def template(ids: dict[str, int]) -> processors.TemplateProcessing:
    return processors.TemplateProcessing(["$A", "</s>"], ["$A", "</s>", "$B", "</s>"], [("</s>", ids["</s>"])])


def as_version_4_converts(data: bytes) -> PreTrainedTokenizerFast:
    """How a model was converted to `tokenizer.json`: blanks are counted, and stripped at the end."""
    pieces, charsmap = pieces_of(data)
    pieces += [(f"<extra_id_{i}>", 0.0) for i in reversed(range(SENTINELS))]
    peer = Tokenizer(models.Unigram(pieces, unk_id=2))
    steps = [normalizers.Precompiled(charsmap), normalizers.Strip(left=False), normalizers.Replace(Regex(" {2,}"), "▁")]
    peer.normalizer = normalizers.Sequence(steps)
    peer.pre_tokenizer, peer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    peer.post_processor = template({"</s>": 1})
    peer.add_special_tokens(["<pad>", "</s>", "<unk>", *(f"<extra_id_{i}>" for i in range(SENTINELS))])
    peer.add_tokens(["New York", AddedToken("module", normalized=True)])
    peer.add_special_tokens([AddedToken("<mask>", lstrip=True, rstrip=True)])
    roles = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=peer, clean_up_tokenization_spaces=True, **roles)


def with_bytes(data: bytes) -> PreTrainedTokenizerFast:
    """A unigram model that spells unknown characters, on whole texts, small letters."""
    pieces, _ = pieces_of(data)
    peer = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=True))
    peer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.Replace("``", '"'), normalizers.Lowercase()])
    peer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    peer.decoder = decoders.Sequence(steps)
    peer.add_special_tokens(["</s>", "<unk>"])
    return PreTrainedTokenizerFast(tokenizer_object=peer, eos_token="</s>", unk_token="<unk>")


def merging(data: bytes, *, spelled: bool) -> PreTrainedTokenizerFast:
    """A BPE model, as Llama's tokenizer is converted."""
    pieces, _ = pieces_of(data)
    vocab = {piece: i for i, (piece, _) in enumerate(pieces)}
    cuts = ((piece[:cut], piece[cut:]) for piece in vocab for cut in range(1, len(piece)))
    merges = [pair for pair in cuts if pair[0] in vocab and pair[1] in vocab]
    peer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=spelled))
    if spelled:
        peer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        peer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    steps = [decoders.ByteFallback()] * spelled
    peer.decoder = decoders.Sequence([decoders.Replace("▁", " "), *steps, decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    peer.add_special_tokens(["<unk>", "</s>"])
    return PreTrainedTokenizerFast(tokenizer_object=peer, eos_token="</s>", unk_token="<unk>")


def outputs(peer, strings: list[str]) -> dict:
    rows = [peer(text, return_offsets_mapping=True) for text in strings]
    return {
        "ids": [row["input_ids"] for row in rows],
        "offsets": [row["offset_mapping"] for row in rows],
        "words": [[-1 if word is None else word for word in row.word_ids()] for row in rows],
        "texts": [peer.decode(row["input_ids"]) for row in rows],
        "bare": [peer.decode(row["input_ids"], skip_special_tokens=True) for row in rows],
        "pairs": [peer([first], [second])["input_ids"][0] for first, second in PAIRS],  # alone, "" would be no text
    }


def main() -> None:
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    config = {"tokenizer_class": "T5Tokenizer", "extra_ids": SENTINELS, "model_max_length": 97}
    save_model("t5", train(601, **T5), config)
    small = train(601, normalization_rule_tsv=rules_file(), **T5)
    save_model(
        "rules", small, {**config, "extra_ids": 2, "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    )
    bytewise = {"byte_fallback": True, "character_coverage": 0.99}
    as_version_4_converts(small).save_pretrained(DIRECTORY / "version_4")
    with_bytes(train(701, normalization_rule_name="identity", **bytewise, **T5)).save_pretrained(DIRECTORY / "bytes")
    bpe = {"model_type": "bpe", "normalization_rule_name": "identity"}
    merging(train(701, **bpe, **bytewise), spelled=True).save_pretrained(DIRECTORY / "bpe_bytes")
    merging(train(601, **bpe), spelled=False).save_pretrained(DIRECTORY / "bpe")

    strings = [*json.loads((GOLDEN / "tokenizers" / "expected.json").read_text())["strings"], *STRINGS]
    expected = {"strings": strings, "asked": PAIRS}
    for name in ("t5", "rules", "version_4", "bytes", "bpe", "bpe_bytes"):
        expected[name] = outputs(AutoTokenizer.from_pretrained(DIRECTORY / name), strings)
    (DIRECTORY / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
