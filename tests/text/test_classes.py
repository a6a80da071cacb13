"""Transformers' tokenizer classes: a directory is read as its class reads it, or refused by the class's name."""

import json
import shutil
from functools import cache
from pathlib import Path

import pytest
import tensorflow as tf
from helpers import long_after

from keras_tx.text import BPETokenizer, has_tokenizer, load_tokenizer

GOLDEN = Path(__file__).parent.parent / "golden" / "tokenizer_classes"
ROLES = ("bos_token", "eos_token", "sep_token", "pad_token", "cls_token", "mask_token")


@cache
def expected() -> dict:
    return json.loads((GOLDEN / "expected.json").read_text())


def directory_of(path: Path, base: str | None, config: dict | None = None, settings: dict | None = None) -> Path:
    """A golden vocabulary, and what lies beside it."""
    if base:
        shutil.copytree(GOLDEN / base, path, dirs_exist_ok=True)
    for file, content in (("config.json", config), ("tokenizer_config.json", settings)):
        if content is not None:
            (path / file).write_text(json.dumps(content))
    return path


def rows(batch: dict, name: str = "input_ids") -> list[list[int]]:
    """The rows of a batch without padding."""
    values, masks = (tf.convert_to_tensor(batch[key]).numpy() for key in (name, "attention_mask"))
    return [row[mask == 1].tolist() for row, mask in zip(values, masks, strict=True)]


@pytest.mark.parametrize("name", long_after(6, expected()["classes"]))
def test_vocabularies_by_themselves(name, tmp_path):
    """The vocabulary's own files, where the class says the rest; see tests/golden/make_tokenizer_classes.py."""
    golden, strings = expected()["classes"][name], expected()["strings"]
    firsts, seconds = map(list, zip(*expected()["pairs"], strict=True))
    tokenizer = load_tokenizer(directory_of(tmp_path, golden["base"], golden["config"], golden["settings"]))
    assert rows(tokenizer(strings)) == golden["ids"]
    assert rows(tokenizer(tf.constant(strings))) == golden["ids"]
    pairs = tokenizer(firsts, seconds)
    assert rows(pairs) == golden["pairs"]
    assert (rows(pairs, "token_type_ids") if "token_type_ids" in pairs else None) == golden["types"]
    assert [tokenizer.decode(ids) for ids in golden["ids"]] == golden["texts"]
    assert [tokenizer.decode(ids, skip_special_tokens=True) for ids in golden["ids"]] == golden["bare"]
    roles = {role: getattr(tokenizer, f"{role}_id") for role in ROLES if role in golden["roles"]}
    assert roles == {role: i for role, i in golden["roles"].items() if role != "unk_token"}
    if name not in ("opt", "byt5"):  # of which the slow class was asked
        assert tokenizer.padding_side == golden["padding_side"]

    tokenizer.save_pretrained(tmp_path / "saved")
    again = load_tokenizer(tmp_path / "saved")
    assert again.template == tokenizer.template and again.special_tokens == tokenizer.special_tokens
    assert again.added_tokens == tokenizer.added_tokens and again.tokens == tokenizer.tokens


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("bert", "BertJapaneseTokenizer"),
        ("bert", "BertweetTokenizer"),
        ("bert", "FooTokenizer"),
        ("fairseq", "BlenderbotTokenizer"),
        ("fairseq", "CTRLTokenizer"),
        ("llama", "GemmaTokenizer"),
        ("albert", "PegasusTokenizer"),
        ("xlm_roberta", "MBartTokenizer"),
    ],
)
@pytest.mark.parametrize("file", ["tokenizer_config.json", "config.json"])
def test_classes_that_are_refused(base, name, file, tmp_path):
    directory_of(tmp_path, base)
    (tmp_path / file).write_text(json.dumps({"tokenizer_class": name, "model_type": "bert"}))
    with pytest.raises(ValueError, match=f"holds a {name}, "):
        load_tokenizer(tmp_path)


def test_japanese_words_are_told_by_their_settings(tmp_path):
    directory_of(tmp_path, "bert", {"model_type": "bert"}, {"word_tokenizer_type": "mecab"})
    with pytest.raises(ValueError, match="holds a BertJapaneseTokenizer, which is not supported"):
        load_tokenizer(tmp_path)


def test_classes_of_python_are_refused_with_a_tokenizer_json(tmp_path):
    """A file that others put beside one is not what the class computes."""
    load_tokenizer(directory_of(tmp_path, "bert")).save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PhobertTokenizer"}')
    with pytest.raises(ValueError, match="holds a PhobertTokenizer, which is not supported"):
        load_tokenizer(tmp_path)


def test_vocabularies_of_no_class(tmp_path):
    assert load_tokenizer(directory_of(tmp_path / "roberta", "fairseq")).cls_token_id == 0
    assert load_tokenizer(directory_of(tmp_path / "llama", "llama")).encode("a", "b").count(1) == 2
    with pytest.raises(ValueError, match="name it as `tokenizer_class` in"):
        load_tokenizer(directory_of(tmp_path / "deberta", "deberta"))
    with pytest.raises(ValueError, match=r"numbers its pieces otherwise .* name it as `tokenizer_class`"):
        load_tokenizer(directory_of(tmp_path / "xlm_roberta", "xlm_roberta"))
    directory_of(tmp_path / "t5", "llama", {"model_type": "t5"})
    with pytest.raises(ValueError, match="is of the type 2; a T5Tokenizer reads models of 1"):
        load_tokenizer(tmp_path / "t5")


@pytest.mark.parametrize(
    ("base", "model_type", "roles"),
    [
        ("bert", "bert", {"cls_token_id": 2, "sep_token_id": 3, "mask_token_id": 4, "pad_token_id": 0}),
        ("fairseq", "roberta", {"bos_token_id": 0, "eos_token_id": 2, "mask_token_id": 331, "pad_token_id": 1}),
        ("xlm_roberta", "xlm-roberta", {"cls_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}),
        ("llama", "llama", {"bos_token_id": 1, "eos_token_id": 2}),
        ("albert", "albert", {"cls_token_id": 2, "mask_token_id": 4, "pad_token_id": 0}),
    ],
)
def test_roles_beside_a_bare_tokenizer_json(base, model_type, roles, tmp_path):
    """As in bert-base-uncased and gpt2, whose `tokenizer_config.json` says a length alone."""
    load_tokenizer(directory_of(tmp_path, base, {"model_type": model_type})).save_pretrained(tmp_path / "bare")
    (tmp_path / "bare" / "special_tokens_map.json").unlink()
    directory_of(tmp_path / "bare", None, {"model_type": model_type}, {"model_max_length": 512})
    tokenizer = load_tokenizer(tmp_path / "bare")
    assert {role: getattr(tokenizer, role) for role in roles} == roles and tokenizer.model_max_length == 512


def test_gpt2_pads_with_its_last_token(tmp_path):
    BPETokenizer.train(["a b c"] * 3, 257).save_pretrained(tmp_path)
    (tmp_path / "special_tokens_map.json").unlink()
    directory_of(tmp_path, None, {"model_type": "gpt2"}, {"model_max_length": 1024})
    tokenizer = load_tokenizer(tmp_path)
    eos = tokenizer.vocab["<|endoftext|>"]
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (eos, eos, eos)


def test_roles_that_the_vocabulary_lacks_stay_away(tmp_path):
    load_tokenizer(directory_of(tmp_path, "fairseq", {"model_type": "roberta"})).save_pretrained(tmp_path)
    (tmp_path / "special_tokens_map.json").unlink()
    directory_of(tmp_path, None, {"model_type": "gpt2"}, {})
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.eos_token_id is None and tokenizer.vocab_size == 332


def test_the_normalization_of_a_class_counts_before_that_of_the_file(tmp_path):
    """As for Transformers: BERT's classes make small letters unless `tokenizer_config.json` says otherwise."""
    directory_of(tmp_path, "bert", {"model_type": "bert"}, {"do_lower_case": False})
    load_tokenizer(tmp_path).save_pretrained(tmp_path)
    assert not load_tokenizer(tmp_path).normalization.lowercase
    directory_of(tmp_path, None, None, {})
    assert load_tokenizer(tmp_path).normalization.lowercase
    (tmp_path / "config.json").unlink()
    assert not load_tokenizer(tmp_path).normalization.lowercase


def test_byt5_is_where_its_class_is_named(tmp_path):
    assert not has_tokenizer(directory_of(tmp_path, None, {"model_type": "t5"}))
    assert has_tokenizer(directory_of(tmp_path, None, {"tokenizer_class": "ByT5Tokenizer"}))
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.vocab_size == 384 and tokenizer.tokens[259] == "<extra_id_0>"
    assert tokenizer.tokenize(tf.constant([b"\xff\xe4"])).to_list() == [[258, 231]]
    assert tokenizer.decode([258, 100, 231]) == "a"
