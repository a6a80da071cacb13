"""Checkpoints of DeBERTa: there and back, and as its TensorFlow classes wrote them."""

import json
from pathlib import Path

import numpy as np
import pytest
from h5_helpers import check_every_naming
from helpers import randomize
from safetensors.numpy import load_file, save_file

from keras_tx.models import DebertaV2ForMaskedLM, DebertaV2ForSequenceClassification, DebertaV2Model, load_pretrained
from keras_tx.models.deberta.config import TINY, TINY_HEAD

GOLDEN = Path(__file__).parents[1] / "golden"
H5 = sorted(path.name for path in (GOLDEN / "deberta_h5").iterdir())
CASES = ("masked", "sequence", "token", "answer", "choice", "own", "narrow")
PASSED_ON = {"transformers_version", "dtype", "id2label", "label2id", "use_cache"}
"""Entries that need not be the same."""


@pytest.mark.parametrize("case", H5)
def test_every_naming_of_the_tensorflow_classes(case, tmp_path):
    check_every_naming(GOLDEN / "deberta_h5" / case, case.partition("-")[0], tmp_path)


@pytest.mark.parametrize("case", CASES)
def test_the_same_tensors_are_written(case, tmp_path):
    load_pretrained(GOLDEN / "deberta" / case).save_pretrained(tmp_path, format="huggingface")
    before, after = (load_file(path / "model.safetensors") for path in (GOLDEN / "deberta" / case, tmp_path))
    assert before.keys() == after.keys() and all(np.array_equal(before[name], after[name]) for name in before)
    theirs, ours = (json.loads((path / "config.json").read_text()) for path in (GOLDEN / "deberta" / case, tmp_path))
    assert {name: x for name, x in theirs.items() if name not in PASSED_ON}.items() <= ours.items()


def saved(model, directory: Path, arrays: dict | None = None, **entries) -> Path:
    """Saves a model, then changes its config and its tensors."""
    model.save_pretrained(directory, format="huggingface")
    config = json.loads((directory / "config.json").read_text()) | entries
    (directory / "config.json").write_text(json.dumps(config))
    if arrays:
        save_file(arrays, directory / "model.safetensors")
    return directory


@pytest.mark.parametrize("legacy", [True, False])
def test_the_masked_language_model_that_is_there_is_read(legacy, rng, tmp_path):
    """Version 3's files have the head that their configs, which say nothing, do not speak of; and one more head."""
    model = randomize(DebertaV2ForMaskedLM(TINY_HEAD, legacy=legacy), rng)
    arrays = load_file(saved(model, tmp_path) / "model.safetensors")
    assert any(name.startswith("cls." if legacy else "lm_predictions.lm_head.") for name in arrays)
    arrays["mask_predictions.dense.weight"] = np.zeros((15, 15), "float32")
    saved(model, tmp_path, arrays, legacy=not legacy)
    with pytest.warns(UserWarning, match=r"left out.*mask_predictions\.dense\.weight"):
        again = load_pretrained(tmp_path)
    assert again.config == model.config
    ids = rng.integers(1, 61, (2, 5))
    np.testing.assert_array_equal(again(ids)["logits"], model(ids)["logits"])


def test_a_masked_language_model_is_a_backbone_for_others(rng, tmp_path):
    model = randomize(DebertaV2ForMaskedLM(TINY_HEAD, legacy=False), rng)
    with pytest.warns(UserWarning, match=r"left out.*lm_predictions\.lm_head"):
        other = DebertaV2ForSequenceClassification.from_pretrained(saved(model, tmp_path))
    ids = rng.integers(1, 61, (2, 5))
    states = (one.backbone(ids)["last_hidden_state"] for one in (model, other))
    np.testing.assert_array_equal(*states)


@pytest.mark.parametrize(
    ("entries", "fields"),
    [
        ({"pos_att_type": "C2P | p2c"}, {"pos_att_type": ("c2p", "p2c")}),
        ({"pos_att_type": None, "share_att_key": True}, {"pos_att_type": (), "share_att_key": True}),
        ({"max_relative_positions": 0}, {"max_relative_positions": None}),
        ({"norm_rel_ebd": "layer_norm|none"}, {"norm_relative_embeddings": True}),
        ({"conv_act": "gelu_new"}, {"conv_activation": "gelu_tanh"}),
        ({"cls_dropout": 0.3}, {"classifier_dropout": 0.3}),
    ],
)
def test_entries_of_the_config(entries, fields, tmp_path):
    model = DebertaV2Model(TINY, share_att_key=True, pos_att_type=())
    config = DebertaV2Model.from_pretrained(saved(model, tmp_path, **entries)).config
    assert (
        config.to_dict().items() >= {name: list(x) if isinstance(x, tuple) else x for name, x in fields.items()}.items()
    )


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"tie_word_embeddings": False}, "tie_word_embeddings=False; only True"),
        ({"attention_head_size": 7}, "attention_head_size=7, which does not fit hidden_size=15: it must be 5"),
        ({"pooler_hidden_size": 7}, "pooler_hidden_size=7, which does not fit hidden_size=15: it must be 15"),
        ({"pos_att_type": "c2p|p2p"}, r"`pos_att_type` must be of \"c2p\" and \"p2c\", .*; got \('c2p', 'p2p'\)"),
        ({"conv_groups": 3}, "conv_groups=3; only 1"),
        ({"conv_kernel_size": 2}, "`conv_kernel_size` must be odd, or None; got 2"),
        ({"position_buckets": 1}, "`position_buckets` must be at least 2, or None for none; got 1"),
        ({"position_buckets": 5}, r"deberta\.encoder\.rel_embeddings\.weight"),
        ({"relative_attention": False}, r"left over: .*deberta\.encoder\.rel_embeddings\.weight"),
        ({"num_hidden_layers": 3}, r"missing: deberta\.encoder\.layer\.2\.attention"),
    ],
)
def test_configs_that_cannot_be(entries, message, tmp_path):
    directory = saved(DebertaV2ForMaskedLM(TINY), tmp_path, **entries)
    with pytest.raises(ValueError, match=message):
        DebertaV2ForMaskedLM.from_pretrained(directory)


def test_another_attention_has_no_place_in_the_format(tmp_path):
    model = DebertaV2Model(TINY, relative_attention=False, attention="linear")
    with pytest.raises(ValueError, match=r"has `attention=None`, and this model .*: save it with format=\"keras_tx\""):
        model.save_pretrained(tmp_path, format="huggingface")
