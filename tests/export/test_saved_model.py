"""The SavedModel: written whole or not at all, and run by whatever runs TensorFlow's graphs."""

import hashlib
import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import numpy, randomize, run_python
from small_run import small_model

from keras_tx import CharTokenizer, VisionTransformer, export_saved_model
from keras_tx.vision import ImagePreprocessor

TOKENIZER = CharTokenizer("fabcdeghijkl\n")
PROMPTS = ["a", "deaf\ncabbage", "lake"]
OPTIONS = {"max_new_tokens": 13, "temperature": 0.5, "top_k": 4, "top_p": 1.0, "seed": 0}
TESTS = Path(__file__).parents[1]


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
        chosen = {"max_new_tokens": 13, "temperature": 0.5, "top_k": 4, "seed": 0}
        export_saved_model(model, path, TOKENIZER, **chosen, source="a test")
        return path

    @pytest.fixture(scope="module")
    def loaded(path):
        return tf.saved_model.load(str(path))

    @pytest.fixture(scope="module")
    def greedy(loaded) -> list[str]:
        return [text.decode() for text in loaded.generate(tf.constant(PROMPTS), temperature=0.0)["text"].numpy()]

    @pytest.mark.slow
    def test_logits_of_any_batch_and_length(model, loaded):
        serve = loaded.signatures["serving_default"]
        for shape in ((1, 2), (1, 8), (5, 3)):
            ids = np.random.default_rng(1).integers(0, 13, shape).astype("int32")
            got = serve(input_ids=tf.constant(ids), attention_mask=tf.ones(shape, tf.int32))["logits"]
            want = model({"input_ids": np.repeat(ids, 2, axis=0)[::2], "attention_mask": np.ones(shape, "int32")})
            assert got.dtype == tf.float32
            np.testing.assert_allclose(got, numpy(want["logits"]), atol=1e-5)

    def test_logits_honour_the_mask(loaded):
        serve = loaded.signatures["serving_default"]
        mask = tf.constant([[0, 1, 1, 1]])
        a, b = (serve(input_ids=tf.constant([[i, 3, 4, 5]]), attention_mask=mask)["logits"][0, 1:] for i in (1, 2))
        np.testing.assert_array_equal(a, b)
        seen = serve(input_ids=tf.constant([[1, 3, 4, 5]]), attention_mask=tf.ones((1, 4), tf.int32))["logits"][0, 1:]
        assert np.abs(seen - a).max() > 1e-3

    # === What runs it ===

    def test_tensorflow_alone(path, greedy):
        script = (
            "import json, sys; sys.modules['keras'] = sys.modules['keras_tx'] = None; import tensorflow as tf;"
            f"loaded = tf.saved_model.load({str(path)!r});"
            f"texts = loaded.generate(tf.constant({PROMPTS}), temperature=0.0)['text'].numpy();"
            "sys.stdout.write(json.dumps([text.decode() for text in texts]))"
        )
        assert json.loads(run_python("-c", script)) == greedy

    @pytest.mark.slow
    def test_the_example(path):
        text = run_python(str(TESTS.parent / "examples" / "generate_from_saved_model.py"), str(path), "deaf")
        assert re.fullmatch("deaf[a-l\n]{13}\n", text)

    def test_a_session_of_the_first_tensorflow(path, greedy):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            meta = tf.compat.v1.saved_model.load(session, ["serve"], str(path))
            signature = meta.signature_def["generate"]
            given = {"prompt": PROMPTS, **OPTIONS, "temperature": 0.0}
            feed = {signature.inputs[name].name: value for name, value in given.items()}
            texts = session.run(signature.outputs["text"].name, feed)
        assert [text.decode() for text in texts] == greedy

    @pytest.mark.slow
    def test_the_command_line_tool(path, greedy):
        tool = ["-m", "tensorflow.python.tools.saved_model_cli"]
        shown = run_python(*tool, "show", "--dir", str(path), "--all")
        assert "inputs['prompt'] tensor_info" in shown and "signature_def['generate_batch']" in shown
        inputs = ";".join(f"{name}={value}" for name, value in {**OPTIONS, "temperature": 0.0}.items())
        inputs = f"prompt={PROMPTS[:1]};{inputs}"
        command = ["run", "--dir", str(path), "--tag_set", "serve", "--signature_def", "generate"]
        assert repr(greedy[0].encode()) in run_python(*tool, *command, "--input_exprs", inputs)

    def test_the_c_api(path, loaded):
        (wanted,) = loaded.signatures["serve_text"](prompt=tf.constant(["lake"]))["text"].numpy()
        libraries = Path(tf.__file__).parent
        arguments = [libraries, path, "serve_text", "prompt", "text", "lake"]
        assert run_python(str(TESTS / "c_api.py"), *map(str, arguments)) == wanted.decode()

    # === What lies in it ===

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
        defaults = meta.signature_def["generate"].defaults
        assert {name: tf.make_ndarray(value).item() for name, value in defaults.items()} == OPTIONS

    def test_the_card(model, path):
        card = json.loads((path / "model_card.json").read_text())
        assert card["class"] == "GPTModel" and card["config"] == json.loads(json.dumps(model.config.to_dict()))
        assert card["parameters"] == sum(weight.shape.num_elements() for weight in model.weights)
        assert card["versions"]["tensorflow"] == tf.__version__ and card["source"] == "a test"
        assert card["signatures"]["generate"]["inputs"]["top_k"] == {"shape": [], "dtype": "int32"}
        assert card["signatures"]["serving_default"]["outputs"]["logits"] == {
            "shape": [None, None, 13],
            "dtype": "float32",
        }
        files = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()} - {"model_card.json"}
        assert set(card["files"]) == files
        for name, facts in card["files"].items():
            data = (path / name).read_bytes()
            assert facts == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def test_warm_up_requests_are_serving_s(path, loaded):
        prediction_log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
        records = tf.data.TFRecordDataset(str(path / "assets.extra" / "tf_serving_warmup_requests"))
        requests = [prediction_log.PredictionLog.FromString(x.numpy()).predict_log.request for x in records]
        assert {request.model_spec.signature_name for request in requests} == set(loaded.signatures)
        for request in requests:
            inputs = {name: tf.constant(tf.make_ndarray(x)) for name, x in request.inputs.items()}
            assert loaded.signatures[request.model_spec.signature_name](**inputs)

    # === What is not kept ===

    @pytest.mark.slow
    def test_a_wrong_artifact_is_not_kept(model, tmp_path, monkeypatch):
        save = tf.saved_model.save

        def save_wrong(*arguments, **options):
            model.trainable_weights[0].assign(model.trainable_weights[0] + 1)
            save(*arguments, **options)
            model.trainable_weights[0].assign(model.trainable_weights[0] - 1)

        monkeypatch.setattr(tf.saved_model, "save", save_wrong)
        with pytest.raises(ValueError, match="differs from the model: `serving_default`'s logits by"):
            export_saved_model(model, tmp_path / "1")
        assert not list(tmp_path.iterdir())

    @pytest.mark.slow
    def test_an_artifact_that_does_not_run_is_not_kept(model, tmp_path, monkeypatch):
        save = tf.saved_model.save

        def save_half(module, path, **options):
            save(module, path, **options)
            (Path(path) / "variables" / "variables.index").unlink()

        monkeypatch.setattr(tf.saved_model, "save", save_half)
        with pytest.raises(ValueError, match=r"does not run by itself: (?s:.*)Failed to find any matching files"):
            export_saved_model(model, tmp_path / "1")
        assert not list(tmp_path.iterdir())

    def test_a_failure_keeps_the_artifact_that_was_there(model, path, tmp_path, monkeypatch):
        (tmp_path / "1").mkdir()
        (tmp_path / "1" / "saved_model.pb").write_bytes(b"what was there")

        def fail(module, path, **options):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(tf.saved_model, "save", fail)
        with pytest.raises(OSError, match=r"No space left on device: '.*1'"):
            export_saved_model(model, tmp_path / "1")
        assert (tmp_path / "1" / "saved_model.pb").read_bytes() == b"what was there"
        assert [path.name for path in tmp_path.iterdir()] == ["1"]

    @pytest.mark.slow
    @pytest.mark.parametrize("dtype", ["mixed_bfloat16", "bfloat16"])
    def test_half_precision_becomes_float32(model, tmp_path, dtype):
        half = type(model)(model.config, dtype=dtype)
        half.set_weights(model.get_weights())
        export_saved_model(half, tmp_path / "1", integers="int64", inside=["hidden_states", "attentions", "embedding"])
        whole = type(model)(model.config)
        whole.set_weights(half.get_weights())
        ids = tf.constant([[1, 2, 3]], tf.int64)
        given = {"input_ids": ids, "attention_mask": tf.ones_like(ids)}
        signatures = tf.saved_model.load(str(tmp_path / "1")).signatures
        outputs = whole(ids, return_hidden_states=True, return_attention=True)
        np.testing.assert_allclose(signatures["serving_default"](**given)["logits"], outputs["logits"], atol=1e-5)
        for name in ("hidden_states", "attentions"):
            found = signatures[name](**given)
            assert set(found) == {f"{name}_{i}" for i in range(len(outputs[name]))}
            for i, x in enumerate(outputs[name]):
                np.testing.assert_allclose(found[f"{name}_{i}"], x, atol=1e-5)
        mean = tf.reduce_mean(whole.backbone(ids)["last_hidden_state"], axis=1)
        np.testing.assert_allclose(signatures["embedding"](**given)["embedding"], mean, atol=1e-5)

    def test_what_does_not_fit_the_model_is_refused(model, tmp_path):
        with pytest.raises(ValueError, match="`preprocessor` is for image models, and a GPTModel is not one"):
            export_saved_model(model, tmp_path / "1", preprocessor=ImagePreprocessor())
        images = VisionTransformer(image_size=6, patch_size=3, num_layers=1, num_heads=1, d_model=4, d_ff=4)
        with pytest.raises(ValueError, match="`tokenizer` is for text models, and a VisionTransformer is not one"):
            export_saved_model(images, tmp_path / "1", TOKENIZER)
        with pytest.raises(ValueError, match="exported with their tokenizer; got 3 for a GPTModel without one"):
            export_saved_model(model, tmp_path / "1", num_beams=3)
        with pytest.raises(ValueError, match="made of a model of keras_tx, as `GPTModel`; got a Sequential"):
            export_saved_model(keras.Sequential([keras.layers.Dense(1)]), tmp_path / "1")
        assert not list(tmp_path.iterdir())

    def test_a_directory_with_other_files_is_not_replaced(model, tmp_path):
        (tmp_path / "saved_model.pb").write_bytes(b"of a SavedModel")
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(ValueError, match="is not a SavedModel, or holds other files too: choose a new directory"):
            export_saved_model(model, tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {"saved_model.pb", "notes.txt"}
