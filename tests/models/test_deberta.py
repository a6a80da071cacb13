"""DeBERTa by its definition: exact sizes, the papers' tables, and what it has of its own."""

import dataclasses

import numpy as np
import pytest
from helpers import count_parameters, numpy, randomize

import keras_tx.models
from keras_tx.models import DebertaV2Backbone, DebertaV2ForMaskedLM, DebertaV2ForSequenceClassification, DebertaV2Model
from keras_tx.models.deberta.config import TINY, TINY_HEAD, VARIANTS

COUNTS = {
    "DebertaV2Model": (884593152, 1564549632, 70682112, 141304320, 183831552, 434012160),
    "DebertaV2ForMaskedLM": (887085156, 1567041636, 70958820, 142024548, 184551780, 435191908),
    "DebertaV2ForSequenceClassification": (886957058, 1566913538, 70830722, 141896450, 184423682, 435063810),
    "DebertaV2ForTokenClassification": (884596226, 1564552706, 70682882, 141305858, 183833090, 434014210),
    "DebertaV2ForQuestionAnswering": (884596226, 1564552706, 70682882, 141305858, 183833090, 434014210),
    "DebertaV2ForMultipleChoice": (886955521, 1566912001, 70830337, 141895681, 184422913, 435062785),
}
"""Of the variants in their order, as Transformers counts them."""


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name):
    cls = getattr(keras_tx.models, name)
    found = tuple(count_parameters(lambda config=config: cls(config)) for config in VARIANTS.values())
    assert found == COUNTS[name]


def test_paper_configs():
    table = {name: (c.num_layers, c.d_model, c.num_heads, c.d_ff) for name, c in VARIANTS.items()}
    assert table == {
        "deberta_v2_xlarge": (24, 1536, 24, 6144),
        "deberta_v2_xxlarge": (48, 1536, 24, 6144),
        "deberta_v3_xsmall": (12, 384, 6, 1536),
        "deberta_v3_small": (6, 768, 12, 3072),
        "deberta_v3_base": (12, 768, 12, 3072),
        "deberta_v3_large": (24, 1024, 16, 4096),
    }


@pytest.mark.parametrize("name", VARIANTS)
def test_builders_take_overrides(name):
    fields = {"num_layers": 1, "d_model": 30, "num_heads": 3, "d_ff": 19, "vocab_size": 11}
    assert keras_tx.models.create_model(name, **fields).config == dataclasses.replace(VARIANTS[name], **fields)


def test_padding_changes_nothing(rng):
    """On either side: a convolution, too, sees zeros there; and padding itself sees nothing."""
    model = randomize(DebertaV2Model(TINY, position_biased_input=False), rng)
    ids = rng.integers(1, 61, (2, 6))
    wanted = numpy(model(ids)["last_hidden_state"])
    filling = rng.integers(1, 61, (2, 3))
    for before in (0, 1, 3):
        padded = np.concatenate([filling[:, :before], ids, filling[:, before:]], axis=1)
        mask = np.zeros(padded.shape, "int32")
        mask[:, before : before + 6] = 1
        outputs = model(padded, attention_mask=mask, return_attention=True)
        found = numpy(outputs["last_hidden_state"])[:, before : before + 6]
        np.testing.assert_allclose(found, wanted, atol=1e-5)
        assert all(not numpy(weights)[:, :, mask[0] == 0].any() for weights in outputs["attentions"])


def test_documents_packed_into_a_row(rng):
    """Each is what it is alone; a convolution would mix them."""
    config = TINY.replace(conv_kernel_size=None)
    model = randomize(DebertaV2Model(config), rng)
    ids = rng.integers(1, 61, (1, 7))
    document = np.array([[0, 0, 0, 1, 1, 1, 1]])
    mask, positions = document[:, :, None] == document[:, None], np.array([[0, 1, 2, 0, 1, 2, 3]])
    found = numpy(model(ids, attention_mask=mask, position_ids=positions)["last_hidden_state"])
    for part in (slice(0, 3), slice(3, 7)):
        np.testing.assert_allclose(found[:, part], numpy(model(ids[:, part])["last_hidden_state"]), atol=1e-5)
    with pytest.raises(ValueError, match=r"`attention_mask` must be \(B, T\) in a model with `conv_kernel_size`"):
        DebertaV2Model(TINY)(ids, attention_mask=mask)


def test_texts_are_as_long_as_their_positions(rng):
    """Without a limit, with one of the table, or where buckets of one offset each are all that there are."""
    ids = rng.integers(1, 61, (1, 40))
    long = DebertaV2Model(TINY, position_biased_input=False)
    assert long.max_positions is None and long(ids)["last_hidden_state"].shape == (1, 40, 15)
    with pytest.raises(ValueError, match="`input_ids` are 40 long, more than `max_positions` = 37"):
        DebertaV2Model(TINY)(ids)
    short = DebertaV2Model(TINY, position_biased_input=False, position_buckets=74)
    assert short.max_positions == 38 and short(ids[:, :38])["last_hidden_state"].shape == (1, 38, 15)
    with pytest.raises(ValueError, match="`input_ids` are 40 long, more than `max_positions` = 38"):
        short(ids)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"position_buckets": 60, "max_relative_positions": 20},
            "are for texts of 31 tokens, less than `max_positions`",
        ),
        ({"position_buckets": 1}, "`position_buckets` must be at least 2, or None"),
        ({"max_relative_positions": 0}, "`max_relative_positions` must be a whole number of at least 1"),
        ({"pos_att_type": "c2p"}, '`pos_att_type` must be of "c2p" and "p2c", in a tuple or list; got \'c2p\''),
        ({"pos_att_type": ("c2p", "c2p")}, "`pos_att_type` must be of"),
        ({"conv_kernel_size": 4}, "`conv_kernel_size` must be odd, or None; got 4"),
        ({"type_vocab_size": -1}, "`type_vocab_size` must be at least 0; got -1"),
        ({"pooler_dropout": 1.0}, "`pooler_dropout` must be a rate"),
        ({"attention": "linear"}, "give `relative_attention=False`"),
    ],
)
def test_configs_that_cannot_be(fields, message):
    with pytest.raises(ValueError, match=message):
        TINY.replace(**fields)


def test_narrow_embeddings_have_the_older_head():
    DebertaV2ForMaskedLM(TINY_HEAD, embedding_dim=7)
    with pytest.raises(ValueError, match="`embedding_dim` must be `d_model` = 15 in a masked language model"):
        DebertaV2ForMaskedLM(TINY_HEAD, embedding_dim=7, legacy=False)


def test_another_attention(rng):
    """In the place of the disentangled one."""
    backbone = DebertaV2Backbone(TINY, relative_attention=False, attention=["linear", "sliding_window"])
    assert [type(block.attention).__name__ for block in backbone.blocks] == [
        "LinearAttention",
        "SlidingWindowAttention",
    ]
    mask = np.array([[1, 1, 1, 1, 0]])
    outputs = randomize(backbone, rng)(rng.integers(1, 61, (1, 5)), attention_mask=mask)
    assert outputs["last_hidden_state"].shape == (1, 5, 15)


def test_dropout_of_the_pooler(rng):
    model = randomize(DebertaV2ForSequenceClassification(TINY_HEAD, hidden_dropout=0.0, attention_dropout=0.0), rng)
    ids = rng.integers(1, 61, (2, 5))
    np.testing.assert_allclose(numpy(model(ids, training=True)["logits"]), numpy(model(ids)["logits"]), atol=1e-6)
    other = DebertaV2ForSequenceClassification(model.config, backbone=model.backbone, pooler_dropout=0.5)
    assert not np.allclose(numpy(other(ids, training=True)["logits"]), numpy(other(ids)["logits"]), atol=1e-3)
