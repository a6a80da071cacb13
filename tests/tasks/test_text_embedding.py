"""Embeddings of texts: those of `golden/make_sentence_transformers.py`; searched, compared and trained."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import numpy, run_python

from keras_tx.models import BERTBackbone, BERTModel, EmbeddingHead, GPTModel, Projection, TextEmbeddingModel
from keras_tx.models.bert.config import TINY
from keras_tx.tasks import TextEmbeddingTask
from keras_tx.text import WordPieceTokenizer, default_text
from keras_tx.training import CosineSimilarityLoss, MatryoshkaLoss, MultipleNegativesRankingLoss, TripletLoss

GOLDEN = Path(__file__).parents[1] / "golden" / "sentence_transformers"
CASES = sorted(path.name for path in GOLDEN.iterdir())


@pytest.fixture(scope="module")
def tokenizer() -> WordPieceTokenizer:
    return WordPieceTokenizer.train([default_text()[:20_000]], 200)


@pytest.fixture
def task(tokenizer) -> TextEmbeddingTask:
    keras.utils.set_random_seed(3)
    rates = {"hidden_dropout": 0.0, "attention_dropout": 0.0}
    config = TINY.replace(vocab_size=tokenizer.vocab_size, type_vocab_size=2, initializer_range=0.3, **rates)
    head = EmbeddingHead(15, ("mean",), [Projection(units=8), "normalize"])
    return TextEmbeddingTask(TextEmbeddingModel(BERTBackbone(config), head), tokenizer, batch_size=4)


def read(case: str) -> tuple[list[str], dict[str, np.ndarray]]:
    expected = dict(np.load(GOLDEN / case / "expected.npz"))
    return expected.pop("texts").tolist(), expected


@pytest.mark.parametrize("case", CASES)
def test_embeddings_are_those_of_sentence_transformers(case):
    task = TextEmbeddingTask.from_pretrained(GOLDEN / case)
    assert task.max_length == 17
    texts, expected = read(case)
    for prompt, want in expected.items():
        np.testing.assert_allclose(task.encode(texts, prompt_name=prompt), want, atol=1e-5, err_msg=prompt)


@pytest.mark.parametrize("case", ["dense", "residual", "prompt", "roberta"])
def test_there_and_back(case, tmp_path):
    task = TextEmbeddingTask.from_pretrained(GOLDEN / case)
    task.save_pretrained(tmp_path)
    again = TextEmbeddingTask.from_pretrained(tmp_path)
    texts, expected = read(case)
    assert (again.prompts, again.max_length) == (task.prompts, task.max_length)
    assert again.prompts.items() >= {"query": "what of: "}.items()
    for prompt, want in expected.items():
        np.testing.assert_allclose(again.encode(texts, prompt_name=prompt), want, atol=1e-5)


def test_old_directories(tmp_path):
    """With a module's folder for the transformer, entries for each way of pooling, and a module without a folder."""
    shutil.copytree(GOLDEN / "mean", tmp_path / "0_Transformer")
    shutil.rmtree(tmp_path / "0_Transformer" / "1_Pooling")
    names = ("0_Transformer", "1_Pooling", "2_Normalize")
    kinds = [name.partition("_")[2] for name in names]
    modules = [
        {"idx": i, "name": str(i), "path": name, "type": f"sentence_transformers.models.{kind}"}
        for i, (name, kind) in enumerate(zip(names, kinds, strict=True))
    ]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 15, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (tmp_path / "0_Transformer" / "sentence_bert_config.json").write_text('{"max_seq_length": 17}')
    texts, expected = read("mean")
    task = TextEmbeddingTask.from_pretrained(tmp_path)
    assert task.max_length == 17
    np.testing.assert_allclose(task.encode(texts), expected["none"], atol=1e-5)


def test_a_text_model_by_itself_gives_the_mean(tokenizer, tmp_path):
    model = BERTModel(TINY, vocab_size=tokenizer.vocab_size)
    model.save_pretrained(tmp_path, format="huggingface")
    tokenizer.save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="says no pooling: the mean"):
        task = TextEmbeddingTask.from_pretrained(tmp_path)
    batch = tokenizer(["it was the"])
    states, _ = model(batch)
    np.testing.assert_allclose(task.encode("it was the"), numpy(states)[0].mean(axis=0), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"1_Pooling/config.json": {"pooling_mode": "middle"}}, "`modes` must be some of cls, max"),
        ({"modules.json": [{"type": "x.Transformer", "path": ""}]}, "has no pooling"),
        ({"modules.json": [{"type": "x.CLIPModel", "path": ""}]}, "the module x.CLIPModel is not supported"),
        ({"modules.json": [{"type": "x.Transformer", "path": "../.."}]}, "leads out of its directory"),
        ({"2_Dense/config.json": {"activation_function": "os.system"}}, "the activation os.system"),
        (
            {"2_Dense/config.json": {"in_features": 3, "out_features": 4}},
            r"must have `linear\.weight` of shape \(4, 3\)",
        ),
        ({"2_Dense/model.safetensors": None, "2_Dense/pytorch_model.bin": {}}, "a pickle, which can run any code"),
    ],
)
def test_what_is_not_supported_is_refused(change, message, tmp_path):
    shutil.copytree(GOLDEN / "dense", tmp_path / "model")
    for name, content in change.items():
        path = tmp_path / "model" / name
        path.unlink() if content is None else path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        TextEmbeddingTask.from_pretrained(tmp_path / "model")


# === Encoding and searching ===

TEXTS = [
    "it was the",
    "a",
    "of the clocks and the man of the wife in the fortune of a good day",
    "man",
    "wife of a",
    "no",
]


def test_each_text_is_embedded_as_if_alone(task):
    found = task.encode(TEXTS)
    assert found.shape == (6, 8) and found.dtype == np.float32
    for text, want in zip(TEXTS, found, strict=True):
        np.testing.assert_allclose(task.encode(text), want, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    short = task.encode(TEXTS, truncate_dim=3, normalize=True)
    np.testing.assert_allclose(short, found[:, :3] / np.linalg.norm(found[:, :3], axis=1, keepdims=True), atol=1e-5)


def test_prompts(task, tokenizer):
    asking = TextEmbeddingTask(task.model, tokenizer, prompts={"ask": "of the "}, default_prompt_name="ask")
    np.testing.assert_allclose(asking.encode("man"), task.encode("of the man"), atol=1e-6)
    np.testing.assert_allclose(asking.encode("man", prompt=""), task.encode("man"), atol=1e-6)
    np.testing.assert_allclose(task.encode("man", prompt="a "), task.encode("a man"), atol=1e-6)
    lower = TextEmbeddingTask(task.model, tokenizer, lowercase=True)
    np.testing.assert_allclose(lower.encode("MAN"), task.encode("man"), atol=1e-6)
    with pytest.raises(ValueError, match="there is no prompt 'find'; there are 'ask'"):
        asking.encode("man", prompt_name="find")
    with pytest.raises(ValueError, match=r"`truncate_dim` must lie in \[1, 8\]; got 9"):
        task.encode("man", truncate_dim=9)


@pytest.mark.parametrize("name", ["cosine", "dot", "euclidean", "manhattan"])
def test_similarities_and_search(name, task, tokenizer, rng, monkeypatch):
    task = TextEmbeddingTask(task.model, tokenizer, similarity=name)
    a, b = rng.normal(size=(3, 8)).astype("float32"), rng.normal(size=(50, 8)).astype("float32")
    wanted = {
        "cosine": lambda: (a @ b.T) / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1),
        "dot": lambda: a @ b.T,
        "euclidean": lambda: -np.sqrt(((a[:, None] - b) ** 2).sum(-1)),
        "manhattan": lambda: -np.abs(a[:, None] - b).sum(-1),
    }[name]()
    np.testing.assert_allclose(task.similarity(a, b), wanted, atol=1e-5)
    monkeypatch.setattr("keras_tx.tasks.text_embedding.SCORES_AT_ONCE", 3 * 7 * 8)  # a few at a time
    found = task.search(a, b, top_k=5)
    np.testing.assert_array_equal(found.ids, np.argsort(-wanted, axis=1)[:, :5])
    np.testing.assert_allclose(found.scores, -np.sort(-wanted, axis=1)[:, :5], atol=1e-5)
    assert task.search(a, b[:2], top_k=5).ids.shape == (3, 2)


def test_search_of_texts(task):
    found = task.search(["man", "it was the"], iter(TEXTS), top_k=2)
    assert found.ids[:, 0].tolist() == [3, 0]
    np.testing.assert_allclose(found.scores[:, 0], 1, atol=1e-5)
    assert task.evaluate_retrieval(["man", "a"], TEXTS, [3, {1, 0}], at=(1, 2))["recall@1"] == 0.75
    with pytest.raises(ValueError, match="`corpus` is empty"):
        task.search("man", [])


# === Training ===


def pairs(count: int) -> list[tuple[str, str]]:
    """Of words of the corpus, each with the next one, which nothing but learning puts near it."""
    words = sorted({word for word in default_text()[:20_000].split() if word.isalpha()})
    return list(zip(words[:count], words[count : 2 * count], strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss", [None, MatryoshkaLoss(MultipleNegativesRankingLoss(), (8, 4))], ids=["ranking", "matryoshka"]
)
def test_pairs_are_learned(loss, task):
    examples = pairs(24)
    first, second = map(list, zip(*examples, strict=True))
    before = task.evaluate_retrieval(first, second, range(24), at=(1,))
    task.fit(examples, loss=loss, epochs=40, batch_size=12, learning_rate=1e-2, layer_decay=1.0, verbose=0)
    after = task.evaluate_retrieval(first, second, range(24), at=(1,))
    assert after["recall@1"] > max(0.6, 2 * before["recall@1"])
    if loss:
        cut = task.search(task.encode(first, truncate_dim=4), task.encode(second, truncate_dim=4), 1)
        assert (cut.ids[:, 0] == np.arange(24)).mean() > 0.3


REPLICAS = """
import numpy as np, tensorflow as tf

[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import contextlib, keras
from keras_tx.models import BERTBackbone, EmbeddingHead, Projection, TextEmbeddingModel
from keras_tx.models.bert.config import TINY
from keras_tx.training import MultipleNegativesRankingLoss
from keras_tx.training.recipes.embeddings import EmbeddingTrainer

rng = np.random.default_rng(0)
inputs = {"input_ids": rng.integers(1, 61, (10, 3, 7)), "attention_mask": np.ones((10, 3, 7), "int32")}
losses = []
for strategy in (None, tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
    with strategy.scope() if strategy else contextlib.nullcontext():
        keras.utils.set_random_seed(0)
        backbone = BERTBackbone(TINY, hidden_dropout=0.0, attention_dropout=0.0, initializer_range=0.3, pooler=False)
        head = EmbeddingHead(15, ("mean",), [Projection(units=8)])
        trainer = EmbeddingTrainer(TextEmbeddingModel(backbone, head), MultipleNegativesRankingLoss())
        trainer.compile(keras.optimizers.SGD(0.5))
    fitted = trainer.fit(inputs, np.zeros(10), batch_size=5, epochs=3, shuffle=False, verbose=0)
    losses.append(fitted.history["loss"])
np.testing.assert_allclose(*losses, rtol=2e-4)
assert losses[0][-1] < losses[0][0]
"""


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="replicas are TensorFlow's")
def test_negatives_of_all_replicas_count():
    """Two replicas, of three rows and two, make the losses and the steps of one device."""
    run_python("-c", REPLICAS)


@pytest.mark.slow
def test_scores_and_triplets_are_learned(task):
    examples = pairs(16)
    scores = np.linspace(-0.5, 0.9, 16)
    task.fit(examples, scores, CosineSimilarityLoss(), epochs=40, batch_size=8, learning_rate=5e-3, verbose=0)
    assert task.evaluate(examples, scores)["spearman"] > 0.8
    triplets = [(a, b, examples[i - 1][1]) for i, (a, b) in enumerate(examples)]
    options = {"epochs": 20, "batch_size": 8, "learning_rate": 1e-2, "layer_decay": 1.0, "verbose": 0}
    history = task.fit(triplets, loss=TripletLoss(margin=0.5, distance="cosine"), **options).history["loss"]
    assert history[-1] < 0.5 * history[0]


def test_losses(task, rng):
    x = rng.normal(size=(4, 3, 5))
    unit = x / np.linalg.norm(x, axis=-1, keepdims=True)
    candidates = np.concatenate([unit[:, 1], unit[:, 2]])
    scores = 20 * unit[:, 0] @ candidates.T
    wanted = (np.log(np.exp(scores).sum(1)) - scores[np.arange(4), np.arange(4)]).mean()
    given, given_scores = keras.ops.convert_to_tensor(x, "float32"), np.array([0.1, 0.5, -0.2, 1.0], "float32")
    ranking = MultipleNegativesRankingLoss()
    assert float(ranking(given, None)) == pytest.approx(wanted, rel=1e-4)
    cosine = (unit[:, 0] * unit[:, 1]).sum(-1)
    found = float(CosineSimilarityLoss()(given[:, :2], given_scores))
    assert found == pytest.approx(((cosine - given_scores) ** 2).mean(), rel=1e-4)
    near, far = (np.linalg.norm(x[:, 0] - x[:, i], axis=-1) for i in (1, 2))
    assert float(TripletLoss()(given, None)) == pytest.approx(np.maximum(near - far + 5, 0).mean(), rel=1e-4)
    both = MatryoshkaLoss(ranking, (5, 2), (1.0, 0.5))
    wanted = float(ranking(given, None)) + 0.5 * float(ranking(given[..., :2], None))
    assert float(both(given, None)) == pytest.approx(wanted, rel=1e-5)


def test_rows_that_a_loss_does_not_take(task):
    with pytest.raises(ValueError, match="a CosineSimilarityLoss takes a score for each row"):
        task.fit([("a", "man")], loss=CosineSimilarityLoss())
    with pytest.raises(ValueError, match="a TripletLoss takes 3 texts a row; got 2"):
        task.fit([("a", "man")], loss=TripletLoss())
    with pytest.raises(ValueError, match="as many texts in each"):
        task.fit([("a", "man"), ("a", "b", "c")])


# === In Keras ===


def test_inside_a_larger_model(task, tmp_path):
    ids, mask = (keras.Input((None,), dtype="int32") for _ in range(2))
    embedding = task.model({"input_ids": ids, "attention_mask": mask})
    model = keras.Model([ids, mask], keras.layers.Dense(3, activation="softmax")(embedding))
    batch = task.tokenizer(TEXTS)
    given = [batch["input_ids"], batch["attention_mask"]]
    wanted = model.predict(given, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(given, verbose=0), wanted, atol=1e-6)
    model.compile("adam", "sparse_categorical_crossentropy")
    before = numpy(task.model.head.projections[0].kernel).copy()
    model.fit(given, np.arange(6) % 3, verbose=0)
    assert not np.allclose(numpy(task.model.head.projections[0].kernel), before)


def test_parts_that_do_not_fit():
    with pytest.raises(ValueError, match="`backbone` must be a TextBackbone; got a GPTModel"):
        TextEmbeddingModel(GPTModel(vocab_size=7, num_layers=1, num_heads=1, d_model=4))
    with pytest.raises(ValueError, match="`head` is for a width of 7; the backbone's is 15"):
        TextEmbeddingModel(BERTBackbone(TINY), EmbeddingHead(7))
    with pytest.raises(ValueError, match="`steps` must be Projections"):
        EmbeddingHead(7, steps=["dropout"])


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="SavedModels are TensorFlow's")
@pytest.mark.parametrize("case", ["dense", "roberta"])
def test_a_saved_model_takes_texts(case, tmp_path):
    import tensorflow as tf

    from keras_tx import export_saved_model

    task = TextEmbeddingTask.from_pretrained(GOLDEN / case)
    export_saved_model(task.model, tmp_path / "1", task.tokenizer)
    served = tf.saved_model.load(str(tmp_path / "1")).signatures["serve_text"]
    texts = ["It was a bright cold day.", "the clocks", "No."]
    found = served(text=tf.constant(texts))
    np.testing.assert_allclose(found["embedding"], task.encode(texts), atol=1e-5)
