"""`generate`: the texts of `model.generate`, in a graph, from strings to strings."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from export_helpers import sentencepiece
from generation_helpers import chi_square, eagerly
from helpers import numpy, randomize
from small_run import small_model

from keras_tx import BigramModel, BPETokenizer, CharTokenizer, GPTModel, T5Model
from keras_tx.export.generation import TextOptions, text_signatures

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="SavedModels are made on TensorFlow")

TOKENIZER = CharTokenizer("fabcdeghijkl\n")
PROMPTS = ["a", "deaf\ncabbage", "lake"]
OPTIONS = {"max_new_tokens": 21, "temperature": 0.5, "top_k": 0, "top_p": 1.0, "seed": 0}


@pytest.fixture(scope="module")
def model():
    return randomize(small_model(), np.random.default_rng(2))


@pytest.fixture(scope="module")
def functions(model):
    return traced(model, TOKENIZER, xla=True, max_new_tokens=21, temperature=0.5, seed=0)


def traced(model, tokenizer, *, xla: bool = False, **options) -> dict:
    signatures = text_signatures(model, tokenizer, TextOptions(**options), xla=xla)
    return {name: signature.traced() for name, signature in signatures.items()}


def generated(functions, prompts, signature: str = "generate", **options) -> list[str]:
    return [text.decode() for text in functions[signature](tf.constant(prompts), **options)["text"].numpy()]


def rolled(model, prompt: str, count: int) -> str:
    """By the definition: when all positions are used, the last half of them is read anew."""
    positions, kept = model.config.max_positions, len(prompt)
    with eagerly():
        while count:
            kept = kept if kept < positions else positions // 2
            steps = min(count, positions - kept)
            ids = numpy(model.generate([TOKENIZER.encode(prompt)[-kept:]], max_new_tokens=steps))[0]
            prompt += TOKENIZER.decode(ids[kept:])
            kept, count = kept + steps, count - steps
    return prompt


@pytest.mark.parametrize("count", [1, 40])
def test_greedy_texts(model, functions, count):
    got = generated(functions, PROMPTS, temperature=0.0, max_new_tokens=count)
    assert got == [rolled(model, prompt, count) for prompt in PROMPTS]


def test_what_fits_is_read_as_a_whole(model, functions):
    """Half of the positions are 4: a prompt of 6 is not cut before it has to be."""
    with eagerly():
        ids = numpy(model.generate([TOKENIZER.encode("deaf\nc")], max_new_tokens=2))[0]
    assert generated(functions, ["deaf\nc", "a"], temperature=0.0, max_new_tokens=2)[0] == TOKENIZER.decode(ids)


@pytest.mark.parametrize("temperature", [0.0, 2.0])
def test_prompts_of_a_batch_do_not_disturb_each_other(functions, temperature):
    batch = generated(functions, PROMPTS, temperature=temperature)
    assert batch == [generated(functions, [prompt], temperature=temperature)[0] for prompt in PROMPTS]


def test_a_batch_may_have_options_of_its_own(functions):
    options = {
        "max_new_tokens": [3, 21, 0, 13],
        "temperature": [1.0, 0.0, 1.0, 2.0],
        "top_k": [0, 0, 1, 3],
        "top_p": [1.0, 0.5, 0.5, 0.7],
        "seed": [0, 1, 2, 5],
    }
    prompts = [*PROMPTS, "a"]
    found = generated(functions, prompts, "generate_batch", **options)
    rows = [{name: values[i] for name, values in options.items()} for i in range(4)]
    assert found == [generated(functions, [p], **row)[0] for p, row in zip(prompts, rows, strict=True)]


@pytest.mark.slow
def test_xla_gives_the_same_greedy_texts(functions):
    for prompts, count in ((PROMPTS, 21), (["a"], 3)):
        options = {"temperature": 0.0, "max_new_tokens": count}
        assert generated(functions, prompts, "generate_xla", **options) == generated(functions, prompts, **options)
    drawn = [generated(functions, PROMPTS, "generate_xla", temperature=2.0, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_options_that_are_left_out_are_those_of_the_export(functions):
    texts = generated(functions, PROMPTS)
    assert texts == generated(functions, PROMPTS, "serve_text") == generated(functions, PROMPTS, **OPTIONS)
    assert [len(text) for text in texts] == [len(prompt) + 21 for prompt in PROMPTS]


def test_draws_differ_unless_a_seed_is_given(model):
    functions = traced(model, TOKENIZER, max_new_tokens=9, temperature=2.0)
    for signature in ("serve_text", "generate"):
        first, second = (generated(functions, ["lake"] * 3, signature) for _ in range(2))
        assert len({*first, *second}) > 3
    first, second = (generated(functions, PROMPTS, seed=1) for _ in range(2))
    assert first == second


def test_seeds_and_no_new_tokens(functions):
    assert generated(functions, PROMPTS, seed=1) != generated(functions, PROMPTS, seed=2)
    assert generated(functions, PROMPTS, max_new_tokens=0) == PROMPTS


def test_draws_have_the_distribution_of_top_k_and_top_p(model, functions):
    logits = numpy(model(np.array([TOKENIZER.encode("lake")]))["logits"])[0, -1].astype("float64") / 2.0
    shares = np.exp(logits - logits.max())
    order = np.argsort(-shares)
    for options, kept in (({"top_k": 3}, order[:3]), ({"top_k": 5, "top_p": 0.6}, None)):
        if kept is None:
            best = shares[order[:5]] / shares[order[:5]].sum()
            kept = order[:5][np.cumsum(best) - best < 0.6]
        count = 600
        fixed = {"max_new_tokens": [1] * count, "temperature": [2.0] * count, "seed": range(count)}
        given = {"top_k": 0, "top_p": 1.0, **options}
        fixed |= {name: [value] * count for name, value in given.items()}
        found = generated(functions, ["lake"] * count, "generate_batch", **{k: list(v) for k, v in fixed.items()})
        ids = np.array([TOKENIZER.encode(text[-1])[0] for text in found])
        odds = np.zeros(len(shares))
        odds[kept] = shares[kept] / shares[kept].sum()
        assert chi_square(np.bincount(ids, minlength=len(odds)), odds)


@pytest.mark.parametrize(
    ("prompt", "options", "words"),
    [
        ("aZ", {}, "characters outside the vocabulary"),
        ("", {}, "`prompt` must not be empty"),
        (b"a\xff", {}, "[Ii]nvalid"),
        ("a" * (2**20 + 1), {}, "`prompt` must be of 1048576 bytes at most"),
        ("a", {"max_new_tokens": -1}, "`max_new_tokens` must not be negative"),
        ("a", {"max_new_tokens": 4097}, "`max_new_tokens` must be 4096 at most"),
        ("a", {"temperature": -1.0}, "`temperature` must be finite and at least 0"),
        ("a", {"temperature": np.inf}, "`temperature` must be finite and at least 0"),
        ("a", {"temperature": np.nan}, "`temperature` must be finite and at least 0"),
        ("a", {"top_k": -1}, "`top_k` must be at least 0"),
        ("a", {"top_p": 0.0}, "`top_p` must lie in"),
        ("a", {"top_p": np.nan}, "`top_p` must lie in"),
    ],
)
def test_bad_inputs_are_errors(functions, prompt, options, words):
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        generated(functions, ["deaf", prompt], **options)


def test_options_out_of_range_are_refused():
    for options in ({"max_new_tokens": 0}, {"temperature": -1.0}, {"top_p": 0.0}, {"num_beams": 0}):
        with pytest.raises(ValueError, match="must"):
            TextOptions(**options)


TEXT = "the cat sat on the mat, the rat sat on the cat."


def gpt2_tokenizer() -> BPETokenizer:
    return BPETokenizer.train([TEXT] * 2, 271)


def gpt1_tokenizer() -> BPETokenizer:
    ends = [f"{character}</w>" for character in "acehmnorst.,"]
    pairs = [("t", "h"), ("th", "e</w>"), ("a", "t</w>"), ("c", "at</w>"), ("o", "n</w>")]
    tokens = ["<unk>", *"acehmnorst", *ends, *map("".join, pairs)]
    return BPETokenizer({t: i for i, t in enumerate(tokens)}, pairs, byte_level=False, unk_token="<unk>")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [gpt2_tokenizer, gpt1_tokenizer])
def test_texts_are_those_of_generate_up_to_its_end_token(kind):
    tokenizer, prompts, count = kind(), ["the cat", "on the mat the rat sat", "rat"], 13
    sizes = {"max_positions": 61, "num_layers": 1, "num_heads": 3, "d_model": 33}
    model = randomize(GPTModel(vocab_size=tokenizer.vocab_size, **sizes), np.random.default_rng(2))
    batch = tokenizer(prompts, padding_side="left")
    width = batch["input_ids"].shape[1]
    with eagerly():
        end = int(model.generate(**batch, max_new_tokens=count)[0, width + 5])
        rows = numpy(model.generate(**batch, max_new_tokens=count, eos_token_id=end))
    new = [row[width:][: ([*row[width:], end]).index(end) + 1] for row in rows]  # with the end, which is not special
    assert len(new[0]) <= 6 and len({*map(len, new)}) > 1
    read = [row[:width][mask > 0] for row, mask in zip(rows, batch["attention_mask"], strict=True)]
    expected = [tokenizer.decode([*ids, *more]) for ids, more in zip(read, new, strict=True)]
    assert all(text.startswith(prompt) for text, prompt in zip(expected, prompts, strict=True))

    functions = traced(model, tokenizer, max_new_tokens=count, temperature=0.0, eos_token_id=end)
    assert generated(functions, prompts, "serve_text") == expected
    if not tokenizer.byte_level:
        with pytest.raises(tf.errors.InvalidArgumentError, match="`prompt` must have a token"):
            generated(functions, ["the", " "])


@pytest.mark.slow
def test_texts_end_in_any_window_and_at_the_config_s_end_tokens(model, functions):
    drawn = {"max_new_tokens": 40, "temperature": 2.0, "seed": 3}
    whole = [text[len(prompt) :] for text, prompt in zip(generated(functions, PROMPTS, **drawn), PROMPTS, strict=True)]
    places = {end: [text.find(end) for text in whole] for end in TOKENIZER.characters}
    end = max((end for end in places if min(places[end]) >= 0), key=lambda end: max(places[end]))
    assert max(places[end]) > 8 and len(set(places[end])) > 1  # all positions are 8
    ending = GPTModel(model.config.replace(eos_token_id=TOKENIZER.characters.index(end)))
    ending.set_weights(model.get_weights())
    expected = [prompt + text[: text.find(end) + 1] for prompt, text in zip(PROMPTS, whole, strict=True)]
    assert generated(traced(ending, TOKENIZER), PROMPTS, **drawn) == expected


@pytest.mark.slow
def test_a_model_without_positions_never_rolls():
    model = randomize(BigramModel(vocab_size=13), np.random.default_rng(2))
    ids = numpy(model.generate([TOKENIZER.encode("lake")], max_new_tokens=31))[0]
    found = generated(traced(model, TOKENIZER), ["lake"], temperature=0.0, max_new_tokens=31)
    assert found == [TOKENIZER.decode(ids)]


def test_beams_are_asked_for_what_fits(model):
    """Of 8 positions, where requests are of as many tokens, or more."""
    search = text_signatures(model, TOKENIZER, TextOptions(num_beams=2), xla=False)["generate_beams"]
    given = search.sample(np.random.default_rng(0), 2, 13)
    found = search(**{name: tf.constant(x.tolist() if x.dtype.kind == "S" else x) for name, x in given.items()})
    texts = zip(given["prompt"], found["text"].numpy(), strict=True)
    assert all(text.startswith(prompt) and len(text) == len(prompt) + 3 for prompt, text in texts)
    for inputs, words in (
        ({"max_new_tokens": 0}, "`max_new_tokens` must be at least 1"),
        ({"max_new_tokens": 8}, "the model has 8 positions"),
        ({"length_penalty": np.nan}, "`length_penalty` must be a finite number"),
    ):
        kinds = {"max_new_tokens": tf.int32, "length_penalty": tf.float32}
        asked = {name: tf.constant(x, kinds[name]) for name, x in inputs.items()}
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            search(prompt=tf.constant(["a"]), **asked)


# === Encoder-decoders ===

SOURCES = ["the old baker", "anna smith met bob in oslo and rome.", "paris"]


@pytest.fixture(scope="module")
def t5():
    sizes = {"num_layers": 1, "num_heads": 3, "d_model": 15, "d_kv": 5, "d_ff": 29}
    tokens = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    model = T5Model(vocab_size=sentencepiece().vocab_size, **sizes, **tokens)
    return randomize(model, np.random.default_rng(5))


def texts_of(rows) -> list[str]:
    return [sentencepiece().decode(row.tolist(), skip_special_tokens=True) for row in numpy(rows)]


@pytest.mark.slow
def test_targets_are_those_of_generate_greedy_and_by_beams(t5):
    functions = traced(t5, sentencepiece(), xla=True, num_beams=3)
    batch = sentencepiece()(SOURCES, padding_side="left")
    options = {"max_new_tokens": 11}
    greedy = texts_of(t5.generate(**batch, **options))
    assert generated(functions, SOURCES, temperature=0.0, **options) == greedy
    assert generated(functions, SOURCES, "generate_xla", temperature=0.0, **options) == greedy
    found = t5.generate(**batch, num_beams=3, length_penalty=0.7, return_dict_in_generate=True, **options)
    given = tf.constant(SOURCES), tf.constant(11), tf.constant(0.7)
    beams = functions["generate_beams"](*given)
    assert [text.decode() for text in beams["text"].numpy()] == texts_of(found.sequences) != greedy
    np.testing.assert_allclose(beams["score"], numpy(found.sequences_scores), atol=1e-5)
    alone = [generated(functions, [source], temperature=1.5, seed=7)[0] for source in SOURCES]
    assert generated(functions, SOURCES, temperature=1.5, seed=7) == alone
