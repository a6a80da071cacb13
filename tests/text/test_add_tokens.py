"""Tokens added to a tokenizer of each kind: the ids are those that the `tokenizers` library gives."""

import pytest
from tokenizers import AddedToken as PeerToken
from tokenizers import Tokenizer as Peer

from keras_tx.text import AddedToken, BPETokenizer, SentencePieceTokenizer, WordPieceTokenizer, load_tokenizer

TEXT = (
    "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a "
    "wife. However little known the feelings or views of such a man may be on his first entering a neighbourhood, this "
    "truth is so well fixed in the minds of the surrounding families."
)
TEXTS = [
    "A truth is [NAME] and [NAME]s, NetherField Park!",
    "netherfield NETHERFIELD net her field",
    "[ENT]a truth[ENT] of the [NAME",
    " the  [NAME]  wife",
    "",
]
KINDS = (BPETokenizer, WordPieceTokenizer, SentencePieceTokenizer)


@pytest.fixture(params=KINDS, ids=lambda cls: cls.__name__)
def pair(request, tmp_path):
    """A tokenizer, and the peer with the same files."""
    size = {BPETokenizer: 300, WordPieceTokenizer: 90, SentencePieceTokenizer: 80}[request.param]
    options = {"extra_ids": 5} if request.param is SentencePieceTokenizer else {}
    request.param.train([TEXT] * 3, size, **options).save_pretrained(tmp_path)
    return load_tokenizer(tmp_path), Peer.from_file(str(tmp_path / "tokenizer.json"))


def assert_equal(tokenizer, peer) -> None:
    assert tokenizer.vocab_size == peer.get_vocab_size()
    for text in TEXTS:
        assert tokenizer.encode(text) == peer.encode(text).ids, text


def test_texts_and_special_tokens(pair, tmp_path):
    tokenizer, peer = pair
    before = tokenizer.vocab_size
    assert tokenizer.encode(TEXTS[0]) == peer.encode(TEXTS[0]).ids  # which makes what is to be made anew
    assert tokenizer.add_tokens(["NetherField", "truth"]) == peer.add_tokens(["NetherField", "truth"]) == 2
    assert_equal(tokenizer, peer)
    assert tokenizer.add_tokens("[NAME]", special_tokens=True) == peer.add_special_tokens(["[NAME]"]) == 1
    assert tokenizer.add_tokens("[NAME]", special_tokens=True) == peer.add_special_tokens(["[NAME]"]) == 0
    assert_equal(tokenizer, peer)
    assert before < tokenizer.vocab_size <= before + 3
    ids = tokenizer.encode(TEXTS[0], add_special_tokens=False)
    name = tokenizer.tokens.index("[NAME]")
    assert name in ids and name in tokenizer.all_special_ids
    assert "[NAME]" in tokenizer.decode(ids) and "[NAME]" not in tokenizer.decode(ids, skip_special_tokens=True)

    tokenizer.save_pretrained(tmp_path / "again")
    assert_equal(load_tokenizer(tmp_path / "again"), peer)
    assert_equal(tokenizer, Peer.from_file(str(tmp_path / "again" / "tokenizer.json")))


def test_tokens_with_rules_of_their_own(pair):
    tokenizer, peer = pair
    rules = {"lstrip": True, "rstrip": True, "normalized": False}
    assert tokenizer.add_tokens([AddedToken(0, "[ENT]", special=False, **rules)]) == 1
    peer.add_tokens([PeerToken("[ENT]", **rules)])
    assert tokenizer.add_tokens([AddedToken(0, "net", special=False, single_word=True, normalized=True)]) == 1
    peer.add_tokens([PeerToken("net", single_word=True, normalized=True)])
    assert_equal(tokenizer, peer)
    with pytest.raises(ValueError, match="is empty"):
        tokenizer.add_tokens([""])
    assert_equal(tokenizer, peer)


def test_roles(pair):
    tokenizer, peer = pair
    roles = {"pad_token": "<filler>", "additional_special_tokens": ["<one>", "<two>"]}
    assert tokenizer.add_special_tokens(roles) == 3
    peer.add_special_tokens(["<filler>", "<one>", "<two>"])
    assert_equal(tokenizer, peer)
    assert tokenizer.tokens[tokenizer.pad_token_id] == "<filler>"
    batch = tokenizer(["a truth of a wife", "a"])
    assert batch["input_ids"][1, -1] == tokenizer.pad_token_id and batch["attention_mask"][1, -1] == 0
    with pytest.raises(ValueError, match=r"`special_tokens` must name bos_token, .* got 'filler'"):
        tokenizer.add_special_tokens({"filler": "x"})
