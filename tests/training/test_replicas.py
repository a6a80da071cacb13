"""Replicas of `tf.distribute`: several train what one device would, and one leaves nothing behind."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import run_python

import keras_tx
from keras_tx.models.bert.config import TINY

ON_TENSORFLOW = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="`tf.distribute` is TensorFlow's.")


@pytest.mark.slow
@ON_TENSORFLOW
def test_two_replicas_train_as_one(tmp_path):
    output = run_python(str(Path(__file__).parents[1] / "replicas.py"))
    found = json.loads(output.splitlines()[-1])
    assert len(found) > 10
    for name, differences in found.items():
        assert max(differences.values()) < 1e-6, (name, differences)


@pytest.mark.slow
@ON_TENSORFLOW
@pytest.mark.parametrize("jit_compile", [False, True])
def test_fit_leaves_no_graph_behind(jit_compile, rng):
    """Nor does the process grow: an optimizer's `custom_gradient` would keep a fit's graphs until its end."""
    ids, labels = rng.integers(0, TINY.vocab_size, (2, 5), dtype="int32"), np.array([0, 1])

    def fit() -> None:
        model = keras_tx.BERTForSequenceClassification(TINY.replace(num_layers=1))
        model.compile("adam", jit_compile=jit_compile)
        model.fit(ids, labels, verbose=0)

    def graphs() -> set[int]:
        gc.collect()
        return {id(x) for x in gc.get_objects() if type(x).__name__ == "FuncGraph"}

    before = graphs()
    fit()
    assert not graphs() - before
