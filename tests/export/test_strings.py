"""`serve_text`: the graph says of strings what the tasks say in Python."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from export_helpers import TEXT, wordpiece
from helpers import randomize

from keras_tx import (
    BERTModel,
    BPETokenizer,
    CharTokenizer,
    GPTDoubleHeadsModel,
    GPTForSequenceClassification,
    GPTForTokenClassification,
)
from keras_tx.export.check import sample_requests
from keras_tx.export.saved_model import export_saved_model, model_signatures
from keras_tx.export.text_generator import TextOptions
from keras_tx.models.bert.model import (
    BERTForMaskedLM,
    BERTForMultipleChoice,
    BERTForNextSentencePrediction,
    BERTForQuestionAnswering,
    BERTForSequenceClassification,
    BERTForTokenClassification,
)
from keras_tx.tasks import (
    FillMaskTask,
    MultipleChoiceTask,
    QuestionAnsweringTask,
    TextClassificationTask,
    TokenClassificationTask,
    ZeroShotClassificationTask,
)

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="SavedModels are made on TensorFlow")

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "NOUN")
TEXTS = ["Anna met Bob, in Oslo.", "where?!", f"{TEXT} {TEXT}", "  the  film\tis good  "]


def model_of(cls, **config):
    sizes = {"max_positions": 31, "num_layers": 1, "num_heads": 3, "d_model": 15, "d_ff": 29, "initializer_range": 0.9}
    model = cls(**{"vocab_size": 61, **sizes, **config})
    return randomize(model, np.random.default_rng(3))


def served(model, tokenizer=None, signature="serve_text", **inputs) -> dict[str, list]:
    """What the traced signature gives, as Python's objects."""
    signatures = model_signatures(model, tokenizer or wordpiece(), None, TextOptions())
    outputs = signatures[signature].traced()(**{name: tf.constant(x) for name, x in inputs.items()})
    return {name: np.vectorize(_python, otypes=[object])(x.numpy()).tolist() for name, x in outputs.items()}


def _python(x):
    return x.decode() if isinstance(x, bytes) else x.item() if hasattr(x, "item") else x


@pytest.mark.parametrize("problem_type", ["single_label_classification", "multi_label_classification", "regression"])
def test_labels(problem_type):
    names = ("bad", "fair", "good")
    model = model_of(BERTForSequenceClassification, num_labels=3, label_names=names, problem_type=problem_type)
    task, pairs = TextClassificationTask(model, wordpiece()), [("where?", text) for text in TEXTS]
    for examples, found in (
        (TEXTS, served(model, text=TEXTS)),
        (pairs, served(model, signature="serve_text_pair", text=["where?"] * 4, text_pair=TEXTS)),
    ):
        scores = task.scores(examples)
        np.testing.assert_allclose(found["scores"], scores, atol=1e-6)
        assert found["label"] == [names[i] for i in scores.argmax(axis=1)]
        np.testing.assert_allclose(found["score"], scores.max(axis=1), atol=1e-6)
        assert len({round(score, 3) for score in found["score"]}) > 2


def entities_of(found: dict, row: int) -> list[tuple]:
    kept = [i for i, label in enumerate(found["label"][row]) if label]
    return [tuple(found[name][row][i] for name in ("label", "text", "start", "end")) for i in kept]


def check_entities(model, tokenizer):
    found = served(model, tokenizer, text=TEXTS)
    wanted = TokenClassificationTask(model, tokenizer).predict(TEXTS)
    assert sum(map(len, wanted)) > 9 and max(map(len, wanted)) > min(map(len, wanted))
    for i, of_text in enumerate(wanted):
        assert entities_of(found, i) == [(e.label, e.text, e.start, e.end) for e in of_text]
        np.testing.assert_allclose(found["score"][i][: len(of_text)], [e.score for e in of_text], atol=1e-6)


def test_entities():
    model = model_of(BERTForTokenClassification, num_labels=len(LABELS), label_names=LABELS)
    check_entities(model, wordpiece())


@pytest.mark.slow
def test_entities_of_byte_pairs():
    """In whose tokens the blanks before words count."""
    tokenizer = BPETokenizer.train([TEXT] * 2, 271)
    sizes = {"num_labels": len(LABELS), "label_names": LABELS, "vocab_size": tokenizer.vocab_size, "pad_token_id": 0}
    check_entities(model_of(GPTForTokenClassification, **sizes), tokenizer)


def test_characters_count_in_any_script():
    text = "Ärger 中文 in 🙂 Zürich!"
    model = model_of(BERTForTokenClassification, num_labels=2, label_names=("A", "B"))
    for label, piece, start, end in entities_of(served(model, text=[text]), 0):
        assert text[start:end] == piece and label in "AB"


def test_answers():
    model = model_of(BERTForQuestionAnswering)
    questions = ["where?", "who?", "is it bob", "anna"]
    contexts = [TEXTS[0], f"{TEXT} {TEXT}", TEXTS[3], "bob"]
    found = served(model, question=questions, context=contexts)
    pairs = list(zip(questions, contexts, strict=True))
    for i, answer in enumerate(QuestionAnsweringTask(model, wordpiece()).predict(pairs)):
        got = [found[name][i] for name in ("answer", "start", "end")]
        assert got == [answer.text, answer.start, answer.end]
        assert found["score"][i] == pytest.approx(answer.score, abs=1e-5)


def test_choices():
    model = model_of(BERTForMultipleChoice)
    texts, choices = (
        ["where?", "who met bob?"],
        [["in oslo", "anna", "the film is good"], ["bob", "rome", "anna smith"]],
    )
    found = served(model, text=texts, choices=choices)
    for i, choice in enumerate(MultipleChoiceTask(model, wordpiece()).predict(list(zip(texts, choices, strict=True)))):
        assert (found["choice"][i], found["index"][i]) == (choice.text, choice.index)
        assert found["score"][i] == pytest.approx(choice.score, abs=1e-6)


def inference_model():
    names = ("contradiction", "neutral", "entailment")
    return model_of(BERTForSequenceClassification, num_labels=3, label_names=names)


def test_hypotheses():
    model = inference_model()
    task, labels = ZeroShotClassificationTask(model, wordpiece()), ["bob", "rome", "anna"]
    serve = model_signatures(model, wordpiece(), None, TextOptions())["serve_zero_shot"].traced()
    hypotheses = [[f"the film is {label}" for label in labels]] * len(TEXTS)
    for multi_label in (False, True):
        found = serve(tf.constant(TEXTS), tf.constant(hypotheses), tf.constant(multi_label))
        scores = task.scores(TEXTS, labels, "the film is {}", multi_label)
        np.testing.assert_allclose(found["scores"], scores, atol=1e-6)
        best = scores.argmax(axis=1)
        assert found["index"].numpy().tolist() == best.tolist()
        assert found["hypothesis"].numpy().astype(str).tolist() == [hypotheses[0][i] for i in best]
    alone = serve(tf.constant(TEXTS), tf.constant([["anna"]] * len(TEXTS)))
    np.testing.assert_allclose(alone["scores"], task.scores(TEXTS, "anna", "{}"), atol=1e-6)
    beside = serve(tf.constant([b"\xff", b"anna"]), tf.constant([["bob", "rome"]] * 2))
    assert beside["error"].numpy().tolist() == [b"`text` must be UTF-8", b""]
    assert beside["index"][0] == -1 and beside["hypothesis"][0] == b""
    np.testing.assert_allclose(np.sum(beside["scores"][1]), 1, rtol=1e-6)


@pytest.mark.slow
def test_hypotheses_of_a_saved_model(tmp_path):
    """Where what a request leaves out has its default."""
    model = inference_model()
    export_saved_model(model, tmp_path / "1", wordpiece())
    loaded = tf.saved_model.load(str(tmp_path / "1"))
    found = loaded.serve_zero_shot(text=tf.constant(TEXTS), hypotheses=tf.constant([["bob", "rome"]] * len(TEXTS)))
    scores = ZeroShotClassificationTask(model, wordpiece()).scores(TEXTS, ["bob", "rome"], "{}")
    np.testing.assert_allclose(found["scores"], scores, atol=1e-6)


def test_masked_tokens():
    model = model_of(BERTForMaskedLM, vocab_size=64)  # which is more than the tokenizer has
    texts = ["anna [MASK] bob", "[MASK] is [MASK].", f"[MASK] {TEXT} {TEXT}"]
    found = served(model, text=texts, top_k=61)
    for i, masks in enumerate(FillMaskTask(model, wordpiece()).predict(texts, top_k=61)):
        for k, tokens in enumerate(masks):
            assert found["token_id"][i][k] == [x.token_id for x in tokens]
            assert found["token"][i][k] == [x.token for x in tokens]
            np.testing.assert_allclose(found["score"][i][k], [x.score for x in tokens], atol=1e-6)
    assert found["token"][0][1] == [""] * 61 and "" not in found["token"][1][1]
    beside = served(model, text=["anna", *texts], top_k=61)
    assert "must have the mask token" in beside["error"][0] and beside["error"][1:] == [""] * 3
    assert beside["token"][0][0] == [""] * 61 and beside["token_id"][1:] == found["token_id"]


def test_masks_are_asked_for_where_no_model_cuts_them_off():
    model = model_of(BERTForMaskedLM, max_positions=5)
    serve = model_signatures(model, wordpiece(), None, TextOptions())["serve_text"]
    given = serve.sample(np.random.default_rng(0), 4, 13)
    assert max(len(wordpiece().encode(text.decode())) for text in given["text"]) > 5
    found = serve(text=tf.constant(given["text"].tolist()), top_k=tf.constant(given["top_k"]))
    assert found["token"].shape[0] == 4 and "" not in found["token"][:, 0].numpy().astype(str).ravel()


def test_next_sentences():
    model = model_of(BERTForNextSentencePrediction)
    found = served(model, signature="serve_text_pair", text=TEXTS[:2], text_pair=TEXTS[2:])
    logits = np.asarray(model(wordpiece()(TEXTS[:2], TEXTS[2:], truncation=True))["logits"])
    np.testing.assert_allclose(found["score"], 1 / (1 + np.exp(logits[:, 1] - logits[:, 0])), atol=1e-6)


BAD = {
    b"\xff": "must be UTF-8",
    b"a" * (2**20 + 1): "must be of 1048576 bytes at most",
}


def test_what_is_no_text_is_its_row_s_error():
    model = model_of(BERTForSequenceClassification)
    good = [text.encode() for text in TEXTS[:2]]
    found, alone = served(model, text=[*good, *BAD]), served(model, text=good)
    assert found["error"][:2] == ["", ""] and alone["error"] == ["", ""]
    for (error, label, scores), words in zip(
        zip(found["error"][2:], found["label"][2:], found["scores"][2:], strict=True), BAD.values(), strict=True
    ):
        assert words in error and label == "" and np.isnan(scores).all()
    np.testing.assert_allclose(found["scores"][:2], alone["scores"], atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match="`text` must hold something"):
        served(model, text=np.array([], str))


def test_an_empty_text_is_answered_as_by_the_task():
    model = model_of(BERTForSequenceClassification)
    [wanted] = TextClassificationTask(model, wordpiece()).predict([""])
    found = served(model, text=["", "anna"])
    assert found["error"] == ["", ""] and found["label"][0] == wanted.label
    np.testing.assert_allclose(found["score"][0], wanted.score, atol=1e-6)


def test_a_text_without_a_token_is_its_row_s_error():
    tokenizer = BPETokenizer.train([TEXT] * 2, 271)
    model = model_of(GPTForSequenceClassification, vocab_size=tokenizer.vocab_size, pad_token_id=0)
    found, alone = served(model, tokenizer, text=["", "anna"]), served(model, tokenizer, text=["anna"])
    assert "must have a token" in found["error"][0] and np.isnan(found["scores"][0]).all()
    np.testing.assert_allclose(found["scores"][1:], alone["scores"], atol=1e-6)
    assert "must have a token" in served(model, tokenizer, text=[""])["error"][0]


def test_answers_beside_texts_without_any():
    model = model_of(BERTForQuestionAnswering)
    good = {"question": ["who?", "where?"], "context": ["anna saw bob", "bob is in paris"]}
    alone = served(model, **good)
    bad = {"question": ["", "who?", b"\xff"], "context": ["anna", " ", "anna"]}
    found = served(model, **{name: [*bad[name], *good[name]] for name in good})
    assert ["question" in error for error in found["error"][:3]] == [True, False, True]
    assert "`context` must have a token" in found["error"][1]
    assert found["answer"] == ["", "", "", *alone["answer"]] and found["start"] == [-1, -1, -1, *alone["start"]]


def test_choices_beside_one_that_is_no_text():
    model = model_of(BERTForMultipleChoice)
    found = served(model, text=[b"anna", b"anna"], choices=[[b"\xff", b"bob"], [b"saw bob", b"is in paris"]])
    alone = served(model, text=["anna"], choices=[["saw bob", "is in paris"]])
    assert "`choices` must be UTF-8" in found["error"][0] and found["index"][0] == -1 and found["choice"][0] == ""
    np.testing.assert_allclose(found["scores"][1:], alone["scores"], atol=1e-6)


def test_hidden_states():
    model = model_of(BERTModel)
    found = served(model, text=TEXTS[:2])
    batch = wordpiece()(TEXTS[:2])
    np.testing.assert_allclose(found["pooled_output"], model(batch)[1], atol=1e-5)
    assert found["attention_mask"] == batch["attention_mask"].tolist()


def test_requests_are_ragged_and_have_texts():
    model = model_of(BERTForQuestionAnswering)
    requests = sample_requests(model_signatures(model, wordpiece(), None, TextOptions()))
    masks = [inputs["attention_mask"] for name, inputs in requests if name == "serving_default"]
    assert any(len(set(mask.sum(axis=1))) > 1 for mask in masks) and len({mask.shape for mask in masks}) == 3
    assert all(text for name, inputs in requests if name == "serve_text" for text in inputs["context"])


def test_a_tokenizer_of_another_model_is_refused():
    with pytest.raises(ValueError, match="the model's `vocab_size` is 43: give the tokenizer"):
        model_signatures(model_of(BERTForMaskedLM, vocab_size=43), wordpiece(), None, TextOptions())
    with pytest.raises(ValueError, match="no mask token"):
        model_signatures(model_of(BERTForMaskedLM), CharTokenizer("abc"), None, TextOptions())
    with pytest.raises(ValueError, match="a GPTDoubleHeadsModel cannot be asked with strings: leave out `tokenizer`"):
        model_signatures(model_of(GPTDoubleHeadsModel), wordpiece(), None, TextOptions())
