"""Makes tests/golden/tokenizers: small tokenizers and the ids that Transformers' fast tokenizers give for hard strings.

    python tests/golden/make_tokenizers.py

needs Transformers 4.57 (its fast tokenizers of GPT-2 and GPT-1) and writes beside itself.
"""
# ruff: noqa: RUF001

import json
import random
import shutil
import tempfile
from pathlib import Path
from pydoc_data.topics import topics

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import GPT2TokenizerFast, OpenAIGPTTokenizerFast

DIRECTORY = Path(__file__).parent / "tokenizers"
TEXT = "\n".join(topics[name] for name in sorted(topics))
FOREIGN = "naïve café Ünïcödé Straße 汉字かなカナ 한글 Привет мир שלום עולם مرحبا नमस्ते 😀👩‍👩‍👧 — “quoted” … " * 9

STRINGS = [
    *("", " ", "  ", "\n", "\t", "\r\n", "\u3000", "\u00a0", "\x85", "\u2028", "\ufeff", "\u200b", "\x00", "\x1c\x1d"),
    *("Hello, world!", " Hello", "Hello ", "  Hello  world  ", "a\n\n\nb", "a \n b", "a\t \tb", "end   ", "   begin"),
    *("it's we're I've I'm they'll he'd don't", "IT'S WE'RE", "'s", "''s", "'s's", " 's", "\n's", "x's1's", "'sabc"),
    *("'re're've", "'l", "'ll", "'r", "'v'e", "rock'n'roll", "\u2019s", "! 's", "!'s", "1's", "'\u017f", "'ſ's"),
    *("3.14159 2,718 1e-9", "x2 y³ ½ Ⅷ ٣٤ १२", "a1b2c3", "#$%^&*()", "...!?!?", "<|endoftext|>", "a<|endoftext|>b"),
    *(" <|endoftext|> ", "<|endoftext|><|endoftext|>", "<|endoftext|", "<|<|endoftext|>", "<|ENDOFTEXT|>"),
    *("<pad>", "a <mask> b", "  <mask>\n\tb", "<unk> <UNK>", "a<unk>b", "New York City", "New York", "new york city"),
    *(
        "café cafe\u0301 CAFÉ",
        "e\u0301\u0302\u0303",
        "\u0301a",
        "ñ n\u0303",
        "Å Å Å",
        "ﬁ ﬀ ß ẞ",
        "İstanbul ıI",
        "Σίσυφος",
    ),
    *("ǅ ǆ Ǆ", "Ω Ω", "汉字", "漢字かな交じり文", "豈更車", "한글 한글", "中文,标点。", "ไทย", "नमस्ते दुनिया", "ខ្មែរ"),
    *(
        "שלום, עולם!",
        "مرحبا بالعالم ١٢٣",
        "\u202eabc\u202c",
        "\u200fא\u200e",
        "😀",
        "😀😃 x😀",
        "👩‍👩‍👧‍👦",
        "👍🏽",
        "🇺🇦🇯🇵",
        "1️⃣",
        "☃︎",
    ),
    *(
        "\U00010400\U00010428",
        "𝔘𝔫𝔦",
        "\U0001d7d8",
        "\uffff\ufffe",
        "\U0010ffff",
        "\ue000",
        "\ufffd",
        "a\ufffdb",
        "\u180e",
    ),
    *("def f(x):\n    return x + 1\n", "\tif a:\r\n\t\tb = 'c'\r\n", "// comment\n/* */", '<p class="x">&nbsp;</p>'),
    *('{"a": [1, 2.5, null]}', "https://a.b/c?d=e&f#g", "user@example.com", "C:\\dir\\file", "a_b-c.d", "$HOME/${x}"),
    *(
        "a" * 50,
        " " * 33,
        "\n" * 9,
        "-" * 77,
        "=" * 40 + "\n",
        "ab" * 30,
        "汉" * 20,
        "é" * 20,
        "😀" * 9,
        "0123456789" * 5,
    ),
    *("antidisestablishmentarianism", "supercalifragilistic", "QWERTY", "camelCaseWord", "PascalCaseWord"),
]


def fuzz(count: int) -> list[str]:
    """Strings drawn from pieces that meet at awkward places."""
    draw = random.Random(11)
    pieces = [
        *" ",
        " ",
        "  ",
        "\t",
        "\n",
        "\u00a0",
        "\u3000",
        "\u2009",
        "'",
        "'s",
        "'re",
        "'ll",
        "'d",
        "a",
        "B",
        "the",
        "é",
        "e\u0301",
    ]
    pieces += [
        "1",
        "²",
        "٣",
        "字",
        "か",
        "한",
        "😀",
        "\u200d",
        "!",
        "?!",
        "…",
        "\u0301",
        "\x00",
        "\x1f",
        "\x85",
        "\ufffd",
        "\uffff",
        "א",
        "ب",
    ]
    pieces += [
        "<|endoftext|>",
        "<|endo",
        "<mask>",
        "<unk>",
        "İ",
        "ẞ",
        "豈",
        "\u180e",
        "\u2028",
        "module",
        "New York",
        "_",
        "-",
        ".",
        "०",
    ]
    return ["".join(draw.choices(pieces, k=draw.randrange(2, 14))) for _ in range(count)]


def train(peer: Tokenizer, size: int, **options) -> Path:
    """`vocab.json` and `merges.txt` of a small vocabulary, in a directory of their own."""
    peer.train_from_iterator([TEXT, FOREIGN], trainers.BpeTrainer(vocab_size=size, show_progress=False, **options))
    directory = Path(tempfile.mkdtemp())
    peer.model.save(str(directory))
    return directory


def gpt2() -> Path:
    peer = Tokenizer(models.BPE())
    peer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return train(peer, 701, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"])


def gpt1() -> Path:
    peer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    peer.normalizer = normalizers.BertNormalizer(lowercase=True)
    peer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return train(peer, 601, special_tokens=["<unk>"], end_of_word_suffix="</w>")


def extended(directory: Path):
    """GPT-2's, with a space put before texts, and added tokens that strip, overlap and are not special."""
    peer = GPT2TokenizerFast.from_pretrained(directory, add_prefix_space=True, model_max_length=97, padding_side="left")
    peer.add_special_tokens({"pad_token": "<pad>", "mask_token": AddedToken("<mask>", lstrip=True, rstrip=True)})
    peer.add_tokens(["New York", "York City", "New York City Hall"])
    return peer


def main() -> None:
    plain2, plain1 = gpt2(), gpt1()
    peers = {
        "gpt2": GPT2TokenizerFast.from_pretrained(plain2),
        "gpt2_added": extended(plain2),
        "gpt1": OpenAIGPTTokenizerFast.from_pretrained(plain1),
    }
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    strings = [*STRINGS, *fuzz(120)]
    expected = {"strings": strings}
    for name, peer in peers.items():
        rows = [peer.encode(text) for text in strings]
        texts = [peer.decode(row, clean_up_tokenization_spaces=False) for row in rows]
        expected[name] = {"ids": rows, "texts": texts}
        if name == "gpt2_added":
            peer.save_pretrained(DIRECTORY / name)
        else:
            (DIRECTORY / name).mkdir(parents=True)
            for file in ("vocab.json", "merges.txt"):
                shutil.copy({"gpt2": plain2, "gpt1": plain1}[name] / file, DIRECTORY / name / file)
    (DIRECTORY / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
