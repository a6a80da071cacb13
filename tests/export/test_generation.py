"""`generate`: the texts of `model.generate`, in a graph, from strings to strings."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from export_helpers import sentencepiece
from generation_helpers import chi_square, eagerly
from helpers import long_after, numpy, randomize
from small_run import small_model

from keras_tx import BigramModel, BPETokenizer, CharTokenizer, GPTModel, T5Model
from keras_tx.export.generation import text_signatures
from keras_tx.export.text_generator import TextGenerator, TextOptions

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


OUT_OF_RANGE = [
    ({"max_new_tokens": -1}, "`max_new_tokens` must not be negative"),
    ({"max_new_tokens": 4097}, "`max_new_tokens` must be 4096 at most"),
    ({"temperature": -1.0}, "`temperature` must be finite and at least 0"),
    ({"temperature": np.inf}, "`temperature` must be finite and at least 0"),
    ({"temperature": np.nan}, "`temperature` must be finite and at least 0"),
    ({"top_k": -1}, "`top_k` must be at least 0"),
    ({"top_p": 0.0}, "`top_p` must lie in"),
    ({"top_p": np.nan}, "`top_p` must lie in"),
]


@pytest.mark.parametrize(("options", "words"), OUT_OF_RANGE)
def test_options_of_a_request_out_of_range_are_its_error(functions, options, words):
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        generated(functions, ["deaf"], **options)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("aZ", "`prompt` must have characters of the vocabulary alone"),
        ("", "`prompt` must have a token"),
        (b"a\xff", "`prompt` must be UTF-8"),
        ("a" * (2**20 + 1), "`prompt` must be of 1048576 bytes at most"),
    ],
)
def test_a_bad_prompt_is_its_row_s_error(functions, prompt, words):
    options = {"max_new_tokens": 9, "temperature": 0.0}
    found = functions["generate"](tf.constant(["deaf", prompt, "lake"]), **options)
    assert found["error"].numpy().tolist()[::2] == [b"", b""] and words in found["error"].numpy()[1].decode()
    alone = functions["generate"](tf.constant(["deaf", "lake"]), **options)["text"].numpy().tolist()
    assert found["text"].numpy().tolist() == [alone[0], b"", alone[1]]


def test_bad_options_of_a_row_are_its_error(functions):
    neutral = {"max_new_tokens": 9, "temperature": 0.0, "top_k": 0, "top_p": 1.0, "seed": 1}
    rows = [neutral, *({**neutral, **options} for options, _ in OUT_OF_RANGE), neutral]
    columns = {name: [row[name] for row in rows] for name in neutral}
    found = functions["generate_batch"](tf.constant(["lake"] * len(rows)), **columns)
    texts, errors = (found[name].numpy().tolist() for name in ("text", "error"))
    [alone] = generated(functions, ["lake"], **neutral)
    assert [text.decode() for text in texts] == [alone, *[""] * len(OUT_OF_RANGE), alone]
    assert errors[0] == errors[-1] == b""
    assert all(words in error.decode() for error, (_, words) in zip(errors[1:-1], OUT_OF_RANGE, strict=True))


PAIR = ["deaf", "lake"]


def test_a_row_that_has_its_tokens_holds_no_other_up(model):
    """The loop ends when the longest row has met its end, though a shorter one has met none."""
    steps = []

    class Counted(type(model)):
        def decode_step(self, ids, position_ids, attention_mask, cache, last):
            steps.append(ids.shape)
            return super().decode_step(ids, position_ids, attention_mask, cache, last)

    counted = Counted(model.config)
    counted.set_weights(model.get_weights())
    found = generated(traced(model, TOKENIZER, eos_token_id=()), PAIR, temperature=0.0, max_new_tokens=4)
    short, long = (text[4:] for text in found)
    end = next(character for character in long[:-1] if character not in short)
    generator = TextGenerator(counted, TOKENIZER, TextOptions(eos_token_id=TOKENIZER.encode(end)[0]))
    options = {"temperature": 0.0, "top_k": 0, "top_p": 1.0, "seed": 1}
    with eagerly():
        generator.generate(tf.constant(PAIR), tf.constant([1, 4]), **{k: tf.constant(x) for k, x in options.items()})
    assert len(steps) == long.index(end) + 1 < 4


def test_options_out_of_range_are_refused():
    for options in (
        {"max_new_tokens": 0},
        {"temperature": -1.0},
        {"top_p": 0.0},
        {"num_beams": 0},
        {"repetition_penalty": 0.0},
        {"min_p": 1.5},
        {"penalty_alpha": 0.6},
    ):
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
        found = functions["generate"](tf.constant(["the", " "]))
        assert found["text"].numpy()[1] == b"" and b"`prompt` must have a token" in found["error"].numpy()[1]


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


@pytest.mark.parametrize(
    ("signature", "options", "weight"),
    [
        ("generate_beams", {"num_beams": 2}, {"length_penalty": np.nan}),
        ("generate_contrastive", {"penalty_alpha": 0.6, "top_k": 3}, {"penalty_alpha": np.inf}),
    ],
)
def test_searches_read_the_end_of_long_prompts(model, signature, options, weight):
    """Of 8 positions, where requests are of as many tokens, or more."""
    search = text_signatures(model, TOKENIZER, TextOptions(**options), xla=False)[signature]
    given = search.sample(np.random.default_rng(0), 2, 13)
    found = search(**{name: tf.constant(x.tolist() if x.dtype.kind == "S" else x) for name, x in given.items()})
    texts = zip(given["prompt"], found["text"].numpy(), strict=True)
    assert all(text.startswith(prompt) and len(text) == len(prompt) + 3 for prompt, text in texts)

    prompts = ["lake", "feedahagaleaf"]
    whole = search(prompt=tf.constant(prompts), max_new_tokens=tf.constant(3))["text"].numpy()
    ends = search(prompt=tf.constant([prompt[-5:] for prompt in prompts]), max_new_tokens=tf.constant(3))[
        "text"
    ].numpy()
    assert [x[-3:] for x in whole] == [x[-3:] for x in ends]
    by_default = search(prompt=tf.constant(prompts))["text"].numpy()  # 200, of which half of the positions are left
    assert [len(text) for text in by_default] == [len(prompt) + 4 for prompt in prompts]

    bad = search(prompt=tf.constant([prompts[0], ""]), max_new_tokens=tf.constant(3))
    assert bad["text"].numpy()[0] == whole[0] and b"must have a token" in bad["error"].numpy()[1]
    for inputs, words in (
        ({"max_new_tokens": 0}, "`max_new_tokens` must be at least 1"),
        (weight, "must be a finite number"),
    ):
        kinds = {"max_new_tokens": tf.int32}
        asked = {name: tf.constant(x, kinds.get(name, tf.float32)) for name, x in inputs.items()}
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            search(prompt=tf.constant(["a"]), **asked)


@pytest.mark.parametrize(
    "options",
    [
        {"repetition_penalty": 1.7},
        pytest.param({"no_repeat_ngram_size": 2}, marks=pytest.mark.slow),
        {"num_beams": 3, "repetition_penalty": 1.7, "no_repeat_ngram_size": 2},
        pytest.param({"penalty_alpha": 0.6, "top_k": 4, "repetition_penalty": 1.7}, marks=pytest.mark.slow),
    ],
    ids=lambda options: "-".join(options),
)
def test_rules_are_those_of_generate(options):
    model = randomize(
        GPTModel(vocab_size=13, max_positions=31, num_layers=1, num_heads=3, d_model=15), np.random.default_rng(4)
    )
    prompts, count = ["lake", "deaf"], 14
    with eagerly():
        rows = numpy(model.generate([TOKENIZER.encode(prompt) for prompt in prompts], max_new_tokens=count, **options))
        plain = numpy(model.generate([TOKENIZER.encode(prompt) for prompt in prompts], max_new_tokens=count))
    signature = (
        "generate_beams" if "num_beams" in options else "generate_contrastive" if "top_k" in options else "generate"
    )
    found = traced(model, TOKENIZER, temperature=0.0, **options)
    assert generated(found, prompts, signature, max_new_tokens=count) == [TOKENIZER.decode(row) for row in rows]
    assert not np.array_equal(rows, plain)


@pytest.mark.parametrize("options", long_after(1, [{}, {"num_beams": 2}, {"penalty_alpha": 0.6, "top_k": 3}]), ids=str)
def test_rules_see_no_padding(options):
    """Which is a character of the vocabulary here, "f", and may come twice in a row."""
    assert TOKENIZER.pad_token_id == TOKENIZER.encode("f")[0]
    model = GPTModel(vocab_size=13, max_positions=31, num_layers=1, num_heads=3, d_model=15)
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])  # the first token is the likeliest
    signature = {"num_beams": "generate_beams", "top_k": "generate_contrastive"}.get([*options, ""][-1], "generate")
    found = traced(model, TOKENIZER, temperature=0.0, no_repeat_ngram_size=2, **options)
    [alone] = generated(found, ["ga"], signature, max_new_tokens=4)
    assert generated(found, ["ga", "abcdeabcde"], signature, max_new_tokens=4)[0] == alone
    assert options or "ff" in alone


def test_draws_with_min_p_are_among_the_likeliest(model):
    logits = numpy(model(np.array([TOKENIZER.encode("lake")]))["logits"])[0, -1].astype("float64") / 5.0
    shares = np.exp(logits - logits.max())
    odds = np.where(shares >= 0.4, shares, 0.0)
    assert 1 < np.count_nonzero(odds) < len(odds)
    texts = generated(traced(model, TOKENIZER, min_p=0.4), ["lake"] * 600, temperature=5.0, max_new_tokens=1, seed=-1)
    found = np.bincount([TOKENIZER.encode(text[-1])[0] for text in texts], minlength=len(odds))
    assert not found[odds == 0].any() and chi_square(found, odds / odds.sum())


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
