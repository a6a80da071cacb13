"""RoBERTa by its definition: exact sizes, the paper's table, positions, and the head that BERT has otherwise."""

import dataclasses

import numpy as np
import pytest
from helpers import count_parameters, dense, numpy, randomize

import keras_tx.models
from keras_tx.models import (
    BERTForTokenClassification,
    RobertaBackbone,
    RobertaForMaskedLM,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    RobertaModel,
)
from keras_tx.models.roberta.config import TINY, TINY_HEAD, VARIANTS

PAD = TINY.pad_token_id
COUNTS = {
    "RobertaModel": (124645632, 355359744),
    "RobertaForMaskedLM": (124697433, 355412057),
    "RobertaForSequenceClassification": (124647170, 355361794),
    "RobertaForTokenClassification": (124056578, 354312194),
    "RobertaForQuestionAnswering": (124056578, 354312194),
    "RobertaForMultipleChoice": (124646401, 355360769),
}
"""Of `roberta_base` and of `roberta_large`."""


@pytest.mark.parametrize("head", COUNTS)
def test_parameter_counts(head):
    cls = getattr(keras_tx.models, head)
    found = (count_parameters(lambda config=config: cls(config)) for config in VARIANTS.values())
    assert tuple(found) == COUNTS[head]


def test_paper_configs():
    table = {name: (c.num_layers, c.d_model, c.num_heads, c.d_ff) for name, c in VARIANTS.items()}
    assert table == {"roberta_base": (12, 768, 12, 3072), "roberta_large": (24, 1024, 16, 4096)}
    for c in VARIANTS.values():
        assert (c.vocab_size, c.max_positions, c.type_vocab_size) == (50265, 514, 1)
        assert (c.bos_token_id, c.pad_token_id, c.eos_token_id) == (0, 1, 2)
        assert (c.activation, c.norm_epsilon, c.initializer_range) == ("gelu", 1e-5, 0.02)
        assert c.hidden_dropout == c.attention_dropout == 0.1


def test_relatives_have_other_vocabularies():
    """The counts that Transformers has for the published models of XLM-RoBERTa and CamemBERT, base and large."""
    names = ("xlm_roberta_base", "xlm_roberta_large", "camembert_base", "camembert_large")
    found = [count_parameters(lambda name=name: keras_tx.models.create_model(name)) for name in names]
    assert found == [278043648, 559890432, 110621952, 336661504]


@pytest.mark.parametrize("name", VARIANTS)
def test_builders_take_overrides(name):
    fields = {"num_layers": 1, "d_model": 30, "num_heads": 3, "d_ff": 19, "vocab_size": 11}
    model = keras_tx.models.create_model(name, **fields)
    assert type(model) is RobertaModel and model.config == dataclasses.replace(VARIANTS[name], **fields)
    assert model.max_positions == 512


def test_positions_skip_padding(rng):
    """They begin at `pad_token_id + 1`; padding, wherever it stands, has the position `pad_token_id`."""
    model = randomize(RobertaModel(TINY), rng)
    ids = np.array([[7, 8, 9, PAD, PAD], [PAD, PAD, 7, 8, 9], [PAD, 7, PAD, 8, 9]])
    expected = np.array([[5, 6, 7, 4, 4], [4, 4, 5, 6, 7], [4, 5, 4, 6, 7]])
    for found, wanted in zip(model(ids), model(ids, position_ids=expected), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    for other in (np.arange(5) + 0 * ids, expected + 1):
        assert not np.allclose(model(ids, position_ids=other)[0], model(ids)[0], atol=1e-2)


def test_the_longest_text(rng):
    model = RobertaModel(TINY)
    assert model.max_positions == 32
    ids = rng.integers(PAD + 1, 61, (1, 32))
    assert model(ids)[0].shape == (1, 32, 15)
    with pytest.raises(ValueError, match="are 33 long, more than `max_positions` = 32"):
        model(np.pad(ids, [(0, 0), (0, 1)], constant_values=9))
    with pytest.raises(ValueError, match=r"`positions` must lie in \[0, max_positions\) = \[0, 37\)"):
        model(ids, position_ids=np.arange(32)[None] + 6)


def test_token_types_are_not_asked_for_where_there_is_one(rng):
    ids = rng.integers(5, 61, (2, 5))
    model = randomize(RobertaModel(TINY), rng)
    assert list(model.input_signature()) == ["input_ids", "attention_mask"]
    np.testing.assert_allclose(model(ids, token_type_ids=0 * ids)[0], model(ids)[0], atol=1e-6)
    with pytest.raises(ValueError, match=r"`token_type_ids` must lie in \[0, type_vocab_size\) = \[0, 1\)"):
        model(ids, token_type_ids=0 * ids + 1)
    assert list(RobertaModel(TINY, type_vocab_size=2).input_signature())[-1] == "token_type_ids"


def test_a_classifier_reads_the_first_token(rng):
    model = randomize(RobertaForSequenceClassification(TINY_HEAD), rng)
    ids = rng.integers(5, 61, (3, 5))
    outputs = model(ids, return_hidden_states=True)
    hidden = np.tanh(dense(model.head.hidden, numpy(outputs["hidden_states"][-1])[:, 0]))
    np.testing.assert_allclose(outputs["logits"], dense(model.head.classifier, hidden), atol=1e-4)
    dropped = RobertaForSequenceClassification(TINY_HEAD, hidden_dropout=0.3, classifier_dropout=0.2).head
    assert dropped.classifier_drop.rate == 0.2


def test_masked_tokens_have_gelu_whatever_the_blocks_have():
    model = RobertaForMaskedLM(TINY_HEAD, activation="relu")
    assert (model.head.activation, model.backbone.blocks[0].feed_forward.activation) == ("gelu", "relu")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pad_token_id": None}, r"`pad_token_id` must lie in \[0, vocab_size\) = \[0, 61\), .*; got None"),
        ({"pad_token_id": 61}, r"`pad_token_id` must lie in .*; got 61"),
        ({"max_positions": 5}, r"`max_positions` must be more than `pad_token_id` \+ 1 = 5, .*; got 5"),
    ],
)
def test_config_errors(fields, message):
    with pytest.raises(ValueError, match=message):
        RobertaModel(TINY, **fields)


def test_bert_takes_no_roberta():
    """It would count positions otherwise than its class says, and be saved as what it is not."""
    backbone = RobertaBackbone(TINY_HEAD, pooler=False)
    assert RobertaForTokenClassification(backbone=backbone).backbone is backbone
    with pytest.raises(ValueError, match="of a BERTForTokenClassification must be a BERTBackbone; got a RobertaBackb"):
        BERTForTokenClassification(backbone=backbone)
