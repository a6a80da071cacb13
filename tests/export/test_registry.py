"""Every registered model as a SavedModel: asked with TensorFlow alone, every signature answers as the model does."""

import json
from pathlib import Path

import keras
import pytest
from contract import CASES as EVERY_CASE
from contract import Case
from export_helpers import preprocessor_for, tokenizer_for

from keras_tx import export_saved_model
from keras_tx.export import saved_model
from keras_tx.export.check import compare_answers
from keras_tx.export.formats import SAVED_MODEL
from keras_tx.export.process import run_artifacts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="SavedModels are made on TensorFlow"),
]


CASES = [case for case in EVERY_CASE if case.is_first]
OLDEST = set((Path(__file__).parent / "tensorflow_2_13_operations.txt").read_text().split())
"""The operations of the least TensorFlow that the docs name: `dir(tf.raw_ops)` in 2.13.1."""


def export(case: Case, path) -> tuple:
    """A SavedModel that is not checked yet: its signatures, and what is to be asked."""
    found: list = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saved_model, "check_saved_model", lambda path, *asked: found.extend(asked))
        model = case.make_random()
        tokenizer, preprocessor = tokenizer_for(case, model), preprocessor_for(model)
        beams = 2 if case.generates and tokenizer else 1
        export_saved_model(model, path, tokenizer, preprocessor=preprocessor, num_beams=beams)
    return tuple(found)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Of each case its directory, signatures, requests, and what a process with TensorFlow alone answered."""
    directory = tmp_path_factory.mktemp("exported")
    asked = {case.name: (directory / case.name / "1", *export(case, directory / case.name / "1")) for case in CASES}
    answers = run_artifacts([(SAVED_MODEL, path, requests) for path, _, requests in asked.values()])
    return {name: (*of, found) for (name, of), found in zip(asked.items(), answers, strict=True)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_signature_answers_as_the_model(exported, case):
    _, signatures, requests, answers = exported[case.name]
    assert {name for name, _ in requests} == set(signatures)
    compare_answers(signatures, requests, answers)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_batch_and_length_are_free_and_no_operation_needs_xla(exported, case):
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
    from tensorflow.python.framework.op_def_registry import get

    path, signatures, *_ = exported[case.name]
    meta = SavedModel.FromString((path / "saved_model.pb").read_bytes()).meta_graphs[0]
    functions = meta.graph_def.library.function
    names = {node.op for graph in (meta.graph_def.node, *(f.node_def for f in functions)) for node in graph}
    names -= {function.signature.name for function in functions}
    assert not [name for name in names if get(name) is None or "PyFunc" in name or "Xla" in name]
    assert names <= OLDEST
    card = json.loads((path / "model_card.json").read_text())
    assert set(card["signatures"]) == set(signatures)
    serve = card["signatures"]["serving_default"]
    for tensor in (*serve["inputs"].values(), *serve["outputs"].values()):
        assert tensor["shape"][0] is None
    if case.is_text:
        assert all(tensor["shape"][1] is None for tensor in serve["inputs"].values())


SERVED = {
    "BERTForSequenceClassification": {"label", "score", "scores"},
    "RobertaForSequenceClassification": {"label", "score", "scores"},
    "GPTForSequenceClassification": {"label", "score", "scores"},
    "T5ForSequenceClassification": {"label", "score", "scores"},
    "BERTForTokenClassification": {"label", "text", "start", "end", "score"},
    "RobertaForTokenClassification": {"label", "text", "start", "end", "score"},
    "T5ForTokenClassification": {"label", "text", "start", "end", "score"},
    "BERTForQuestionAnswering": {"answer", "start", "end", "score"},
    "RobertaForQuestionAnswering": {"answer", "start", "end", "score"},
    "T5ForQuestionAnswering": {"answer", "start", "end", "score"},
    "BERTForMultipleChoice": {"choice", "index", "score", "scores"},
    "RobertaForMultipleChoice": {"choice", "index", "score", "scores"},
    "BERTForMaskedLM": {"token", "token_id", "score"},
    "BERTForPreTraining": {"token", "token_id", "score"},
    "RobertaForMaskedLM": {"token", "token_id", "score"},
    "GPTModel": {"text"},
    "T5Model": {"text"},
    "Transformer": {"text"},
}


@pytest.mark.parametrize("name", SERVED)
def test_strings_in_and_out(exported, name):
    card = json.loads((exported[f"{name}-0"][0] / "model_card.json").read_text())
    assert set(card["signatures"]["serve_text"]["outputs"]) == {*SERVED[name], "error"}
