"""Random changes of images: what each does, that labels go with them, and that seeds decide."""

import keras
import numpy as np
import pytest

from keras_tx.vision import Augmentation, augment
from keras_tx.vision.augmentation import resized_crops
from keras_tx.vision.rand_augment import equalize, operations, rand_augment

BATCH, HEIGHT, WIDTH, CLASSES = 5, 11, 13, 7
FULL = Augmentation(
    crop=(0.3, 1.0),
    flip=True,
    rotation=10,
    translation=0.2,
    zoom=0.1,
    rand_augment=0.9,
    mixup=0.8,
    cutmix=1.0,
    erasing=0.5,
)


@pytest.fixture
def images(rng) -> np.ndarray:
    return rng.integers(0, 256, (BATCH, HEIGHT, WIDTH, 3)).astype("float32")


@pytest.fixture
def labels() -> np.ndarray:
    return np.eye(CLASSES, dtype="float32")[[3, 0, 6, 1, 4]]


def changed(images, labels, augmentation: Augmentation, batches: int = 1, **options) -> list[tuple]:
    import tensorflow as tf

    data = tf.data.Dataset.from_tensors((images, labels)).repeat(batches)
    return [(x.numpy(), y.numpy()) for x, y in augment(data, augmentation, **options)]


def test_nothing_changes_unless_asked_for(images, labels):
    ((x, y),) = changed(images.astype("uint8"), labels, Augmentation())
    assert x.dtype == "float32"
    np.testing.assert_array_equal(x, images)
    np.testing.assert_array_equal(y, labels)


@pytest.mark.slow
def test_all_changes_together(images, labels):
    first, second = changed(images, labels, FULL, batches=2)
    assert not np.allclose(first[0], second[0])
    for x, y in (first, second):
        assert x.shape == images.shape and y.shape == labels.shape and x.dtype == y.dtype == "float32"
        assert x.min() >= 0 and x.max() <= 255.01
        np.testing.assert_allclose(y.sum(axis=1), 1, atol=1e-5)
    for again, x in zip(changed(images, labels, FULL, batches=2), (first, second), strict=True):
        np.testing.assert_array_equal(again[0], x[0])
        np.testing.assert_array_equal(again[1], x[1])
    assert not np.allclose(changed(images, labels, FULL, seed=1)[0][0], first[0])


def test_flip(images, labels):
    ((x, _),) = changed(np.tile(images, (9, 1, 1, 1)), np.tile(labels, (9, 1)), Augmentation(flip=True))
    mirrored = np.array([np.array_equal(a, b[:, ::-1]) for a, b in zip(x, np.tile(images, (9, 1, 1, 1)), strict=True)])
    same = np.array([np.array_equal(a, b) for a, b in zip(x, np.tile(images, (9, 1, 1, 1)), strict=True)])
    assert np.all(mirrored ^ same) and 9 < mirrored.sum() < 36


def test_translation_is_of_whole_pixels(images, labels):
    ((x, _),) = changed(images, labels, Augmentation(translation=0.2))
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)))
    shifts = [(i, j) for i in range(9) for j in range(9)]
    found = [
        [(i - 4, j - 4) for i, j in shifts if np.array_equal(a, b[i : i + HEIGHT, j : j + WIDTH])]
        for a, b in zip(x, padded, strict=True)
    ]
    assert all(found) and len({moved[0] for moved in found}) > 1
    assert all(abs(i) <= 0.2 * HEIGHT + 0.5 and abs(j) <= 0.2 * WIDTH + 0.5 for ((i, j), *_) in found)


def test_mixup_mixes_labels_as_images(rng):
    """Of images that are all one number, the class's, the mix is the mean of the labels."""
    classes = np.arange(CLASSES)
    images = np.ones((CLASSES, HEIGHT, WIDTH, 1), "float32") * classes[:, None, None, None]
    for augmentation in (Augmentation(mixup=0.8), Augmentation(cutmix=1.0), Augmentation(mixup=1.0, cutmix=1.0)):
        ((x, y),) = changed(images, np.eye(CLASSES, dtype="float32"), augmentation)
        assert np.any((y > 0.01) & (y < 0.99))
        if augmentation.cutmix:  # a box's edges lie between pixels
            np.testing.assert_allclose(x.mean(axis=(1, 2, 3)), y @ classes, atol=1.2)
        else:
            np.testing.assert_allclose(x.mean(axis=(1, 2, 3)), y @ classes, atol=1e-4)


def test_one_of_two_mixers_is_drawn_for_each_batch(rng):
    images = np.arange(CLASSES, dtype="float32")[:, None, None, None] * np.ones((1, HEIGHT, WIDTH, 1), "float32")
    batches = changed(images, np.eye(CLASSES, dtype="float32"), Augmentation(mixup=1.0, cutmix=1.0), batches=12)
    whole = [np.allclose(x, np.round(x)) for x, _ in batches]  # pasted pixels stay what they are
    assert any(whole) and not all(whole)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float32"])
@pytest.mark.parametrize("shape", [(BATCH,), (BATCH, 1)])
def test_labels_that_are_numbers(images, labels, dtype, shape):
    numbers = labels.argmax(axis=1).astype(dtype).reshape(shape)
    ((_, y),) = changed(images, numbers, Augmentation(mixup=0.8, cutmix=1.0), num_classes=CLASSES)
    ((_, wanted),) = changed(images, labels, Augmentation(mixup=0.8, cutmix=1.0))
    np.testing.assert_array_equal(y, wanted)
    ((_, y),) = changed(images, numbers, Augmentation(erasing=0.5))
    assert y.dtype == dtype and np.array_equal(y, numbers)
    with pytest.raises(ValueError, match=r"`mixup` and `cutmix` mix labels .* give `num_classes`"):
        changed(images, numbers, Augmentation(mixup=0.1))


def test_labels_that_say_yes_or_no(images):
    said = np.array([1, 0, 1, 1, 0], "int32")
    ((x, y),) = changed(np.ones_like(images) * said[:, None, None, None], said, Augmentation(mixup=0.8), num_classes=1)
    np.testing.assert_allclose(y[:, 0], x.mean(axis=(1, 2, 3)), atol=1e-5)


def test_a_label_out_of_range(images):
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError, match=r"labels must lie in \[0, num_classes\) = \[0, 3\)"):
        changed(images, np.arange(BATCH), Augmentation(mixup=0.8), num_classes=3)


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_each_pass_is_another(images, labels, known):
    """Also after first batches that were looked at alone; and it goes on from where it was left."""
    import tensorflow as tf

    def passes(start=0):
        data = tf.data.Dataset.from_tensors((images, labels)).repeat(3)
        data = data if known else data.filter(lambda *batch: True)
        return augment(data, Augmentation(mixup=0.8), start=start)

    def taken(data):
        return np.stack([x.numpy() for x, _ in data])

    data = passes()
    assert data.cardinality() == (3 if known else tf.data.UNKNOWN_CARDINALITY)
    next(iter(data))
    epochs = [taken(data) for _ in range(3)]
    assert len(np.unique(np.concatenate(epochs).reshape(9, -1), axis=0)) == 9
    for again, wanted in zip((taken(x) for x in [passes()] * 3), epochs, strict=True):
        np.testing.assert_array_equal(again, wanted)
    np.testing.assert_array_equal(taken(passes(start=2 * (3 if known else 2**32))), epochs[2])


def test_epochs_of_fit_are_others(images, labels):
    """And those of a training that goes on are the same as without a break, whether Keras looks at a batch first."""
    import tensorflow as tf

    def seen(model, epochs, **options):
        inputs = []

        def note(x):
            inputs.append(x.numpy())
            return x

        data = tf.data.Dataset.from_tensors((images, labels)).repeat(2)
        data = augment(data, Augmentation(mixup=0.8), **options)
        data = data.map(lambda x, y: (tf.ensure_shape(tf.py_function(note, [x], tf.float32), x.shape), y))
        model.fit(data, epochs=epochs, shuffle=False, verbose=0)
        return inputs[-2 * epochs :]

    model = keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(CLASSES)])
    model.compile("sgd", "mse")
    whole, built = seen(model, 3), seen(model, 2, start=2)
    assert len(np.unique(np.stack(whole).reshape(6, -1), axis=0)) == 6
    np.testing.assert_array_equal(built, whole[2:])


def test_erasing(images, labels):
    ((x, y),) = changed(images, labels, Augmentation(erasing=1.0))
    share = np.mean(np.any(x != images, axis=-1), axis=(1, 2))
    assert np.all(share > 0) and np.all(share < 0.6)
    np.testing.assert_array_equal(y, labels)


def test_crops_of_the_whole_area_are_near_the_whole(images):
    import tensorflow as tf

    ramp = np.broadcast_to(np.linspace(0, 1, WIDTH, dtype="float32")[:, None], (BATCH, HEIGHT, WIDTH, 3))
    seed = tf.constant([0, 3], "int64")
    small = resized_crops(tf.constant(ramp), (0.1, 0.2), seed).numpy()
    large = resized_crops(tf.constant(ramp), (0.9, 1.0), seed).numpy()
    width = np.ptp(small, axis=(1, 2, 3))  # the share of the width that a crop spans
    assert np.all(width >= np.sqrt(0.1 * 3 / 4) - 1e-5) and np.all(width <= np.sqrt(0.2 * 4 / 3) + 1e-5)
    assert len(np.unique(width)) == BATCH
    assert np.all(np.ptp(large, axis=(1, 2, 3)) > np.sqrt(0.9 * 3 / 4) - 1e-5)
    assert np.all(small[:, :, 1:] > small[:, :, :-1])


@pytest.mark.parametrize("channels", [1, 3])
def test_rand_augment_draws_for_each_image(rng, channels):
    import tensorflow as tf

    images = np.repeat(rng.integers(0, 256, (1, HEIGHT, WIDTH, channels)), 9, axis=0).astype("float32")
    layers = operations(0.9, channels)
    assert len(layers) == 12 + (channels == 3)
    x = rand_augment(tf.constant(images), layers, tf.constant([0, 1], "int64")).numpy()
    assert x.shape == images.shape and len(np.unique(x.reshape(9, -1), axis=0)) > 4


def test_equalized_values_are_as_frequent(rng):
    import tensorflow as tf

    skewed = np.stack([np.arange(143) % 100, np.arange(143) ** 2 % 37], axis=-1).reshape(1, HEIGHT, WIDTH, 2)
    images = np.concatenate([skewed, np.full_like(skewed, 7)]).astype("float32")
    x = equalize(tf.constant(images)).numpy()
    np.testing.assert_array_equal(x[1], images[1])  # of one value alone
    for channel in range(2):
        before, after = images[0, ..., channel].ravel(), x[0, ..., channel].ravel()
        not_least = before > before.min()
        share = [np.mean(before[not_least] <= value) if value > before.min() else 0 for value in before]
        np.testing.assert_array_equal(after, np.round(np.float32(share) * 255))


def test_one_operation_at_a_time(images):
    """Operations that do what can be told: each image is the product of two of them."""
    import tensorflow as tf

    layers = [lambda x, training: x + 1.0, lambda x, training: x + 100.0]
    x = rand_augment(tf.constant(images), layers, tf.constant([0, 2], "int64")).numpy()
    added = (x - images).reshape(BATCH, -1)
    assert np.all(np.ptp(added, axis=1) < 1e-3)
    assert {round(float(number)) for number in added[:, 0]} <= {2, 101, 200} and len(np.unique(added[:, 0])) > 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"crop": (0.5, 0.2)}, "`crop` must be two shares of the area, rising"),
        ({"crop": (0.0, 0.2)}, "`crop` must"),
        ({"crop": (0.5,)}, "`crop` must"),
        ({"rotation": 181}, r"`rotation` must be degrees in \[0, 180\]; got 181"),
        ({"translation": 1.0}, "`translation` must be a rate"),
        ({"zoom": -0.1}, "`zoom` must be a rate"),
        ({"mixup": 1.1}, r"`mixup` must lie in \[0, 1\]; got 1.1"),
        ({"erasing": float("nan")}, "`erasing` must lie"),
    ],
)
def test_bad_fields(fields, words):
    with pytest.raises(ValueError, match=words):
        Augmentation(**fields)
