"""Fine-tuning: rates by layer against their formulas, frozen layers, batches."""

import math

import keras
import numpy as np
import pytest
from helpers import normal, numpy

from keras_tx import GPTForSequenceClassification
from keras_tx.training import (
    FineTuning,
    LayerwiseAdamW,
    LinearDecay,
    ShuffledBatches,
    adamw,
    compile_for_fine_tuning,
    fine_tune,
    freeze_layers,
    layer_scales,
)


def small_model(**config) -> GPTForSequenceClassification:
    sizes = {"vocab_size": 61, "max_positions": 7, "num_layers": 3, "num_heads": 3, "d_model": 15, "d_ff": 29}
    return GPTForSequenceClassification(**{**sizes, **config})


@pytest.mark.parametrize(
    ("path", "depth"),
    [
        ("backbone/block_0/attention/query/kernel", 1),
        ("backbone/block_11/feed_forward/up/bias", 12),
        ("backbone/encoder/block_3/attention_norm/gamma", 4),
        ("backbone/token_embedding/embeddings", 0),
        ("backbone/embedding_norm/gamma", 0),
        ("backbone/pooler/kernel", None),
        ("head/classifier/bias", None),
        ("head/block_3/attention/query/kernel", None),  # a head that has blocks
    ],
)
def test_depth_of_a_weight(path, depth):
    assert small_model().layer_depth(path) == depth


def test_lower_layers_learn_more_slowly():
    model = small_model()
    scales = dict(zip((v.path for v in model.trainable_variables), layer_scales(model, 0.5, 7.0), strict=True))
    for name, scale in {
        "backbone/token_embedding/embeddings": 0.125,
        "backbone/position_embedding/embeddings": 0.125,
        "backbone/block_0/attention/query/kernel": 0.25,
        "backbone/block_1/attention_norm/gamma": 0.5,
        "backbone/block_2/feed_forward/down/bias": 1.0,
        "backbone/final_norm/gamma": 7.0,
        "head/classifier/kernel": 7.0,
    }.items():
        assert scales[name] == scale


@pytest.mark.parametrize(("layers", "lowest"), [(0, {"block_0"}), (2, {"block_2"}), (3, {"final_norm"})])
def test_frozen_layers(layers, lowest):
    model = small_model()
    before = len(model.trainable_variables)
    freeze_layers(model, layers)
    assert {model.trainable_variables[0].path.split("/")[1]} == lowest
    assert len(model.trainable_variables) < before
    model.trainable = False
    model.trainable = True
    assert len(model.trainable_variables) == before


def test_no_more_layers_than_there_are_can_be_frozen():
    for layers in (4, -1):
        with pytest.raises(ValueError, match=rf"`layers` must lie in \[0, 3\], the blocks of the model; got {layers}"):
            freeze_layers(small_model(), layers)


def test_linear_rise_and_fall():
    schedule = LinearDecay(0.6, 10, warmup_steps=4, min_learning_rate=0.06)
    rates = [float(schedule(step)) for step in range(12)]
    rise, fall = [0.12, 0.24, 0.36, 0.48], [0.6, 0.51, 0.42, 0.33, 0.24, 0.15, 0.06, 0.06]
    assert rates == pytest.approx([*rise, *fall])
    assert float(LinearDecay(0.6, 10)(0)) == pytest.approx(0.6)
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert float(again(3)) == rates[3]


def linear_model() -> keras.Model:
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3), keras.layers.LayerNormalization()])
    model.layers[0].bias.assign([0.3, -0.2, 0.1])
    return model


def test_five_steps_equal_adamw_with_rates_by_weight(rng):
    model, scales = linear_model(), [0.25, 1.0, 3.0, 0.0]
    optimizer = adamw(
        model, learning_rate=1e-2, steps=7, warmup_steps=2, schedule="linear", weight_decay=0.3, scales=scales
    )
    weights = [numpy(variable).astype("float64") for variable in model.trainable_variables]
    first, second = ([np.zeros_like(weight) for weight in weights] for _ in range(2))
    for step, rate in enumerate([1 / 3, 2 / 3, 1, 4 / 5, 3 / 5]):
        gradients = [normal(rng, *weight.shape) for weight in weights]
        optimizer.apply([keras.ops.convert_to_tensor(gradient) for gradient in gradients])
        norm = math.sqrt(sum((gradient.astype("float64") ** 2).sum() for gradient in gradients))
        for i, gradient in enumerate(gradients):
            clipped = gradient * min(1.0, 1.0 / norm)
            first[i] = 0.9 * first[i] + 0.1 * clipped
            second[i] = 0.999 * second[i] + 0.001 * clipped**2
            mean, square = first[i] / (1 - 0.9 ** (step + 1)), second[i] / (1 - 0.999 ** (step + 1))
            decay = 0.3 if weights[i].ndim == 2 else 0.0
            weights[i] -= 1e-2 * rate * scales[i] * (mean / (np.sqrt(square) + 1e-8) + decay * weights[i])
    for variable, weight in zip(model.trainable_variables, weights, strict=True):
        np.testing.assert_allclose(numpy(variable), weight, rtol=2e-5, atol=2e-6)


def test_the_optimizer_comes_back_from_its_config():
    optimizer = adamw(linear_model(), learning_rate=1e-2, steps=7, schedule="linear", scales=[0.5, 1, 1, 2])
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, LayerwiseAdamW)
    assert (again.scales, again.weight_decays) == ((0.5, 1, 1, 2), (0.1, 0.0, 0.0, 0.0))
    assert again.get_config() == optimizer.get_config()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scales": [1.0]}, "one for each of 4 weights; got 1 and 4"),
        ({"schedule": "constant"}, "`schedule` must be one of 'cosine', 'linear'; got 'constant'"),
    ],
)
def test_wrong_options_of_the_optimizer(options, message):
    with pytest.raises(ValueError, match=message):
        adamw(linear_model(), learning_rate=1e-2, steps=7, **options)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"layer_decay": 0.0}, r"`layer_decay` must lie in \(0, 1\], 1 for one rate; got 0.0"),
        ({"layer_decay": 1.5}, "`layer_decay` must lie in"),
        ({"warmup": 1.0}, "`warmup`"),
        ({"learning_rate": 0.0}, "`learning_rate` must be above 0; got 0.0"),
        ({"head_learning_rate": math.nan}, "`head_learning_rate` must be above 0; got nan"),
        ({"epochs": 0}, "`epochs`"),
    ],
)
def test_wrong_fields_of_the_recipe(field, message):
    with pytest.raises(ValueError, match=message):
        FineTuning(**field)


def test_the_recipe_reaches_the_optimizer():
    model = small_model()
    recipe = FineTuning(learning_rate=1e-3, head_learning_rate=5e-3, layer_decay=0.9, frozen_layers=2, warmup=0.25)
    compile_for_fine_tuning(model, recipe, 40)
    optimizer = model.optimizer
    assert optimizer.global_clipnorm == 1.0
    assert len(optimizer.scales) == len(model.trainable_variables)
    assert optimizer.scales[0] == 1.0 and optimizer.scales[-1] == pytest.approx(5)
    assert set(optimizer.weight_decays) == {0.0, 0.01}
    optimizer.iterations.assign(10)
    assert float(optimizer.learning_rate) == pytest.approx(1e-3)
    optimizer.iterations.assign(25)
    assert float(optimizer.learning_rate) == pytest.approx(5e-4)


@pytest.mark.slow
def test_fine_tuning_moves_upper_layers_and_no_frozen_one(rng):
    model = small_model(num_layers=2)
    ids, labels = rng.integers(0, 61, (13, 7)).astype("int32"), rng.integers(0, 2, 13).astype("int32")
    before = {v.path: numpy(v) for v in model.weights}
    recipe = FineTuning(epochs=2, batch_size=5, frozen_layers=1, learning_rate=1e-2, head_learning_rate=1e-1)
    history = fine_tune(model, {"input_ids": ids}, labels, recipe, verbose=0)
    assert len(history.history["loss"]) == 2 and int(model.optimizer.iterations) == 6
    moved = {v.path.split("/")[1] for v in model.weights if not np.array_equal(numpy(v), before[v.path])}
    assert moved == {"block_1", "final_norm", "classifier"}


def test_every_example_comes_once_an_epoch_in_another_order():
    inputs = {"input_ids": np.arange(26).reshape(13, 2)}
    batches = ShuffledBatches(inputs, np.arange(13), 5, seed=3)
    orders = []
    for _ in range(2):
        epoch = [batches[i] for i in range(len(batches))]
        assert [len(labels) for _, labels in epoch] == [5, 5, 5]
        assert all((x["input_ids"][:, 0] == 2 * labels).all() for x, labels in epoch)
        order = np.concatenate([labels for _, labels in epoch])
        assert sorted(order[:13]) == list(range(13)) and (order[13:] == order[:2]).all()
        orders.append(order.tolist())
        batches.on_epoch_end()
    assert orders[0] != orders[1]
    again = ShuffledBatches(inputs, np.arange(13), 5, seed=3)
    assert np.array_equal(again[1][1], orders[0][5:10])
    assert len(ShuffledBatches(inputs, np.arange(13), 20)[0][1]) == 20  # fewer examples than a batch has rows


def test_batches_are_augmented_by_a_seed_of_their_own():
    weights = np.arange(13) / 2
    batches = ShuffledBatches(
        np.arange(13), np.arange(13), 5, sample_weight=weights, seed=3, augment=lambda x, y, seed: (x * 10, [y, seed])
    )
    seeds = []
    for _ in range(2):
        for x, (y, seed), weight in (batches[i] for i in range(len(batches))):
            assert (x == 10 * y).all() and (weight == y / 2).all()
            seeds.append(seed)
        batches.on_epoch_end()
    assert seeds == [(3, i) for i in range(6)]


@pytest.mark.parametrize("rows", [12, 0])
def test_batches_of_unequal_arrays_are_errors(rows):
    with pytest.raises(ValueError, match=rf"as many rows each, one or more; got \[{rows}"):
        ShuffledBatches(np.zeros((rows, 2)), np.zeros(13 if rows else 0), 5)


def test_what_is_frozen_is_kept_with_the_optimizer(tmp_path):
    model = small_model()
    compile_for_fine_tuning(model, FineTuning(frozen_layers=1), 3)
    model.head.trainable = False
    model.compile(adamw(model, learning_rate=1e-3, steps=3, scales=layer_scales(model, 0.5)))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    frozen = [[w.trainable for w in m.weights_by_path().values()] for m in (model, loaded)]
    assert frozen[0] == frozen[1] and 0 < sum(frozen[0]) < len(frozen[0])
    assert loaded.optimizer.scales == model.optimizer.scales
    assert (loaded.backbone.trainable, loaded.head.trainable) == (True, False)
    fresh = small_model()
    assert len(fresh.trainable_weights) == len(frozen[0])
    fresh.backbone.trainable = False
    again = keras.models.clone_model(fresh)
    assert not again.backbone.trainable and len(again.trainable_weights) == len(fresh.trainable_weights) > 0


@pytest.mark.slow
def test_a_training_that_broke_off_goes_on_with_its_order(rng, tmp_path):
    inputs, labels = rng.integers(0, 61, (13, 7), dtype="int32"), rng.integers(0, 2, 13)
    rates = dict.fromkeys(("embedding_dropout", "attention_dropout", "residual_dropout", "classifier_dropout"), 0.0)
    first = small_model(**rates)
    recipe = FineTuning(epochs=3, batch_size=5, learning_rate=1e-2)

    def trained(*callbacks) -> list[np.ndarray]:
        model = small_model(**rates)
        model.set_weights(first.get_weights())
        fine_tune(model, inputs, labels, recipe, callbacks=callbacks, verbose=0)
        return model.get_weights()

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    whole, backup = trained(), tmp_path / "backup"
    with pytest.raises(KeyboardInterrupt):
        trained(keras.callbacks.BackupAndRestore(backup), Stop())
    for have, want in zip(trained(keras.callbacks.BackupAndRestore(backup)), whole, strict=True):
        np.testing.assert_allclose(have, want, atol=1e-6)
