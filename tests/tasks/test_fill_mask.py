"""Masks filled as Transformers' pipeline fills them, and training on texts without labels."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_tx import BPETokenizer
from keras_tx.models import load_pretrained
from keras_tx.models.bert.model import BERTForMaskedLM, BERTForPreTraining
from keras_tx.tasks import FillMaskTask
from keras_tx.text import WordPieceTokenizer

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = json.loads((GOLDEN / "tasks" / "expected.json").read_text())
IGNORED = -100
TEXTS = ["anna sings and bob plays", "the old baker met a new baker", "bob wins, anna wins"]


@pytest.fixture(scope="module")
def task() -> FillMaskTask:
    tokenizer = WordPieceTokenizer.from_pretrained(GOLDEN / "tasks")
    return FillMaskTask(load_pretrained(GOLDEN / "bert" / "masked"), tokenizer)


def fresh(cls, tokenizer, **options) -> FillMaskTask:
    sizes = {"max_positions": 13, "num_layers": 1, "num_heads": 3, "d_model": 15, "d_ff": 29, "hidden_dropout": 0.0}
    return FillMaskTask(cls(vocab_size=tokenizer.vocab_size, **sizes), tokenizer, **options)


@pytest.mark.filterwarnings("ignore:the target")
@pytest.mark.parametrize(("text", "options", "wanted"), EXPECTED["fill_mask"])
def test_tokens_are_those_of_the_pipeline(task, text, options, wanted):
    options = {name: value for name, value in options.items() if name != "tokenizer_kwargs"}  # we always cut
    [found] = task.predict([text.replace("{}", "[MASK]")], **options)
    for ours, theirs in zip(found, wanted, strict=True):
        named = [(x.token, x.token_id, x.sequence) for x in ours]
        assert named == [(x["token_str"], x["token"], x["sequence"]) for x in theirs]
        assert [x.score for x in ours] == pytest.approx([x["score"] for x in theirs], abs=1e-5)


def test_texts_in_batches_are_answered_as_alone(task):
    texts = [text.replace("{}", "[MASK]") for text, *_ in EXPECTED["fill_mask"]]
    alone = [task.predict(text)[0] for text in texts]
    small = FillMaskTask(task.model, task.tokenizer, batch_size=3)
    for found, wanted in zip(small.predict(np.array(texts)), alone, strict=True):
        assert [[x.token for x in mask] for mask in found] == [[x.token for x in mask] for mask in wanted]
        np.testing.assert_allclose(
            [[x.score for x in mask] for mask in found], [[x.score for x in mask] for mask in wanted], atol=1e-6
        )
    assert task.predict([]) == []


def test_targets_that_are_no_tokens(task):
    with pytest.warns(UserWarning, match="the target 'playing' is no token: 'play' is taken in its place"):
        [[best]] = task.predict("a [MASK] film", targets="playing")
    assert [x.token for x in best] == ["play"]
    with pytest.warns(UserWarning, match=r"the target 'xx' is no token: '\[UNK\]' is taken"):
        task.predict("a [MASK] film", targets=["xx"])


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        (["a [MASK]", "a film"], {}, r"text 1 has no mask: write \[MASK\] into it; got 'a film'"),
        (["[MASK] " + "good " * 11 + "[MASK]"], {}, "text 0 has a mask beyond its first 13 tokens"),
        (["a [MASK]"], {"top_k": 0}, r"`top_k` must lie in \[1, 61\], the tokens; got 0"),
        (["a [MASK]"], {"top_k": 62}, "`top_k` must lie in"),
        (["a [MASK]"], {"targets": ["good", " "]}, "`targets` has ' ', of which the tokenizer makes no token"),
        (["a [MASK]"], {"targets": []}, "`targets` must name one token or more; got none"),
    ],
)
def test_what_cannot_be_filled(task, texts, options, message):
    with pytest.raises(ValueError, match=message):
        task.predict(texts, **options)


def test_models_and_tokenizers_that_do_not_fit(task, tokenizer):
    with pytest.raises(ValueError, match="needs a model for masked language modeling; got BERTForSequenceClass"):
        FillMaskTask(load_pretrained(GOLDEN / "bert" / "sequence"), task.tokenizer)
    with pytest.raises(ValueError, match="`tokenizer` has no mask token"):
        fresh(BERTForMaskedLM, BPETokenizer(tokenizer.vocab, tokenizer.merges))
    both = fresh(BERTForPreTraining, task.tokenizer)
    assert len(both.predict("a [MASK]")[0][0]) == 5
    with pytest.raises(ValueError, match="a BERTForPreTraining learns labels, next_sentence_label together: train"):
        both.fit(TEXTS)


def test_tokens_that_the_tokenizer_lacks_are_not_chosen(task):
    """A vocabulary may be padded to a multiple of 64."""
    model = BERTForMaskedLM(vocab_size=64, max_positions=13, num_layers=1, num_heads=3, d_model=15, d_ff=29)
    bias = np.zeros(64, "float32")
    bias[61:] = 9
    model.head.output_bias.assign(bias)
    [[found]] = FillMaskTask(model, task.tokenizer).predict("a [MASK]", top_k=61)
    assert sorted(x.token_id for x in found) == list(range(61)) and sum(x.score for x in found) < 0.01


# === Training ===


def test_texts_become_rows_with_hidden_tokens(task):
    texts = [*TEXTS, "good " * 30]
    inputs, labels = task.training_data(texts)
    whole = np.where(labels == IGNORED, inputs["input_ids"], labels)
    rows = [ids[mask > 0].tolist() for ids, mask in zip(whole, inputs["attention_mask"], strict=True)]
    encoded = [task.tokenizer.encode(text) for text in texts]
    assert rows[:3] == encoded[:3]
    assert [i for row in rows[3:] for i in row[1:-1]] == encoded[3][1:-1] and max(map(len, rows)) == 13
    again, other = task.training_data(texts)[1], task.training_data(texts, seed=1)[1]
    assert (labels == again).all() and (labels != other).any()
    special = np.isin(whole, task.tokenizer.all_special_ids)
    assert (labels != IGNORED).any() and (labels[special] == IGNORED).all()


def test_evaluation_is_of_the_hidden_tokens(task):
    texts = TEXTS * 3
    found = FillMaskTask(task.model, task.tokenizer, batch_size=4).evaluate(texts)
    inputs, labels = task.training_data(texts)
    outputs = task.model({**inputs, "labels": labels})
    assert found["loss"] == pytest.approx(float(outputs["loss"]), abs=1e-5)
    assert found["perplexity"] == pytest.approx(np.exp(found["loss"]))
    best = keras.ops.convert_to_numpy(outputs["logits"]).argmax(axis=-1)
    assert found["accuracy"] == pytest.approx(np.mean((best == labels)[labels != IGNORED]))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "there must be texts, one or more; got none"),
        (["anna", ""], "text 1 has no token: leave it out"),
        (["a"], "no token of 1 rows was hidden: give more texts, or another `seed`"),
    ],
)
def test_nothing_to_learn(task, texts, message):
    with pytest.raises(ValueError, match=message):
        task.evaluate(texts)


def test_other_tokens_are_hidden_in_each_epoch(task):
    seeds = []
    learning = fresh(
        BERTForMaskedLM, task.tokenizer, masking=lambda ids, seed: seeds.append(seed) or task.masking(ids, seed)
    )
    history = learning.fit(TEXTS, validation_data=TEXTS * 4, epochs=2, batch_size=2, seed=5, verbose=0)
    assert len(history.history["val_perplexity"]) == 2
    assert {seed for seed in seeds if seed[0] == 5} == {(5, i) for i in range(4)}


@pytest.mark.slow
def test_fit_learns_texts_and_comes_back_from_a_directory(task, tmp_path):
    learning = fresh(BERTForMaskedLM, task.tokenizer)
    before = learning.evaluate(TEXTS * 9)
    learning.fit(TEXTS * 9, epochs=60, batch_size=9, learning_rate=1e-2, layer_decay=1.0, verbose=0)
    after = learning.evaluate(TEXTS * 9)
    assert after["loss"] < before["loss"] / 2 and after["accuracy"] > 0.6
    learning.save_pretrained(tmp_path)
    again = FillMaskTask.from_pretrained(tmp_path)
    assert again.evaluate(TEXTS * 9) == pytest.approx(after, abs=1e-5)
