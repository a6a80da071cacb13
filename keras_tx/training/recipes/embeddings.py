"""Fine-tuning of text embeddings: what belongs together comes near, the rest goes far."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import keras
import numpy as np
from keras import ops

from keras_tx.models.core.base import Model
from keras_tx.models.core.embedding import TextEmbeddingModel
from keras_tx.models.core.inputs import as_rows
from keras_tx.ops import embeddings as pure
from keras_tx.ops.checks import require_positive
from keras_tx.ops.replicas import num_replicas, reported_by_row, whole_batch
from keras_tx.training.recipes.finetune import FineTuning, fine_tune


class EmbeddingLoss(Protocol):
    """A loss of the embeddings of some texts a row."""

    texts: tuple[int, int | None]
    """The least and the greatest number of texts in a row; None for any."""
    scored: bool
    """Whether each row has a score."""

    def __call__(self, embeddings: Any, scores: Any) -> Any:
        """The loss, a scalar, of embeddings `(B, C, D)` and scores `(B,)`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultipleNegativesRankingLoss:
    """Finds the second text of each row among those of all rows; further texts of a row are hard negatives.

    As `ops.embeddings.multiple_negatives_ranking` computes it.
    """

    scale: float = 20.0
    similarity: str = "cosine"
    texts = (2, None)
    scored = False

    def __call__(self, embeddings, scores):
        return pure.multiple_negatives_ranking(embeddings, scale=self.scale, name=self.similarity)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CosineSimilarityLoss:
    """Makes the cosine of two texts their score, as `ops.embeddings.cosine_similarity_loss` computes it."""

    texts = (2, 2)
    scored = True

    def __call__(self, embeddings, scores):
        return pure.cosine_similarity_loss(embeddings, scores)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TripletLoss:
    """Brings the second text of a row nearer than the third, as `ops.embeddings.triplet_loss` computes it."""

    margin: float = 5.0
    distance: str = "euclidean"
    texts = (3, 3)
    scored = False

    def __call__(self, embeddings, scores):
        return pure.triplet_loss(embeddings, margin=self.margin, name=self.distance)


@dataclasses.dataclass(frozen=True)
class MatryoshkaLoss:
    """Another loss of the embeddings' first entries, so that they may be cut (Kusupati et al. 2022).

    Attributes:
        loss: of each length.
        dims: how many entries.
        weights: of the loss of each; 1 unless given.
    """

    loss: Any
    dims: tuple[int, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self):
        for dim in self.dims:
            require_positive(dims=dim)
        if not self.dims or len(self.weights or self.dims) != len(self.dims):
            raise ValueError(f"`weights` must be one for each of `dims` {self.dims}; got {self.weights}.")

    @property
    def texts(self) -> tuple[int, int | None]:
        return self.loss.texts

    @property
    def scored(self) -> bool:
        return self.loss.scored

    def __call__(self, embeddings, scores):
        if max(self.dims) > embeddings.shape[-1]:
            raise ValueError(f"`dims` must be at most {embeddings.shape[-1]}, the embeddings' width; got {self.dims}.")
        weights = self.weights or (1.0,) * len(self.dims)
        return pure.matryoshka(lambda x: self.loss(x, scores), embeddings, self.dims, weights)


class EmbeddingTrainer(Model):
    """Trains an embedding model on rows of texts: inputs are `(B, C, T)`, outputs `(B, C, D)`.

    Args:
        model: the model.
        objective: its loss.
    """

    def __init__(self, model: TextEmbeddingModel, objective: EmbeddingLoss):
        super().__init__(model.config, dtype=model.dtype_policy)
        self.input_names, self.embedder, self.objective = model.input_names, model, objective
        self.build()

    def build(self, input_shape=None):
        """Nothing: the model is built."""

    def call(self, inputs, training=None):
        batch, count = ops.shape(inputs[self.main_input])[:2]
        rows = self.embedder({name: as_rows(x) for name, x in inputs.items()}, training=training)
        return ops.reshape(rows, (batch, count, self.embedder.dim))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        with whole_batch():
            loss = self.objective(y_pred, y)
            return loss if num_replicas() == 1 else reported_by_row(loss, ops.shape(y_pred)[0])

    def input_signature(self):
        return self.embedder.input_signature()

    def weights_by_path(self):
        return self.embedder.weights_by_path()

    def layer_depth(self, path):
        return self.embedder.layer_depth(path)


def fine_tune_embeddings(
    model: TextEmbeddingModel,
    inputs: Mapping[str, np.ndarray],
    scores: Any = None,
    loss: EmbeddingLoss | None = None,
    recipe: FineTuning | None = None,
    *,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
) -> keras.callbacks.History:
    """Trains a model of embeddings.

    Args:
        model: its weights loaded.
        inputs: what it takes, arrays `(N, C, T)` by name: C texts a row.
        scores: of each row, for a loss that wants them.
        loss: `MultipleNegativesRankingLoss()` unless given.
        recipe: how; the defaults of `FineTuning` unless given.
        callbacks, verbose: as in `fit`.

    Returns:
        What `fit` does.

    Raises:
        ValueError: for another number of texts than the loss takes, and for scores that are missing or too many.
    """
    chosen: Any = loss or MultipleNegativesRankingLoss()
    (least, most), (rows, count) = chosen.texts, next(iter(inputs.values())).shape[:2]
    if count < least or count > (most or count):
        wanted = f"{least}" if least == most else f"{least} or more"
        raise ValueError(f"a {type(chosen).__name__} takes {wanted} texts a row; got {count}.")
    if chosen.scored != (scores is not None):
        wanted = "a score for each row" if chosen.scored else "no scores"
        raise ValueError(f"a {type(chosen).__name__} takes {wanted}.")
    labels = np.zeros(rows, "float32") if scores is None else np.asarray(scores, "float32")
    trainer = EmbeddingTrainer(model, chosen)
    return fine_tune(trainer, dict(inputs), labels, recipe, callbacks=callbacks, verbose=verbose)
