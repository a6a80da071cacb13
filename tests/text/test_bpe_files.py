"""Files of BPE tokenizers: read as Transformers reads them, written so that it can, refused if of another kind."""

import json
import shutil

import pytest
from tokenizer_helpers import GOLDEN, NAMES, expected, ours, peer_of

from keras_tx import CharTokenizer
from keras_tx.text import BPETokenizer, load_tokenizer


@pytest.fixture
def change(tmp_path):
    """A copy of a golden directory of which one file is changed."""

    def changed(name, file, edit):
        directory = shutil.copytree(GOLDEN / name, tmp_path / name)
        path = directory / file
        if isinstance(edit, str):
            path.write_text(edit, encoding="utf-8")
        else:
            content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            edit(content)
            path.write_text(json.dumps(content), encoding="utf-8")
        return directory

    return changed


@pytest.mark.parametrize("name", NAMES)
def test_written_and_read(name, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    ours(name).save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == b"weights"
    for gone in (None, "tokenizer.json"):  # either layout alone
        if gone:
            (tmp_path / gone).unlink()
        again = load_tokenizer(tmp_path)
        for attribute in ("vocab", "merges", "byte_level", "unk_token", "add_prefix_space", "added_tokens"):
            assert getattr(again, attribute) == getattr(ours(name), attribute), attribute
        for attribute in ("special_tokens", "model_max_length", "padding_side", "pad_token_id", "eos_token_id"):
            assert getattr(again, attribute) == getattr(ours(name), attribute), attribute


@pytest.mark.parametrize("name", NAMES)
def test_the_library_reads_tokenizer_json(name):
    peer = peer_of(ours(name))
    assert [peer.encode(text).ids for text in expected()["strings"]] == expected()[name]["ids"]


def test_what_lies_beside_the_vocabulary():
    tokenizer = ours("gpt2_added")
    assert tokenizer.vocab_size == 706 and len(tokenizer.vocab) == 701
    assert (tokenizer.model_max_length, tokenizer.padding_side, tokenizer.pad_token_id) == (97, "left", 701)
    assert ours("gpt2").model_max_length is None and ours("gpt2").eos_token_id == 0
    assert [token.content for token in ours("gpt1").added_tokens] == ["<unk>"]


def test_ids_around_every_text(change):
    start = {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}
    single = [{"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    start_of_second = {"SpecialToken": {"id": "<|endoftext|>", "type_id": 1}}
    template = {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, start_of_second, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<|endoftext|>": start},
    }
    directory = change("gpt2_added", "tokenizer.json", lambda content: content.update(post_processor=template))
    tokenizer = load_tokenizer(directory)
    assert tokenizer.encode("a") == [0, *ours("gpt2_added").encode("a")] == peer_of(tokenizer).encode("a").ids
    plain = change("gpt2", "tokenizer_config.json", lambda content: content.update(add_bos_token=True))
    assert load_tokenizer(plain).template == tokenizer.template


def test_roles_that_are_not_in_the_vocabulary_get_the_next_ids(change):
    directory = change(
        "gpt2", "special_tokens_map.json", lambda content: content.update(pad_token="<pad>", bos_token="<s>")
    )
    tokenizer = load_tokenizer(directory)
    assert (tokenizer.bos_token_id, tokenizer.pad_token_id, tokenizer.vocab_size) == (701, 702, 703)
    assert peer_of(tokenizer).encode("<s>a<pad>").ids == [701, *ours("gpt2").encode("a"), 702]


def test_the_class_is_found_by_what_lies_there(tmp_path):
    CharTokenizer("abc").save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path).encode("cab") == [2, 0, 1]
    with pytest.raises(FileNotFoundError, match="there is no directory"):
        load_tokenizer(tmp_path / "missing")


def remove(key):
    return lambda content: content.pop(key)


def put(part, **values):
    return lambda content: content.update({part: {**(content[part] or {}), **values}})


@pytest.mark.parametrize(
    ("file", "edit", "message"),
    [
        ("tokenizer.json", "{", "tokenizer.json is not a JSON file"),
        ("tokenizer.json", "[]", "must hold a JSON object"),
        ("tokenizer.json", remove("model"), "tokenizer.json: the model None"),
        ("tokenizer.json", put("model", type="Unigram"), "the model 'Unigram' is not GPT-2's or GPT-1's"),
        ("tokenizer.json", put("model", byte_fallback=True), "`byte_fallback` True"),
        ("tokenizer.json", put("model", vocab={"a": 0}), "gives the id 0 to"),
        ("tokenizer.json", put("pre_tokenizer", type="Whitespace"), "the pre-tokenizer .*Whitespace"),
        ("tokenizer.json", put("pre_tokenizer", use_regex=False), "the pre-tokenizer"),
        ("tokenizer.json", put("normalizer", type="NFC"), "the normalizer .*NFC"),
        ("tokenizer.json", put("post_processor", type="Mystery"), "the post-processor 'Mystery' is not supported"),
        ("tokenizer.json", lambda content: content["added_tokens"][0].pop("id"), "'id' is missing"),
        ("tokenizer.json", lambda content: content["added_tokens"][0].update(id=1), "gives the id 1 to"),
        ("tokenizer_config.json", "nothing", "tokenizer_config.json is not a JSON file"),
    ],
)
def test_files_that_we_cannot_follow(change, file, edit, message):
    with pytest.raises(ValueError, match=message):
        load_tokenizer(change("gpt2_added", file, edit))


@pytest.mark.parametrize(
    ("file", "edit", "message"),
    [
        ("vocab.json", '{"a": 0}', "has neither GPT-2's .* name it as `tokenizer_class`"),
        ("vocab.json", '{"a": 0, "<|endoftext|>": 0}', "gives the id 0 to"),
        ("merges.txt", "#version: 0.2\na b c\n", "has the line 'a b c'"),
        ("merges.txt", "#version: 0.2\nQ QQ\n", "the merge of 'Q' and 'QQ' names"),
    ],
)
def test_plain_files_that_are_damaged(change, file, edit, message):
    with pytest.raises(ValueError, match=message):
        load_tokenizer(change("gpt2", file, edit))


@pytest.mark.parametrize(
    ("file", "message"), [("vocab.json", "neither tokenizer.json nor"), ("merges.txt", "cannot read")]
)
def test_files_that_are_missing(change, file, message):
    directory = change("gpt2", file, "")
    (directory / file).unlink()
    with pytest.raises(ValueError, match=message):
        BPETokenizer.from_pretrained(directory)
