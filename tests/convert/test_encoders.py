"""Checkpoints of ELECTRA, MPNet, ALBERT and ESM: there and back, and as their TensorFlow classes wrote them."""

import json
import warnings
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
    EsmForMaskedLM,
    EsmModel,
    MPNetForMaskedLM,
    MPNetModel,
    load_pretrained,
)
from keras_tx.models.albert.config import TINY_HEAD as ALBERT
from keras_tx.models.electra.config import TINY as ELECTRA
from keras_tx.models.esm.config import TINY as ESM
from keras_tx.models.mpnet.config import TINY as MPNET

GOLDEN = Path(__file__).parents[1] / "golden"
FAMILIES = ("electra", "mpnet", "albert", "esm")
H5 = sorted(f"{path.parent.name}/{path.name}" for family in FAMILIES for path in (GOLDEN / f"{family}_h5").iterdir())
CASES = [f"{family}/{case}" for family in FAMILIES for case in ("masked", "sequence", "token", "answer", "choice")]
CASES = [case for case in CASES if (GOLDEN / case).exists()]
CASES += ["electra/pretraining", "electra/plain_choice", "albert/pretraining", "esm/masked_learned"]
PASSED_ON = {"transformers_version", "dtype", "id2label", "label2id", "use_cache", "esmfold_config", "vocab_list"}
"""Entries that need not be the same."""
RENAMED = {
    "LayerNorm.gamma": "LayerNorm.weight",
    "LayerNorm.beta": "LayerNorm.bias",
    "encoder.layer.*.attention.self.": "",
}
"""Parts of names that Transformers 5.23 writes for ESM's tensors, and those that its model has."""


def read(directory: Path) -> dict[str, np.ndarray]:
    """The tensors, by the names that the model has."""
    tensors = load_file(directory / "model.safetensors")
    for written, own in RENAMED.items():
        tensors = {name.replace(written, own): x for name, x in tensors.items()}
    return tensors


@pytest.mark.parametrize("case", H5)
def test_every_naming_of_the_tensorflow_classes(case, tmp_path):
    # Each of MPNet's has a pooler, needed or not.
    unneeded = r"mpnet\.pooler\.dense\.bias, mpnet\.pooler\.dense\.weight\.$" if "MPNetFor" in case else ""
    check_every_naming(GOLDEN / case, Path(case).name.partition("-")[0], tmp_path, unneeded)


@pytest.mark.parametrize("case", CASES)
def test_the_same_tensors_are_written(case, tmp_path):
    load_pretrained(GOLDEN / case).save_pretrained(tmp_path, format="huggingface")
    before, after = map(read, (GOLDEN / case, tmp_path))
    assert after.keys() == load_file(tmp_path / "model.safetensors").keys()
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


def test_the_frequencies_of_published_esm_2(rng, tmp_path):
    """Each layer has them, as float16 has them, and a table of positions lies beside that nothing reads."""
    model = randomize(EsmModel(ESM), rng)
    model.save_pretrained(tmp_path, format="huggingface")
    arrays = load_file(tmp_path / "model.safetensors")
    rounded = arrays.pop("esm.rotary_embeddings.inv_freq").astype("float16").astype("float32")
    layers = {f"esm.encoder.layer.{i}.attention.self.rotary_embeddings.inv_freq": rounded for i in range(2)}
    table = {"esm.embeddings.position_embeddings.weight": np.ones((37, 18), "float32")}
    save_file(arrays | layers | table, tmp_path / "model.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # nothing fresh, nothing left out
        loaded = EsmModel.from_pretrained(tmp_path)
    np.testing.assert_array_equal(loaded.weights_by_path()["backbone/rotary/inv_freq"], rounded)
    layers["esm.encoder.layer.1.attention.self.rotary_embeddings.inv_freq"] = rounded + 1
    save_file(arrays | layers | table, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"layer\.1\.attention.*inv_freq should hold the same numbers"):
        EsmModel.from_pretrained(tmp_path)


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
        (EsmModel, ESM, {"position_embedding_type": "relative_key"}, "'relative_key'; known are 'absolute', 'rotary'"),
        (EsmModel, ESM, {"position_embedding_type": "absolute"}, r"missing: esm\.embeddings\.position_embeddings"),
        (EsmModel, ESM, {"is_folding_model": True}, "is_folding_model=True; only False is supported"),
        (EsmForMaskedLM, ESM, {"vocab_size": 31}, r"`mask_token_id` must lie in \[0, vocab_size\) = \[0, 31\)"),
    ],
)
def test_configs_that_cannot_be(cls, config, entries, message, tmp_path):
    cls(config).save_pretrained(tmp_path, format="huggingface")
    saved = json.loads((tmp_path / "config.json").read_text()) | entries
    (tmp_path / "config.json").write_text(json.dumps(saved))
    with pytest.raises(ValueError, match=message):
        cls.from_pretrained(tmp_path)
