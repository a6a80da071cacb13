"""Special tokens around texts and pairs: read and written as files say them, and put there as the library puts them."""

import itertools
import json
import random

import numpy as np
import pytest
import tensorflow as tf
import tokenizers
from tokenizer_helpers import PIECES
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors, trainers

from keras_tx.text import BPETokenizer, SentencePieceTokenizer, Template, Tokenizer, WordPieceTokenizer, load_tokenizer
from keras_tx.text.core.post_processor import read_template, write_template
from keras_tx.text.core.template import BOS, ROBERTA, Piece

LINES = ["The module of the New York City.", "It's naïve — the old baker's 12 cats", "a b c d e f g h i j k"] * 3
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
ROLES = {
    **{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>"},
    **{"pad_token": "<pad>", "cls_token": "<s>", "mask_token": "<mask>"},
}
AROUND = ("</s>", 2), ("<s>", 0)
TEMPLATES = {
    "roberta": lambda: processors.RobertaProcessing(*AROUND, add_prefix_space=False),
    "bert": lambda: processors.BertProcessing(*AROUND),
    "none": lambda: processors.ByteLevel(trim_offsets=False),
    "llama": lambda: processors.TemplateProcessing(single=BOS[0], pair=BOS[1], special_tokens=[("<s>", 0)]),
    "odd": lambda: processors.TemplateProcessing(
        single="</s> </s>:1 $A:1 <s>", pair="<s>:1 $B:1 </s> $A <s>:1 <s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    ),
    "sequence": lambda: processors.Sequence([processors.ByteLevel(), processors.RobertaProcessing(*AROUND)]),
}


def train(peer: tokenizers.Tokenizer, trainer, template: str) -> tokenizers.Tokenizer:
    peer.train_from_iterator(LINES, trainer)
    peer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    peer.post_processor = TEMPLATES[template]()
    return peer


def byte_level_bpe(template: str, add_prefix_space: bool = False) -> tokenizers.Tokenizer:
    peer = tokenizers.Tokenizer(models.BPE())
    peer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    options = {"vocab_size": 331, "special_tokens": SPECIAL, "initial_alphabet": alphabet, "show_progress": False}
    return train(peer, trainers.BpeTrainer(**options), template)


def wordpiece(template: str) -> tokenizers.Tokenizer:
    peer = tokenizers.Tokenizer(models.WordPiece(unk_token="<unk>"))
    peer.normalizer, peer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    options = {"vocab_size": 131, "special_tokens": SPECIAL, "show_progress": False}
    return train(peer, trainers.WordPieceTrainer(**options), template)


def sentencepiece(template: str) -> tokenizers.Tokenizer:
    peer = tokenizers.Tokenizer(models.Unigram())
    peer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    peer.decoder = decoders.Metaspace()
    options = {"vocab_size": 97, "special_tokens": SPECIAL, "unk_token": "<unk>", "show_progress": False}
    return train(peer, trainers.UnigramTrainer(**options), template)


KINDS = {BPETokenizer: byte_level_bpe, WordPieceTokenizer: wordpiece, SentencePieceTokenizer: sentencepiece}
NAMES = ("input_ids", "token_type_ids", "attention_mask")


def saved(peer: tokenizers.Tokenizer, directory, **config):
    """The directory of a tokenizer, as Transformers writes one."""
    peer.save(str(directory / "tokenizer.json"))
    config = {**ROLES, "model_input_names": NAMES, "model_max_length": 20, **config}
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    return directory


def texts(count: int, seed: int = 3) -> list[str]:
    draw = random.Random(seed)
    pieces = [*PIECES, *LINES[:3], *SPECIAL, " <mask>", "b ", "the "]
    return ["".join(draw.choices(pieces, k=draw.randrange(0, 11))) for _ in range(count)]


def assert_rows(batch: dict, expected: list[tokenizers.Encoding], names=NAMES) -> None:
    """The library pads where it is told to; here its rows are compared without."""
    assert set(names) <= batch.keys()
    masks = np.array(batch["attention_mask"])
    for i, (mask, row) in enumerate(zip(masks, expected, strict=True)):
        assert np.array(batch["input_ids"])[i, mask == 1].tolist() == row.ids, i
        if "token_type_ids" in names:
            assert np.array(batch["token_type_ids"])[i, mask == 1].tolist() == row.type_ids, i


@pytest.mark.parametrize(
    "template", [pytest.param(name, marks=[pytest.mark.slow] if name == "none" else []) for name in TEMPLATES]
)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_library_puts_the_same_there(kind, template, tmp_path):
    """Singles and pairs, with special tokens and without, of strings and of tensors; written and read again, too."""
    peer = KINDS[kind](template)
    tokenizer = load_tokenizer(saved(peer, tmp_path))
    assert isinstance(tokenizer, kind)
    tokenizer.save_pretrained(tmp_path / "again")
    again = tokenizers.Tokenizer.from_file(str(tmp_path / "again" / "tokenizer.json"))
    firsts, seconds = texts(60), texts(60, seed=4)
    for given, special in itertools.product([(firsts,), (firsts, seconds)], [True, False]):
        expected = peer.encode_batch(
            [*zip(*given, strict=True)] if len(given) == 2 else firsts, add_special_tokens=special
        )
        assert_rows(tokenizer(*given, add_special_tokens=special), expected)
        assert_rows(tokenizer(*map(tf.constant, given), add_special_tokens=special), expected)
        if special and template != "sequence":
            written = again.encode_batch([*zip(*given, strict=True)] if len(given) == 2 else firsts)
            assert [row.ids for row in written] == [row.ids for row in expected]
            assert [row.type_ids for row in written] == [row.type_ids for row in expected]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("truncation", ["longest_first", "only_first", "only_second"])
@pytest.mark.parametrize("template", ["roberta", pytest.param("odd", marks=pytest.mark.slow)])
def test_truncated_pairs(template, truncation, side, tmp_path):
    peer = byte_level_bpe(template)
    tokenizer = load_tokenizer(saved(peer, tmp_path))
    rows = [*zip(texts(80), texts(80, seed=4), strict=True)]
    lengths = [[len(peer.encode(text, add_special_tokens=False).ids) for text in row] for row in rows]
    room = 17 - tokenizer.template.special_tokens(2)
    other = {"only_first": 1, "only_second": 0}.get(truncation)
    rows = [row for row, of_row in zip(rows, lengths, strict=True) if other is None or of_row[other] < room]
    peer.enable_truncation(17, strategy=truncation, direction=side)
    options = {"truncation": truncation, "truncation_side": side, "max_length": 17}
    firsts, seconds = map(list, zip(*rows, strict=True))
    assert_rows(tokenizer(firsts, seconds, **options), peer.encode_batch(rows))
    assert_rows(tokenizer(tf.constant(firsts), tf.constant(seconds), **options), peer.encode_batch(rows))
    peer.enable_truncation(17, direction=side)
    assert_rows(tokenizer(firsts, truncation=True, truncation_side=side, max_length=17), peer.encode_batch(firsts))


@pytest.mark.parametrize("template", ["roberta", "odd"])
@pytest.mark.parametrize("tensors", [list, tf.constant])
def test_windows_of_pairs(template, tensors, tmp_path):
    """Each row of a long second text has the whole first text and the special tokens."""
    peer = wordpiece(template)
    tokenizer = load_tokenizer(saved(peer, tmp_path))
    peer.enable_truncation(15, strategy="only_second", stride=2)
    firsts, seconds = (
        ["the old", "a", "b c"],
        ["the module of the New York City's cats " * 2, "d", "e f g h i j k a b c d"],
    )
    expected = [row for encoding in map(peer.encode, firsts, seconds) for row in (encoding, *encoding.overflowing)]
    options = {"truncation": "only_second", "max_length": 15, "stride": 2, "return_overflowing_tokens": True}
    batch = tokenizer(tensors(firsts), tensors(seconds), return_offsets_mapping=True, **options)
    assert_rows(batch, expected)
    offsets, mask = np.array(batch["offset_mapping"]), np.array(batch["attention_mask"])
    for i, row in enumerate(expected):
        assert [tuple(span) for span in offsets[i, mask[i] == 1]] == row.offsets
    assert np.array(batch["overflow_to_sample_mapping"]).tolist() == [0] * (len(expected) - 3) + [1] + [2] * (
        len(expected) - np.array(batch["overflow_to_sample_mapping"]).tolist().index(1) - 1
    )


# === RoBERTa ===


def roberta(directory, *, plain: bool, add_prefix_space: bool = False, names: dict | None = None):
    """RoBERTa's tokenizer in either layout, and the library's equal."""
    peer = byte_level_bpe("roberta", add_prefix_space)
    (directory / "config.json").write_text(json.dumps({"model_type": "roberta"}))
    if plain:
        peer.model.save(str(directory))
    else:
        peer.save(str(directory / "tokenizer.json"))
    settings = {"model_max_length": 512, "add_prefix_space": add_prefix_space, **(names or {})}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return load_tokenizer(directory), peer


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("add_prefix_space", [True, False])
def test_roberta(plain, add_prefix_space, tmp_path):
    tokenizer, peer = roberta(tmp_path, plain=plain, add_prefix_space=add_prefix_space)
    assert isinstance(tokenizer, BPETokenizer) and tokenizer.special_tokens == ROLES
    assert (tokenizer.pad_token_id, tokenizer.mask_token_id, tokenizer.model_max_length) == (1, 4, 512)
    mask = next(token for token in tokenizer.added_tokens if token.content == "<mask>")
    assert mask.lstrip and not mask.rstrip
    assert list(tokenizer(["a"], ["b"])) == ["input_ids", "attention_mask"]  # it has one token type
    assert tokenizer.encode("a  <mask> b", "c") == peer.encode("a  <mask> b", "c").ids
    firsts, seconds = texts(80), texts(80, seed=5)
    names = ("input_ids", "attention_mask")
    assert_rows(tokenizer(firsts), peer.encode_batch(firsts), names)
    assert_rows(tokenizer(firsts, seconds), peer.encode_batch([*zip(firsts, seconds, strict=True)]), names)


@pytest.mark.parametrize("name", ["RobertaTokenizer", "RobertaTokenizerFast", "BartTokenizer"])
def test_the_class_of_the_tokenizer_says_the_template(name, tmp_path):
    _, peer = roberta(tmp_path, plain=True, names={"tokenizer_class": name})
    (tmp_path / "config.json").unlink()
    assert load_tokenizer(tmp_path).encode("a b", "c") == peer.encode("a b", "c").ids


def test_roberta_written_and_read(tmp_path):
    tokenizer, peer = roberta(tmp_path, plain=False)
    tokenizer.save_pretrained(tmp_path / "saved")
    content = json.loads((tmp_path / "saved" / "tokenizer.json").read_text())
    assert content["post_processor"] == json.loads(peer.to_str())["post_processor"]
    config = json.loads((tmp_path / "saved" / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "RobertaTokenizer"
    for gone in (None, "tokenizer.json"):  # either layout alone
        if gone:
            (tmp_path / "saved" / gone).unlink()
        again = load_tokenizer(tmp_path / "saved")
        for attribute in ("vocab", "merges", "added_tokens", "special_tokens", "template", "model_input_names"):
            assert getattr(again, attribute) == getattr(tokenizer, attribute), attribute


def test_roberta_without_its_special_tokens(tmp_path):
    roberta(tmp_path, plain=True)
    vocab = json.loads((tmp_path / "vocab.json").read_text())
    vocab["<other>"] = vocab.pop("<s>")
    (tmp_path / "vocab.json").write_text(json.dumps(vocab))
    with pytest.raises(ValueError, match="has no token '<s>', the tokenizer's `cls_token`"):
        load_tokenizer(tmp_path)


# === What tokenizers give ===


def test_special_tokens_that_only_tokenizer_json_has(tmp_path):
    """Checkpoints as bert-base-uncased and gpt2 say nothing more of their tokens."""
    WordPieceTokenizer.train(LINES, 97).save_pretrained(tmp_path)
    (tmp_path / "special_tokens_map.json").unlink()
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 512}')
    tokenizer = load_tokenizer(tmp_path)
    assert (tokenizer.mask_token_id, tokenizer.pad_token_id, tokenizer.cls_token_id) == (4, 0, 2)
    for name in ("vocab.txt", "tokenizer.json"):
        (tmp_path / name).unlink()
    BPETokenizer.train(LINES, 300).save_pretrained(tmp_path)
    (tmp_path / "special_tokens_map.json").unlink()
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 1024}')
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    assert load_tokenizer(tmp_path).eos_token_id == 0


def test_model_input_names(tmp_path):
    tokenizer = WordPieceTokenizer.train(LINES, 97, model_input_names=("input_ids", "attention_mask"))
    tokenizer.save_pretrained(tmp_path)
    assert list(load_tokenizer(tmp_path)(["a"], ["b"])) == ["input_ids", "attention_mask"]
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "DistilBertTokenizer"}')
    assert list(load_tokenizer(tmp_path)(["a"])) == ["input_ids", "attention_mask"]
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    assert list(load_tokenizer(tmp_path)(["a"])) == ["input_ids", "token_type_ids", "attention_mask"]
    with pytest.raises(ValueError, match=r"`model_input_names` must be .*; got \['input_ids', 'pixels'\]"):
        Tokenizer(model_input_names=["input_ids", "pixels"])


# === Templates by themselves ===


def test_a_template_as_data():
    template = Template.parse(*ROBERTA, {"<s>": 0, "</s>": 2})
    assert template.single == (Piece(0), Piece("A"), Piece(2))
    assert template.pair == (Piece(0), Piece("A"), Piece(2), Piece(2), Piece("B"), Piece(2))
    assert (template.prefix, template.suffix) == ([0], [2])
    assert [template.special_tokens(texts) for texts in (1, 2)] == [2, 4]
    assert template.row([7, 8], [9]) == ([0, 7, 8, 2, 2, 9, 2], [0] * 7)
    assert Template().row([7], [8, 9]) == ([7, 8, 9], [0, 1, 1])
    assert template.without_special_tokens().row([7], [8]) == ([7, 8], [0, 0])


def test_special_tokens_that_stand_for_several_ids():
    special = {"pre": {"id": "pre", "ids": [3, 4], "tokens": ["x", "y"]}}
    single = [{"SpecialToken": {"id": "pre", "type_id": 1}}, {"Sequence": {"id": "A", "type_id": 0}}]
    pair = [*single, {"Sequence": {"id": "B", "type_id": 0}}]
    template = read_template({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special})
    assert template.single == (Piece(3, 1), Piece(4, 1), Piece("A"))
    assert read_template(write_template(template, list("abcdef"))) == template


@pytest.mark.parametrize(
    ("single", "pair", "message"),
    [
        ("<s>", "$A $B", r"`single` must have A once; got \[\]"),
        ("$A $B", "$A $B", r"`single` must have A once; got \['A', 'B'\]"),
        ("$A", "$A <s>", r"`pair` must have A and B once each; got \['A'\]"),
        ("$A", "$A $B $A", r"`pair` must have A and B once each; got \['A', 'A', 'B'\]"),
    ],
)
def test_templates_without_their_texts(single, pair, message):
    with pytest.raises(ValueError, match=message):
        Template.parse(single, pair, {"<s>": 0})


def test_two_templates_in_a_sequence():
    bert = {"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]}
    with pytest.raises(ValueError, match="the post-processor has 2 templates"):
        read_template({"type": "Sequence", "processors": [bert, {"type": "ByteLevel"}, bert]})
