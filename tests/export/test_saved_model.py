"""The SavedModel: the model's numbers and texts, from TensorFlow alone."""

import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from generation_helpers import eagerly
from helpers import numpy, randomize, run_python
from small_run import small_model

from keras_tx import BigramModel, BPETokenizer, CharTokenizer, GPTModel, export_saved_model
from keras_tx.generation import stream_rolling

TOKENIZER = CharTokenizer("fabcdeghijkl\n")
PROMPTS = ["a", "deaf\ncabbage", "lake"]


@pytest.fixture(scope="module")
def model():
    return randomize(small_model(), np.random.default_rng(2))


def test_another_backend_is_told_the_way(model, tmp_path):
    if keras.backend.backend() == "tensorflow":
        pytest.skip("this backend can")
    with pytest.raises(ValueError, match=r"made on the TensorFlow backend; this is 'jax'.*KERAS_BACKEND=tensorflow"):
        export_saved_model(model, tmp_path / "1", TOKENIZER)
    assert not list(tmp_path.iterdir())


if keras.backend.backend() == "tensorflow":

    @pytest.fixture(scope="module")
    def path(model, tmp_path_factory):
        path = tmp_path_factory.mktemp("exported") / "1"
        export_saved_model(model, path, TOKENIZER, max_new_tokens=21, temperature=0.5)
        return path

    @pytest.fixture(scope="module")
    def signatures(path):
        loaded = tf.saved_model.load(str(path))
        keep.append(loaded)
        return loaded.signatures

    keep: list = []  # signatures do not keep alive the variables they read

    def generated(signatures, prompts, **options) -> list[str]:
        given = {
            name: tf.constant(value, tf.float32 if name in ("temperature", "top_p") else tf.int32)
            for name, value in options.items()
        }
        defaults = {"max_new_tokens": 21, "temperature": 0.5, "top_p": 1.0, "seed": 0}
        given = {name: tf.constant(value) for name, value in defaults.items()} | given
        texts = signatures["generate_with_options"](prompt=tf.constant(prompts), **given)["text"]
        return [text.decode() for text in texts.numpy()]

    def rolled(model, prompt: str, count: int, **options) -> str:
        ids = TOKENIZER(prompt)["input_ids"]
        new = np.concatenate(list(stream_rolling(model, ids, max_new_tokens=count, **options)), axis=1)
        return prompt + TOKENIZER.decode(new[0])

    def from_tensorflow_alone(path, prompts) -> list[str]:
        """The texts of `generate` in a process that has neither Keras nor us."""
        script = (
            "import json, sys; sys.modules['keras'] = sys.modules['keras_tx'] = None; import tensorflow as tf;"
            f"loaded = tf.saved_model.load({str(path)!r}); generate = loaded.signatures['generate'];"
            f"texts = generate(tf.constant({prompts}))['text'].numpy();"
            "sys.stdout.write(json.dumps([text.decode(errors='replace') for text in texts]))"
        )
        return json.loads(run_python("-c", script))

    def test_logits_of_any_batch_and_length(model, signatures):
        serve = signatures["serving_default"]
        for shape in ((1, 2), (1, 8), (5, 3)):
            ids = np.random.default_rng(1).integers(0, 13, shape).astype("int32")
            got = serve(input_ids=tf.constant(ids), attention_mask=tf.ones(shape, tf.int32))["logits"]
            want = model({"input_ids": np.repeat(ids, 2, axis=0)[::2], "attention_mask": np.ones(shape, "int32")})
            assert got.dtype == tf.float32
            np.testing.assert_allclose(got, numpy(want["logits"]), atol=1e-5)

    def test_logits_honour_the_mask(signatures):
        serve = signatures["serving_default"]
        mask = tf.constant([[0, 1, 1, 1]])
        a, b = (serve(input_ids=tf.constant([[i, 3, 4, 5]]), attention_mask=mask)["logits"][0, 1:] for i in (1, 2))
        np.testing.assert_array_equal(a, b)
        seen = serve(input_ids=tf.constant([[1, 3, 4, 5]]), attention_mask=tf.ones((1, 4), tf.int32))["logits"][0, 1:]
        assert np.abs(seen - a).max() > 1e-3

    @pytest.mark.parametrize("count", [1, 4, 40])
    def test_greedy_texts_are_those_of_stream_rolling(model, signatures, count):
        got = generated(signatures, PROMPTS, temperature=0.0, max_new_tokens=count)
        assert got == [rolled(model, prompt, count) for prompt in PROMPTS]

    def test_prompts_of_a_batch_do_not_disturb_each_other(signatures):
        batch = generated(signatures, PROMPTS, temperature=0.0)
        assert batch == [generated(signatures, [prompt], temperature=0.0)[0] for prompt in PROMPTS]

    def test_generate_has_the_options_it_was_exported_with(signatures):
        texts = [text.decode() for text in signatures["generate"](tf.constant(PROMPTS))["text"].numpy()]
        assert texts == generated(signatures, PROMPTS)
        assert [len(text) for text in texts] == [len(prompt) + 21 for prompt in PROMPTS]

    def test_seeds_and_no_new_tokens(signatures):
        assert generated(signatures, PROMPTS, seed=1) == generated(signatures, PROMPTS, seed=1)
        assert generated(signatures, PROMPTS, seed=1) != generated(signatures, PROMPTS, seed=2)
        assert generated(signatures, PROMPTS, max_new_tokens=0) == PROMPTS

    @pytest.mark.parametrize(
        ("prompt", "options", "words"),
        [
            ("aZ", {}, "characters outside the vocabulary"),
            ("", {}, "`prompt` must not be empty"),
            (b"a\xff", {}, "[Ii]nvalid"),
            ("a", {"max_new_tokens": -1}, "`max_new_tokens` must not be negative"),
            ("a", {"temperature": -1.0}, "`temperature` must not be negative"),
        ],
    )
    def test_bad_inputs_are_errors(signatures, prompt, options, words):
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            generated(signatures, ["deaf", prompt], **options)

    def test_only_tensorflow_is_needed(path, signatures):
        (want,) = generated(signatures, ["deaf"])
        assert from_tensorflow_alone(path, ["deaf"]) == [want]

    TEXT = "the cat sat on the mat, the rat sat on the cat."

    def gpt2_tokenizer() -> BPETokenizer:
        return BPETokenizer.train([TEXT] * 2, 271)

    def gpt1_tokenizer() -> BPETokenizer:
        ends = [f"{character}</w>" for character in "acehmnorst.,"]
        pairs = [("t", "h"), ("th", "e</w>"), ("a", "t</w>"), ("c", "at</w>"), ("o", "n</w>")]
        tokens = ["<unk>", *"acehmnorst", *ends, *map("".join, pairs)]
        return BPETokenizer({t: i for i, t in enumerate(tokens)}, pairs, byte_level=False, unk_token="<unk>")

    @pytest.mark.parametrize("kind", [gpt2_tokenizer, gpt1_tokenizer])
    def test_texts_are_those_of_generate_up_to_its_end_token(kind, tmp_path):
        tokenizer, prompts, count = kind(), ["the cat", "on the mat the rat sat", "rat"], 13
        sizes = {"max_positions": 61, "num_layers": 1, "num_heads": 3, "d_model": 33}
        model = randomize(GPTModel(vocab_size=tokenizer.vocab_size, **sizes), np.random.default_rng(2))
        batch = tokenizer(prompts, padding_side="left")
        width = batch["input_ids"].shape[1]
        with eagerly():
            end = int(model.generate(**batch, max_new_tokens=count)[0, width + 5])
            rows = numpy(model.generate(**batch, max_new_tokens=count, eos_token_id=end))
        new = [[*itertools.takewhile(lambda i: i != end, row[width:])] for row in rows]
        assert len(new[0]) <= 5 and len({*map(len, new)}) > 1
        read = [row[:width][mask > 0] for row, mask in zip(rows, batch["attention_mask"], strict=True)]
        expected = [tokenizer.decode([*ids, *more]) for ids, more in zip(read, new, strict=True)]
        assert all(text.startswith(prompt) for text, prompt in zip(expected, prompts, strict=True))

        options = {"max_new_tokens": count, "temperature": 0.0, "eos_token_id": end}
        export_saved_model(model, tmp_path / "1", tokenizer, **options)
        assert from_tensorflow_alone(tmp_path / "1", prompts) == expected
        if not tokenizer.byte_level:
            loaded = tf.saved_model.load(str(tmp_path / "1"))
            with pytest.raises(tf.errors.InvalidArgumentError, match="`prompt` must have a token"):
                loaded.signatures["generate"](tf.constant(["the", " "]))

    def test_texts_end_in_any_window_and_at_the_config_s_end_tokens(model, signatures, tmp_path):
        drawn = {"max_new_tokens": 40, "temperature": 2.0, "seed": 3}
        whole = [
            text[len(prompt) :] for text, prompt in zip(generated(signatures, PROMPTS, **drawn), PROMPTS, strict=True)
        ]
        end = "e"
        assert [text.index(end) for text in whole] == [5, 36, 8]  # windows are of 4 tokens
        ending = GPTModel(model.config.replace(eos_token_id=TOKENIZER.characters.index(end)))
        ending.set_weights(model.get_weights())
        export_saved_model(ending, tmp_path / "1", TOKENIZER)
        loaded = tf.saved_model.load(str(tmp_path / "1"))
        expected = [prompt + text.split(end)[0] for prompt, text in zip(PROMPTS, whole, strict=True)]
        assert generated(loaded.signatures, PROMPTS, **drawn) == expected

    def test_the_graph_has_core_operations_and_defaults_for_serving(path):
        from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
        from tensorflow.python.framework.op_def_registry import get

        meta = SavedModel.FromString((path / "saved_model.pb").read_bytes()).meta_graphs[0]
        functions = meta.graph_def.library.function
        names = {node.op for graph in (meta.graph_def.node, *(f.node_def for f in functions)) for node in graph}
        names -= {function.signature.name for function in functions}
        assert len(names) > 30
        assert not [name for name in names if get(name) is None or "PyFunc" in name]
        assert not [name for name in names if "Xla" in name]  # TensorFlow Serving runs none of them
        defaults = meta.signature_def["generate_with_options"].defaults
        assert {name: tf.make_ndarray(value).item() for name, value in defaults.items()} == {
            "max_new_tokens": 21,
            "temperature": 0.5,
            "top_p": 1.0,
            "seed": 0,
        }

    def test_without_a_tokenizer_there_are_only_logits(tmp_path):
        model = BigramModel.from_counts(np.arange(50) % 13, 13)
        export_saved_model(model, tmp_path / "1")
        loaded = tf.saved_model.load(str(tmp_path / "1"))
        assert list(loaded.signatures) == ["serving_default"]

    def test_rolling_needs_positions(tmp_path):
        with pytest.raises(ValueError, match="`max_positions` of at least 2"):
            export_saved_model(BigramModel(vocab_size=13), tmp_path / "1", TOKENIZER)
        assert not list(tmp_path.iterdir())

    def test_a_wrong_artifact_is_not_kept(model, tmp_path, monkeypatch):
        save = tf.saved_model.save

        def save_wrong(*arguments, **options):
            model.trainable_weights[0].assign(model.trainable_weights[0] + 1)
            save(*arguments, **options)
            model.trainable_weights[0].assign(model.trainable_weights[0] - 1)

        monkeypatch.setattr(tf.saved_model, "save", save_wrong)
        with pytest.raises(ValueError, match="logits differ from the model's by"):
            export_saved_model(model, tmp_path / "1")
        assert not list(tmp_path.iterdir())

    def test_a_failure_keeps_the_artifact_that_was_there(model, tmp_path, monkeypatch):
        export_saved_model(model, tmp_path / "1")
        before = (tmp_path / "1" / "saved_model.pb").read_bytes()

        def fail(module, path, **options):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(tf.saved_model, "save", fail)
        with pytest.raises(OSError, match=r"No space left on device: '.*1'"):
            export_saved_model(model, tmp_path / "1")
        assert (tmp_path / "1" / "saved_model.pb").read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == ["1"]

    def test_half_precision_is_refused(tmp_path):
        model = type(small_model())(small_model().config, dtype="mixed_bfloat16")
        with pytest.raises(ValueError, match="export a float32 model: this one computes in bfloat16"):
            export_saved_model(model, tmp_path / "1")
