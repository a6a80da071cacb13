"""Measures how much an artifact on tensors differs from its model, in a process that has its runtime alone."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_tx.export.check import TOLERANCE
from keras_tx.export.formats import Format
from keras_tx.export.process import Request, run_artifacts
from keras_tx.export.samples import sample_tensors
from keras_tx.export.signature import Signature
from keras_tx.files import size_of

SHAPES = ((1, 3), (3, 7), (2, 5))
"""Rows and tokens of the requests."""
NEW_TOKENS = 5
"""Tokens that a model generates for the comparison."""
BOUNDS = {"float16": 0.01, "dynamic_int8": 0.15, "int8": 0.5}
"""The root mean square of the errors that each quantized form may have, relative to that of the numbers."""


@dataclass(frozen=True)
class Verification:
    """How much the answers of an artifact differ from its model's.

    Attributes:
        error: the largest difference of a number.
        share: the largest difference relative to the largest number of the output, or to 1 if that is larger.
        rms: the root mean square of the differences relative to that of the numbers; of all outputs the largest.
        tokens: the share of greedily generated tokens that are the model's likeliest; None for a model that does not
            generate.
        size: bytes of the artifact.
    """

    error: float
    share: float
    rms: float
    tokens: float | None
    size: int

    def __str__(self) -> str:
        numbers = f"the largest difference from the model's numbers is {self.error:.2g}, their rms {self.rms:.2g}"
        generated = "" if self.tokens is None else f"; {self.tokens:.0%} of its tokens are the model's likeliest"
        return numbers + generated


def verify(
    format: Format,
    path: Path,
    model,
    signatures: Mapping[str, Signature],
    *,
    quantize: str | None = None,
    tolerance: float | None = None,
) -> Verification:
    """Gives an artifact and its model the same random inputs, of several sizes and with padding on both sides.

    Args:
        format: of the artifact.
        path: where it lies.
        model: its source.
        signatures: its signatures on tensors, run in this process. If `decode` is one, tokens are generated too, and
            their logits are compared with those of whole passes of the model.
        quantize: the form of its weights; None for float32.
        tolerance: how much may differ: in float32 of `share`, by default `TOLERANCE`; in other forms of `rms`, by
            default as in `BOUNDS`.

    Raises:
        ValueError: if it differs by more, or the artifact cannot be run.
    """
    requests = sample_requests(model, signatures, random_cache=quantize != "int8")
    (answers,) = run_artifacts([(format, path, requests)])
    found = compare(model, signatures, requests, answers, size_of([path, *path.rglob("*")]))
    measured, allowed = (found.share, TOLERANCE) if quantize is None else (found.rms, BOUNDS[quantize])
    allowed = allowed if tolerance is None else tolerance
    if not measured <= allowed:
        raise ValueError(
            f"the artifact differs from the model: its numbers by {measured:.3g} of theirs, more than {allowed:.3g}."
        )
    if quantize is None and found.tokens not in (None, 1.0):
        raise ValueError(
            f"the artifact differs from the model: only {found.tokens:.0%} of its tokens are the model's likeliest."
        )
    return found


# === Requests ===


def sample_requests(
    model, signatures: Mapping[str, Signature], seed: int = 0, *, random_cache: bool = True
) -> list[Request]:
    """Random requests: one row, and ragged batches; for a model that generates also prompts, padded on either side.

    Without `random_cache` there are none to `decode`, which is then checked in the course of generation alone:
    activations of fixed range hold the keys and values that the model makes, not just any numbers.
    """
    rng = np.random.default_rng(seed)
    chosen = {name: signature for name, signature in signatures.items() if random_cache or name != "decode"}
    requests = [(name, signature.sample(rng, *shape)) for name, signature in chosen.items() for shape in SHAPES]
    return requests + (_prompts(model, signatures, rng) if "decode" in signatures else [])


def _prompts(model, signatures: Mapping[str, Signature], rng: np.random.Generator) -> list[Request]:
    """Prompts to be continued, no longer than the model has positions for them and the new tokens."""
    import tensorflow as tf

    decode = signatures["decode"]
    step, slots = decode.inputs, decode.slots
    read = signatures["prefill"].inputs["input_ids"].shape[1] if "prefill" in signatures else None
    shape = (step["input_ids"].shape[0], read)
    specs = {name: tf.TensorSpec(shape, tf.int32) for name in ("input_ids", "attention_mask")}
    most = slots or model.max_positions or SHAPES[-1][1] + NEW_TOKENS
    pair = "encoder_attention_mask" in step
    count = max(1, min(NEW_TOKENS, most - (2 if pair or read is None else read)))
    requests = list[Request]()
    for number, (batch, length) in enumerate(SHAPES):
        length = length if pair else max(1, min(length, most - count))
        given = sample_tensors(specs, model, rng, batch, length)
        if number % 2:
            given = {name: np.ascontiguousarray(x[:, ::-1]) for name, x in given.items()}
        given["count"] = np.array(count, "int32")
        if slots is not None:
            given["slots"] = np.array(slots, "int32")
        if pair:
            given["start"] = np.array(model.config.decoder_start_token_id, "int32")
        requests.append(("generate", given))
    return requests


# === Answers ===


def compare(
    model, signatures: Mapping[str, Signature], requests: list[Request], answers: Mapping[str, np.ndarray], size: int
) -> Verification:
    """How much these answers differ from the model's.

    Raises:
        ValueError: for an answer that is missing, of another shape, or not finite.
    """
    import tensorflow as tf

    pairs, likeliest = list[tuple[np.ndarray, np.ndarray]](), list[np.ndarray]()
    for number, (name, inputs) in enumerate(requests):
        found = {key.split("/")[1]: x for key, x in answers.items() if key.startswith(f"{number}/")}
        if name == "generate":
            tokens = found.pop("tokens")
            expected = {"logits": whole_pass_logits(model, inputs, tokens)}
            likeliest.append(_are_likeliest(tokens, expected["logits"]))
        else:
            outputs = signatures[name](**{key: tf.constant(x) for key, x in inputs.items()})
            expected = {key: np.asarray(x) for key, x in outputs.items()}
        for key, wanted in expected.items():
            if key not in found or found[key].shape != wanted.shape or not np.isfinite(found[key]).all():
                what = found[key].shape if key in found else "missing"
                raise ValueError(
                    f"the artifact differs from the model: {name}'s {key} is {what}, not finite numbers {wanted.shape}."
                )
            pairs.append((found[key].astype("float64"), wanted.astype("float64")))
    return Verification(
        error=max(float(np.abs(a - b).max(initial=0.0)) for a, b in pairs),
        share=max(float(np.abs(a - b).max(initial=0.0) / max(1.0, np.abs(b).max(initial=0.0))) for a, b in pairs),
        rms=max(_root_mean_square(a - b) / max(_root_mean_square(b), 1e-9) for a, b in pairs),
        tokens=float(np.concatenate(likeliest, axis=None).mean()) if likeliest else None,
        size=size,
    )


def whole_pass_logits(model, prompts: Mapping[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
    """The model's logits of each token, `(B, N, V)`, by one pass over prompts and tokens, without a cache."""
    ids, mask = prompts["input_ids"], prompts["attention_mask"]
    if "start" in prompts:
        target = np.concatenate([np.full_like(tokens[:, :1], prompts["start"]), tokens[:, :-1]], axis=1)
        given = {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": target}
        return np.asarray(model.named_outputs(model(given))["logits"])
    ids = np.concatenate([ids, tokens[:, :-1]], axis=1)
    seen = np.pad(mask, [(0, 0), (0, tokens.shape[1] - 1)], constant_values=1)
    given = {"input_ids": ids, "attention_mask": seen}
    if "position_ids" in inspect.signature(model.call).parameters:
        given["position_ids"] = np.maximum(np.cumsum(seen, axis=1, dtype="int32") - 1, 0)
    logits = np.asarray(model.named_outputs(model(given))["logits"])
    last = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
    return np.concatenate([logits[np.arange(len(ids)), last][:, None], logits[:, mask.shape[1] :]], axis=1)


def _are_likeliest(tokens: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Which tokens have the largest logit, but for rounding."""
    chosen = np.take_along_axis(logits, tokens[..., None], axis=-1)[..., 0]
    return chosen >= logits.max(axis=-1) - 2 * TOLERANCE * np.maximum(1.0, np.abs(logits).max(axis=-1))


def _root_mean_square(x: np.ndarray) -> float:
    return float(np.sqrt(np.square(x).mean())) if x.size else 0.0
