"""LiteRT and ONNX: every registered model, asked in a process without Keras, answers as it does here."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from contract import CASES
from generation_helpers import eagerly
from helpers import numpy, randomize, run_python
from program import files

from keras_tx import BigramModel, GPTModel, T5Model, export_litert, export_onnx, extras
from keras_tx.attention import BlockSparse, Latent, Linear, SlidingWindow
from keras_tx.export import litert, onnx
from keras_tx.export.check import TOLERANCE
from keras_tx.export.frame import in_float32
from keras_tx.export.tensors import tensor_signatures
from keras_tx.export.verify import BOUNDS

EXAMPLE = Path(__file__).parents[2] / "examples" / "generate_with_litert.py"
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
QUICK = {"BERTForSequenceClassification-0", "GPTModel-0", "T5Model-0", "SwinTransformer-0"}
OTHER_CACHES = (
    Latent(latent_dim=7, rotary_dim=2),
    Linear(),
    Linear(feature_map="favor", num_features=11, seed=3),
    ("multi_head", Linear()),
)
QUICK_CACHES = {(0, export_onnx), (1, export_litert)}
SIZED = {
    "BERTModel-0": {"batch_size": 1, "length": 8, "inside": ["hidden_states", "attentions", "embedding"]},
    "BERTForMultipleChoice-0": {"batch_size": 2, "length": 8, "num_choices": 3},
    "GPTDoubleHeadsModel-0": {"batch_size": 2, "length": 6, "num_choices": 3},
    "GPTModel-0": {"batch_size": 1, "length": 6, "cache_length": 11, "integers": "int64"},
    "T5Model-0": {"batch_size": 2, "length": 6, "cache_length": 11},
    "VisionTransformer-0": {"batch_size": 1, "inside": ["embedding"]},
    "SwinTransformer-0": {"batch_size": 2},
}
QUANTIZED = {"BERTForSequenceClassification-0", "GPTModel-0", "T5Model-0", "VisionTransformer-0", "SwinTransformer-0"}


def small_gpt(**options) -> GPTModel:
    options = {"vocab_size": 13, "max_positions": 17, "num_layers": 1, "num_heads": 3, "d_model": 15, **options}
    return randomize(GPTModel(**options), np.random.default_rng(2))


@pytest.mark.parametrize("export", [export_litert, export_onnx])
def test_another_backend_is_told_the_way(export, tmp_path):
    if ON_TENSORFLOW:
        pytest.skip("this backend can")
    with pytest.raises(ValueError, match=r"made on the TensorFlow backend; this is 'jax'.*KERAS_BACKEND=tensorflow"):
        export(small_gpt(), tmp_path / "model.tflite")
    assert not list(tmp_path.iterdir())


if ON_TENSORFLOW:
    import tensorflow as tf

    every_case = pytest.mark.parametrize(
        "case",
        [
            pytest.param(case, id=case.name, marks=[pytest.mark.slow] * (case.name not in QUICK))
            for case in CASES
            if case.is_first or case.generates
        ],
    )

    # === Every model ===

    @every_case
    def test_litert_answers_as_the_model(case, tmp_path):
        found = export_litert(case.make_random(), tmp_path / "model.tflite")
        assert found.share <= TOLERANCE and found.tokens == (1.0 if case.generates else None)
        content = (tmp_path / "model.tflite").read_bytes()
        assert found.size == len(content) and b"Flex" not in content
        signatures = signatures_of(tmp_path / "model.tflite")
        assert set(signatures) == {"serving_default"} | ({"prefill", "decode"} if case.generates else set())
        for inputs in signatures.values():
            for name, shape in inputs.items():
                assert name == "cache_position" or shape[0] == -1
                assert (
                    not case.is_text or name in ("cache_position", "mc_token_ids") or -1 in shape[1:] or shape[1] == 1
                )

    @every_case
    def test_onnx_answers_as_the_model(case, tmp_path):
        two = case.generates and case.has_two_stacks
        path = tmp_path / ("model" if two else "model.onnx")
        found = export_onnx(case.make_random(), path)
        assert found.share <= TOLERANCE and found.tokens == (1.0 if case.generates else None)
        assert [file.name for file in tmp_path.iterdir()] == [path.name]
        if two:
            assert {file.name for file in path.iterdir()} == {"encoder.onnx", "decoder.onnx"}

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("attention", "export"),
        [
            pytest.param(
                attention,
                export,
                id=f"{attention!r}-{export.__name__}",
                marks=[pytest.mark.slow] * ((i, export) not in QUICK_CACHES),
            )
            for i, attention in enumerate(OTHER_CACHES)
            for export in (export_litert, export_onnx)
        ],
    )
    def test_steps_of_attention_with_another_cache(export, attention, tmp_path):
        path = tmp_path / ("model.onnx" if export is export_onnx else "model.tflite")
        found = export(small_gpt(num_layers=2, attention=attention), path)
        assert found.share <= TOLERANCE and found.tokens == 1.0

    def test_sizes_of_steps_that_there_are_not(tmp_path):
        with pytest.raises(ValueError, match="got a GPTModel and `use_cache=False`"):
            export_litert(small_gpt(), tmp_path / "model.tflite", use_cache=False, cache_length=7)

    @pytest.mark.slow
    @pytest.mark.parametrize("export", [export_litert, export_onnx])
    @pytest.mark.parametrize(
        "attention",
        [
            SlidingWindow(window_size=3, num_global=2),
            SlidingWindow(window_size=3, dilation=2),
            BlockSparse(block_size=3, random_blocks=1),
            Linear(),
        ],
        ids=repr,
    )
    def test_attention_in_parts_by_whole_passes(export, attention, tmp_path):
        if export is export_litert and isinstance(attention, BlockSparse):
            pytest.skip("LiteRT has no bits of integers, of which the random blocks are drawn")
        path = tmp_path / ("model.onnx" if export is export_onnx else "model.tflite")
        found = export(small_gpt(attention=attention), path, use_cache=False)
        assert found.share <= TOLERANCE and found.tokens is None
        assert export is export_onnx or set(signatures_of(path)) == {"serving_default"}

    def test_operations_that_litert_has_not_are_named(tmp_path):
        with pytest.raises(ValueError, match=r"GPTModel does not convert to LiteRT: .*BitwiseAnd"):
            export_litert(small_gpt(attention=BlockSparse(block_size=3, random_blocks=1)), tmp_path / "model.tflite")
        assert not list(tmp_path.iterdir())

    @pytest.mark.slow
    @pytest.mark.parametrize("quantize", list(BOUNDS))
    @pytest.mark.parametrize("case", [case for case in CASES if case.name in QUANTIZED], ids=lambda case: case.name)
    def test_quantized_forms_differ_within_bounds(case, quantize, tmp_path):
        # Weights as models are initialized, not the contract's, which are far larger than any model's.
        model = case.make()
        signature, rng = tensor_signatures(model)["serving_default"], np.random.default_rng(1)
        lengths = (6, 3, 5, 6, 2, 6, 4, 6)
        data = [signature.sample(rng, 3, length) for length in lengths] if quantize == "int8" else None
        found = export_litert(model, tmp_path / "model.tflite", quantize=quantize, representative_data=data)
        assert 0 < found.rms <= BOUNDS[quantize]

    def signatures_of(path) -> dict[str, dict[str, list[int]]]:
        """The shapes of each signature's inputs, -1 where they are free."""
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(path))
        return {
            name: {
                key: detail["shape_signature"].tolist()
                for key, detail in interpreter.get_signature_runner(name).get_input_details().items()
            }
            for name in interpreter.get_signature_list()
        }

    # === Generation ===

    def generated(model, path, ids, count: int, example) -> tuple[np.ndarray, np.ndarray]:
        """Tokens by the host's loop, and by the model."""
        from ai_edge_litert.interpreter import Interpreter

        with eagerly():
            wanted = numpy(model.generate(ids, max_new_tokens=count, eos_token_id=[], pad_token_id=None))
        return example(Interpreter(model_path=str(path)), ids, count), wanted[:, -count:]

    @pytest.fixture(scope="module")
    def example():
        """The example's loop; it imports neither Keras nor us."""
        import runpy

        return runpy.run_path(str(EXAMPLE))["generate"]

    @pytest.mark.slow
    @pytest.mark.parametrize("sizes", [{}, {"batch_size": 3, "cache_length": 11}])
    def test_the_example_gives_the_tokens_of_generate(example, tmp_path, sizes):
        model = small_gpt()
        path = tmp_path / "model.tflite"
        export_litert(model, path, **sizes)
        ids = np.random.default_rng(5).integers(0, 13, (3, 4), "int32")
        found, wanted = generated(model, path, ids, 6, example)
        np.testing.assert_array_equal(found, wanted)
        shapes = signatures_of(path)["decode"]
        assert shapes["past_key_0"] == [sizes.get("batch_size", -1), 3, sizes.get("cache_length", -1), 5]

    @pytest.mark.slow
    @pytest.mark.parametrize("sizes", [{}, {"batch_size": 3, "cache_length": 11}])
    @pytest.mark.parametrize("attention", OTHER_CACHES[:2], ids=repr)
    def test_the_example_with_another_cache(example, tmp_path, attention, sizes):
        model = small_gpt(attention=attention)
        export_litert(model, tmp_path / "model.tflite", **sizes)
        ids = np.random.default_rng(5).integers(0, 13, (3, 4), "int32")
        found, wanted = generated(model, tmp_path / "model.tflite", ids, 6, example)
        np.testing.assert_array_equal(found, wanted)

    @pytest.mark.slow
    def test_the_example_gives_the_tokens_of_an_encoder_decoder(example, tmp_path):
        model = T5Model(vocab_size=61, num_layers=1, num_heads=3, d_model=15, d_kv=5, d_ff=17)
        model = randomize(model, np.random.default_rng(2))
        path = tmp_path / "model.tflite"
        export_litert(model, path)
        ids = np.random.default_rng(5).integers(1, 61, (2, 5), "int32")
        found, wanted = generated(model, path, ids, 7, example)
        np.testing.assert_array_equal(found, wanted)

    @pytest.mark.slow
    def test_the_example_from_text_to_text(tmp_path):
        from tokenizers import Tokenizer, models, pre_tokenizers

        words = {
            word: i
            for i, word in enumerate(["the", "cat", "sat", "on", "mat", "rat", "a", "b", "c", "d", "e", "f", "g"])
        }
        tokenizer = Tokenizer(models.WordLevel(words, unk_token="a"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.save(str(tmp_path / "tokenizer.json"))
        model = small_gpt(vocab_size=len(words))
        export_litert(model, tmp_path / "model.tflite")
        ids = np.array([tokenizer.encode("the cat sat").ids], "int32")
        with eagerly():
            tokens = numpy(model.generate(ids, max_new_tokens=5))[0, 3:]
        script = (
            "import sys, runpy; sys.modules['keras'] = sys.modules['keras_tx'] = sys.modules['tensorflow'] = None;"
            f"sys.argv = ['x', {str(tmp_path / 'model.tflite')!r}, {str(tmp_path)!r}, 'the cat sat', '5'];"
            f"runpy.run_path({str(EXAMPLE)!r}, run_name='__main__')"
        )
        assert run_python("-c", script).strip() == "the cat sat" + tokenizer.decode(tokens.tolist())

        new = tokens.tolist()
        end = next(token for token in new if token != new[0])
        ended = run_python("-c", script.replace("'5']", f"'5', {tokenizer.id_to_token(end)!r}]")).strip()
        assert ended == "the cat sat" + tokenizer.decode(new[: new.index(end) + 1])

    @pytest.mark.slow
    def test_signatures_share_their_weights(tmp_path):
        model = small_gpt(vocab_size=509, d_model=63, num_heads=7)
        export_litert(model, tmp_path / "model.tflite")
        assert (tmp_path / "model.tflite").stat().st_size < 4 * model.count_params() + 120_000

    def test_whole_passes_of_a_generator_in_one_onnx_file(tmp_path):
        import onnxruntime

        model = small_gpt()
        export_onnx(model, tmp_path / "model.onnx", use_cache=False, integers="int64", inside=["hidden_states"])
        session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
        shapes = {x.name: (x.shape, x.type) for x in (*session.get_inputs(), *session.get_outputs())}
        assert shapes == {
            "input_ids": (["batch", "length"], "tensor(int64)"),
            "attention_mask": (["batch", "length"], "tensor(int64)"),
            "logits": (["batch", "length", 13], "tensor(float)"),
            "hidden_states_0": (["batch", "length", 15], "tensor(float)"),
            "hidden_states_1": (["batch", "length", 15], "tensor(float)"),
        }
        ids = np.random.default_rng(5).integers(0, 13, (2, 4))
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        logits, state = session.run(["logits", "hidden_states_1"], given)
        outputs = model(ids, return_hidden_states=True)
        np.testing.assert_allclose(logits, numpy(outputs["logits"]), atol=1e-5)
        np.testing.assert_allclose(state, numpy(outputs["hidden_states"][1]), atol=1e-5)

    @pytest.mark.slow
    def test_the_axes_of_steps_are_named(tmp_path):
        import onnxruntime

        export_onnx(small_gpt(), tmp_path / "model.onnx", integers="int64")
        model = T5Model(vocab_size=13, num_layers=1, num_heads=3, d_model=15, d_kv=5, d_ff=17)
        export_onnx(model, tmp_path / "t5")

        def shapes(path):
            session = onnxruntime.InferenceSession(str(path))
            return {x.name: x.shape for x in (*session.get_inputs(), *session.get_outputs())}

        step = shapes(tmp_path / "model.onnx")
        assert step["input_ids"] == ["batch", "length"] and step["attention_mask"] == ["batch", "cache_length"]
        assert step["past_key_0"] == step["present_value_0"] == ["batch", 3, "cache_length", 5]
        assert step["logits"] == ["batch", 13]
        assert shapes(tmp_path / "t5" / "encoder.onnx")["cross_key_0"] == ["batch", 3, "length", 5]
        step = shapes(tmp_path / "t5" / "decoder.onnx")
        assert step["input_ids"] == ["batch", "decoder_length"]
        assert step["encoder_attention_mask"] == ["batch", "length"]

    @pytest.mark.parametrize(
        ("case", "sizes"),
        [
            pytest.param(case, sizes, id=case.name, marks=[pytest.mark.slow] * (case.name != "BERTModel-0"))
            for case in CASES
            if case.name in SIZED
            for sizes in [SIZED[case.name]]
        ],
    )
    def test_all_sizes_fixed(case, sizes, tmp_path):
        found = export_litert(case.make_random(), tmp_path / "model.tflite", **sizes)
        assert found.share <= TOLERANCE and found.tokens == (1.0 if case.generates else None)
        for inputs in signatures_of(tmp_path / "model.tflite").values():
            assert all(-1 not in shape for shape in inputs.values())

    @pytest.mark.parametrize(
        ("model", "sizes", "words"),
        [
            (BigramModel(vocab_size=13), {"image_size": 8}, "`image_size` is no size of what a BigramModel takes"),
            (BigramModel(vocab_size=13), {"num_choices": 2}, "`num_choices` is no size of what a BigramModel takes"),
            (BigramModel(vocab_size=13), {"length": 0}, "`length` must be a whole number of at least 1; got 0"),
            (BigramModel(vocab_size=13), {"integers": "int16"}, "`integers` must be one of int32, int64; got 'int16'"),
            (BigramModel(vocab_size=13), {"inside": ["states"]}, "`inside` must name some of hidden_states"),
        ],
    )
    def test_sizes_and_signatures_that_there_are_not(model, sizes, words, tmp_path):
        with pytest.raises(ValueError, match=words):
            export_litert(model, tmp_path / "model.tflite", **sizes)

    # === Gates ===

    @keras.saving.register_keras_serializable("tests")
    class Foreign(BigramModel):
        """With an operation that neither format has."""

        def call(self, inputs, attention_mask=None, labels=None, training=None):
            outputs = super().call(inputs, attention_mask, labels)
            return {"logits": tf.math.bessel_i0(outputs["logits"])}

    @pytest.mark.parametrize(
        ("export", "name", "words"),
        [
            (export_litert, "model.tflite", "does not convert to LiteRT: .*tf.BesselI0"),
            (export_onnx, "model.onnx", "operations that ONNX does not have: BesselI0"),
        ],
    )
    def test_other_operations_are_refused(export, name, words, tmp_path):
        with pytest.raises(ValueError, match=words):
            export(Foreign(vocab_size=13), tmp_path / name, **({"use_cache": False} if export is export_onnx else {}))
        assert not list(tmp_path.iterdir())

    def test_tensorflow_s_operations_in_a_file_are_refused(tmp_path, monkeypatch):
        @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32)])
        def function(x):
            return tf.roll(x, 1, 1)

        converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], function)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
        content = converter.convert()
        monkeypatch.setattr(litert, "convert", lambda *arguments: content)
        with pytest.raises(ValueError, match="operations that LiteRT does not have: FlexRoll"):
            export_litert(BigramModel(vocab_size=13), tmp_path / "model.tflite")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("kind", ["litert", "onnx"])
    def test_a_wrong_artifact_is_refused_and_what_was_there_stays(kind, tmp_path, monkeypatch):
        export, name, module = {
            "litert": (export_litert, "model.tflite", (litert, "convert")),
            "onnx": (export_onnx, "model.onnx", (onnx, "write_graph")),
        }[kind]
        model = BigramModel(vocab_size=13)
        model.backbone.token_embedding.embeddings.assign(np.random.default_rng(1).normal(size=(13, 13)))
        export(model, tmp_path / name)
        before = files(tmp_path)
        right = getattr(*module)

        def wrong(*arguments):
            weight = model.trainable_weights[0]
            weight.assign(weight + 1e-3)
            try:
                return right(*arguments)
            finally:
                weight.assign(weight - 1e-3)

        monkeypatch.setattr(*module, wrong)
        with pytest.raises(ValueError, match="the artifact differs from the model: its numbers by"):
            export(model, tmp_path / name)
        assert files(tmp_path) == before

    def test_an_artifact_that_does_not_run_is_refused(tmp_path, monkeypatch):
        monkeypatch.setattr(onnx, "write_graph", lambda signature, path: path.write_bytes(b"no graph"))
        with pytest.raises(ValueError, match=r"does not run by itself: (?s:.*)[Pp]rotobuf"):
            export_onnx(BigramModel(vocab_size=13), tmp_path / "model.onnx")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("export", "name", "options", "words"),
        [
            (export_litert, "model.bin", {}, "must name a file that ends in .tflite"),
            (export_litert, "model.tflite", {"quantize": "int4"}, "`quantize` must be None or one of float16"),
            (export_litert, "model.tflite", {"quantize": "int8"}, '`quantize="int8"` needs `representative_data`'),
            (
                export_litert,
                "model.tflite",
                {"representative_data": []},
                '`quantize="int8"` needs `representative_data`',
            ),
            (
                export_litert,
                "model.tflite",
                {"quantize": "int8", "representative_data": []},
                "`representative_data` is empty",
            ),
            (export_litert, "model.tflite", {"batch_size": 0}, "`batch_size` must be a whole number of at least 1"),
            (export_onnx, "model", {}, "must name a file that ends in .onnx"),
        ],
    )
    def test_bad_options(export, name, options, words, tmp_path):
        with pytest.raises(ValueError, match=re.escape(words)):
            export(BigramModel(vocab_size=13), tmp_path / name, **options)
        assert not list(tmp_path.iterdir())

    def test_an_encoder_decoder_in_onnx_is_a_directory(tmp_path):
        model = T5Model(vocab_size=13, num_layers=1, num_heads=1, d_model=4, d_kv=4, d_ff=4)
        with pytest.raises(ValueError, match=r"becomes 2 files, encoder\.onnx and decoder\.onnx"):
            export_onnx(model, tmp_path / "model.onnx")
        (tmp_path / "precious").write_text("mine")
        with pytest.raises(
            ValueError, match="is not an ONNX encoder-decoder, or holds other files too: choose a new directory"
        ):
            export_onnx(model, tmp_path)
        assert files(tmp_path) == {"precious": b"mine"}

    def test_half_precision_becomes_float32(tmp_path):
        model = BigramModel(vocab_size=13, dtype="mixed_bfloat16")
        model.backbone.token_embedding.embeddings.assign(np.random.default_rng(1).normal(size=(13, 13)))
        copy = in_float32(model)
        assert copy.compute_dtype == copy.backbone.token_embedding.compute_dtype == "float32"
        np.testing.assert_array_equal(copy.get_weights()[0], model.get_weights()[0])
        assert export_onnx(model, tmp_path / "model.onnx", use_cache=False).share <= TOLERANCE

    def test_missing_extras_are_told(tmp_path, monkeypatch):
        monkeypatch.setattr(extras, "find_spec", lambda module: None)
        for export, name in ((export_litert, "litert"), (export_onnx, "onnx")):
            with pytest.raises(ImportError, match=rf'pip install "keras_tx\[{name}\]"'):
                export(BigramModel(vocab_size=13), tmp_path / "model.tflite")
        assert not list(tmp_path.iterdir())
