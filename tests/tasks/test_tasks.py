"""Tasks on strings. Where a model's outputs would be random, an oracle that reads the ids stands in for them."""

import numpy as np
import pytest
from helpers import PACKAGE
from hub_helpers import put_into_cache

from keras_tx import BPETokenizer, GPTForSequenceClassification, GPTModel, T5ForSequenceClassification
from keras_tx.models.bert.model import (
    BERTForMultipleChoice,
    BERTForQuestionAnswering,
    BERTForSequenceClassification,
    BERTForTokenClassification,
)
from keras_tx.tasks import (
    Choice,
    Label,
    MultipleChoiceTask,
    QuestionAnsweringTask,
    TextClassificationTask,
    TokenClassificationTask,
)

IGNORED = -100
NAMES = ("O", "B-PER", "I-PER", "B-LOC")
SENTENCE = ["Anna", "Smith", "of", "Paris", "met", "Bob", "in", "Rome"]
LABELS = ["B-PER", "I-PER", "O", "B-LOC", "O", "B-PER", "O", "B-LOC"]


def model_of(cls, tokenizer, **config):
    sizes = {"max_positions": 37, "num_layers": 1, "num_heads": 3, "d_model": 15, "d_ff": 29}
    return cls(vocab_size=tokenizer.vocab_size, **sizes, **config)


def rows_of(inputs) -> list[list[int]]:
    return [ids[mask > 0].tolist() for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)]


# === Texts ===


def text_task(tokenizer, **config) -> TextClassificationTask:
    config = {"num_labels": 3, "label_names": ("bad", "fair", "good"), **config}
    return TextClassificationTask(model_of(BERTForSequenceClassification, tokenizer, **config), tokenizer)


def test_texts_and_pairs_become_rows(tokenizer):
    task = text_task(tokenizer)
    inputs, labels = task.training_data(["good", ("the film", "bad")], ["good", 0])
    good, film, bad = (tokenizer.encode(text, add_special_tokens=False) for text in ("good", "the film", "bad"))
    assert rows_of(inputs) == [[1, *good, 2], [1, *film, 2, *bad, 2]]
    assert inputs["token_type_ids"].sum(axis=1).tolist() == [0, len(bad) + 1]
    assert labels.tolist() == [2, 0]


def test_long_texts_lose_their_end(tokenizer):
    task = text_task(tokenizer)
    text = "Paris " * 50
    [ids] = rows_of(task.training_data([text], [0])[0])
    assert ids == [1, *tokenizer.encode(text, add_special_tokens=False)[:35], 2]


def test_pairs_are_cut_as_transformers_cuts_them(tokenizer):
    """The longer text to the other's length, then both alike, and the longer one keeps the odd token."""
    task = text_task(tokenizer)
    task.max_length = 12  # 9 beside the special tokens
    texts = [" Bob is good" * 9, " is", " film" * 8]
    bob, short, film = (tokenizer.encode(text, add_special_tokens=False) for text in texts)
    assert len(short) < 4 and len(bob) > len(film) > 8
    pairs = [(texts[i], texts[j]) for i, j in ((0, 1), (1, 2), (0, 2), (2, 0))]
    assert rows_of(task.training_data([*pairs, texts[0]], [0] * 5)[0]) == [
        [1, *bob[: 9 - len(short)], 2, *short, 2],
        [1, *short, 2, *film[: 9 - len(short)], 2],
        [1, *bob[:5], 2, *film[:4], 2],
        [1, *film[:4], 2, *bob[:5], 2],
        [1, *bob[:10], 2],
    ]


def test_predict_gives_names_and_probabilities(tokenizer, monkeypatch):
    task = text_task(tokenizer)
    logits = np.log(np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], "float32")) + 4
    monkeypatch.setattr(task, "outputs", lambda inputs: {"logits": logits})
    good, bad = task.predict(["good", "bad"])
    assert (good.label, bad.label) == ("good", "bad")
    assert (good.score, bad.score) == pytest.approx((0.5, 0.6))
    scores = task.evaluate(["good", "bad"], ["fair", "bad"])
    assert scores == pytest.approx({"accuracy": 0.5, "f1": 1 / 3})  # fair and good 0, bad 1


def test_several_labels_a_text(tokenizer, monkeypatch):
    task = text_task(tokenizer, problem_type="multi_label_classification")
    assert task.training_data(["a", "b"], [["bad", 2], []])[1].tolist() == [[1, 0, 1], [0, 0, 0]]
    logits = np.array([[3.0, -3.0, 0.5], [-1.0, -1.0, -1.0]], "float32")
    monkeypatch.setattr(task, "outputs", lambda inputs: {"logits": logits})
    first, second = task.predict(["a", "b"])
    assert [label.label for label in first] == ["bad", "good"] and second == []
    assert first[0].score == pytest.approx(1 / (1 + np.exp(-3)))
    scores = task.evaluate(["a", "b"], [["bad"], ["fair"]])
    assert scores == pytest.approx({"precision": 1 / 2, "recall": 1 / 2, "f1": 1 / 2})


def test_regression(tokenizer, monkeypatch):
    task = text_task(tokenizer, num_labels=1, label_names=("likeness",))
    assert task.training_data(["a", "b"], [1, 2.5])[1].tolist() == [1.0, 2.5]
    monkeypatch.setattr(task, "outputs", lambda inputs: {"logits": np.array([[1.0], [2.0], [4.0]], "float32")})
    assert task.predict(["a", "b", "c"])[1] == Label("likeness", 2.0)
    scores = task.evaluate(["a", "b", "c"], [2, 4, 8])
    assert scores == pytest.approx({"mean_squared_error": (1 + 4 + 16) / 3, "pearson": 1.0})


def test_labels_without_names_are_called_as_in_transformers(tokenizer):
    [label] = text_task(tokenizer, label_names=None).predict(["good"])
    assert label.label in ("LABEL_0", "LABEL_1", "LABEL_2")


@pytest.mark.parametrize(("rows", "run"), [(1, 1), (3, 4), (5, 8), (8, 14), (15, 21)])
def test_rows_are_filled_up_so_that_few_shapes_are_compiled(tokenizer, monkeypatch, rows, run):
    task = text_task(tokenizer)
    task.batch_size = 7 if run > 8 else 8

    def predict(inputs, **options):
        assert len(inputs["input_ids"]) == run
        return {"logits": np.stack([inputs["input_ids"][:, 1]] * 3, axis=1)}

    monkeypatch.setattr(task.model, "predict", predict)
    texts = [chr(ord("a") + i) for i in range(rows)]
    found = task.outputs(task.inputs([(text,) for text in texts]))["logits"]
    assert found[:, 0].tolist() == [tokenizer.encode(text, add_special_tokens=False)[0] for text in texts]


def test_nothing_to_predict(tokenizer):
    assert text_task(tokenizer).predict([]) == []


# === Words ===


def token_task(tokenizer, **options) -> TokenClassificationTask:
    model = model_of(BERTForTokenClassification, tokenizer, num_labels=4, label_names=NAMES)
    return TokenClassificationTask(model, tokenizer, **options)


def first_token_oracle(tokenizer, words, labels):
    """Labels each token that begins a word as the word is."""
    pieces = [(f"{blank}{word}", label) for blank in ("", " ") for word, label in zip(words, labels, strict=True)]
    known = {
        tokenizer.encode(piece, add_special_tokens=False)[0]: NAMES.index(label)
        for piece, label in pieces[:1] + pieces[len(words) :]
    }
    assert len(known) == len(words) + 1

    def outputs(inputs):
        found = np.vectorize(lambda i: known.get(i, 0))(inputs["input_ids"])
        return {"logits": 5 * np.eye(4, dtype="float32")[found]}

    return outputs


def test_labels_stand_at_first_tokens(tokenizer):
    task = token_task(tokenizer)
    inputs, labels = task.training_data([SENTENCE, ["Rome"]], [LABELS, [IGNORED]])
    expected = [IGNORED]
    for word, label in zip(["Anna", *(f" {word}" for word in SENTENCE[1:])], LABELS, strict=True):
        expected += [NAMES.index(label), *[IGNORED] * (len(tokenizer.encode(word, add_special_tokens=False)) - 1)]
    assert labels[0, : len(expected)].tolist() == expected
    assert len(expected) > len(SENTENCE) + 1  # some words are of several tokens
    assert (labels[0, len(expected) :] == IGNORED).all() and (labels[1] == IGNORED).all()
    assert rows_of(inputs)[0] == [1, *tokenizer.encode(" ".join(SENTENCE), add_special_tokens=False), 2]


@pytest.mark.parametrize("max_length", [11, 37])  # several windows, and one
def test_entities_have_their_place_in_the_text(tokenizer, monkeypatch, max_length):
    task = token_task(tokenizer, max_length=max_length)
    text = "Anna Smith  of Paris, met Bob in Rome."
    monkeypatch.setattr(task, "outputs", first_token_oracle(tokenizer, SENTENCE, LABELS))
    [entities, none] = task.predict([text, ""])
    assert [(e.label, e.text) for e in entities] == [
        ("PER", "Anna Smith"),
        ("LOC", "Paris"),
        ("PER", "Bob"),
        ("LOC", "Rome"),
    ]
    assert all(text[e.start : e.end] == e.text and 0.9 < e.score < 1 for e in entities)
    assert none == []
    assert task.predict_labels([SENTENCE]) == [LABELS]
    assert task.evaluate([SENTENCE], [[*LABELS[:5], "O", "O", "B-PER"]]) == pytest.approx(
        {"precision": 2 / 4, "recall": 2 / 3, "f1": 4 / 7, "accuracy": 6 / 8}
    )


def test_every_word_of_a_long_sentence_is_trained_and_no_token_within_one(tokenizer):
    task = token_task(tokenizer, max_length=11, stride=4)
    inputs, labels = task.training_data([SENTENCE * 3], [LABELS * 3])
    firsts = {
        tokenizer.encode(word, add_special_tokens=False)[0] for word in ["Anna", *(f" {word}" for word in SENTENCE)]
    }
    assert len(labels) > 3 and (inputs["attention_mask"].sum(axis=1) <= 11).all()
    assert {*inputs["input_ids"][labels != IGNORED].tolist()} == firsts
    assert (labels != IGNORED).sum() > len(SENTENCE) * 3  # in the overlaps twice


def test_words_are_read_where_they_have_the_most_context(tokenizer, monkeypatch):
    task = token_task(tokenizer, max_length=13, stride=7)
    right = first_token_oracle(tokenizer, SENTENCE, LABELS)

    def wrong_at_the_ends(inputs):
        """Of windows, not of the sentence."""
        logits, counts = right(inputs)["logits"], inputs["attention_mask"].sum(axis=1)
        for i, (row, count) in enumerate(zip(logits, counts, strict=True)):
            row[1:4] = row[1:4] if i == 0 else 9 * np.eye(4)[2]
            row[count - 4 : count - 1] = row[count - 4 : count - 1] if i == len(logits) - 1 else 9 * np.eye(4)[2]
        return {"logits": logits}

    monkeypatch.setattr(task, "outputs", wrong_at_the_ends)
    assert task.predict_labels([SENTENCE * 3]) == [LABELS * 3]


# === Questions ===

QUESTION = "Where does Bob live?"
CONTEXT = "The old baker of Oslo met Anna. " * 3 + "Bob, in Rome (Paris), is good. " + "Anna met Bob. " * 3


def question_task(tokenizer, **options) -> QuestionAnsweringTask:
    return QuestionAnsweringTask(model_of(BERTForQuestionAnswering, tokenizer), tokenizer, **options)


def answers_oracle(task, examples, labels):
    """Outputs as if the labels had been learned, and other places a little."""
    inputs, targets = task.training_data(examples, labels)
    rows = {tuple(ids): i for i, ids in enumerate(inputs["input_ids"].tolist())}

    def outputs(inputs):
        found = [rows[tuple(ids)] for ids in inputs["input_ids"].tolist()]
        width = inputs["input_ids"].shape[1]
        noise = np.random.default_rng(3).random((2, len(found), width), "float32")
        start, end = (np.eye(width)[targets[f"{name}_positions"][found]] for name in ("start", "end"))
        return {"start_logits": 9 * start + noise[0], "end_logits": 9 * end + noise[1]}

    return outputs


@pytest.mark.parametrize("answer", ["Rome", "Rome (Paris", "in Rome (Paris), is good", "Bob, in"])
def test_answers_are_mapped_to_tokens_and_back(tokenizer, monkeypatch, answer):
    task = question_task(tokenizer)
    examples, labels = [(QUESTION, CONTEXT)], [[(answer, CONTEXT.index(answer))]]
    monkeypatch.setattr(task, "outputs", answers_oracle(task, examples, labels))
    [found] = task.predict(examples)
    assert found.text == answer == CONTEXT[found.start : found.end]
    assert found.score > 0.9
    assert task.evaluate(examples, labels) == {"exact_match": 1.0, "f1": 1.0}


def test_windows_of_a_long_context(tokenizer):
    task = question_task(tokenizer, stride=5)
    answer = "Rome (Paris)"
    inputs, targets = task.training_data([(QUESTION, CONTEXT)], [[(answer, CONTEXT.index(answer))]])
    question, context = (tokenizer.encode(text, add_special_tokens=False) for text in (QUESTION, CONTEXT.rstrip()))
    rows = rows_of(inputs)
    parts = [row[len(question) + 2 : -1] for row in rows]
    assert len(rows) > 3 and all(row[: len(question) + 2] == [1, *question, 2] and row[-1] == 2 for row in rows)
    assert parts[0] + [i for part in parts[1:] for i in part[5:]] == context
    inside = targets["start_positions"] > 0
    assert inside.any() and not inside.all() and (targets["end_positions"][~inside] == 0).all()
    for row, start, end in zip(rows, targets["start_positions"], targets["end_positions"], strict=True):
        if start:
            assert tokenizer.decode(row[start : end + 1]).strip() == answer


def test_part_of_a_word_becomes_the_word(tokenizer, monkeypatch):
    task = question_task(tokenizer)
    examples, labels = [(QUESTION, "Anna met Bob in Rome.")], [[("ome", 17)]]
    monkeypatch.setattr(task, "outputs", answers_oracle(task, examples, labels))
    assert task.predict(examples)[0].text == "Rome"


def test_no_answer(tokenizer, monkeypatch):
    examples = [(QUESTION, CONTEXT), ("Who is Bob?", CONTEXT), (QUESTION, "Anna.")]
    labels = [[], [("Rome", CONTEXT.index("Rome"))], []]
    task = question_task(tokenizer, no_answer_threshold=0.0)
    monkeypatch.setattr(task, "outputs", answers_oracle(task, examples, labels))
    answers = task.predict(examples)
    assert [answer.text for answer in answers] == ["", "Rome", ""]
    assert answers[0].start == answers[0].end == 0
    assert task.evaluate(examples, labels) == {"exact_match": 1.0, "f1": 1.0}
    task.no_answer_threshold = 30.0
    assert "" not in [answer.text for answer in task.predict(examples)]
    task.no_answer_threshold = None
    assert "" not in [answer.text for answers in task.predict_best(examples) for answer in answers]


def test_the_best_answers_in_order(tokenizer):
    task = question_task(tokenizer, max_answer_length=3)
    [answers] = task.predict_best([(QUESTION, CONTEXT)], 7)
    scores = [answer.score for answer in answers]
    assert scores == sorted(scores, reverse=True) and sum(scores) == pytest.approx(1)
    assert len({(answer.start, answer.end) for answer in answers}) == 7
    before = [CONTEXT[: answer.start].rstrip() for answer in answers]
    counts = [
        len(tokenizer.encode(CONTEXT[: answer.end], add_special_tokens=False))
        - len(tokenizer.encode(text, add_special_tokens=False))
        for answer, text in zip(answers, before, strict=True)
    ]
    assert min(counts) >= 1 and max(counts) <= 3


# === Choices ===


def test_choices_are_pairs_side_by_side(tokenizer, monkeypatch):
    task = MultipleChoiceTask(model_of(BERTForMultipleChoice, tokenizer), tokenizer)
    examples = [("Anna met", ["Bob", "Paris in Rome", "the"]), ("The film is", ["good", "Oslo", "not bad"])]
    inputs, labels = task.training_data(examples, [1, 2])
    assert labels.tolist() == [1, 2] and inputs["input_ids"].shape[:2] == (2, 3)
    met, rome = (
        tokenizer.encode("Anna met", add_special_tokens=False),
        tokenizer.encode("Paris in Rome", add_special_tokens=False),
    )
    row = inputs["input_ids"][0, 1][inputs["attention_mask"][0, 1] > 0].tolist()
    assert row == [1, *met, 2, *rome, 2]
    assert task.scores(examples).sum(axis=1) == pytest.approx([1, 1])
    logits = np.log(np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]], "float32"))
    monkeypatch.setattr(task, "outputs", lambda inputs: {"logits": logits})
    first, second = task.predict(examples)
    assert (first.text, first.index, second) == ("Paris in Rome", 1, Choice("good", 0, pytest.approx(0.5)))
    assert task.evaluate(examples, [1, 2]) == {"accuracy": 0.5}


# === Errors ===


@pytest.mark.parametrize(
    ("examples", "labels", "message"),
    [
        (["a", "b"], [0, 3], r"label 1 must be a name or lie in \[0, num_labels\) = \[0, 3\); got 3"),
        (["a"], [-1], "label 0 must be a name or lie in"),
        (["a"], ["great"], "label 0 is 'great'; the model's labels are bad, fair, good"),
        (["a", "b"], [0], "as many labels as examples, one or more; got 1 and 2"),
        ([], [], "one or more; got 0 and 0"),
    ],
)
def test_wrong_labels_of_texts(tokenizer, examples, labels, message):
    with pytest.raises(ValueError, match=message):
        text_task(tokenizer).training_data(examples, labels)


@pytest.mark.parametrize(
    ("words", "labels", "message"),
    [
        (["a", "b"], ["O"], "sentence 0 must be a list of words, one for each label; got 2 words"),
        ("a b", ["O", "O"], "sentence 0 must be a list of words, one for each label; got a string"),
        (["a", "b"], ["O", "B-ORG"], "the label of word 1 of sentence 0 is 'B-ORG'; the model's labels are O, B-PER"),
        (["a", "b"], [0, 4], r"the label of word 1 of sentence 0 must be a name or lie in .* got 4"),
        (["a", ""], [0, 0], "word 1 is '', which is empty"),
    ],
)
def test_wrong_labels_of_words(tokenizer, words, labels, message):
    with pytest.raises(ValueError, match=message):
        token_task(tokenizer).training_data([words], [labels])


@pytest.mark.parametrize(
    ("example", "answers", "message"),
    [
        ((QUESTION, CONTEXT), [("Rome", 3)], "answer to question 0 is 'Rome', which does not stand at 3"),
        ((QUESTION, CONTEXT), [("", 3)], "answer to question 0 is '', which does not stand"),
        ((QUESTION, CONTEXT), [(CONTEXT[-4:], -4)], "does not stand at -4"),
        (("", CONTEXT), [], "the question of example 0 has no token"),
        ((QUESTION, " "), [], "the context of example 0 has no token"),
    ],
)
def test_wrong_questions(tokenizer, example, answers, message):
    with pytest.raises(ValueError, match=message):
        question_task(tokenizer).training_data([example], [answers])


def test_more_texts_than_a_pair(tokenizer):
    with pytest.raises(ValueError, match="example 1 must be a text or a pair of texts; got 3 of them"):
        text_task(tokenizer).predict(["a", ("a", "b", "c")])


def test_wrong_choices(tokenizer):
    task = MultipleChoiceTask(model_of(BERTForMultipleChoice, tokenizer), tokenizer)
    with pytest.raises(ValueError, match=r"as many choices, one or more; got \[1, 2\]"):
        task.predict([("a", ["b", "c"]), ("a", ["b"])])
    with pytest.raises(ValueError, match=r"label 0 must lie in \[0, 2\).*got 2"):
        task.training_data([("a", ["b", "c"])], [2])


def test_models_that_do_not_fit(tokenizer):
    with pytest.raises(ValueError, match="needs a model for sequence classification; got GPTModel"):
        TextClassificationTask(model_of(GPTModel, tokenizer), tokenizer)
    with pytest.raises(ValueError, match="needs a model for multiple choice; got BERTForSequenceClassification"):
        MultipleChoiceTask(text_task(tokenizer).model, tokenizer)
    with pytest.raises(ValueError, match="`max_length` must be at most 37, the model's positions; got 38"):
        TextClassificationTask(text_task(tokenizer).model, tokenizer, max_length=38)
    endless = T5ForSequenceClassification(
        vocab_size=tokenizer.vocab_size, num_layers=1, num_heads=1, d_model=8, d_ff=8, num_labels=2
    )
    short = BPETokenizer(tokenizer.vocab, tokenizer.merges, model_max_length=31)
    with pytest.raises(ValueError, match="`max_length` must be at most 31, the tokenizer's `model_max_length`; got 32"):
        TextClassificationTask(endless, short, max_length=32)
    small = BERTForSequenceClassification(vocab_size=61, num_layers=1, num_heads=1, d_model=8, d_ff=8)
    with pytest.raises(ValueError, match="the tokenizer has 307 ids, and the model's `vocab_size` is 61: give"):
        TextClassificationTask(small, tokenizer)


def test_a_text_without_a_token(tokenizer):
    """BERT's row has its special tokens at least; GPT's would be empty."""
    assert len(text_task(tokenizer).predict([""])) == 1
    plain = BPETokenizer(tokenizer.vocab, tokenizer.merges)
    model = model_of(GPTForSequenceClassification, plain)
    with pytest.raises(ValueError, match="text 1 has no token: leave it out"):
        TextClassificationTask(model, plain).predict(["a", ""])


def test_asking_needs_no_training():
    """Tasks that only predict, and exports of what they do, import nothing of training; `fit` does."""
    files = {path.name: path.read_text() for path in (PACKAGE / "tasks").glob("*.py")}
    assert "    from keras_tx.training" in files["base.py"]
    assert not [name for name, source in files.items() if "\nfrom keras_tx.training" in source]


# === Training ===


@pytest.mark.slow
def test_fit_learns_from_strings_and_comes_back_from_a_directory(tokenizer, tmp_path):
    nouns = ["film", "baker", "Paris", "Rome", "Oslo", "Anna", "Bob"]
    texts = [f"the {noun} is {word}" for noun in nouns for word in ("good", "bad")]
    labels = ["good", "bad"] * len(nouns)
    config = {"num_labels": 2, "label_names": ("bad", "good"), "hidden_dropout": 0.0, "initializer_range": 0.2}
    task = text_task(tokenizer, **config)
    options = {"epochs": 15, "batch_size": 5, "learning_rate": 1e-2, "layer_decay": 1.0, "verbose": 0}
    history = task.fit(texts, labels, validation_data=(texts[:4], labels[:4]), **options)
    assert history.history["val_accuracy"][-1] == 1
    assert len(history.history["val_f1"]) == 15
    assert [label.label for label in task.predict(texts[:4])] == labels[:4]
    task.save_pretrained(tmp_path)
    again = TextClassificationTask.from_pretrained(tmp_path)
    np.testing.assert_allclose(again.scores(texts[:4]), task.scores(texts[:4]), atol=1e-6)


def test_a_task_by_its_hub_id(tokenizer, tmp_path):
    task = text_task(tokenizer, num_labels=3)
    task.save_pretrained(tmp_path / "saved")
    put_into_cache(tmp_path / "cache", "some/model", tmp_path / "saved")
    again = TextClassificationTask.from_pretrained(
        "some/model", cache_dir=tmp_path / "cache", local_files_only=True, max_length=11
    )
    np.testing.assert_allclose(again.scores(["the film"]), task.scores(["the film"]), atol=1e-6)
    assert again.max_length == 11
