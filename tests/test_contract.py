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
    SHORTER,
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
    row_alone,
    target_length,
    texts,
)
from helpers import numpy, run_python

from keras_tx.models.base import LOSSES, Model
from keras_tx.ops.patches import pair

BACKEND = keras.backend.backend()


def cases(*needs: str, **wanted: bool):
    """The cases that have these arguments in `call`, and these properties.

    JAX compiles each operation at each shape: there the classes' further configs are among the long tests.
    """
    fitting = [
        pytest.param(case, id=case.name, marks=[pytest.mark.slow] * (BACKEND == "jax" and not case.is_first))
        for case in CASES
        if all(map(case.takes, needs)) and all(getattr(case, name) == value for name, value in wanted.items())
    ]
    return pytest.mark.parametrize("case", fitting, scope="module")


every_case = cases()
every_text = cases(is_text=True)
every_image = cases(is_image=True)
every_head = cases(has_head=True)
every_generator = cases(generates=True)
every_pair = cases(has_two_stacks=True)
every_target = cases("decoder_input_ids", generates=True)


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
    outputs, ids = model(given), texts(given)
    assert set(outputs) == {"logits"}
    assert logits(outputs).shape == (*ids[-1].shape, case.config.vocab_size)
    np.testing.assert_allclose(logits(model(*ids)), logits(outputs), atol=2e-5)


@every_head
def test_predict_gives_a_dict_of_arrays(case, model):
    first, *others = inputs(model).items()
    given = dict([first, *(item for item in others if item[0] == "decoder_input_ids")])
    predicted = model.predict(given, verbose=0, batch_size=2)
    assert set(predicted) == set(case.cls.targets)
    np.testing.assert_allclose(logits(predicted), logits(model(*given.values())), atol=1e-5, rtol=1e-5)


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
        outputs, rng = model(given), np.random.default_rng(3)
        y = keras.tree.map_structure(lambda x: rng.uniform(-1, 1, x.shape).astype("float32"), outputs)
        losses = keras.tree.map_structure(lambda x: "mse", outputs)
        return y, list(losses) if isinstance(losses, tuple) else losses
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
@cases(is_image=True, is_first=True, has_head=False)
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
        full, real = LENGTH, length
        if "decoder_input_ids" in given:
            full, real = LENGTH - SHORTER, target_length(length)
        for name, expected in named(model(row_alone(given, row, length))).items():
            found = numpy(together[name])[row]
            if full in found.shape:
                kept = np.arange(full)[:real] if side == "right" else np.arange(full)[-real:]
                found = found.take(kept, axis=found.shape.index(full))
            np.testing.assert_allclose(found, numpy(expected)[0], atol=1e-5, rtol=1e-5)


# === What is inside ===


@cases("return_attention", is_text=True, has_two_stacks=False)
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


@cases("return_hidden_states", is_text=True, has_two_stacks=False)
def test_hidden_states_of_every_layer(case, model):
    given = inputs(model)
    outputs = model(given, return_hidden_states=True)
    states = arrays(named(outputs, "hidden_states")["hidden_states"])
    assert len(states) == case.config.num_layers + 1
    assert {x.shape for x in states} == {(given["input_ids"].size // LENGTH, LENGTH, case.config.d_model)}
    assert all(not np.allclose(x, y) for x, y in itertools.pairwise(states))
    np.testing.assert_array_equal(logits(outputs), logits(model(given)))


@every_pair
def test_maps_and_states_of_both_stacks(case, model):
    config = case.config
    given = padded(model, inputs(model), [LENGTH, 4, 2], "right")
    source = given["attention_mask"]
    target = given.get("decoder_attention_mask", np.ones((BATCH, LENGTH), int))
    outputs = model(given, return_attention=True, return_hidden_states=True)
    decoder_layers = config.num_decoder_layers or config.num_layers
    kinds = {
        "encoder_attentions": (config.num_layers, source, source),
        "decoder_attentions": (decoder_layers, target, target),
        "cross_attentions": (decoder_layers, target, source),
    }
    for kind, (layers, queries, keys) in kinds.items():
        maps = [numpy(x) for x in outputs[kind]]
        assert len(maps) == layers
        for x in maps:
            assert x.shape == (BATCH, config.num_heads, queries.shape[1], keys.shape[1]) and x.dtype == np.float32
            assert (x >= 0).all() and not (x * (1 - keys)[:, None, None]).any()
            np.testing.assert_allclose(x.sum(axis=-1), 1.0, atol=1e-5)
            assert kind != "decoder_attentions" or not np.triu(x, 1).any()
    for kind, layers, mask in (("encoder", config.num_layers, source), ("decoder", decoder_layers, target)):
        states = arrays(outputs[f"{kind}_hidden_states"])
        assert len(states) == layers + 1
        assert {x.shape for x in states} == {(*mask.shape, config.d_model)}
        assert all(not np.allclose(x, y) for x, y in itertools.pairwise(states))
    np.testing.assert_allclose(logits(outputs), logits(model(given)), atol=5e-5, rtol=1e-5)


@every_target
def test_encode_and_decode(case, model):
    """One after the other they give what the whole model does."""
    given = padded(model, inputs(model), [LENGTH, 4, 2], "left")
    context = model.encode(given["input_ids"], given["attention_mask"])
    assert context.shape == (BATCH, LENGTH, case.config.d_model)
    hidden = model.decode(given["decoder_input_ids"], context, given["attention_mask"], given["decoder_attention_mask"])
    np.testing.assert_allclose(model.logits(hidden), logits(model(given)), atol=1e-5, rtol=1e-5)


@every_target
def test_labels_are_shifted_right(case, model):
    given = inputs(model)
    y = given.pop("decoder_input_ids")
    del given["decoder_attention_mask"]
    y[1, 2] = -100
    shifted = np.concatenate([np.full((BATCH, 1), case.config.decoder_start_token_id), y[:, :-1]], axis=1)
    pad = case.config.decoder_start_token_id if case.config.pad_token_id is None else case.config.pad_token_id
    outputs = model(given, labels=y)
    expected = model(given, decoder_input_ids=np.where(shifted == -100, pad, shifted), labels=y)
    np.testing.assert_array_equal(logits(outputs), logits(expected))
    assert found_losses(outputs) == found_losses(expected)


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
    given = inputs(model)
    *_, ids = texts(given)
    expected, count = logits(model(*texts(given))), ids.shape[1]
    last = np.array([2, count - 1, 1])
    positions, seen = np.tile(np.arange(count), (BATCH, 1)), np.ones((BATCH, count), bool)
    *_, cache = model.begin(given["input_ids"], np.ones((BATCH, LENGTH), "int32"), count)
    found, _ = model.decode_step(ids, positions, seen, cache, last)
    np.testing.assert_allclose(found, expected[np.arange(BATCH), last], atol=1e-5, rtol=1e-5)


@every_target
def test_decoding_step_by_step(case, model):
    """With slots left free, and sources padded at the left."""
    given = inputs(model)
    given["attention_mask"][1:, :3] = 0
    ids = given["decoder_input_ids"]
    expected, count, start = logits(model(given)), ids.shape[1], 0
    *_, cache = model.begin(given["input_ids"], given["attention_mask"], count + 4)
    for step in (count - 2, 1, 1):
        stop = start + step
        seen = np.tile(np.arange(count + 4) < stop, (BATCH, 1))
        positions, last = np.tile(np.arange(start, stop), (BATCH, 1)), np.full(BATCH, step - 1)
        found, cache = model.decode_step(ids[:, start:stop], positions, seen, cache, last)
        np.testing.assert_allclose(found, expected[:, stop - 1], atol=1e-5, rtol=1e-5)
        start = stop


@every_generator
@pytest.mark.parametrize("side", ["left", "right"])
def test_generates_as_by_whole_passes_and_compiles_once(case, model, side):
    """Greedy tokens of ragged prompts, and no second trace for a second call, other prompts and other padding."""
    given = inputs(model, 2, PROMPT)
    model.__dict__.pop("_loops", None)
    whole = model.generate(given["input_ids"], max_new_tokens=NEW)
    loops = [(compiled, compiled.traces) for pair in model._loops.values() for compiled in pair]
    assert len(loops) == 2 and {traces for _, traces in loops} == {1}
    shown = model.prompt_length(given["input_ids"])
    begun = case.config.decoder_start_token_id if case.has_two_stacks else given["input_ids"]
    assert (numpy(whole)[:, :shown] == begun).all()
    np.testing.assert_array_equal(numpy(whole)[:, shown:], greedy(model, list(given["input_ids"]), NEW))
    ragged = padded(model, given, [PROMPT, 3], side)
    continued = model.generate(ragged["input_ids"], attention_mask=ragged["attention_mask"], max_new_tokens=NEW)
    prompts = [given["input_ids"][0], given["input_ids"][1, :3]]
    np.testing.assert_array_equal(numpy(continued)[:, shown:], greedy(model, prompts, NEW))
    assert [(compiled, compiled.traces) for pair in model._loops.values() for compiled in pair] == loops


@every_generator
def test_stream_equals_generate(case, model):
    ids = inputs(model, 2, PROMPT)["input_ids"]
    whole = numpy(model.generate(ids, max_new_tokens=NEW))
    for chunk, count in ((1, NEW), (4, 3)):
        parts = list(model.stream(ids, max_new_tokens=NEW, chunk=chunk))
        assert len(parts) == count and all(part.shape[1] <= chunk for part in parts)
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole[:, model.prompt_length(ids) :])


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
        "wrong rank": (
            {**given, "input_ids": ids[0]},
            re.escape(f"`input_ids` must be ({axes}); got shape {shape[1:]}"),
        ),
        "float ids": ({**given, "input_ids": ids.astype("float32")}, "`input_ids` must be integers"),
        "past the vocabulary": ({**given, "input_ids": ids + config.vocab_size}, r"must lie in \[0, .*vocab_size\)"),
        "negative": ({**given, "input_ids": ids - config.vocab_size}, r"must lie in \[0, .*vocab_size\)"),
        "unknown key": ({**given, "pixels": ids}, "takes no 'pixels'; it takes 'input_ids', 'attention_mask'"),
        "no ids": ({"attention_mask": mask}, "the inputs must have \"input_ids\"; got 'attention_mask'"),
    }
    for other in (mask, mask[:2, ..., :LENGTH], mask[0, ..., :LENGTH]):
        message = re.escape(f"`attention_mask` must have shape {shape}; got {other.shape}")
        bad[f"mask of shape {other.shape}"] = ({**given, "attention_mask": other}, message)
    if getattr(config, "max_positions", None):
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


@every_pair
def test_bad_pairs_of_texts(case, model):
    given = inputs(model)
    ids = given.setdefault("decoder_input_ids", given["input_ids"])
    given |= {"decoder_attention_mask": np.ones_like(ids)}
    shape = re.escape(str(ids.shape))
    bad: dict[str, tuple[dict, str]] = {
        "no source": ({"input_ids": ids[:, :0], "decoder_input_ids": ids}, "`input_ids` must hold at least one token"),
        "source mask by query": (
            {**given, "attention_mask": np.ones((BATCH, LENGTH, LENGTH))},
            "`attention_mask` must have shape",
        ),
        "other batch": ({**given, "decoder_input_ids": ids[:2]}, r"`decoder_input_ids` must have shape \(3, "),
        "wrong rank": ({**given, "decoder_input_ids": ids[0]}, r"`decoder_input_ids` must be \(batch, length\)"),
        "float ids": ({**given, "decoder_input_ids": ids.astype("float32")}, "`decoder_input_ids` must be integers"),
        "past the vocabulary": ({**given, "decoder_input_ids": ids + case.config.vocab_size}, r"must lie in \[0, "),
        "mask": (
            {**given, "decoder_attention_mask": np.ones((BATCH, 3))},
            f"`decoder_attention_mask` must have shape {shape}",
        ),
    }
    if case.generates:
        bad["no target"] = ({"input_ids": ids}, "give `decoder_input_ids`, or `labels`")
    rejects(model, bad)


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
        (ids, {"max_length": model.prompt_length(ids)}, "nothing to generate"),
        (ids, {"do_sample": True, "temperature": 0.0}, "`temperature` must be above 0"),
        (ids, {"do_sample": True, "top_k": -1}, "`top_k` must be"),
        (ids, {"do_sample": True, "top_p": 0.0}, "`top_p` must be"),
        (ids, {"do_sample": True, "min_p": 1.1}, "`min_p` must be"),
        (ids, {"repetition_penalty": 0.0}, "`repetition_penalty` must be"),
        (ids, {"do_sample": True, "seed": -1}, "`seed` must lie in"),
    ]
    if getattr(case.config, "max_positions", None):
        bad.append((ids, {"max_length": case.config.max_positions + 1}, "`max_positions`"))
    for given, options, message in bad:
        with pytest.raises(ValueError, match=message):
            model.generate(given, **options)
