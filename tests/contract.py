"""What the contract suite knows of a model: made from its class, a tiny config and its input signature alone."""

from __future__ import annotations

import dataclasses
import inspect

import keras
import numpy as np
from helpers import numpy, randomize

from keras_tx.generation import GenerationMixin
from keras_tx.models.base import Model, TextModel
from keras_tx.models.config import Config
from keras_tx.models.registry import MODELS

BATCH, LENGTH = 3, 7


@dataclasses.dataclass(frozen=True)
class Case:
    """A registered class at one of its tiny configs."""

    cls: type[Model]
    config: Config
    name: str

    def make(self, **options) -> Model:
        return self.cls(self.config, **options)

    def make_random(self) -> Model:
        """With weights, biases too, that all leave their mark on the output, and greedy tokens that vary."""
        return randomize(self.make(), np.random.default_rng(11))

    @property
    def is_text(self) -> bool:
        return issubclass(self.cls, TextModel)

    @property
    def generates(self) -> bool:
        return issubclass(self.cls, GenerationMixin)

    def takes(self, argument: str) -> bool:
        return argument in inspect.signature(self.cls.call).parameters


CASES = [
    Case(entry.cls, config, f"{name}-{i}") for name, entry in MODELS.items() for i, config in enumerate(entry.tiny)
]


def inputs(model: Model, batch: int = BATCH, length: int = LENGTH) -> dict[str, np.ndarray]:
    """Something for each tensor of the model's signature; masks hide nothing."""
    rng = np.random.default_rng(batch * length)
    given = {}
    for name, spec in model.input_signature().items():
        free = iter((batch, length))
        shape = [next(free) if axis is None else axis for axis in spec.shape]
        if "mask" in name:
            given[name] = np.ones(shape, spec.dtype)
        elif "int" in spec.dtype:
            given[name] = rng.integers(0, model.config.vocab_size, shape, dtype=spec.dtype)
        else:
            given[name] = rng.normal(size=shape).astype(spec.dtype)
    return given


def arrays(outputs) -> list[np.ndarray]:
    """Every tensor of a model's outputs, whatever their structure."""
    return [numpy(x).astype("float32") for x in keras.tree.flatten(outputs)]


def logits(outputs) -> np.ndarray:
    return arrays(outputs["logits"] if isinstance(outputs, dict) else outputs)[0]


def labels(model: Model, given: dict[str, np.ndarray]) -> np.ndarray:
    """One for each of the logits' rows: the token itself where the classes are tokens, so that it can be learned."""
    shape = logits(model(given)).shape
    ids = given["input_ids"] if len(shape) == 3 else np.arange(shape[0])
    return (ids % shape[-1]).astype("int32")


def padded(given: dict[str, np.ndarray], lengths: list[int], side: str) -> dict[str, np.ndarray]:
    """Text inputs whose row i keeps its first `lengths[i]` tokens, the others masked on one side."""
    ids = given["input_ids"]
    count = ids.shape[1]
    mask = np.arange(count) < np.array(lengths)[:, None]
    if side == "left":
        mask = mask[:, ::-1]
        ids = np.stack([np.roll(row, count - length) for row, length in zip(ids, lengths, strict=True)])
    noise = np.random.default_rng(5).integers(0, ids.max(), ids.shape, dtype=ids.dtype)
    return {**given, "input_ids": np.where(mask, ids, noise), "attention_mask": mask.astype("int32")}


def greedy(model: Model, prompts: list[np.ndarray], count: int) -> np.ndarray:
    """The likeliest `count` tokens after each prompt, by whole passes without cache, mask or compiled loop."""
    width = max(map(len, prompts)) + count
    buffer = np.zeros((len(prompts), width), "int32")
    filled = np.array([len(prompt) for prompt in prompts])
    for row, prompt in zip(buffer, prompts, strict=True):
        row[: len(prompt)] = prompt
    rows, new = np.arange(len(prompts)), []
    for _ in range(count):
        new.append(logits(model(buffer))[rows, filled - 1].argmax(axis=-1))
        buffer[rows, filled] = new[-1]
        filled += 1
    return np.stack(new, axis=1)
