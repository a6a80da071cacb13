"""Cross-encoders: a score for two texts read together, by which the best documents of a search are put in order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from keras import ops

from keras_tx.convert.directory import CONFIG
from keras_tx.convert.sentence_transformers import locate_sentence_transformer, read_settings
from keras_tx.files import read_json, write_json
from keras_tx.models.core.head import HeadModel
from keras_tx.ops.activations import get_activation
from keras_tx.tasks.examples import listed
from keras_tx.tasks.text_classification import TextClassificationTask
from keras_tx.text import Tokenizer

_ACTIVATIONS = {
    "torch.nn.modules.activation.Sigmoid": "sigmoid",
    "torch.nn.modules.linear.Identity": "linear",
    "torch.nn.modules.activation.Tanh": "tanh",
}
"""By the classes that say them in a directory."""


class Ranked(NamedTuple):
    """A document's place in a list, and its score."""

    id: int
    score: float


class CrossEncoderTask(TextClassificationTask):
    """Scores of pairs of texts.

    `from_pretrained` reads what sentence-transformers' `CrossEncoder` wrote, and gives the same scores. `fit` and
    `evaluate` are those of `TextClassificationTask`: with one label, numbers are to be met.

    Args:
        model: with a sequence classifier's head.
        tokenizer, max_length, batch_size: as of `Task`.
        activation: applied to the logits, by name; the sigmoid unless given if there is one label, else none.
    """

    def __init__(
        self,
        model: HeadModel,
        tokenizer: Tokenizer,
        *,
        max_length: int | None = None,
        batch_size: int = 32,
        activation: str | None = None,
    ):
        super().__init__(model, tokenizer, max_length=max_length, batch_size=batch_size)
        self.activation = activation or ("sigmoid" if model.config.num_labels == 1 else "linear")
        self._activate = get_activation(self.activation)

    @classmethod
    def from_pretrained(cls, source: str | Path, **options: Any) -> Self:
        """Makes the task of a checkpoint, with the activation that its config says; arguments as of `Task`.

        Raises:
            ValueError: for an activation that is not known, and as `Task.from_pretrained` does.
        """
        task = super().from_pretrained(source, **options)
        if "activation" not in options:
            names = {"revision", "cache_dir", "local_files_only", "token"}
            hub = {name: x for name, x in options.items() if name in names}
            task._take_activation(locate_sentence_transformer(source, **hub))
        return task

    def _take_activation(self, directory: Path) -> None:
        """Takes what a directory says: beside its config, or in it, as older versions do."""
        config = read_json(directory / CONFIG)
        said = read_settings(directory).get("activation_fn")
        said = said or (config.get("sentence_transformers") or {}).get("activation_fn")
        said = said or config.get("sbert_ce_default_activation_function")
        if said is None:
            return
        if said not in _ACTIVATIONS:
            raise ValueError(f"the activation {said} is not known: give `activation=`, a name of ours.")
        self.activation = _ACTIVATIONS[said]
        self._activate = get_activation(self.activation)

    def save_pretrained(self, directory: str | Path) -> None:
        """Writes a directory that `from_pretrained` and sentence-transformers' `CrossEncoder` read.

        Raises:
            ValueError: for an activation that torch has not.
        """
        known = {ours: theirs for theirs, ours in _ACTIVATIONS.items()}
        if self.activation not in known:
            raise ValueError(f"the format has no activation {self.activation!r}; it has {', '.join(known)}.")
        directory, said = Path(directory), {"activation_fn": known[self.activation]}
        self.model.save_pretrained(directory, format="huggingface")
        self.tokenizer.save_pretrained(directory)
        write_json(directory / CONFIG, {**read_json(directory / CONFIG), "sentence_transformers": said})

    def predict(self, examples: Any) -> np.ndarray:  # type: ignore[override]
        """Returns the score of each pair, float32 `(N,)`; with several labels `(N, num_labels)`.

        Args:
            examples: pairs of texts, or one pair.
        """
        pairs = self.pairs(examples)
        if not pairs:
            return np.zeros((0,), "float32")
        logits = self.outputs(self._inputs(pairs))["logits"]
        scores = ops.convert_to_numpy(self._activate(ops.convert_to_tensor(logits)))
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def rank(self, query: str, documents: Sequence[str], top_k: int | None = None) -> list[Ranked]:
        """Returns the documents' numbers and scores, best first.

        Args:
            query: what is sought.
            documents: texts.
            top_k: how many; all unless given.

        Raises:
            ValueError: for a model of several labels.
        """
        if self.model.config.num_labels != 1:
            raise ValueError(f"`rank` needs a model of one label; this one has {self.model.config.num_labels}.")
        scores = self.predict([(query, document) for document in listed(documents)])
        order = np.argsort(-scores, kind="stable")[:top_k]
        return [Ranked(int(i), float(scores[i])) for i in order]
