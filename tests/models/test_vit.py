"""The Vision Transformer by its definition: sizes, the papers' table, tokens, pooling, heads, images of any size."""

import dataclasses

import keras
import numpy as np
import pytest
from helpers import count_parameters, dense, layer_norm, normal, numpy, randomize

import keras_tx.models
from keras_tx.models import VisionTransformer, ViTConfig
from keras_tx.models.vit.config import TINY, TINY_DISTILLED, TINY_MEAN, VARIANTS

COUNTS = {
    "vit_tiny_patch16_224": (5717416, 5524416),
    "vit_small_patch16_224": (22050664, 21665664),
    "vit_base_patch16_224": (86567656, 85798656),
    "vit_base_patch32_224": (88224232, 87455232),
    "vit_large_patch16_224": (304326632, 303301632),
    "vit_huge_patch14_224": (632045800, 630764800),
}
"""With 1000 classes, and without a head."""


@pytest.fixture
def images(rng) -> np.ndarray:
    return normal(rng, 3, 9, 14, 2)


def make(rng, config: ViTConfig = TINY, **overrides) -> VisionTransformer:
    return randomize(VisionTransformer(config, **overrides), rng)


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name):
    builder = getattr(keras_tx.models, name)
    assert (count_parameters(builder), count_parameters(lambda: builder(0))) == COUNTS[name]


def test_papers_configs():
    table = {name: (c.num_layers, c.d_model, c.d_ff, c.num_heads, c.patch_size) for name, c in VARIANTS.items()}
    assert table == {
        "vit_tiny_patch16_224": (12, 192, 768, 3, 16),
        "vit_small_patch16_224": (12, 384, 1536, 6, 16),
        "vit_base_patch16_224": (12, 768, 3072, 12, 16),
        "vit_base_patch32_224": (12, 768, 3072, 12, 32),
        "vit_large_patch16_224": (24, 1024, 4096, 16, 16),
        "vit_huge_patch14_224": (32, 1280, 5120, 16, 14),
    }
    assert {(c.norm_epsilon, c.activation, c.image_size, c.pooling) for c in VARIANTS.values()} == {
        (1e-6, "gelu", 224, "token")
    }


@pytest.mark.parametrize("name", VARIANTS)
def test_builders_take_classes_and_overrides(name):
    small = {"image_size": 32, "patch_size": 16, "num_layers": 1, "d_model": 12, "num_heads": 3, "d_ff": 7}
    model = getattr(keras_tx.models, name)(5, **small)
    assert type(model) is VisionTransformer
    assert model.config == dataclasses.replace(VARIANTS[name], num_classes=5, **small)
    assert keras_tx.models.create_model(name, num_classes=7, **small).config.num_classes == 7


def test_logits_by_definition(rng, images):
    """Patches and the class token with their positions, blocks, the normed class token, a linear map."""
    model = make(rng)
    patches = images.reshape(3, 3, 3, 7, 2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(3, 21, 12)
    x = patches @ numpy(model.backbone.patch_embedding.kernel).reshape(12, 15) + numpy(
        model.backbone.patch_embedding.bias
    )
    x = np.concatenate([np.tile(numpy(model.backbone.class_token), (3, 1, 1)), x], axis=1) + numpy(
        model.backbone.position_embedding
    )
    outputs = model(images, return_hidden_states=True)
    np.testing.assert_allclose(outputs["hidden_states"][0], x, atol=1e-4)
    for i, block in enumerate(model.backbone.blocks):
        x = numpy(block(x))
        np.testing.assert_allclose(outputs["hidden_states"][i + 1], x, atol=1e-4)
    features = layer_norm(x, numpy(model.backbone.norm.gamma), numpy(model.backbone.norm.beta), 1e-6)[:, 0]
    np.testing.assert_allclose(model(images, return_features=True), features, atol=1e-4)
    np.testing.assert_allclose(model(images), dense(model.head.classifier, features), atol=1e-4)


def test_tokens_before_the_patches(rng, images):
    """Class, distillation and register tokens, in this order, with or without rows in the position table."""
    model = make(rng, distillation_token=True, register_tokens=4)
    first = numpy(model(images, return_hidden_states=True)["hidden_states"][0])
    tokens = [
        numpy(x)
        for x in (model.backbone.class_token, model.backbone.distillation_token, model.backbone.register_tokens)
    ]
    expected = np.concatenate(tokens, axis=1) + numpy(model.backbone.position_embedding)[:, :6]
    np.testing.assert_allclose(first[:, :6], np.tile(expected, (3, 1, 1)), atol=1e-5)
    assert model.backbone.position_embedding.shape == (1, 6 + 21, 15)
    model = make(rng, distillation_token=True, register_tokens=4, no_embed_class=True)
    assert model.backbone.position_embedding.shape == (1, 21, 15)
    first = numpy(model(images, return_hidden_states=True)["hidden_states"][0])
    np.testing.assert_allclose(first[1, 2:6], numpy(model.backbone.register_tokens)[0], atol=1e-6)


def test_mean_pooling(rng, images):
    """Of the patches alone, normalized after; or before, as `fc_norm=False` says."""
    model = make(rng, TINY_MEAN, fc_norm=True)
    last = numpy(model(images, return_hidden_states=True)["hidden_states"][-1])[:, 3:]
    gamma, beta = numpy(model.backbone.norm.gamma), numpy(model.backbone.norm.beta)
    expected = layer_norm(last.mean(axis=1), gamma, beta, 1e-6)
    np.testing.assert_allclose(model(images, return_features=True), expected, atol=1e-4)
    other = VisionTransformer(TINY_MEAN, fc_norm=False)
    other.set_weights(model.get_weights())
    expected = layer_norm(last, gamma, beta, 1e-6).mean(axis=1)
    np.testing.assert_allclose(other(images, return_features=True), expected, atol=1e-4)
    assert VisionTransformer(TINY, class_token=False, pooling="mean").backbone.position_embedding.shape == (1, 21, 15)


@pytest.mark.parametrize("pooling", ["max", "mean_max", "attention"])
def test_other_poolings(rng, images, pooling):
    """Of the patches, or of all tokens; maxima are normalized after, attention looks at what is normalized."""
    for pool_prefix, first in ((False, 1), (True, 0)):
        model = make(rng, pooling=pooling, pool_prefix=pool_prefix)
        outputs = model(images, return_features=True, return_hidden_states=True)
        x = numpy(outputs["hidden_states"][-1])[:, first:]
        gamma, beta = numpy(model.backbone.norm.gamma), numpy(model.backbone.norm.beta)
        if pooling == "attention":
            expected = numpy(model.head.attention_pooling(layer_norm(x, gamma, beta, 1e-6).astype("float32")))
        else:
            highest = x.max(axis=1)
            pooled = highest if pooling == "max" else (highest + x.mean(axis=1)) / 2
            expected = layer_norm(pooled, gamma, beta, 1e-6)
        np.testing.assert_allclose(outputs["features"], expected, atol=1e-4)


def test_norm_before_the_blocks(rng, images):
    model = make(rng, pre_norm=True)
    assert not model.backbone.patch_embedding.use_bias
    first = numpy(model(images, return_hidden_states=True)["hidden_states"][0])
    centred = (first - numpy(model.backbone.embedding_norm.beta)) / numpy(model.backbone.embedding_norm.gamma)
    np.testing.assert_allclose(centred.mean(axis=-1), 0, atol=1e-4)
    np.testing.assert_allclose(centred.std(axis=-1), 1, atol=1e-3)


def test_representation(rng, images):
    """A map and tanh between the features and the head."""
    model = make(rng, representation_size=7)
    pooled = numpy(model.backbone.norm(model(images, return_hidden_states=True)["hidden_states"][-1]))[:, 0]
    features = np.tanh(dense(model.head.representation, pooled))
    np.testing.assert_allclose(model(images, return_features=True), features, atol=1e-5)
    np.testing.assert_allclose(model(images), dense(model.head.classifier, features), atol=1e-4)


def test_initialization():
    model = VisionTransformer(TINY, d_model=102, num_heads=3, d_ff=103, distillation_token=True, distillation_head=True)
    for weight in model.trainable_weights:
        values = numpy(weight)
        if weight.name == "gamma":
            assert (values == 1).all()
        elif weight.name in ("beta", "bias"):
            assert not values.any()
        else:
            assert 0 < np.abs(values).max() < 0.05, weight.path  # cut at two deviations


def test_drop_path_grows_with_depth():
    model = VisionTransformer(TINY, num_layers=5, drop_path=0.2)
    np.testing.assert_allclose(
        [block.stochastic_depth.rate for block in model.backbone.blocks], [0, 0.05, 0.1, 0.15, 0.2]
    )


# === Images of other sizes ===


@pytest.mark.parametrize("config", [TINY, TINY_MEAN, TINY_DISTILLED])
def test_the_table_follows_the_image(rng, config):
    """A model made for the other size, with the table resampled, gives the same logits."""
    model, images = make(rng, config), normal(rng, 2, 15, 8, 2)
    other = VisionTransformer(config, image_size=(15, 8))
    for path, weight in other.weights_by_path().items():
        weight.assign(VisionTransformer.adapt(path, numpy(model.weights_by_path()[path]), config, other.config))
    np.testing.assert_allclose(model(images), other(images), atol=1e-5)


def test_padding(rng):
    """Zeros at the bottom and the right, up to whole patches."""
    model, images = make(rng, TINY_DISTILLED), normal(rng, 2, 10, 13, 2)
    padded = np.pad(images, [(0, 0), (0, 2), (0, 1), (0, 0)])
    np.testing.assert_allclose(model(images), model(padded), atol=1e-6)
    np.testing.assert_allclose(model.predict(images, verbose=0), model(padded), atol=1e-5)
    model = make(rng)
    np.testing.assert_allclose(model(images), model(images[:, :9, :12]), atol=1e-6)  # unless the rest is left out
    with pytest.raises(ValueError, match=r"`images` must be no smaller than a patch, \(3, 2\); got \(2, 13\)"):
        model(images[:, :2])
    with pytest.raises(ValueError, match=r"`image_size` must be no smaller than a patch, \(3, 2\); got \(2, 14\)"):
        ViTConfig(image_size=(2, 14), patch_size=(3, 2))


# === Training ===


def test_patches_are_dropped_in_training_alone(rng, images):
    model = make(rng, patch_dropout=0.5)
    assert model(images, return_hidden_states=True)["hidden_states"][0].shape == (3, 22, 15)
    assert model(images, return_hidden_states=True, training=True)["hidden_states"][0].shape == (3, 11, 15)


def test_two_heads(rng, images):
    """In training a pair, of the class and the distillation token; otherwise their mean."""
    model = make(rng, TINY_DISTILLED)
    first, second = model(images, training=True)
    last = numpy(model.backbone.norm(model(images, return_hidden_states=True)["hidden_states"][-1]))
    np.testing.assert_allclose(first, dense(model.head.classifier, last[:, 0]), atol=1e-4)
    np.testing.assert_allclose(second, dense(model.head.distillation_classifier, last[:, 1]), atol=1e-4)
    np.testing.assert_allclose(model(images), (numpy(first) + numpy(second)) / 2, atol=1e-6)
    np.testing.assert_allclose(model(images, return_features=True), last[:, :2].mean(axis=1), atol=1e-5)


@pytest.mark.slow
def test_the_loss_of_two_heads_is_the_mean_of_both(rng, images):
    model = make(rng, TINY_DISTILLED)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.0), loss=loss, metrics=["accuracy"], jit_compile=True)
    labels, teacher = np.array([0, 3, 1]), np.array([2, 3, 4])
    first, second = model(images, training=True)
    for y, of in (((labels, teacher), teacher), (labels, labels)):
        found = model.fit(images, y, batch_size=3, verbose=0).history
        assert found["loss"][0] == pytest.approx((float(loss(labels, first)) + float(loss(of, second))) / 2, rel=1e-5)
        accuracy = (numpy(model(images)).argmax(axis=-1) == labels).mean()
        assert found["accuracy"][0] == pytest.approx(accuracy, abs=1e-6)
    evaluated = model.evaluate(images, labels, verbose=0, return_dict=True)
    assert evaluated["loss"] == pytest.approx(float(loss(labels, model(images))), rel=1e-5)


# === Errors ===


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image_size": (1, 15)}, "`image_size` must be no smaller than a patch"),
        ({"image_size": 0}, "`image_size` must be"),
        ({"patch_size": 0}, "`patch_size` must be"),
        ({"channels": 0}, "`channels` must be"),
        ({"num_classes": -1}, "`num_classes` must be"),
        ({"num_heads": 4}, "`d_model` must be a multiple of `num_heads`"),
        ({"register_tokens": -1}, "`register_tokens` must be at least 0"),
        (
            {"pooling": "median"},
            "`pooling` must be one of 'token', 'mean', 'max', 'mean_max', 'attention'; got 'median'",
        ),
        ({"class_token": False}, "needs the class token"),
        ({"class_token": False, "pooling": "mean", "distillation_token": True}, "`distillation_token` needs"),
        ({"distillation_head": True}, "`distillation_head` needs `distillation_token`"),
        ({"patch_dropout": 1.0}, "`patch_dropout` must be a rate"),
        ({"drop_path": -0.1}, "`drop_path` must be a rate"),
        ({"activation": "gelu7"}, "`activation` must be one of"),
        ({"label_names": ("one",)}, "`label_names` must be as many as `num_classes` = 5"),
        ({"no_class": True}, "ViTConfig has no field `no_class`"),
    ],
)
def test_bad_configs(fields, message):
    with pytest.raises(ValueError, match=message):
        VisionTransformer(TINY, **fields)


def test_other_classes_have_no_names():
    named = TINY.replace(label_names=tuple("abcde"))
    assert named.replace(num_classes=7).label_names is None and named.replace(d_ff=7).label_names == tuple("abcde")
