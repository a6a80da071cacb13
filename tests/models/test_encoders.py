"""ELECTRA, MPNet, ALBERT and ESM by their definitions: sizes, the papers' tables, and what they have of their own."""

import dataclasses

import keras
import numpy as np
import pytest
from helpers import count_parameters, numpy, randomize

import keras_tx.models
from keras_tx.models import (
    AlbertForPreTraining,
    AlbertModel,
    BERTForMaskedLM,
    ElectraForMultipleChoice,
    ElectraForPreTraining,
    ElectraModel,
    EsmForMaskedLM,
    EsmModel,
    MPNetModel,
)
from keras_tx.models.albert import config as albert
from keras_tx.models.bert.config import TINY as BERT
from keras_tx.models.electra import config as electra
from keras_tx.models.esm import config as esm
from keras_tx.models.mpnet import config as mpnet

VARIANTS = {"Electra": electra.VARIANTS, "MPNet": mpnet.VARIANTS, "Albert": albert.VARIANTS, "Esm": esm.VARIANTS}
COUNTS = {
    "ElectraModel": (13483008, 108891648, 334092288),
    "ElectraForPreTraining": (13549057, 109483009, 335142913),
    "ElectraForMaskedLM": (13546682, 109514298, 335174458),
    "ElectraForSequenceClassification": (13549314, 109483778, 335143938),
    "ElectraForTokenClassification": (13483522, 108893186, 334094338),
    "ElectraForQuestionAnswering": (13483522, 108893186, 334094338),
    "ElectraForMultipleChoice": (13549057, 109483009, 335142913),
    "MPNetModel": (109486464,),
    "MPNetForMaskedLM": (109518527,),
    "MPNetForSequenceClassification": (109488002,),
    "MPNetForTokenClassification": (108897410,),
    "MPNetForQuestionAnswering": (108897410,),
    "MPNetForMultipleChoice": (109487233,),
    "AlbertModel": (11683584, 17683968, 58724864, 222595584),
    "AlbertForPreTraining": (11813810, 17847474, 59021490, 223158450),
    "AlbertForMaskedLM": (11221680, 16795824, 54821040, 206368944),
    "AlbertForSequenceClassification": (11685122, 17686018, 58728962, 222603778),
    "AlbertForTokenClassification": (11094530, 16636418, 54532610, 205822466),
    "AlbertForQuestionAnswering": (11094530, 16636418, 54532610, 205822466),
    "AlbertForMultipleChoice": (11684353, 17684993, 58726913, 222599681),
    "EsmModel": (7511680, 33500160, 148138240, 651040000),
    "EsmForMaskedLM": (7512353, 33501153, 148139553, 651042593),
    "EsmForSequenceClassification": (7512322, 33501122, 148139522, 651042562),
    "EsmForTokenClassification": (7409602, 33270242, 147729282, 649402882),
}
"""Of the variants in their order, as Transformers counts them; but for ESM's contact head, which is not trained."""


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name):
    cls = getattr(keras_tx.models, name)
    [variants] = [variants for family, variants in VARIANTS.items() if name.startswith(family)]
    found = tuple(count_parameters(lambda config=config: cls(config)) for config in variants.values())
    assert found == COUNTS[name]


def test_paper_configs():
    table = {
        name: (c.num_layers, c.embedding_width, c.d_model, c.num_heads, c.d_ff)
        for variants in VARIANTS.values()
        for name, c in variants.items()
    }
    assert table == {
        "electra_small": (12, 128, 256, 4, 1024),
        "electra_base": (12, 768, 768, 12, 3072),
        "electra_large": (24, 1024, 1024, 16, 4096),
        "mpnet_base": (12, 768, 768, 12, 3072),
        "albert_base": (12, 128, 768, 12, 3072),
        "albert_large": (24, 128, 1024, 16, 4096),
        "albert_xlarge": (24, 128, 2048, 16, 8192),
        "albert_xxlarge": (12, 128, 4096, 64, 16384),
        "esm2_t6_8m": (6, 320, 320, 20, 1280),
        "esm2_t12_35m": (12, 480, 480, 20, 1920),
        "esm2_t30_150m": (30, 640, 640, 20, 2560),
        "esm2_t33_650m": (33, 1280, 1280, 20, 5120),
    }


@pytest.mark.parametrize("name", ["electra_small", "mpnet_base", "albert_base", "esm2_t6_8m"])
def test_builders_take_overrides(name):
    fields = {"num_layers": 1, "d_model": 30, "num_heads": 3, "d_ff": 19, "vocab_size": 41}
    [variants] = [variants for variants in VARIANTS.values() if name in variants]
    assert keras_tx.models.create_model(name, **fields).config == dataclasses.replace(variants[name], **fields)


# === Embeddings of another width ===


def test_narrow_embeddings_of_a_bert(rng, tmp_path):
    model = randomize(BERTForMaskedLM(BERT, embedding_dim=7), rng)
    weights = model.weights_by_path()
    assert weights["backbone/token_embedding/embeddings"].shape == (61, 7)
    assert weights["backbone/embedding_projection/kernel"].shape == (7, 15)
    assert weights["head/transform/kernel"].shape == (15, 7)
    assert model(rng.integers(0, 61, (2, 5)))["logits"].shape == (2, 5, 61)
    with pytest.raises(
        ValueError, match=r"has `embedding_dim=None`, and this model 7: save it with format=\"keras_tx\""
    ):
        model.save_pretrained(tmp_path, format="huggingface")
    BERTForMaskedLM(BERT, embedding_dim=15).save_pretrained(tmp_path, format="huggingface")


def test_no_pooler_where_the_family_has_none():
    assert "pooler" not in "".join(ElectraModel(electra.TINY).weights_by_path())
    with pytest.raises(ValueError, match="a ElectraBackbone has no pooler: leave out `pooler`"):
        ElectraModel.backbone_class(electra.TINY, pooler=True)


# === ELECTRA ===


def test_the_loss_of_replaced_tokens(rng):
    """The mean over the tokens that the mask shows and whose label counts."""
    model = randomize(ElectraForPreTraining(electra.TINY_HEAD), rng)
    ids, labels = rng.integers(1, 61, (2, 5)), rng.integers(0, 2, (2, 5))
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    labels[0, 1] = -100
    of_each = np.broadcast_to(mask[:, None], (2, 5, 5))  # hides no token's row, so that all of them count
    for given, counts in ((mask, mask), (of_each, np.ones_like(mask)), (None, np.ones_like(mask))):
        outputs = model(ids, attention_mask=given, labels=labels)
        x = numpy(outputs["logits"]).astype("float64")
        losses = np.where(labels == 1, np.logaddexp(0, -x), np.logaddexp(0, x))
        assert float(outputs["loss"]) == pytest.approx(losses[(counts == 1) & (labels != -100)].mean(), rel=1e-5)
    with pytest.raises(ValueError, match=r"`labels` must lie in \[0, classes\) = \[0, 2\)"):
        model(ids, labels=labels + 5)


@pytest.mark.slow
def test_the_discriminator_learns(rng):
    """By `fit`, with the mask among the inputs: which of two tokens stands at each place."""
    model = ElectraForPreTraining(electra.TINY_HEAD, initializer_range=0.3)
    given = {"input_ids": rng.integers(1, 61, (64, 6)), "attention_mask": np.ones((64, 6), "int32")}
    labels = given["input_ids"] % 2
    model.compile(keras.optimizers.Adam(1e-2))
    history = model.fit(given, labels, epochs=30, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]


def test_no_activation_in_a_summary(rng):
    model = randomize(ElectraForMultipleChoice(electra.TINY_HEAD, summary_activation=None), rng)
    ids = rng.integers(1, 61, (2, 3, 5))
    first = numpy(model.backbone(ids.reshape(6, 5))["last_hidden_state"])[:, 0]
    hidden, classifier = model.head.hidden, model.head.classifier
    x = first @ numpy(hidden.kernel) + numpy(hidden.bias)
    wanted = x @ numpy(classifier.kernel) + numpy(classifier.bias)
    np.testing.assert_allclose(numpy(model(ids)["logits"]), wanted.reshape(2, 3), atol=1e-5)


# === MPNet ===


def test_positions_skip_token_1_and_the_bias_does_not(rng):
    """Whatever `pad_token_id` is; the bias goes by the place in the row."""
    model = randomize(MPNetModel(mpnet.TINY, pad_token_id=4), rng)
    ids = np.array([[7, 8, 9, 10], [7, 1, 8, 9], [7, 4, 8, 9]])
    positions = np.array([[2, 3, 4, 5], [2, 1, 3, 4], [2, 3, 4, 5]])
    for one, two in zip(model(ids), model(ids, position_ids=positions), strict=True):
        np.testing.assert_allclose(numpy(one), numpy(two), atol=1e-6)
    assert not np.allclose(numpy(model(ids, position_ids=positions[:, ::-1])[0]), numpy(model(ids)[0]), atol=1e-3)
    with pytest.raises(ValueError, match="`type_vocab_size` must be 0 in MPNet; got 2"):
        MPNetModel(mpnet.TINY, type_vocab_size=2)


# === ALBERT ===


def test_layers_share_the_blocks_of_their_group(rng):
    """Five layers in two groups of two blocks: 0 0 0 1 1, each block run once a layer."""
    config = albert.TINY.replace(num_layers=5, num_groups=2, blocks_per_group=2)
    model = randomize(AlbertModel(config), rng)
    assert len(model.backbone.blocks) == 4
    order = [model.backbone.blocks.index(block) for block in model.backbone.block_sequence]
    assert order == [0, 1, 0, 1, 0, 1, 2, 3, 2, 3]
    outputs = model(rng.integers(1, 61, (2, 5)), return_attention=True, return_hidden_states=True)
    assert len(outputs[2]) == 10 and len(outputs[3]) == 11


def test_the_loss_of_the_sentence_order(rng):
    model = randomize(AlbertForPreTraining(albert.TINY_HEAD), rng)
    ids, labels, order = rng.integers(1, 61, (3, 5)), rng.integers(0, 61, (3, 5)), np.array([1, 0, 1])
    outputs = model(ids, labels=labels, sentence_order_label=order)
    logits, pairs = (numpy(outputs[name]).astype("float64") for name in ("logits", "sop_logits"))

    def cross_entropy(x, y):
        picked = np.take_along_axis(x, y[..., None], -1)[..., 0]
        return (np.log(np.exp(x).sum(-1)) - picked).mean()

    wanted = cross_entropy(logits, labels) + cross_entropy(pairs, order)
    assert float(outputs["loss"]) == pytest.approx(wanted, rel=1e-4)
    assert "loss" not in model(ids, labels=labels)


# === ESM ===


def test_masked_tokens_are_made_up_for(rng):
    """Zeros, and all others scaled as if 12 % were masked; padding is zeros, and a text of masks alone no NaN."""
    model = randomize(EsmForMaskedLM(esm.TINY), rng)
    ids = np.array([[5, 32, 7, 8, 9], [5, 6, 7, 4, 4], [32, 32, 32, 4, 4]])
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 0, 0]])
    of_each = np.broadcast_to(mask[:, None], (3, 5, 5))
    scale = 0.88 / np.array([4 / 5, 1, np.inf])[:, None, None]
    table = numpy(model.backbone.token_embedding.embeddings)
    wanted = table[ids] * scale * (ids != 32)[..., None] * mask[..., None]
    for given in (mask, of_each):
        outputs = model(ids, attention_mask=given, return_hidden_states=True)
        np.testing.assert_allclose(numpy(outputs["hidden_states"][0]), wanted, atol=1e-6)
        assert np.isfinite(numpy(outputs["logits"])).all()


def test_contacts(rng):
    """A logistic regression on the maps of the residues, symmetric, less what rows and columns have in common."""
    model = randomize(EsmModel(esm.TINY), rng)
    ids = rng.integers(5, 32, (1, 6))
    ids[0, -1] = 2
    maps = np.concatenate([numpy(x) for x in model(ids, return_attention=True)[2]], axis=1)[0, :, 1:-1, 1:-1]
    x = maps + maps.transpose(0, 2, 1)
    x = x - x.sum(1, keepdims=True) * x.sum(2, keepdims=True) / x.sum((1, 2), keepdims=True)
    head = model.backbone.contact_head
    logits = np.einsum("mij,m->ij", x, numpy(head.kernel)[:, 0]) + numpy(head.bias)
    found = numpy(model.predict_contacts(ids))
    np.testing.assert_allclose(found[0], 1 / (1 + np.exp(-logits)), atol=1e-5)
    assert not head.trainable_weights


def test_rotary_positions_go_by_distance(rng):
    """Padding at the left changes nothing, and texts may be as long as `max_positions`; a table has fewer places."""
    model = randomize(EsmModel(esm.TINY), rng)
    ids = rng.integers(5, 32, (1, 6))
    padded, mask = np.pad(ids, ((0, 0), (3, 0)), constant_values=4), np.array([[0] * 3 + [1] * 6])
    found = numpy(model(padded, attention_mask=mask)[0])[:, 3:]
    np.testing.assert_allclose(found, numpy(model(ids)[0]), atol=1e-5)
    assert model.max_positions == 37 and EsmModel(esm.TINY_LEARNED).max_positions == 32
    with pytest.raises(ValueError, match="no weight depends on it"):
        model(rng.integers(5, 32, (1, 38)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"positions": "relative"}, '`positions` must be "learned" or "rotary"; got \'relative\''),
        ({"mask_token_id": None}, "`mask_token_id` must lie in .*, for `token_dropout` is on; got None"),
        ({"type_vocab_size": 2}, "`type_vocab_size` must be 0 in ESM; got 2"),
        ({"d_model": 15}, "rotary embeddings turn pairs of channels"),
        ({"pad_token_id": None}, "`pad_token_id` must lie in .* got None"),
    ],
)
def test_what_an_esm_cannot_be(fields, message):
    with pytest.raises(ValueError, match=message):
        EsmModel(esm.TINY, **fields)
