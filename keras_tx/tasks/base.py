"""The base of tasks: a model and its tokenizer, trained on labelled strings and asked with strings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import keras
import numpy as np

from keras_tx.models.core.auto import load_pretrained
from keras_tx.models.core.head import HeadModel
from keras_tx.tasks.examples import labelled, listed
from keras_tx.tasks.inputs import TextInputs
from keras_tx.text import Tokenizer, load_tokenizer
from keras_tx.text.core.rows import Truncation

if TYPE_CHECKING:
    from keras_tx.training.recipes.finetune import FineTuning

ROUND = 16
"""Rows are padded to a multiple of this, so that few shapes are compiled."""


class Task(TextInputs):
    """A model with its tokenizer, trained on labelled strings and asked with strings.

    Args:
        model: with the head that the task needs. `model.config.label_names` are the names of its labels.
        tokenizer, max_length: as of `TextInputs`.
        batch_size: rows at a time in `predict` and `evaluate`.

    Raises:
        ValueError: if model, tokenizer, task and `max_length` do not fit together.
    """

    heads: ClassVar[str]
    """The models that fit, as an error names them."""
    depth: ClassVar[int] = 0
    """How many lists deep the strings of an example lie."""

    def __init__(self, model: HeadModel, tokenizer: Tokenizer, *, max_length: int | None = None, batch_size: int = 32):
        if not self.fits(model):
            raise ValueError(f"{type(self).__name__} needs a model {self.heads}; got {type(model).__name__}.")
        super().__init__(model, tokenizer, max_length=max_length)
        self.model: HeadModel = model
        self.batch_size = batch_size

    @staticmethod
    def fits(model: HeadModel) -> bool:
        """Whether the model has the head that the task needs."""
        raise NotImplementedError

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
        **options: Any,
    ) -> Self:
        """Makes the task of a checkpoint's model and tokenizer.

        Args:
            source: a directory, or a hub id such as "dslim/bert-base-NER".
            revision, cache_dir, local_files_only, token: as `load_pretrained` takes them.
            options: as the class takes them.

        Raises:
            FileNotFoundError: if there is no model or no tokenizer.
            ValueError: if either cannot be read, or they do not fit the task.
        """
        hub: dict[str, Any] = {
            "revision": revision,
            "cache_dir": cache_dir,
            "local_files_only": local_files_only,
            "token": token,
        }
        tokenizer = load_tokenizer(source, **hub)  # first, for it is the smaller download
        model: Any = load_pretrained(source, **hub)
        return cls(model, tokenizer, **options)

    def save_pretrained(self, directory: str | Path) -> None:
        """Writes model and tokenizer into a directory."""
        self.model.save_pretrained(directory)
        self.tokenizer.save_pretrained(directory)

    def training_data(self, examples: Any, labels: Any = None) -> tuple[dict[str, np.ndarray], Any]:
        """Returns what the model is trained on: its inputs and labels, arrays with as many rows.

        Args:
            examples, labels: as `fit` takes them.

        Raises:
            ValueError: for examples or labels that the model cannot take, with their place.
        """
        inputs, targets, _ = self.training_rows(*labelled(examples, labels, depth=self.depth)[:2])
        return inputs, targets

    def training_rows(self, examples: list, labels: list) -> tuple[dict[str, np.ndarray], Any, np.ndarray]:
        """Returns the inputs and labels of the model's rows, and of each row which example it is of."""
        raise NotImplementedError

    def predict(self, examples: Any) -> list:
        """Returns the model's prediction for each example.

        Args:
            examples: a list or an array of them, of strings or bytes; a `tf.data.Dataset`, in batches or not; or one
                string.
        """
        raise NotImplementedError

    def evaluate(self, examples: Any, labels: Any = None) -> dict[str, float]:
        """Returns the task's metrics by name, for examples and labels as `fit` takes them."""
        raise NotImplementedError

    def fit(
        self,
        examples: Any,
        labels: Any = None,
        recipe: FineTuning | None = None,
        *,
        sample_weight: Sequence[float] | None = None,
        class_weight: Mapping[str | int, float] | None = None,
        validation_data: Any = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int | str = "auto",
        **overrides: Any,
    ) -> keras.callbacks.History:
        """Fine-tunes the model.

        Args:
            examples: as `predict` takes them; or examples with their labels: a `tf.data.Dataset`, in batches or not, or
                a generator of (example, label) or (example, label, weight). It is read once, as a whole.
            labels: one for each; None where the examples have them.
            recipe: how; the defaults of `FineTuning` unless given.
            sample_weight: of each example: what its loss is multiplied by.
            class_weight: of each label, by its name or number, likewise; 1 for those left out.
            validation_data: further examples and labels, or a dataset of both, evaluated after each epoch: the metrics
                as `"val_..."`.
            callbacks: as in Keras; they see those metrics.
            verbose: as in Keras.
            overrides: fields of the recipe to replace.

        Returns:
            Keras's record of the training.

        Raises:
            ValueError: for examples or labels that the model cannot take, with their place.
        """
        from keras_tx.training.recipes.finetune import FineTuning, fine_tune  # which those who only predict need not

        examples, labels, weights = labelled(examples, labels, sample_weight, self.depth)
        inputs, targets, rows = self.training_rows(examples, labels)
        if weights is not None:
            if len(weights) != len(examples):
                raise ValueError(
                    f"`sample_weight` must be one for each of {len(examples)} examples; got {len(weights)}."
                )
            weights = np.array(weights, "float32")[rows]
        by_number = class_weight and {self.label_id(label, "`class_weight`"): x for label, x in class_weight.items()}
        if validation_data is not None:
            given = validation_data if isinstance(validation_data, tuple) else (validation_data, None)
            callbacks = [Validation(self, *labelled(given[0], given[1], depth=self.depth)[:2]), *callbacks]
        recipe = (recipe or FineTuning()).replace(**overrides)
        weighing: dict[str, Any] = {"sample_weight": weights, "class_weight": by_number}
        return fine_tune(self.model, inputs, targets, recipe, **weighing, callbacks=callbacks, verbose=verbose)

    # === What tasks are made of ===

    def pairs(self, examples: Any) -> list:
        """Returns examples that are pairs as a list; a pair by itself, which begins with a string, is one."""
        lone = isinstance(examples, (list, tuple)) and examples and isinstance(examples[0], (str, bytes))
        return listed([examples] if lone else examples)

    def subwords(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the ids of each text, without special tokens."""
        unique = list(dict.fromkeys(texts))
        if not unique:
            return []
        batch = self.tokenizer(unique, add_special_tokens=False)
        rows = zip(batch["input_ids"], batch["attention_mask"], strict=True)
        ids = {text: row[mask > 0].tolist() for text, (row, mask) in zip(unique, rows, strict=True)}
        return [ids[text] for text in texts]

    def inputs(self, texts: Sequence[Sequence[str]], truncation: bool | Truncation = True) -> dict[str, np.ndarray]:
        """Returns the model's inputs for texts and pairs of texts; those too long are cut.

        Args:
            texts: of each row, one text or two.
            truncation: which text of a pair is cut, as tokenizers take it.

        Raises:
            ValueError: for a row without a token, and one without room for the text that is cut.
        """
        groups = [[i for i, row in enumerate(texts) if len(row) == count] for count in (1, 2)]
        batches = [self._tokenized([texts[i] for i in group], truncation) for group in groups if group]
        longest = max(batch["input_ids"].shape[1] for batch in batches)
        batches = [self._filled(batch, longest) for batch in batches]
        order = np.argsort(np.concatenate(groups))
        return self.arrays({name: np.concatenate([batch[name] for batch in batches])[order] for name in batches[0]})

    def arrays(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the model's inputs for a batch, padded so that there are few different lengths.

        Raises:
            ValueError: for a row without a token.
        """
        empty = np.flatnonzero(~batch["attention_mask"].any(axis=1))
        if len(empty):
            raise ValueError(f"text {empty[0]} has no token: leave it out, or put something into it.")
        longest = batch["input_ids"].shape[1]
        batch = self._filled(batch, min(-(-longest // ROUND) * ROUND, self.max_length))
        return self.model_inputs(batch)

    def _tokenized(self, texts: Sequence[Sequence[str]], truncation: bool | Truncation = True) -> dict[str, np.ndarray]:
        """Returns a batch of texts, or a batch of pairs."""
        columns = map(list, zip(*texts, strict=True))
        return self.tokenizer(*columns, truncation=truncation, max_length=self.max_length, padding_side="right")

    def _filled(self, batch: dict[str, np.ndarray], length: int) -> dict[str, np.ndarray]:
        """Returns a batch whose rows are padded on the right."""
        fill = {"input_ids": self.tokenizer.pad_token_id}
        return {
            name: np.pad(rows, [(0, 0), (0, length - rows.shape[1])], constant_values=fill.get(name, 0))
            for name, rows in batch.items()
        }

    def outputs(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the model's logits by name, float32."""
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()  # inside `fit` the arrays live in the trainer, not in the model
        rows = len(inputs["input_ids"])
        filled = np.minimum(np.arange(whole_batches(rows, self.batch_size)), rows - 1)
        inputs = {name: array[filled] for name, array in inputs.items()}
        outputs = self.model.predict(inputs, batch_size=self.batch_size, verbose=0)
        return {name: np.asarray(outputs[name][:rows], "float32") for name in self.model.targets}

    def label_id(self, label: str | int, place: str) -> int:
        """Returns the number of a label, which is given by name or by number.

        Raises:
            ValueError: if the model has no such label; `place` says where it was given.
        """
        names = self.label_names
        if isinstance(label, str):
            if label not in names:
                raise ValueError(f"{place} is {label!r}; the model's labels are {', '.join(names)}.")
            return names.index(label)
        if isinstance(label, (float, np.floating)) and label == int(label):
            label = int(label)
        if not isinstance(label, (int, np.integer)) or not 0 <= label < len(names):
            raise ValueError(f"{place} must be a name or lie in [0, num_labels) = [0, {len(names)}); got {label!r}.")
        return int(label)


class Validation(keras.callbacks.Callback):
    """Evaluates a task after each epoch.

    Args:
        task: the task.
        given: what its `evaluate` is given.
    """

    def __init__(self, task: Task, *given: Any):
        super().__init__()
        self.task, self.given = task, given

    def on_epoch_end(self, epoch, logs=None):
        metrics = self.task.evaluate(*self.given)
        if logs is not None:
            logs.update({f"val_{name}": value for name, value in metrics.items()})


def whole_batches(rows: int, batch_size: int) -> int:
    """Rounds a number of rows up to a power of two or to whole batches, so that few shapes are compiled."""
    power = 1 << (rows - 1).bit_length()
    return power if power <= batch_size else -(-rows // batch_size) * batch_size


def require_equal(examples: Sequence, labels: Sequence) -> None:
    """Raises ValueError unless there are as many labels as examples, one or more."""
    if len(examples) != len(labels) or not len(examples):
        raise ValueError(
            f"there must be as many labels as examples, one or more; got {len(labels)} and {len(examples)}."
        )


def probabilities(logits: np.ndarray) -> np.ndarray:
    """The softmax of logits along the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)
