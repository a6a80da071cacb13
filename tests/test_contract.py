"""The contract of every registered model and head, at each of its tiny configs."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from contract import (
    BATCH,
    CASES,
    LENGTH,
    Case,
    arrays,
    classes_of,
    greedy,
    inputs,
    labels,
    logits,
    named,
    padded,
    predicted,
)
from helpers import numpy, run_python

from keras_tx.models.base import LOSSES, Model
from keras_tx.ops.patches import pair

BACKEND = keras.backend.backend()


def cases(*needs: str, **wanted: bool):
    """The cases that have these arguments in `call`, and these properties."""
    fitting = [
        case
        for case in CASES
        if all(map(case.takes, needs)) and all(getattr(case, name) == value for name, value in wanted.items())
    ]
    return pytest.mark.parametrize("case", fitting, ids=lambda case: case.name, scope="module")


every_case = cases()
every_text = cases(is_text=True)
every_image = cases(is_image=True)
every_head = cases(has_head=True)
every_generator = cases(generates=True)


@pytest.fixture(scope="module")
def model(case: Case) -> Model:
    """For reading: a test that changes it makes its own."""
    return case.make_random()


# === Shapes ===


@every_case
def test_batch_and_length_are_free(case, model):
    """Compiled, eager and symbolic passes agree at any batch and length."""
    symbolic = {
        name: keras.Input(batch_shape=spec.shape, dtype=spec.dtype, name=name)
        for name, spec in model.input_signature().items()
    }
    functional = keras.Model(symbolic, model(symbolic))
    for batch, length in ((BATCH, LENGTH), (2, 5)):
        given = inputs(model, batch, length)
        expected = arrays(predicted(model(given)))
        for other in (model.predict(given, verbose=0), predicted(functional(given))):
            for have, want in zip(arrays(other), expected, strict=True):
                assert have.shape == want.shape and have.shape[0] == batch
                np.testing.assert_allclose(have, want, atol=1e-5, rtol=1e-5)


@every_image
def test_image_size_is_free(case, model):
    """Compiled and eager passes agree on images twice as high, which give other logits."""
    height, width = pair(case.config.image_size)
    given = inputs(model, image_size=(2 * height, width))
    outputs = model(given)
    for have, want in zip(arrays(model.predict(given, verbose=0)), arrays(predicted(outputs)), strict=True):
        assert have.shape == want.shape and have.shape[0] == BATCH
        np.testing.assert_allclose(have, want, atol=1e-5, rtol=1e-5)
    given["images"] = np.flip(given["images"], axis=1)
    assert not np.allclose(logits(model(given)), logits(outputs), atol=1e-3)


@every_image
def test_images_by_themselves_or_in_a_dict(case, model):
    given = inputs(model)
    by_name = {name: x for name, x in given.items() if name != "images"}
    for found, expected in zip(arrays(model(given["images"], **by_name)), arrays(model(given)), strict=True):
        np.testing.assert_array_equal(found, expected)


@every_generator
def test_logits_for_every_token(case, model):
    given = inputs(model)
    outputs = model(given)
    assert set(outputs) == {"logits"}
    assert logits(outputs).shape == (BATCH, LENGTH, case.config.vocab_size)
    np.testing.assert_array_equal(logits(model(given["input_ids"])), logits(outputs))


@every_head
def test_predict_gives_a_dict_of_arrays(case, model):
    name, given = next(iter(inputs(model).items()))
    predicted = model.predict({name: given}, verbose=0, batch_size=2)
    assert set(predicted) == set(case.cls.targets)
    np.testing.assert_allclose(logits(predicted), logits(model(given)), atol=1e-5, rtol=1e-5)


@every_head
def test_labels_give_losses(case, model):
    given = inputs(model)
    y = labels(model, given)
    losses = found_losses(model(given, **y))
    assert losses and all(np.isfinite(loss) and loss > 0 for loss in losses.values())
    assert found_losses(model({**given, **y})) == pytest.approx(losses, rel=1e-6)
    assert found_losses(model.own_losses(model(given), y)) == pytest.approx(losses, rel=1e-6)
    for name, x in classes_of(y).items():
        fewer = {**y, name: np.where(np.arange(x.size).reshape(x.shape) % 2, -100, x)}
        assert found_losses(model(given, **fewer)) != pytest.approx(losses, rel=1e-6)


def found_losses(outputs: dict) -> dict[str, float]:
    return {name: float(x) for name, x in outputs.items() if name in LOSSES}


# === Saving ===


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """Every case saved, and loaded by a fresh process of each backend that is installed."""
    directory = tmp_path_factory.mktemp("saved")
    for case in CASES:
        model, path = case.make_random(), directory / f"{case.name}.keras"
        given = inputs(model)
        model.save(path)
        model.save_weights(path.with_suffix(".weights.h5"))
        path.with_suffix(".json").write_text(json.dumps({"class": case.cls.__name__, "config": model.get_config()}))
        np.savez(path.with_suffix(".npz"), **given)
    for backend in ("tensorflow", "jax"):
        if importlib.util.find_spec(backend):
            run_python(str(Path(__file__).with_name("fresh_process.py")), str(directory), backend=backend)
    return directory


@pytest.mark.slow
@every_case
@pytest.mark.parametrize("kind", ["loaded", "weights"])
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_same_numbers_in_a_fresh_process_of_either_backend(case, model, saved, kind, backend):
    if not importlib.util.find_spec(backend):
        pytest.skip(f"{backend} is not installed")
    expected = arrays(model(inputs(model)))
    found = np.load(saved / f"{case.name}.{backend}.npz")
    tolerance = 1e-6 if backend == BACKEND else 1e-5
    for i, want in enumerate(expected):
        np.testing.assert_allclose(found[f"{kind}_{i}"], want, atol=tolerance, rtol=tolerance)


@every_case
def test_config_round_trip(case, model):
    config = json.loads(json.dumps(model.get_config()))
    copy = case.cls.from_config(config)
    assert copy.config == model.config == case.config
    assert copy.get_config() == model.get_config()
    assert [(w.path.split("/", 1)[1:], w.shape) for w in copy.weights] == [
        (w.path.split("/", 1)[1:], w.shape) for w in model.weights
    ]
    assert case.cls.from_config(case.make(dtype="mixed_bfloat16").get_config()).dtype_policy.name == "mixed_bfloat16"
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.config.vocab_size = 3
    with pytest.raises(ValueError, match="has no field `width7`"):
        case.make(width7=3)


@every_case
def test_built_when_made(case):
    model = case.make()
    assert model.built and model.trainable_weights
    before = [id(x) for x in model.variables]
    model(inputs(model))
    assert [id(x) for x in model.variables] == before
    paths = [weight.path for weight in model.weights]
    assert len(set(paths)) == len(paths)


# === Training ===


@dataclasses.dataclass
class Trained:
    model: Model
    given: dict
    moved: list[tuple[str, np.ndarray]]
    losses: list[float]


def task(case: Case, model: Model, given: dict) -> tuple:
    """What the outputs shall become, and a loss if the model has none of its own."""
    if case.has_head:
        return labels(model, given), None
    if case.is_image and isinstance(model(given), dict):
        return None, None  # the images are their own labels
    if case.is_text:
        rng = np.random.default_rng(3)
        return tuple(rng.uniform(-1, 1, x.shape).astype("float32") for x in model(given)), ["mse", "mse"]
    return np.arange(BATCH), keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.fixture(scope="module")
def trained(case: Case) -> Trained:
    """Fitted to one batch under XLA; how far the first step moved each weight."""
    model = case.make()
    given = inputs(model)
    y, loss = task(case, model, given)
    model.compile(keras.optimizers.Adam(0.03), loss=loss, jit_compile=True)
    before = [numpy(weight) for weight in model.trainable_weights]
    first = model.fit(given, y, epochs=1, verbose=0, batch_size=BATCH)
    moved = [(weight.path, numpy(weight) - old) for weight, old in zip(model.trainable_weights, before, strict=True)]
    rest = model.fit(given, y, epochs=29, verbose=0, batch_size=BATCH)
    return Trained(model, given, moved, first.history["loss"] + rest.history["loss"])


@pytest.mark.slow
@every_case
def test_every_weight_gets_a_finite_gradient(trained):
    for path, step in trained.moved:
        assert np.isfinite(step).all(), path
        assert step.any(), path


@pytest.mark.slow
@every_case
def test_fit_under_xla_learns(trained):
    assert np.isfinite(trained.losses).all()
    assert trained.losses[-1] < 0.8 * trained.losses[0]


@pytest.mark.slow
@every_case
def test_a_trained_model_is_saved_with_its_optimizer(trained, tmp_path):
    trained.model.save(tmp_path / "trained.keras")
    loaded = keras.saving.load_model(tmp_path / "trained.keras")
    np.testing.assert_allclose(
        logits(loaded(trained.given)), logits(trained.model(trained.given)), atol=1e-6, rtol=1e-6
    )
    assert int(loaded.optimizer.iterations) == len(trained.losses)
    ours, theirs = (m.optimizer.variables for m in (trained.model, loaded))
    for have, want in zip(theirs, ours, strict=True):
        np.testing.assert_array_equal(numpy(have), numpy(want))


@every_text
def test_mixed_bfloat16(case):
    model = case.make(dtype="mixed_bfloat16")
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    assert {keras.backend.standardize_dtype(x.dtype) for x in named(model(inputs(model))).values()} == {"bfloat16"}


@every_image
def test_images_in_mixed_bfloat16(case):
    model = case.make(dtype="mixed_bfloat16")
    assert {weight.dtype for weight in model.weights} == {"float32"}
    outputs = model(inputs(model))
    outputs = outputs["logits"] if isinstance(outputs, dict) else outputs
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"


@pytest.mark.slow
@cases(has_head=True, is_first=True)
def test_fit_in_mixed_bfloat16_with_labels_among_the_inputs(case):
    model = case.make(dtype="mixed_bfloat16")
    given = inputs(model)
    given |= labels(model, given)
    learns(model, None, given, None)


@pytest.mark.slow
@cases(is_image=True, is_first=True)
def test_fit_on_images_in_mixed_bfloat16(case):
    model = case.make(dtype="mixed_bfloat16")
    given = inputs(model)
    y, loss = task(case, model, given)
    learns(model, loss, given, y)


def learns(model: Model, loss, given: dict, y) -> None:
    model.compile(keras.optimizers.Adam(0.03), loss=loss, jit_compile=True)
    losses = model.fit(given, y, epochs=29, verbose=0, batch_size=BATCH).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.8 * losses[0]


@cases(labels_rows=True)
def test_keras_losses_and_metrics_apply_to_the_logits(case):
    model = case.make()
    given = inputs(model)
    y = labels(model, given)
    several = len(y) > 1
    crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    metrics = dict.fromkeys(model.targets, "accuracy") if several else ["accuracy"]
    model.compile(keras.optimizers.SGD(0.0), loss=crossentropy, metrics=metrics)
    found = model.evaluate(given, y if several else y["labels"], verbose=0, return_dict=True, batch_size=BATCH)
    predicted = {name: numpy(x) for name, x in model(given).items()}
    losses = [float(crossentropy(y[label], predicted[name])) for name, label in model.targets.items()]
    assert found["loss"] == pytest.approx(sum(losses), rel=1e-5)
    for name, label in model.targets.items():
        accuracy = (predicted[name].argmax(axis=-1) == y[label]).mean()
        assert found[f"{name}_accuracy" if several else "accuracy"] == pytest.approx(accuracy, abs=1e-6)
    if not several:
        weights = 1 + np.arange(y["labels"].size, dtype="float32").reshape(y["labels"].shape)
        fitted = model.fit(given, y["labels"], sample_weight=weights, verbose=0, batch_size=BATCH)
        (weighted,) = fitted.history["loss"]
        assert np.isfinite(weighted) and weighted != pytest.approx(found["loss"], rel=1e-3)


@every_head
def test_errors_of_training(case, model):
    given = inputs(model)
    weighted = {"y": labels(model, given), "sample_weight": np.ones(BATCH)}
    for options, message in (({}, "no labels: pass them to `fit`"), (weighted, "takes no `sample_weight`")):
        fresh = case.make()  # on JAX an error in a step leaves a model without its weights
        fresh.compile("sgd")
        with pytest.raises(ValueError, match=message):
            fresh.fit(given, **options, verbose=0)
    fresh = case.make()
    fresh.compile("sgd")
    with pytest.raises(ValueError, match=r"`y` must be a dict of .*; got 'answers'"):
        fresh.fit(given, {"answers": np.zeros(BATCH)}, verbose=0)


# === Padding ===


@cases("attention_mask")
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(case, model, side):
    """The logits of a row's real tokens are those of the row alone."""
    if side not in case.cls.padding_sides:
        pytest.skip(f"{case.cls.__name__} is defined by where a row begins")
    given, lengths = inputs(model, 2), [LENGTH, 4]
    ragged = padded(model, given, lengths, side)
    if case.takes("position_ids"):
        ragged["position_ids"] = np.maximum(ragged["attention_mask"].cumsum(axis=-1) - 1, 0)
    together = named(model(ragged))
    for row, length in enumerate(lengths):
        alone = {
            name: x[row : row + 1, ..., :length] if x.shape[-1] == LENGTH else x[row : row + 1]
            for name, x in given.items()
        }
        for name, expected in named(model(alone)).items():
            found = numpy(together[name])[row]
            if LENGTH in found.shape:
                kept = np.arange(LENGTH)[:length] if side == "right" else np.arange(LENGTH)[-length:]
                found = found.take(kept, axis=found.shape.index(LENGTH))
            np.testing.assert_allclose(found, numpy(expected)[0], atol=1e-5, rtol=1e-5)


# === What is inside ===


@cases("return_attention", is_text=True)
def test_attention_maps_of_every_layer(case, model):
    given = padded(model, inputs(model), [LENGTH, 4, 2], "right")
    mask = given["attention_mask"].reshape(-1, LENGTH)
    outputs = model(given, return_attention=True)
    maps = [numpy(x) for x in named(outputs, "attentions")["attentions"]]
    assert len(maps) == case.config.num_layers
    for x in maps:
        assert x.shape == (len(mask), case.config.num_heads, LENGTH, LENGTH) and x.dtype == np.float32
        assert (x >= 0).all()
        np.testing.assert_allclose(x.sum(axis=-1), 1.0, atol=1e-5)
        assert not (x * (1 - mask)[:, None, None]).any()
        if case.generates:
            assert not np.triu(x, 1).any()
    np.testing.assert_allclose(logits(outputs), logits(model(given)), atol=1e-5, rtol=1e-5)


@cases("return_hidden_states", is_text=True)
def test_hidden_states_of_every_layer(case, model):
    given = inputs(model)
    outputs = model(given, return_hidden_states=True)
    states = arrays(named(outputs, "hidden_states")["hidden_states"])
    assert len(states) == case.config.num_layers + 1
    assert {x.shape for x in states} == {(given["input_ids"].size // LENGTH, LENGTH, case.config.d_model)}
    assert all(not np.allclose(x, y) for x, y in itertools.pairwise(states))
    np.testing.assert_array_equal(logits(outputs), logits(model(given)))


@cases("return_attention", is_image=True)
def test_attention_maps_of_every_block_of_images(case, model):
    given = inputs(model)
    outputs = model(given, return_attention=True)
    maps = [numpy(x) for x in outputs["attentions"]]
    for i, x in enumerate(maps):
        assert x.ndim == 4 and x.shape[0] % BATCH == 0 and x.dtype == np.float32
        assert (x >= 0).all()
        np.testing.assert_allclose(x.sum(axis=-1), 1.0, atol=1e-5)
        np.testing.assert_allclose(model.get_attention_maps(given, i), x, atol=1e-6)
    np.testing.assert_allclose(model.get_attention_maps(given), maps[-1], atol=1e-6)
    np.testing.assert_allclose(logits(outputs), logits(model(given)), atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match=rf"`block_idx` must lie in \[-{len(maps)}, {len(maps)}\)"):
        model.get_attention_maps(given, len(maps))
    states = model(given, return_hidden_states=True)
    assert len(states["hidden_states"]) == len(maps) + 1
    assert all(x.shape[0] == BATCH for x in states["hidden_states"])
    np.testing.assert_array_equal(logits(states), logits(model(given)))


@cases("return_features", is_image=True)
def test_features_are_what_the_head_reads(case, model):
    given = inputs(model)
    features = numpy(model(given, return_features=True))
    assert features.shape[0] == BATCH and features.ndim == 2
    headless = case.cls(case.config, num_classes=0)
    for weight in headless.weights:
        weight.assign(model.weights_by_path()[weight.path.split("/", 1)[1]])
    np.testing.assert_allclose(headless(given), features, atol=1e-6)
    np.testing.assert_array_equal(headless(given, return_features=True), headless(given))
    assert case.cls(case.config, num_classes=11)(given).shape == (BATCH, 11)


# === Cache and generation ===

PROMPT, NEW = 5, 6


@cases("cache")
def test_cached_equals_uncached(case, model):
    """Step by step through `call`, with slots left free."""
    ids = inputs(model)["input_ids"]
    expected = logits(model(ids))
    cache, start = model.init_cache(BATCH, LENGTH + 4), 0
    for step in (LENGTH - 2, 1, 1):
        part = slice(start, start + step)
        outputs = model(ids[:, part], cache=cache)
        cache, start = outputs["cache"], start + step
        np.testing.assert_allclose(logits(outputs), expected[:, part], atol=1e-5, rtol=1e-5)


@every_generator
def test_decode_step_gives_the_logits_asked_for(case, model):
    ids = inputs(model)["input_ids"]
    expected = logits(model(ids))
    last = np.array([2, 6, 4])
    positions, seen = np.tile(np.arange(LENGTH), (BATCH, 1)), np.ones((BATCH, LENGTH), bool)
    found, _ = model.decode_step(ids, positions, seen, model.init_cache(BATCH, LENGTH), last)
    np.testing.assert_allclose(found, expected[np.arange(BATCH), last], atol=1e-5, rtol=1e-5)


@every_generator
@pytest.mark.parametrize("side", ["left", "right"])
def test_generates_as_by_whole_passes_and_compiles_once(case, model, side):
    """Greedy tokens of ragged prompts, and no second trace for a second call, other prompts and other padding."""
    given = inputs(model, 2, PROMPT)
    model.__dict__.pop("_loops", None)
    whole = model.generate(given["input_ids"], max_new_tokens=NEW)
    loops = [(compiled, compiled.traces) for pair in model._loops.values() for compiled in pair]
    assert len(loops) == 2 and {traces for _, traces in loops} == {1}
    np.testing.assert_array_equal(numpy(whole)[:, :PROMPT], given["input_ids"])
    np.testing.assert_array_equal(numpy(whole)[:, PROMPT:], greedy(model, list(given["input_ids"]), NEW))
    ragged = padded(model, given, [PROMPT, 3], side)
    continued = model.generate(ragged["input_ids"], attention_mask=ragged["attention_mask"], max_new_tokens=NEW)
    prompts = [given["input_ids"][0], given["input_ids"][1, :3]]
    np.testing.assert_array_equal(numpy(continued)[:, PROMPT:], greedy(model, prompts, NEW))
    assert [(compiled, compiled.traces) for pair in model._loops.values() for compiled in pair] == loops


@every_generator
def test_stream_equals_generate(case, model):
    ids = inputs(model, 2, PROMPT)["input_ids"]
    whole = numpy(model.generate(ids, max_new_tokens=NEW))
    for chunk, count in ((1, NEW), (4, 3)):
        parts = list(model.stream(ids, max_new_tokens=NEW, chunk=chunk))
        assert len(parts) == count and all(part.shape[1] <= chunk for part in parts)
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole[:, PROMPT:])


@every_generator
def test_draws_repeat_with_a_seed(case, model):
    ids = inputs(model, 2, PROMPT)["input_ids"]

    def draw(seed):
        return numpy(model.generate(ids, max_new_tokens=NEW, do_sample=True, temperature=3.0, top_k=0, seed=seed))

    first = draw(3)
    np.testing.assert_array_equal(draw(3), first)
    assert not np.array_equal(draw(4), first)
    assert not np.array_equal(draw(None), draw(None))


# === Bad input ===


def bad_text(given: dict, config) -> dict[str, tuple[dict, str]]:
    """Bad calls of a text model, and what the error must say."""
    ids = given["input_ids"]
    shape, axes = ids.shape, "batch, choices, length" if ids.ndim == 3 else "batch, length"
    mask = np.ones((*shape[:-1], LENGTH + 1), "int32")
    bad = {
        "wrong rank": ({"input_ids": ids[0]}, re.escape(f"`input_ids` must be ({axes}); got shape {shape[1:]}")),
        "float ids": ({"input_ids": ids.astype("float32")}, "`input_ids` must be integers"),
        "past the vocabulary": ({"input_ids": ids + config.vocab_size}, r"must lie in \[0, .*vocab_size\)"),
        "negative": ({"input_ids": ids - config.vocab_size}, r"must lie in \[0, .*vocab_size\)"),
        "unknown key": ({**given, "pixels": ids}, "takes no 'pixels'; it takes 'input_ids', 'attention_mask'"),
        "no ids": ({"attention_mask": mask}, "the inputs must have \"input_ids\"; got 'attention_mask'"),
    }
    for other in (mask, mask[:2, ..., :LENGTH], mask[0, ..., :LENGTH]):
        message = re.escape(f"`attention_mask` must have shape {shape}; got {other.shape}")
        bad[f"mask of shape {other.shape}"] = ({"input_ids": ids, "attention_mask": other}, message)
    if config.max_positions:
        long = np.zeros((*(1,) * (ids.ndim - 1), config.max_positions + 1), "int32")
        bad["too long"] = ({"input_ids": long}, f"{config.max_positions + 1} long.*{config.max_positions}")
    return bad


def bad_images(given: dict, config) -> dict[str, tuple[dict, str]]:
    """Bad calls of an image model, and what the error must say."""
    images = given["images"]
    turned, channels = np.moveaxis(images, -1, 1), config.channels

    def having(x):
        return {**given, "images": x}

    return {
        "wrong rank": (having(images[0]), r"`images` must be \(batch, height, width, channels\)"),
        "channels first": (having(turned), r"must be .*, the channels; .* `ops.transpose\(images, \(0, 2, 3, 1\)\)`"),
        "other channels": (having(images[..., :1]), f"the last axis of `images` must be {channels}, the channels"),
        "integers": (having(images.astype("uint8")), "`images` must be floating point, scaled .*; got dtype uint8"),
        "unknown key": ({**given, "pixels": images}, "takes no 'pixels'; it takes 'images'"),
        "no images": ({"pixels": images}, "the inputs must have \"images\"; got 'pixels'"),
    }


@every_text
def test_bad_input(case, model):
    rejects(model, bad_text(inputs(model), case.config))


@every_image
def test_bad_images(case, model):
    rejects(model, bad_images(inputs(model), case.config))


def rejects(model: Model, calls: dict[str, tuple[dict, str]]) -> None:
    for name, (bad, message) in calls.items():
        with pytest.raises(ValueError, match=message):
            model(bad)
            pytest.fail(name)


@every_head
def test_bad_labels(case, model):
    given = inputs(model)
    y = labels(model, given)
    for name, x in y.items():
        with pytest.raises(ValueError, match=f"`{name}` must have shape"):
            model(given, **{**y, name: x[..., :-1]})
        with pytest.raises(ValueError, match=f"'{name}' was given twice"):
            model({**given, name: x}, **{name: x})
    for name, x in classes_of(y).items():
        with pytest.raises(ValueError, match=f"`{name}` must"):
            model(given, **{**y, name: x.astype("float32")})


@cases("token_type_ids")
def test_bad_token_types(case, model):
    ids = inputs(model)["input_ids"]
    for bad, message in ((ids[..., :-1], "must have shape"), (ids.astype("float32"), "must be integers")):
        with pytest.raises(ValueError, match=f"`token_type_ids` {message}"):
            model(ids, token_type_ids=bad)


@every_generator
def test_bad_generation(case, model):
    ids = inputs(model, 2, PROMPT)["input_ids"]
    bad = [
        (ids[0], {}, "`input_ids` must be"),
        (ids.astype("float32"), {}, "`input_ids` must be integers"),
        (ids + case.config.vocab_size, {}, "`input_ids` must lie in"),
        (ids[:, :0], {}, "at least one token"),
        (ids, {"attention_mask": np.ones((2, PROMPT + 1))}, "`attention_mask` must have the shape"),
        (ids, {"attention_mask": np.zeros((2, PROMPT))}, "hides every token"),
        (ids, {"max_new_tokens": 0}, "nothing to generate"),
        (ids, {"max_length": PROMPT}, "nothing to generate"),
        (ids, {"do_sample": True, "temperature": 0.0}, "`temperature` must be above 0"),
        (ids, {"do_sample": True, "top_k": -1}, "`top_k` must be"),
        (ids, {"do_sample": True, "top_p": 0.0}, "`top_p` must be"),
        (ids, {"do_sample": True, "min_p": 1.1}, "`min_p` must be"),
        (ids, {"repetition_penalty": 0.0}, "`repetition_penalty` must be"),
        (ids, {"do_sample": True, "seed": -1}, "`seed` must lie in"),
    ]
    if case.config.max_positions:
        bad.append((ids, {"max_length": case.config.max_positions + 1}, "`max_positions`"))
    for given, options, message in bad:
        with pytest.raises(ValueError, match=message):
            model.generate(given, **options)
