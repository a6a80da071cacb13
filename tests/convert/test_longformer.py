"""Checkpoints of Longformer: there and back, and as its TensorFlow classes wrote them."""

import json
from pathlib import Path

import numpy as np
import pytest
from h5_helpers import check_every_naming
from safetensors.numpy import load_file

from keras_tx.models import LongformerModel, load_pretrained
from keras_tx.models.longformer.config import TINY

GOLDEN = Path(__file__).parents[1] / "golden"
H5 = sorted(path.name for path in (GOLDEN / "longformer_h5").iterdir())
CASES = ("masked", "sequence", "token", "answer", "choice")
PASSED_ON = {"transformers_version", "dtype", "id2label", "label2id", "use_cache", "onnx_export"}
"""Entries that need not be the same."""


@pytest.mark.parametrize("case", H5)
def test_every_naming_of_the_tensorflow_classes(case, tmp_path):
    check_every_naming(GOLDEN / "longformer_h5" / case, case, tmp_path)


@pytest.mark.parametrize("case", CASES)
def test_the_same_tensors_are_written(case, tmp_path):
    load_pretrained(GOLDEN / "longformer" / case).save_pretrained(tmp_path, format="huggingface")
    before, after = (load_file(path / "model.safetensors") for path in (GOLDEN / "longformer" / case, tmp_path))
    assert before.keys() == after.keys() and all(np.array_equal(before[name], after[name]) for name in before)
    theirs, ours = (json.loads((p / "config.json").read_text()) for p in (GOLDEN / "longformer" / case, tmp_path))
    assert {name: x for name, x in theirs.items() if name not in PASSED_ON}.items() <= ours.items()


def test_a_bound_on_global_tokens_is_kept(tmp_path):
    LongformerModel(TINY, max_global_tokens=3).save_pretrained(tmp_path, format="huggingface")
    assert LongformerModel.from_pretrained(tmp_path).config == TINY.replace(max_global_tokens=3)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"attention_window": [2]}, r"one for each of the 2 blocks; got \(2,\)"),
        ({"attention_window": 5}, "`attention_window` must be even"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type='relative_key'; only 'absolute'"),
        ({"num_hidden_layers": 3, "attention_window": 2}, r"missing: longformer\.encoder\.layer\.2\.attention"),
    ],
)
def test_configs_that_cannot_be(entries, message, tmp_path):
    LongformerModel(TINY).save_pretrained(tmp_path, format="huggingface")
    saved = json.loads((tmp_path / "config.json").read_text()) | entries
    (tmp_path / "config.json").write_text(json.dumps(saved))
    with pytest.raises(ValueError, match=message):
        LongformerModel.from_pretrained(tmp_path)
