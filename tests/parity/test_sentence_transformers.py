"""Sentence encoders and cross-encoders beside sentence-transformers, live: `make parity`."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
import transformers
from golden.make_bert import BERT, make_bert
from parity.peers import drawn

sentence_transformers = pytest.importorskip("sentence_transformers")
from sentence_transformers import CrossEncoder, SentenceTransformer, models  # noqa: E402

from keras_tx.tasks import CrossEncoderTask, TextEmbeddingTask  # noqa: E402
from keras_tx.text import WordPieceTokenizer, default_text  # noqa: E402

TEXTS = [text for text in default_text()[20_000:24_000].split("\n") if text][:25]
ACTIVATIONS = (torch.nn.Tanh, torch.nn.ReLU, torch.nn.GELU, torch.nn.SiLU, torch.nn.Identity)
FAMILIES = ("BertModel", "ElectraModel", "AlbertModel", "MPNetModel", "DistilBertModel")


@pytest.fixture(scope="module")
def tokenizer() -> WordPieceTokenizer:
    return WordPieceTokenizer.train([default_text()[:20_000]], 300)


def save_encoder(name: str, fields: dict, seed: int, tokenizer, directory) -> None:
    fields = {**BERT, "vocab_size": tokenizer.vocab_size, "max_position_embeddings": 40, **fields}
    if name.startswith(("MPNet", "DistilBert")):
        del fields["type_vocab_size"]
    make_bert(name, fields, seed).save_pretrained(directory)
    tokenizer.save_pretrained(directory)


@pytest.mark.parametrize("seed", range(10))
def test_embeddings_there_and_back(seed, tokenizer, tmp_path):
    rng = np.random.default_rng(seed)
    one_of = drawn(rng)
    save_encoder(FAMILIES[seed % len(FAMILIES)], {}, seed, tokenizer, tmp_path / "plain")
    modes = tuple(rng.permutation(models.Pooling.POOLING_MODES)[: one_of(1, 2, 3)].tolist())
    width = transformers.AutoConfig.from_pretrained(tmp_path / "plain").hidden_size
    modules = [
        models.Transformer(str(tmp_path / "plain"), max_seq_length=one_of(9, 30)),
        models.Pooling(width, pooling_mode=modes, include_prompt=one_of(True, False)),
    ]
    width *= len(modes)
    for _ in range(one_of(0, 1, 2)):
        units = one_of(5, 7)
        modules.append(models.Dense(width, units, bias=one_of(True, False), activation_function=one_of(*ACTIVATIONS)()))
        width = units
    modules += [models.Normalize()] if one_of(True, False) else []
    peer = SentenceTransformer(modules=modules, prompts={"ask": "what is: "}).eval()
    peer.save(str(tmp_path / "theirs"))
    task = TextEmbeddingTask.from_pretrained(tmp_path / "theirs")
    for prompt in (None, "ask"):
        wanted = peer.encode(TEXTS, prompt_name=prompt)
        np.testing.assert_allclose(task.encode(TEXTS, prompt_name=prompt), wanted, atol=1e-5)
    found, wanted = task.similarity(TEXTS[:5], TEXTS), peer.similarity(peer.encode(TEXTS[:5]), peer.encode(TEXTS))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    task.save_pretrained(tmp_path / "ours")
    again = SentenceTransformer(str(tmp_path / "ours"))
    np.testing.assert_allclose(again.encode(TEXTS, prompt_name="ask"), peer.encode(TEXTS, prompt_name="ask"), atol=1e-5)


@pytest.mark.parametrize(("labels", "activation"), [(1, None), (3, None), (1, torch.nn.Identity())])
def test_cross_encoders(labels, activation, tokenizer, tmp_path):
    save_encoder("BertForSequenceClassification", {"num_labels": labels}, 3, tokenizer, tmp_path / "plain")
    peer = CrossEncoder(str(tmp_path / "plain"), activation_fn=activation)
    peer.save_pretrained(str(tmp_path / "theirs"))
    task = CrossEncoderTask.from_pretrained(tmp_path / "theirs")
    pairs = list(pairwise(TEXTS))
    np.testing.assert_allclose(task.predict(pairs), peer.predict(pairs), atol=1e-5)
    if labels == 1:
        wanted = peer.rank(TEXTS[0], TEXTS[1:])
        found = task.rank(TEXTS[0], TEXTS[1:])
        assert [one.id for one in found] == [one["corpus_id"] for one in wanted]
        np.testing.assert_allclose([one.score for one in found], [one["score"] for one in wanted], atol=1e-5)
    task.save_pretrained(tmp_path / "ours")
    np.testing.assert_allclose(CrossEncoder(str(tmp_path / "ours")).predict(pairs), peer.predict(pairs), atol=1e-5)
