"""Makes tests/golden/tokenizer_classes: vocabularies by themselves, and what Transformers' classes make of them.

    python tests/golden/make_tokenizer_classes.py

needs tokenizers, sentencepiece and protobuf, and writes beside itself. It is run with Transformers 4.57.1, then with
5.23, which answers for the classes of SentencePiece and of bytes.
"""

import io
import json
import shutil
import tempfile
from pathlib import Path
from pydoc_data.topics import topics

import sentencepiece
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, __version__

DIRECTORY = Path(__file__).parent / "tokenizer_classes"
TEXT = "\n".join(topics[name] for name in sorted(topics))[:60_000]
FOREIGN = "naïve café Straße 汉字かな Привет мир 😀 — “quoted” … 12 345\n" * 5
LINES = [line for line in (TEXT + FOREIGN).split("\n") if line.strip()]

STRINGS = [
    *("", " ", "Hello, world!", "  Hello  world  ", "it's the module", "a<mask> b", "<s>a</s><pad>", "[CLS] a [MASK]b"),
    *(
        "café cafe\u0301 CAFÉ",
        "12 345 x2",
        "汉字かな 한",
        "😀 x",
        "``quoted'' text",
        "def f(x):\n    return x\n",
        "İ ﬁ",
    ),
    *("the value\nof the\tclass", "<extra_id_0> a <extra_id_99>", "don ' t , no .", "a</s>b", "the<mask>"),
]
PAIRS = [("a b", "c"), ("Hello world", "it's the module"), ("", "x"), ("the class", "")]
ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

_LLAMA = {"tokenizer_class": "LlamaTokenizer", "add_bos_token": False, "add_eos_token": False, "legacy": False}
CASES = {  # the vocabulary, config.json, tokenizer_config.json
    "roberta": ("fairseq", {"model_type": "roberta"}, None),
    "codet5": ("fairseq", {"model_type": "t5", "tokenizer_class": "RobertaTokenizer"}, None),
    "bart": ("fairseq", {"model_type": "bart"}, None),
    "longformer": ("fairseq", {}, {"tokenizer_class": "LongformerTokenizer"}),
    "opt": (
        "fairseq",
        {"model_type": "opt"},
        {"add_bos_token": True, "tokenizer_class": "GPT2Tokenizer", "pad_token": "<pad>"}
        | dict.fromkeys(("bos_token", "eos_token", "unk_token"), "</s>"),
    ),
    "deberta": ("deberta", {"model_type": "deberta"}, None),
    "electra": ("bert", {"model_type": "electra"}, None),
    "distilbert": ("bert", {"model_type": "distilbert"}, None),
    "bert_shown": ("bert", {"model_type": "bert"}, {"clean_up_tokenization_spaces": True, "do_lower_case": False}),
    "mpnet": ("mpnet", {"model_type": "mpnet"}, None),
    "xlm_roberta": ("xlm_roberta", {"model_type": "xlm-roberta"}, None),
    "camembert": ("xlm_roberta", {"model_type": "camembert"}, None),
    "albert": ("albert", {"model_type": "albert"}, None),
    "llama": ("llama", {"model_type": "llama"}, _LLAMA | {"add_bos_token": True}),
    "llama_ends": ("llama", {"model_type": "llama"}, _LLAMA | {"add_eos_token": True}),
    "byt5": (None, {"model_type": "t5", "tokenizer_class": "ByT5Tokenizer"}, None),
}
VERSION_5 = ("xlm_roberta", "camembert", "albert", "llama", "llama_ends", "byt5")
SLOW = ("opt", "byt5")  # the fast one puts no token before the second text; there is none


def byte_level(name: str, special: list[str], last: list[str]) -> None:
    peer = Tokenizer(models.BPE())
    peer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    options = {"vocab_size": 331, "initial_alphabet": alphabet, "special_tokens": special, "show_progress": False}
    peer.train_from_iterator(LINES, trainers.BpeTrainer(**options))
    (DIRECTORY / name).mkdir()
    peer.model.save(str(DIRECTORY / name))
    path = DIRECTORY / name / "vocab.json"
    vocab = json.loads(path.read_text())
    path.write_text(json.dumps({**vocab, **{token: len(vocab) + i for i, token in enumerate(last)}}))


def wordpiece(name: str, special: list[str]) -> None:
    peer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    peer.normalizer, peer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    options = {"vocab_size": 211, "special_tokens": special, "show_progress": False}
    peer.train_from_iterator(LINES, trainers.WordPieceTrainer(**options))
    (DIRECTORY / name).mkdir()
    peer.model.save(str(DIRECTORY / name))


def model(name: str, file: str, **options) -> None:
    given = {"vocab_size": 211, "character_coverage": 1.0, "hard_vocab_limit": False, "minloglevel": 2}
    data = io.BytesIO()
    given |= {"normalization_rule_name": "identity", "sentence_iterator": iter(LINES), "model_writer": data}
    sentencepiece.SentencePieceTrainer.train(**{**given, **options})
    (DIRECTORY / name).mkdir()
    (DIRECTORY / name / file).write_bytes(data.getvalue())


def expected(name: str) -> dict:
    base, config, settings = CASES[name]
    with tempfile.TemporaryDirectory() as directory:
        if base:
            shutil.copytree(DIRECTORY / base, directory, dirs_exist_ok=True)
        for file, content in (("config.json", config), ("tokenizer_config.json", settings)):
            if content is not None:
                Path(directory, file).write_text(json.dumps(content))
        peer = AutoTokenizer.from_pretrained(directory, use_fast=name not in SLOW)
        shown = {"clean_up_tokenization_spaces": (settings or {}).get("clean_up_tokenization_spaces", False)}
        ids = [peer(text)["input_ids"] for text in STRINGS]
        types = {"return_token_type_ids": True} if name == "albert" else {}
        pairs = [peer([first], [second], **types) for first, second in PAIRS]
        return {
            **{"base": base, "config": config, "settings": settings, "ids": ids},
            "pairs": [pair["input_ids"][0] for pair in pairs],
            "types": [pair["token_type_ids"][0] for pair in pairs] if "token_type_ids" in pairs[0] else None,
            "texts": [peer.decode(row, **shown) for row in ids],
            "bare": [peer.decode(row, skip_special_tokens=True, **shown) for row in ids],
            "roles": {role: getattr(peer, f"{role}_id") for role in ROLES if getattr(peer, f"{role}_id") is not None},
            "padding_side": peer.padding_side,
        }


def vocabularies() -> None:
    byte_level("fairseq", ["<s>", "<pad>", "</s>", "<unk>"], ["<mask>"])
    byte_level("deberta", ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"], [])
    wordpiece("bert", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    wordpiece("mpnet", ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"])
    model("xlm_roberta", "sentencepiece.bpe.model")
    ids = {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1}
    model("albert", "spiece.model", **ids, control_symbols=["[CLS]", "[SEP]"], user_defined_symbols=["[MASK]"])
    options = {"model_type": "bpe", "byte_fallback": True, "vocab_size": 401, "remove_extra_whitespaces": False}
    model("llama", "tokenizer.model", **options)


def main() -> None:
    path, first = DIRECTORY / "expected.json", __version__.startswith("4.")
    if first:
        shutil.rmtree(DIRECTORY, ignore_errors=True)
        DIRECTORY.mkdir()
        vocabularies()
    content = {"strings": STRINGS, "pairs": PAIRS, "classes": {}} if first else json.loads(path.read_text())
    for name in CASES:
        if first != (name in VERSION_5):
            content["classes"][name] = expected(name)
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
