"""Embeddings of texts: sentences near each other where they mean the same, searched and compared."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import keras
import numpy as np

from keras_tx.convert.sentence_transformers import (
    SentenceModules,
    locate_sentence_transformer,
    read_modules,
    transformer_directory,
    write_modules,
)
from keras_tx.generation.compiled import Compiled
from keras_tx.models.core.embedding import TextEmbeddingModel
from keras_tx.ops.embeddings import SIMILARITIES, distance, similarity
from keras_tx.tasks.base import Task, require_equal, whole_batches
from keras_tx.tasks.examples import listed
from keras_tx.text import Tokenizer, load_tokenizer

if TYPE_CHECKING:
    from keras_tx.training.recipes.embeddings import EmbeddingLoss
    from keras_tx.training.recipes.finetune import FineTuning

_OF_HUB = {"revision", "cache_dir", "local_files_only", "token"}
TEXTS_AT_ONCE = 4096
"""How many texts are tokenized together; those of about the same length make a batch."""
SCORES_AT_ONCE = 2**24
"""How many similarities are in memory together."""


class SearchResults(NamedTuple):
    """What a search found, best first.

    Attributes:
        ids: of each query, the numbers of the texts found, `(Q, K)`.
        scores: how similar they are, `(Q, K)`.
    """

    ids: np.ndarray
    scores: np.ndarray


class TextEmbeddingTask(Task):
    """Embeddings of texts.

    `from_pretrained` reads the directories and hub ids of sentence-transformers, whose embeddings are the same.

    Args:
        model: a `TextEmbeddingModel`.
        tokenizer, max_length, batch_size: as of `Task`.
        prompts: texts to be put before others, by name.
        default_prompt_name: the one that is, where none is asked for.
        similarity: how embeddings are compared: "cosine", "dot", "euclidean" or "manhattan".
        lowercase: whether texts are put into lower case first.

    Raises:
        ValueError: as `Task` does; for a similarity or a default prompt that there is not.
    """

    heads = "of embeddings, a TextEmbeddingModel"

    def __init__(
        self,
        model: TextEmbeddingModel,
        tokenizer: Tokenizer,
        *,
        max_length: int | None = None,
        batch_size: int = 32,
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
        similarity: str = "cosine",
        lowercase: bool = False,
    ):
        super().__init__(model, tokenizer, max_length=max_length, batch_size=batch_size)
        if similarity not in SIMILARITIES:
            raise ValueError(f"`similarity` must be one of {', '.join(SIMILARITIES)}; got {similarity!r}.")
        self.prompts = dict(prompts or {})
        self.default_prompt_name = default_prompt_name
        self.similarity_name = similarity
        self.lowercase = lowercase
        self._functions: dict[int, Any] = {}
        self._prompt(None, None)

    @staticmethod
    def fits(model: Any) -> bool:
        return isinstance(model, TextEmbeddingModel)

    @classmethod
    def from_pretrained(cls, source: str | Path, *, dtype=None, **options: Any) -> Self:
        """Makes the task of a sentence-transformers directory; of a text model's, the mean of its tokens is taken.

        Args:
            source: a directory, or a hub id such as "sentence-transformers/all-MiniLM-L6-v2".
            dtype: of the model, as in Keras.
            options: `revision`, `cache_dir`, `local_files_only` and `token`, as `load_pretrained` takes them, and what
                the class takes, in place of what the directory says.

        Raises:
            FileNotFoundError: if there is no model or no tokenizer.
            ValueError: if a part of it is not supported.
        """
        hub = {name: options.pop(name) for name in _OF_HUB & options.keys()}
        directory = locate_sentence_transformer(source, **hub)
        modules = read_modules(directory)
        inner = transformer_directory(directory)
        tokenizer = load_tokenizer(inner if inner != directory else source, **hub)
        model = TextEmbeddingModel.of_modules(directory, modules, dtype=dtype)
        said = modules or SentenceModules()
        limits = (said.max_length, model.max_positions, tokenizer.model_max_length)
        usual = {
            "max_length": min((limit for limit in limits if limit), default=None),
            "prompts": said.prompts,
            "default_prompt_name": said.default_prompt_name,
            "similarity": said.similarity,
            "lowercase": said.lowercase,
        }
        return cls(model, tokenizer, **{**usual, **options})

    def save_pretrained(self, directory: str | Path) -> None:
        """Writes a directory that `from_pretrained` and sentence-transformers read."""
        directory = Path(directory)
        self.model.backbone.save_pretrained(directory, format="huggingface")
        self.tokenizer.save_pretrained(directory)
        said = self.model.modules(
            max_length=self.max_length,
            lowercase=self.lowercase,
            prompts=self.prompts,
            default_prompt_name=self.default_prompt_name,
            similarity=self.similarity_name,
        )
        write_modules(directory, said, self.model.backbone.width)

    # === Embeddings ===

    def encode(
        self,
        texts: Any,
        *,
        prompt: str | None = None,
        prompt_name: str | None = None,
        normalize: bool = False,
        truncate_dim: int | None = None,
    ) -> np.ndarray:
        """Returns the embedding of each text, float32 `(N, D)`; of one string, `(D,)`.

        Texts of about the same length are embedded together, and rows are padded to one of few lengths.

        Args:
            texts: as `Task.predict` takes them; those too long are cut.
            prompt: put before each text.
            prompt_name: of the prompt, in its place; `default_prompt_name` unless either is given.
            normalize: whether to scale them to length 1.
            truncate_dim: how many of the first entries to keep; all unless given.

        Raises:
            ValueError: for a prompt that there is not, a text without a token, and `truncate_dim` above D.
        """
        width = self.model.dim if truncate_dim is None else truncate_dim
        if not 0 < width <= self.model.dim:
            raise ValueError(f"`truncate_dim` must lie in [1, {self.model.dim}]; got {truncate_dim}.")
        before, rows = self._prompt(prompt, prompt_name), listed(texts)
        found = np.empty((len(rows), width), "float32")
        for start in range(0, len(rows), TEXTS_AT_ONCE):
            some = [before + text for text in rows[start : start + TEXTS_AT_ONCE]]
            self._encode_into(found[start : start + len(some)], some, self._tokens_of_prompt(before))
        if normalize:
            found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
        return found[0] if isinstance(texts, str | bytes) else found

    def predict(self, examples: Any) -> list:
        """Returns what `encode` does, as a list."""
        return list(self.encode(listed(examples)))

    def _prompt(self, prompt: str | None, name: str | None) -> str:
        if prompt is not None:
            return prompt
        name = self.default_prompt_name if name is None else name
        if name is not None and name not in self.prompts:
            raise ValueError(f"there is no prompt {name!r}; there are {', '.join(map(repr, self.prompts)) or 'none'}.")
        return "" if name is None else self.prompts[name]

    def _tokens_of_prompt(self, prompt: str) -> int:
        """How many tokens a text begins with because of the prompt, special ones included."""
        if not prompt or self.model.head.include_prompt:
            return 0
        ids = self.tokenizer.encode(self._lower(prompt))
        return len(ids) - (ids[-1] in self.tokenizer.all_special_ids)

    def _lower(self, text: str) -> str:
        return text.lower() if self.lowercase else text

    def _encode_into(self, found: np.ndarray, texts: list[str], skip: int) -> None:
        batch = self._tokenized([(self._lower(text),) for text in texts])
        lengths = batch["attention_mask"].sum(axis=1)
        if not lengths.all():
            raise ValueError(f"the text {texts[int(lengths.argmin())]!r} has no token: leave it out.")
        order = np.argsort(lengths, kind="stable")
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            filled = rows[np.minimum(np.arange(whole_batches(len(rows), self.batch_size)), len(rows) - 1)]
            length = min(_rounded(int(lengths[rows[-1]])), self.max_length)
            some = self._filled({name: x[filled, :length] for name, x in batch.items()}, length)
            found[rows] = self._embed(self.model_inputs(some), skip)[: len(rows), : found.shape[1]]

    def _embed(self, inputs: dict[str, np.ndarray], skip: int) -> np.ndarray:
        if skip not in self._functions:
            self._functions[skip] = _function(self.model, skip)
        return keras.ops.convert_to_numpy(self._functions[skip](inputs)).astype("float32")

    # === Comparing ===

    def similarity(self, a: Any, b: Any) -> np.ndarray:
        """Returns how similar each of some texts or embeddings is to each of others, float32 `(N, M)`.

        Args:
            a, b: embeddings `(N, D)` and `(M, D)`, or texts.
        """
        return np.asarray(similarity(self._vectors(a), self._vectors(b), self.similarity_name))

    def search(self, queries: Any, corpus: Any, top_k: int = 10) -> SearchResults:
        """Finds what is most similar to each query, in memory that does not grow with the corpus.

        Args:
            queries: texts, or embeddings `(Q, D)`.
            corpus: embeddings `(N, D)`, an array or a memory map; or texts, a list or an iterator of any length.
            top_k: how many to find; fewer if the corpus has fewer.

        Raises:
            ValueError: for `top_k` below 1, or an empty corpus.
        """
        if top_k < 1:
            raise ValueError(f"`top_k` must be at least 1; got {top_k}.")
        wanted = self._vectors(queries)
        best = SearchResults(np.empty((len(wanted), 0), "int64"), np.empty((len(wanted), 0), "float32"))
        size = max(SCORES_AT_ONCE // max(len(wanted), 1), 1)
        if self.similarity_name in ("euclidean", "manhattan"):  # whose differences are as many again
            size = max(size // self.model.dim, 1)
        first = 0
        for vectors in self._chunks(corpus, size):
            scores = np.asarray(similarity(wanted, vectors, self.similarity_name))
            best, first = _best(best, scores, first, top_k), first + len(vectors)
        if not first:
            raise ValueError("`corpus` is empty: there is nothing to find.")
        return best

    def _vectors(self, given: Any) -> np.ndarray:
        if not isinstance(given, str | bytes) and hasattr(given, "dtype") and np.dtype(given.dtype).kind == "f":
            return np.atleast_2d(np.asarray(given, "float32"))
        return np.atleast_2d(self.encode(given))

    def _chunks(self, corpus: Any, size: int) -> Iterator[np.ndarray]:
        if hasattr(corpus, "dtype") and np.dtype(corpus.dtype).kind == "f":
            for start in range(0, len(corpus), size):
                yield np.asarray(corpus[start : start + size], "float32")
            return
        texts = iter(corpus if isinstance(corpus, Iterable) and not isinstance(corpus, str | bytes) else [corpus])
        while some := list(islice(texts, min(size, TEXTS_AT_ONCE))):
            yield self.encode(some)

    # === Training ===

    def fit(  # type: ignore[override]
        self,
        examples: Sequence[Sequence[str]],
        scores: Sequence[float] | None = None,
        loss: EmbeddingLoss | None = None,
        recipe: FineTuning | None = None,
        *,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int | str = "auto",
        **overrides: Any,
    ) -> keras.callbacks.History:
        """Fine-tunes the model.

        Args:
            examples: of each row the texts that the loss takes, as many in each: pairs that belong together, with hard
                negatives or not; pairs with scores; triplets.
            scores: of each row, for a loss that wants them.
            loss: `MultipleNegativesRankingLoss()` unless given.
            recipe: how; the defaults of `FineTuning` unless given.
            callbacks, verbose: as in Keras.
            overrides: fields of the recipe to replace.

        Returns:
            Keras's record of the training.

        Raises:
            ValueError: for rows of different numbers of texts, and as `fine_tune_embeddings` does.
        """
        from keras_tx.training.recipes.embeddings import fine_tune_embeddings
        from keras_tx.training.recipes.finetune import FineTuning

        rows = [tuple(row) for row in self.pairs(examples)]
        count = len(rows[0]) if rows else 0
        if any(len(row) != count for row in rows) or not count:
            raise ValueError("`examples` must be one or more rows, with as many texts in each.")
        inputs = self.inputs([(self._lower(text),) for row in rows for text in row])
        inputs = {name: x.reshape(len(rows), count, -1) for name, x in inputs.items()}
        recipe = (recipe or FineTuning()).replace(**overrides)
        options: dict[str, Any] = {"callbacks": callbacks, "verbose": verbose}
        return fine_tune_embeddings(self.model, inputs, scores, loss, recipe, **options)

    def evaluate(self, examples: Any, labels: Any = None) -> dict[str, float]:
        """Returns how the similarities of pairs go with their scores, as "pearson" and "spearman".

        Args:
            examples: pairs of texts.
            labels: the score of each.
        """
        from keras_tx.training.metrics.ranking import pearson, spearman

        pairs = self.pairs(examples)
        require_equal(pairs, labels)
        a, b = (self.encode([pair[i] for pair in pairs]) for i in (0, 1))
        if self.similarity_name == "dot":
            found = (a * b).sum(axis=1)
        else:
            found = -np.asarray(distance(a, b, self.similarity_name))
        return {"pearson": pearson(found, labels), "spearman": spearman(found, labels)}

    def evaluate_retrieval(
        self, queries: Any, corpus: Any, relevant: Sequence[int | Collection[int]], at: Sequence[int] = (1, 5, 10)
    ) -> dict[str, float]:
        """Returns "recall@k" and "mrr@k" of what `search` finds.

        Args:
            queries, corpus: as of `search`.
            relevant: of each query, the number of the text that is relevant, or of several.
            at: the values of k.
        """
        from keras_tx.training.metrics.ranking import mean_reciprocal_rank, recall_at

        found = self.search(queries, corpus, max(at)).ids
        wanted = [[ids] if isinstance(ids, int | np.integer) else list(ids) for ids in relevant]
        metrics = {"recall": recall_at, "mrr": mean_reciprocal_rank}
        return {f"{name}@{k}": metric(found, wanted, k) for name, metric in metrics.items() for k in at}


def _function(model: TextEmbeddingModel, skip: int) -> Any:
    """The model as a function of a batch, made for any shapes on TensorFlow, compiled for each on JAX."""
    embed = partial(model, skip=skip, training=False)
    if keras.backend.backend() != "tensorflow":
        return Compiled(embed, model)
    import tensorflow as tf

    return tf.function(embed, reduce_retracing=True, autograph=False)


def _rounded(length: int) -> int:
    """Rounds a length up to a power of two or one and a half times one, so that there are few."""
    power = 16
    while power < length:
        power *= 2
    return power * 3 // 4 if 16 < length <= power * 3 // 4 else power


def _best(best: SearchResults, scores: np.ndarray, first: int, top_k: int) -> SearchResults:
    """The best of those found and of further ones, whose numbers begin with `first`."""
    ids = np.broadcast_to(np.arange(first, first + scores.shape[1]), scores.shape)
    ids, scores = np.concatenate([best.ids, ids], 1), np.concatenate([best.scores, scores], 1)
    if scores.shape[1] > top_k:
        kept = np.argpartition(-scores, top_k - 1, axis=1)[:, :top_k]
        ids, scores = (np.take_along_axis(x, kept, 1) for x in (ids, scores))
    order = np.lexsort((ids, -scores), axis=1)
    return SearchResults(*(np.take_along_axis(x, order, 1) for x in (ids, scores)))
