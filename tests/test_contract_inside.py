"""The contract of every registered model and head: padding, what is inside, cache and generation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from contract import (
    BATCH,
    LENGTH,
    PROMPT,
    SHORTER,
    arrays,
    cases,
    columns_begun,
    every_generator,
    every_pair,
    every_target,
    found_losses,
    greedy,
    inputs,
    logits,
    named,
    padded,
    row_alone,
    target_length,
    texts,
)
from helpers import numpy

from keras_tx.layers.attention.variants import variants_of

# === Padding ===


@cases("attention_mask")
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(case, model, side):
    """The logits of a row's real tokens are those of the row alone."""
    if side not in case.cls.padding_sides:
        pytest.skip(f"{case.cls.__name__} is defined by where a row begins")
    given, lengths = inputs(model, 2), [LENGTH, 4]
    ragged = padded(model, given, lengths, side)
    if case.takes("position_ids") and not case.cls.positions_skip_padding:
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


@cases(has_blocks=True, is_text=True, has_two_stacks=False)
def test_attention_maps_of_every_layer(case, model):
    given = padded(model, inputs(model), [LENGTH, 4, 2], "right")
    mask = given["attention_mask"].reshape(-1, LENGTH)
    outputs = model(given, return_attention=True)
    maps = [numpy(x) for x in named(outputs, "attentions")["attentions"]]
    assert len(maps) == case.config.num_layers
    for x in maps:
        assert x.shape == (len(mask), case.config.num_heads, LENGTH, LENGTH) and x.dtype == np.float32
        assert (x >= 0).all()
        sums = np.swapaxes(x.sum(axis=-1), 1, 2)  # at padding a query may have nothing to see
        np.testing.assert_allclose(sums[mask == 1], 1.0, atol=1e-5)
        assert not (x * (1 - mask)[:, None, None]).any()
        if case.generates:
            assert not np.triu(x, 1).any()
    np.testing.assert_allclose(logits(outputs), logits(model(given)), atol=1e-5, rtol=1e-5)


@cases(has_blocks=True, is_text=True, has_two_stacks=False)
def test_hidden_states_of_every_layer(case, model):
    given = inputs(model)
    outputs = model(given, return_hidden_states=True)
    states = arrays(named(outputs, "hidden_states")["hidden_states"])
    assert len(states) == case.config.num_layers + 1
    assert {x.shape for x in states} == {(given["input_ids"].size // LENGTH, LENGTH, case.config.d_model)}
    assert all(not np.allclose(x, y) for x, y in itertools.pairwise(states))
    np.testing.assert_allclose(logits(outputs), logits(model(given)), atol=1e-5, rtol=1e-5)


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
    np.testing.assert_allclose(logits(outputs), logits(expected), atol=1e-5, rtol=1e-5)
    assert found_losses(outputs) == pytest.approx(found_losses(expected), rel=1e-5)


@cases(is_image=True)
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
    np.testing.assert_allclose(logits(states), logits(model(given)), atol=1e-5, rtol=1e-5)


@cases(classifies_images=True)
def test_features_are_what_the_head_reads(case, model):
    given = inputs(model)
    features = numpy(model(given, return_features=True))
    assert features.shape[0] == BATCH and features.ndim == 2
    headless = case.cls(case.config, num_classes=0)
    for path, weight in headless.weights_by_path().items():
        weight.assign(model.weights_by_path()[path])
    np.testing.assert_allclose(headless(given), features, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(headless(given, return_features=True), headless(given), atol=1e-5, rtol=1e-5)
    beside = headless(given, return_hidden_states=True)
    assert "logits" not in beside
    np.testing.assert_allclose(beside["features"], features, atol=1e-5, rtol=1e-5)
    assert case.cls(case.config, num_classes=11)(given).shape == (BATCH, 11)


# === Cache and generation ===

NEW = 6


@cases(takes_cache=True)
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
    loops = [(compiled, compiled.traces) for loop in model._loops.values() for compiled in loop]
    assert [traces for _, traces in loops] == [1, 0, 0]
    shown = columns_begun(model, given["input_ids"])
    begun = case.config.decoder_start_token_id if case.has_two_stacks else given["input_ids"]
    assert (numpy(whole)[:, :shown] == begun).all()
    np.testing.assert_array_equal(numpy(whole)[:, shown:], greedy(model, list(given["input_ids"]), NEW))
    ragged = padded(model, given, [PROMPT, 3], side)
    by_distance = any(variant.by_distance for variant in variants_of(getattr(case.config, "attention", None)))
    if side == "right" and by_distance:
        with pytest.raises(ValueError, match="pad prompts on the left"):
            model.generate(ragged["input_ids"], attention_mask=ragged["attention_mask"], max_new_tokens=NEW)
        return
    continued = model.generate(ragged["input_ids"], attention_mask=ragged["attention_mask"], max_new_tokens=NEW)
    prompts = [given["input_ids"][0], given["input_ids"][1, :3]]
    np.testing.assert_array_equal(numpy(continued)[:, shown:], greedy(model, prompts, NEW))
    assert [(compiled, compiled.traces) for loop in model._loops.values() for compiled in loop] == loops


@every_generator
def test_stream_equals_generate(case, model):
    ids = inputs(model, 2, PROMPT)["input_ids"]
    whole = numpy(model.generate(ids, max_new_tokens=NEW))
    for chunk, count in ((1, NEW), (4, 3)):
        parts = list(model.stream(ids, max_new_tokens=NEW, chunk=chunk))
        assert len(parts) == count and all(part.shape[1] <= chunk for part in parts)
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole[:, columns_begun(model, ids) :])


@every_generator
def test_draws_repeat_with_a_seed(case, model):
    ids = inputs(model, 2, PROMPT)["input_ids"]

    def draw(seed):
        return numpy(model.generate(ids, max_new_tokens=NEW, do_sample=True, temperature=3.0, top_k=0, seed=seed))

    first = draw(3)
    np.testing.assert_array_equal(draw(3), first)
    assert not np.array_equal(draw(4), first)
    assert not np.array_equal(draw(None), draw(None))
