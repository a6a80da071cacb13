"""Checkpoints of ELECTRA, MPNet and ALBERT: there and back, and as their TensorFlow classes wrote them."""

import json
from pathlib import Path

import numpy as np
import pytest
from h5_helpers import check_every_naming
from helpers import randomize
from safetensors.numpy import load_file, save_file

from keras_tx.models import (
    AlbertForMaskedLM,
    AlbertModel,
    ElectraForMaskedLM,
    ElectraForMultipleChoice,
    ElectraModel,
    MPNetForMaskedLM,
    MPNetModel,
    load_pretrained,
)
from keras_tx.models.albert.config import TINY_HEAD as ALBERT
from keras_tx.models.electra.config import TINY as ELECTRA
from keras_tx.models.mpnet.config import TINY as MPNET

GOLDEN = Path(__file__).parents[1] / "golden"
FAMILIES = ("electra", "mpnet", "albert")
H5 = sorted(f"{path.parent.name}/{path.name}" for family in FAMILIES for path in (GOLDEN / f"{family}_h5").iterdir())
CASES = [f"{family}/{case}" for family in FAMILIES for case in ("masked", "sequence", "token", "answer", "choice")]
CASES += ["electra/pretraining", "electra/plain_choice", "albert/pretraining"]
PASSED_ON = {"transformers_version", "dtype", "id2label", "label2id", "use_cache"}
"""Entries that need not be the same."""


@pytest.mark.parametrize("case", H5)
def test_every_naming_of_the_tensorflow_classes(case, tmp_path):
    # Each of MPNet's has a pooler, needed or not.
    unneeded = r"mpnet\.pooler\.dense\.bias, mpnet\.pooler\.dense\.weight\.$" if "MPNetFor" in case else ""
    check_every_naming(GOLDEN / case, Path(case).name, tmp_path, unneeded)


@pytest.mark.parametrize("case", CASES)
def test_the_same_tensors_are_written(case, tmp_path):
    load_pretrained(GOLDEN / case).save_pretrained(tmp_path, format="huggingface")
    before, after = (load_file(path / "model.safetensors") for path in (GOLDEN / case, tmp_path))
    assert before.keys() == after.keys() and all(np.array_equal(before[name], after[name]) for name in before)
    theirs, ours = (json.loads((path / "config.json").read_text()) for path in (GOLDEN / case, tmp_path))
    assert {name: x for name, x in theirs.items() if name not in PASSED_ON}.items() <= ours.items()


def test_the_bias_that_tensorflows_albert_reads(rng, tmp_path):
    """It has two, of which `predictions.bias` is not used; torch has one, under either name."""
    model = randomize(AlbertForMaskedLM(ALBERT), rng)
    model.save_pretrained(tmp_path, format="huggingface")
    arrays = load_file(tmp_path / "model.safetensors")
    read = arrays["predictions.bias"]
    save_file(arrays | {"predictions.decoder.bias": read, "predictions.bias": read + 1}, tmp_path / "model.safetensors")
    bias = AlbertForMaskedLM.from_pretrained(tmp_path).weights_by_path()["head/output_bias"]
    np.testing.assert_array_equal(bias, read)


@pytest.mark.parametrize(
    ("cls", "config", "entries", "message"),
    [
        (ElectraForMaskedLM, ELECTRA, {"tie_word_embeddings": False}, "tie_word_embeddings=False; only True"),
        (ElectraForMultipleChoice, ELECTRA, {"summary_type": "mean"}, "summary_type='mean'; only 'first'"),
        (ElectraModel, ELECTRA, {"embedding_size": 15}, r"left over: electra\.embeddings_project\.bias"),
        (ElectraModel, ELECTRA, {"is_decoder": True}, "is_decoder=True; only False"),
        (MPNetModel, MPNET, {"relative_attention_num_buckets": 31}, "`bucket_rows` must be at least 32; got 31"),
        (MPNetForMaskedLM, MPNET, {"num_hidden_layers": 3}, r"missing: mpnet\.encoder\.layer\.2\.attention"),
        (AlbertModel, ALBERT, {"num_hidden_groups": 2}, r"missing: albert\.encoder\.albert_layer_groups\.1"),
    ],
)
def test_configs_that_cannot_be(cls, config, entries, message, tmp_path):
    cls(config).save_pretrained(tmp_path, format="huggingface")
    saved = json.loads((tmp_path / "config.json").read_text()) | entries
    (tmp_path / "config.json").write_text(json.dumps(saved))
    with pytest.raises(ValueError, match=message):
        cls.from_pretrained(tmp_path)
