"""What the contract suite knows of a model: made from its class, a tiny config and its input signature alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from types import FunctionType

import keras
import numpy as np
import pytest
from helpers import made_random, numpy

from keras_tx.generation import GenerationMixin
from keras_tx.models import BigramModel, SwinTransformer, VisionTransformer
from keras_tx.models.core.backbone import Backbone
from keras_tx.models.core.base import LOSSES, Model
from keras_tx.models.core.config import Config
from keras_tx.models.core.detection import ObjectDetectionHead
from keras_tx.models.core.head import HeadModel
from keras_tx.models.core.registry import MODELS
from keras_tx.models.core.seq2seq import EncoderDecoderModel

BATCH, CHOICES, LENGTH = 3, 2, 7
PROMPT = 5
SHORTER = 2
"""How much shorter the decoder's text is than the encoder's."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A registered class at one of its tiny configs."""

    cls: type[Model]
    config: Config
    name: str

    def make(self, **options) -> Model:
        return self.cls(self.config, **options)

    def make_random(self) -> Model:
        """With weights, biases too, that all leave their mark on the output, and greedy tokens that vary.

        Two stacks get smaller ones: they would multiply the rounding of float32 by hundreds (5e-5 in the original
        Transformer's logits, 2e-6 with these).
        """
        return made_random(self.make, np.random.default_rng(11), scale=0.3 if self.has_two_stacks else 0.5)

    @property
    def is_text(self) -> bool:
        return self.cls.input_names[0] == "input_ids"

    @property
    def has_two_stacks(self) -> bool:
        return issubclass(self.cls, EncoderDecoderModel)

    @property
    def is_image(self) -> bool:
        return self.cls.input_names[0] == "images"

    @property
    def is_first(self) -> bool:
        """Whether this stands for its class where every config would take too long."""
        return self.config == MODELS[self.cls.__name__].tiny[0]

    @property
    def is_quick(self) -> bool:
        """Whether its contract is quick: a class that puts another one's head on an extended backbone adds little."""
        return self.is_first and not self.inherits_head

    @property
    def inherits_head(self) -> bool:
        """Whether its head, or that it has none, is that of a registered class which it extends."""
        parents = [parent for parent in self.cls.__mro__[1:] if parent.__name__ in MODELS]
        return any(parent.head_class is self.cls.head_class for parent in parents)

    @property
    def only_declares(self) -> bool:
        """Whether it is a class that it extends with another backbone, or other sizes, and adds no code.

        What it computes is its parity's and its checkpoints' to test. A backbone that adds code is tested without a
        head.
        """
        if not self.inherits_head:
            return False
        own = vars(self.cls.backbone_class).values()
        return self.cls.head_class is not None or not any(isinstance(x, FunctionType | property) for x in own)

    @property
    def targets(self) -> dict[str, str]:
        """The labels that each of the logits is trained on; none without a head."""
        head = getattr(self.cls, "head_class", None)
        return {} if head is None else head.targets

    @property
    def has_head(self) -> bool:
        """Whether it takes labels."""
        return bool(self.targets)

    @property
    def labels_rows(self) -> bool:
        """Whether the labels are one for each row of logits; otherwise of each logit, or a set, to be matched."""
        head = self.cls.head_class if self.has_head else None
        return head is not None and not issubclass(head, ObjectDetectionHead) and not head.binary

    @property
    def has_parts(self) -> bool:
        """Whether it is made of a backbone and a head."""
        return issubclass(self.cls, HeadModel)

    @property
    def generates(self) -> bool:
        return issubclass(self.cls, GenerationMixin)

    @property
    def takes_cache(self) -> bool:
        """Whether `call` may be given a cache."""
        return self.generates and not self.has_two_stacks

    @property
    def has_blocks(self) -> bool:
        """Whether it has attention maps to show."""
        return not issubclass(self.cls, BigramModel)

    @property
    def classifies_images(self) -> bool:
        return issubclass(self.cls, (VisionTransformer, SwinTransformer))

    def takes(self, name: str) -> bool:
        """Whether `call` has a use for an input or labels of this name."""
        return name in (self.cls.input_names if issubclass(self.cls, Backbone) else self.cls.taken())


_REGISTERED = [
    Case(entry.cls, config, f"{name}-{i}") for name, entry in MODELS.items() for i, config in enumerate(entry.tiny)
]
CASES = [case for case in _REGISTERED if not case.only_declares]
CLASSES = [
    pytest.param(case.cls.__name__, marks=[pytest.mark.slow] if case.only_declares else [])
    for case in _REGISTERED
    if case.is_first
]
"""The names of all classes, those that only declare among the long ones."""


def inputs(model: Model, batch: int = BATCH, length: int = LENGTH, **options) -> dict[str, np.ndarray]:
    """Something for each tensor of the model's signature; masks hide nothing, indices point at the first tokens.

    The options are those of `input_signature`: the size of images.
    """
    rng = np.random.default_rng(batch * length)
    signature = model.input_signature(**options)
    rank = max(spec.shape.count(None) for spec in signature.values())
    given = {}
    for name, spec in signature.items():
        columns = length - SHORTER if name.startswith("decoder_") else length
        free = iter((batch, CHOICES, columns) if rank == 3 else (batch, columns))
        shape = [next(free) if axis is None else axis for axis in spec.shape]
        if spec.dtype == "bool":
            given[name] = rng.random(shape) < 0.5
        elif "mask" in name:
            given[name] = np.ones(shape, spec.dtype)
        elif "int" in spec.dtype:
            table = "type_vocab_size" if name == "token_type_ids" else "vocab_size"
            given[name] = rng.integers(0, getattr(model.config, table) if len(shape) == rank else 2, shape, spec.dtype)
        else:
            given[name] = rng.normal(size=shape).astype(spec.dtype)
    return given


def symbolic(model: Model) -> dict[str, keras.KerasTensor]:
    """Inputs without numbers, of any batch and length: what a model makes of them is traced, and nothing computed."""
    signature = model.input_signature().items()
    return {name: keras.Input(batch_shape=spec.shape, dtype=spec.dtype, name=name) for name, spec in signature}


def texts(given: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The ids alone: one text, or the encoder's and the decoder's."""
    return [given[name] for name in ("input_ids", "decoder_input_ids") if name in given]


def arrays(outputs) -> list[np.ndarray]:
    """Every tensor of a model's outputs, whatever their structure."""
    return [numpy(x).astype("float32") for x in keras.tree.flatten(outputs)]


def predicted(outputs):
    """What `predict` gives of a model's outputs: all but losses, which are no rows to be put together."""
    if not isinstance(outputs, dict):
        return outputs
    return {name: x for name, x in outputs.items() if name not in LOSSES}


def named(outputs, *asked: str) -> dict:
    """A model's outputs by name: those of a tuple by number, but the last ones as they were asked for."""
    if isinstance(outputs, dict):
        return outputs
    names = [*map(str, range(len(outputs) - len(asked))), *asked]
    return dict(zip(names, outputs, strict=True))


def logits(outputs) -> np.ndarray:
    """The first logits, where there are several; the first output of a model without a head."""
    if isinstance(outputs, dict):
        first = dict([next(iter(outputs.items()))])
        outputs = {name: x for name, x in outputs.items() if name.endswith("logits")} or first
    return arrays(outputs)[0]


def labels(model: HeadModel, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By name, a class for each row of logits, and numbers in [0, 1] for what are no logits.

    The class is what can be learned: the token itself where there is one a token, the number of the image where there
    is one a pixel.
    """
    outputs, ids, y = model(given), next(reversed(texts(given)), None), {}
    for of, name in model.targets.items():
        *rows, classes = (*outputs[of].shape, 2) if model.head.binary else outputs[of].shape
        if not of.endswith("logits"):
            y[name] = np.random.default_rng(17).uniform(0.2, 0.8, outputs[of].shape).astype("float32")
            continue
        numbers = np.arange(math.prod(rows)).reshape(rows)
        if ids is not None and ids.shape == tuple(rows):
            numbers = ids
        elif len(rows) == 3:
            numbers = np.broadcast_to(np.arange(rows[0])[:, None, None], rows)
        y[name] = (numbers % getattr(model.config, "num_classes", classes)).astype("int32")
    return y


def classes_of(y: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those of the labels that are classes."""
    return {name: x for name, x in y.items() if x.dtype == np.int32}


def padded(model: Model, given: dict[str, np.ndarray], lengths: list[int], side: str) -> dict[str, np.ndarray]:
    """Text inputs of which row i keeps the first `lengths[i]` tokens of each text, the others masked on one side.

    A decoder's text is shorter, as it is throughout.
    """
    ours = {name: x for name, x in given.items() if not name.startswith("decoder_")}
    theirs = {name.removeprefix("decoder_"): x for name, x in given.items() if name.startswith("decoder_")}
    result = _padded(model, ours, lengths, side)
    if theirs:
        shorter = _padded(model, theirs, list(map(target_length, lengths)), side)
        result |= {f"decoder_{name}": x for name, x in shorter.items()}
    return result


def target_length(length: int) -> int:
    """Tokens of the decoder's text beside so many of the encoder's."""
    return max(length - SHORTER, 1)


def _padded(model: Model, given: dict[str, np.ndarray], lengths: list[int], side: str) -> dict[str, np.ndarray]:
    ids, count = given["input_ids"], given["input_ids"].shape[-1]
    cut = count - np.array(lengths, "int32")
    mask = np.stack(
        [np.broadcast_to(np.arange(count) < length, row.shape) for row, length in zip(ids, lengths, strict=True)]
    )
    given = {**given, "attention_mask": mask}
    if side == "left":
        for name, x in given.items():
            if x.ndim == ids.ndim:
                given[name] = np.stack([np.roll(row, n, axis=-1) for row, n in zip(x, cut, strict=True)])
            else:  # it points at tokens
                given[name] = x + cut.reshape(-1, *(1,) * (x.ndim - 1))
    pad = getattr(model.config, "pad_token_id", None)
    filling = np.random.default_rng(5).integers(0, ids.max(), ids.shape, ids.dtype) if pad is None else np.int32(pad)
    given["input_ids"] = np.where(given["attention_mask"], given["input_ids"], filling)
    return {**given, "attention_mask": given["attention_mask"].astype("int32")}


def row_alone(given: dict[str, np.ndarray], row: int, length: int) -> dict[str, np.ndarray]:
    """One row, without the padding that `padded` would put there."""
    alone = {}
    for name, x in given.items():
        full, kept = (LENGTH - SHORTER, target_length(length)) if name.startswith("decoder_") else (LENGTH, length)
        alone[name] = x[row : row + 1, ..., :kept] if x.shape[-1] == full else x[row : row + 1]
    return alone


def columns_begun(model: Model, ids: np.ndarray) -> int:
    """How many columns of `generate`'s result stand before the new tokens, after prompts `(B, P)`."""
    return ids.shape[1] if model.reads_prompt else 1


def greedy(model: Model, prompts: list[np.ndarray], count: int) -> np.ndarray:
    """The likeliest `count` tokens after each prompt, by whole passes without cache, mask or compiled loop."""
    if isinstance(model, EncoderDecoderModel):
        return np.stack([_greedy_target(model, prompt[None], count) for prompt in prompts])
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


def _greedy_target(model: EncoderDecoderModel, source: np.ndarray, count: int) -> np.ndarray:
    target = np.full((1, count + 1), model.config.decoder_start_token_id, "int32")
    for i in range(count):
        target[0, i + 1] = logits(model(source, target[:, :-1]))[0, i].argmax()
    return target[0, 1:]


def found_losses(outputs: dict) -> dict[str, float]:
    return {name: float(x) for name, x in outputs.items() if name in LOSSES}


# === Cases as parameters ===

_HEADS = [case for case in reversed(CASES) if case.has_head]
KINDS = list({(c.is_image, c.has_two_stacks, c.labels_rows, len(c.targets)): c for c in _HEADS}.values())
"""The first head of each kind, where what is tested is the work of their common base."""

BACKEND = keras.backend.backend()


def cases(*needs: str, quick: Collection[Case] | None = None, **wanted: bool):
    """The cases that have these arguments in `call`, and these properties.

    Long are all but the `quick` ones, which are those that say so unless given.
    """
    if quick is None:
        quick = [case for case in CASES if case.is_quick]
    fitting = [
        pytest.param(case, id=case.name, marks=[] if case in quick else [pytest.mark.slow])
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
