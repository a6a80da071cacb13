"""Longformer by its definition: exact sizes, the published table, which tokens a task makes global, how far it sees."""

import dataclasses

import keras
import numpy as np
import pytest
from helpers import compiled, count_parameters, numpy, randomize

from keras_tx import attention, models
from keras_tx.models.longformer.config import TINY, TINY_HEAD, VARIANTS, LongformerConfig

COUNTS = {
    "LongformerModel": (148659456, 434600960),
    "LongformerForMaskedLM": (148711257, 434653273),
    "LongformerForSequenceClassification": (148660994, 434603010),
    "LongformerForTokenClassification": (148070402, 433553410),
    "LongformerForQuestionAnswering": (148070402, 433553410),
    "LongformerForMultipleChoice": (148660225, 434601985),
}
"""Of the variants in their order, as Transformers counts them."""


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name):
    cls = getattr(models, name)
    assert tuple(count_parameters(lambda config=config: cls(config)) for config in VARIANTS.values()) == COUNTS[name]


def test_the_published_sizes():
    table = {name: (c.num_layers, c.d_model, c.num_heads, c.d_ff, c.max_positions) for name, c in VARIANTS.items()}
    assert table == {
        "longformer_base_4096": (12, 768, 12, 3072, 4098),
        "longformer_large_4096": (24, 1024, 16, 4096, 4098),
    }
    assert all(set(c.windows) == {512} for c in VARIANTS.values())


def test_a_builder_takes_overrides():
    fields = {"num_layers": 1, "d_model": 30, "num_heads": 3, "d_ff": 19, "vocab_size": 11, "attention_window": (8,)}
    model = models.create_model("longformer_base_4096", **fields)
    assert model.config == dataclasses.replace(VARIANTS["longformer_base_4096"], **fields)


def test_how_far_it_sees(rng):
    """Half a window a block, and everywhere by a global token."""
    model = randomize(models.LongformerModel(TINY, attention_window=(2, 4)), rng, 0.2)
    ids = rng.integers(5, 61, (1, 12))
    other = ids.copy()
    other[0, 0] += 1 if ids[0, 0] < 60 else -1

    def changed(**given) -> list[int]:
        one, two = (numpy(model(x, **given)[0])[0] for x in (ids, other))
        return np.flatnonzero(np.abs(one - two).max(axis=-1) > 1e-6).tolist()

    assert changed() == [0, 1, 2, 3]
    assert changed(global_attention_mask=np.eye(12, dtype="int32")[[9]]) == [0, 1, 2, 3, *range(4, 12)]
    assert changed(global_attention_mask=np.ones((1, 1), "int32")) == [*range(12)]


# === Which tokens a task makes global ===

SEPARATOR = 7
IDS = np.array([[0, 9, 9, 7, 7, 9, 9, 9, 7], [0, 9, 7, 7, 9, 9, 7, 4, 4], [9, 9, 9, 9, 9, 9, 9, 9, 9]])
QUESTIONS = np.array([[1, 1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0, 0], [0] * 9])
ANSWERS = np.array([[0, 0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1, 1, 1], [0] * 9])


def assert_same(model, ids, marked, **options):
    found, wanted = model(ids, **options), model(ids, global_attention_mask=marked, **options)
    for one, two in zip(keras.tree.flatten(found), keras.tree.flatten(wanted), strict=True):
        np.testing.assert_allclose(numpy(one), numpy(two), atol=1e-5)
    opposite = keras.tree.flatten(model(ids, global_attention_mask=1 - marked, **options))
    assert not np.allclose(numpy(opposite[0]), numpy(keras.tree.flatten(found)[0]), atol=1e-3)


def test_the_first_token_is_global_to_a_classifier(rng):
    model = randomize(models.LongformerForSequenceClassification(TINY_HEAD), rng)
    first = np.zeros_like(IDS)
    first[:, 0] = 1
    assert_same(model, IDS, first)
    mask = np.array([[1] * 9, [1] * 7 + [0] * 2, [0] * 2 + [1] * 7])
    assert_same(model, IDS, first, attention_mask=mask)


def test_a_question_is_global(rng):
    model = randomize(models.LongformerForQuestionAnswering(TINY_HEAD, sep_token_id=SEPARATOR), rng)
    assert_same(model, IDS, QUESTIONS)
    assert numpy(model.global_tokens(IDS)).astype(int).tolist() == QUESTIONS.tolist()


def test_choices_are_global(rng):
    model = randomize(models.LongformerForMultipleChoice(TINY_HEAD, sep_token_id=SEPARATOR), rng)
    ids, marked = IDS[:2][None], ANSWERS[:2][None]
    assert_same(model, ids, marked)
    assert numpy(model.global_tokens(IDS)).astype(int).tolist() == ANSWERS.tolist()


@pytest.mark.parametrize("name", ["QuestionAnswering", "MultipleChoice"])
def test_a_task_needs_its_separator(name, rng):
    model = getattr(models, f"LongformerFor{name}")(TINY_HEAD, sep_token_id=None)
    ids = IDS[:2][None] if name == "MultipleChoice" else IDS
    with pytest.raises(ValueError, match=f"a LongformerFor{name} needs `global_attention_mask`, or a config with"):
        model(ids)
    model(ids, global_attention_mask=np.zeros_like(ids))


@pytest.mark.parametrize("name", ["SequenceClassification", "QuestionAnswering", "MultipleChoice"])
def test_what_a_task_says_itself_is_no_input_of_its_exports(name):
    signature = getattr(models, f"LongformerFor{name}")(TINY_HEAD).input_signature()
    assert [*signature] == ["input_ids", "attention_mask"]
    others = models.LongformerForTokenClassification(TINY_HEAD).input_signature()
    assert [*others] == ["input_ids", "attention_mask", "global_attention_mask"]


# === Training, saving, errors ===


@pytest.mark.parametrize("name", ["SequenceClassification", "QuestionAnswering", "TokenClassification"])
def test_training_saving_and_loading(name, rng, tmp_path):
    """By a compiled `fit`, with and without a global mask among the inputs; then whole, by `.keras`."""
    model = getattr(models, f"LongformerFor{name}")(TINY_HEAD, sep_token_id=SEPARATOR, max_global_tokens=2)
    given = {"input_ids": IDS, "attention_mask": (IDS != 4).astype("int32")}
    if name == "TokenClassification":
        given["global_attention_mask"] = QUESTIONS
    labels = {"labels": IDS % 5 if name == "TokenClassification" else np.array([1, 0, 3])}
    if name == "QuestionAnswering":
        labels = {"start_positions": np.array([5, 4, 0]), "end_positions": np.array([7, 4, 3])}
    model.compile(keras.optimizers.Adam(1e-2))
    losses = model.fit({**given, **labels}, epochs=12, batch_size=3, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for one, two in zip(keras.tree.flatten(model(given)), keras.tree.flatten(again(given)), strict=True):
        np.testing.assert_allclose(numpy(one), numpy(two), atol=1e-6)


def test_compiled_for_any_length(rng):
    """In one program of unknown length where a backend has such, of few global tokens and of any number."""
    ids, marked = rng.integers(5, 61, (2, 19)), np.zeros((2, 19), "int32")
    marked[:, [0, 11]] = 1
    model = randomize(models.LongformerModel(TINY), rng)
    few = models.LongformerModel(TINY, max_global_tokens=2)
    few.set_weights(model.get_weights())
    wanted = numpy(model(ids, global_attention_mask=marked)[0])
    for one in (model, few):
        found = compiled(lambda ids, marked, one=one: one(ids, global_attention_mask=marked)[0])(ids, marked)
        np.testing.assert_allclose(numpy(found), wanted, atol=1e-4)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        for one in (model, few):
            specs = [tf.TensorSpec((None, None), "int32")] * 2
            run = tf.function(lambda i, m, one=one: one(i, global_attention_mask=m)[0], input_signature=specs)
            np.testing.assert_allclose(run(ids.astype("int32"), marked), wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"attention_window": 3}, "`attention_window` must be even, half of it to each side; got 3"),
        ({"attention_window": (4,)}, r"one for each of the 2 blocks; got \(4,\)"),
        ({"max_global_tokens": 0}, "`max_global_tokens` must be a whole number of at least 1; got 0"),
        ({"attention": "linear"}, "`attention` must be None in Longformer, which has its own"),
        ({"pad_token_id": None}, "`pad_token_id` must lie in"),
    ],
)
def test_configs_that_cannot_be(fields, message):
    with pytest.raises(ValueError, match=message):
        TINY.replace(**fields)


def test_configs_to_json_and_back():
    for window in (6, (2, 4)):
        config = TINY.replace(attention_window=window)
        assert LongformerConfig.from_dict(config.to_dict()) == config
    assert [a.attention_window for a in config.block_attention] == [2, 4]
    assert config.block_attention[0] == attention.Longformer(attention_window=2)


def test_global_masks_that_cannot_be(rng):
    model = models.LongformerForTokenClassification(TINY_HEAD)
    with pytest.raises(ValueError, match="`global_attention_mask` must have shape"):
        model(IDS, global_attention_mask=np.ones((2, 9)))
    with pytest.raises(ValueError, match="`global_attention_mask` must be at most 9 long"):
        model(IDS, global_attention_mask=np.ones((3, 10)))
    bert = models.BERTForTokenClassification(models.bert.config.TINY_HEAD)
    with pytest.raises(ValueError, match="this model takes no 'global_attention_mask'"):
        bert(IDS, global_attention_mask=np.ones((3, 9)))
