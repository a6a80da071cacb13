"""Masked tokens: what stands where a text has the mask token."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_tx.models.core.head import HeadModel
from keras_tx.models.core.heads import MaskedLanguageModelHead
from keras_tx.ops.losses import IGNORED
from keras_tx.tasks.base import Task, Validation, probabilities
from keras_tx.tasks.examples import listed
from keras_tx.tasks.inputs import require_mask_token
from keras_tx.tasks.rows import windows
from keras_tx.text import Tokenizer

if TYPE_CHECKING:
    from keras_tx.training.data.masking import Masking
    from keras_tx.training.recipes.finetune import FineTuning

SHOWN = 60
"""So many characters of a text are shown in an error."""


@dataclasses.dataclass(frozen=True)
class FilledMask:
    """A token predicted for a mask.

    Attributes:
        token: as text.
        token_id: its id.
        score: its probability among all tokens.
        sequence: the text with the token in the mask's place. Of a text with one mask without special tokens; of one
            with several with them, for the other masks are among them.
    """

    token: str
    token_id: int
    score: float
    sequence: str


class FillMaskTask(Task):
    """The likeliest tokens for the masks of texts, and the training on texts that have no labels.

    Training hides tokens at random, other ones in each epoch (Devlin et al. 2019, section 3.1; Liu et al. 2019, section
    4.1). Each text is a row; of one too long, all is trained on, in several rows.

    Args:
        model: with a masked language model's head, as `BERTForMaskedLM`.
        tokenizer: with a `mask_token`.
        max_length, batch_size: as of `Task`.
        masking: which tokens training and evaluation hide; `Masking.of(tokenizer)`, 15 %, unless given.

    Raises:
        ValueError: as of `Task`; and if the tokenizer has no mask token.
    """

    heads = "for masked language modeling"

    def __init__(
        self,
        model: HeadModel,
        tokenizer: Tokenizer,
        *,
        max_length: int | None = None,
        batch_size: int = 32,
        masking: Masking | None = None,
    ):
        super().__init__(model, tokenizer, max_length=max_length, batch_size=batch_size)
        self.mask_token_id: int = require_mask_token(tokenizer)
        self._masking = masking

    @staticmethod
    def fits(model: HeadModel) -> bool:
        return isinstance(model.head, MaskedLanguageModelHead)

    @property
    def masking(self) -> Masking:
        """Hides tokens."""
        from keras_tx.training.data.masking import Masking  # which those who only predict need not

        tokenizer: Any = self.tokenizer  # which has a mask token
        return self._masking or Masking.of(tokenizer)

    # === Asking ===

    def predict(
        self, texts: Any, top_k: int = 5, targets: str | Sequence[str] | None = None
    ) -> list[list[list[FilledMask]]]:
        """Returns for each mask of each text the likeliest tokens, best first.

        The masks of a text are filled one by one, the others left as they are. What a text has beyond `max_length` is
        not read.

        Args:
            texts: strings with the tokenizer's mask token in them, in any form that `Task.predict` takes.
            top_k: how many tokens.
            targets: the only tokens to choose from. Of a word that is several, the first is taken, with a warning.

        Raises:
            ValueError: for a text without a mask, or with one that is not read, with its number; for a target without a
                token; and unless `top_k` lies in `[1, vocab_size]`.
        """
        texts = listed(texts)
        if not 1 <= top_k <= self.tokenizer.vocab_size:
            raise ValueError(f"`top_k` must lie in [1, {self.tokenizer.vocab_size}], the tokens; got {top_k}.")
        candidates = self._candidates(targets)
        if not texts:
            return []
        inputs = self.inputs([(text,) for text in texts])
        masks = inputs["input_ids"] == self.mask_token_id
        self._require_masks(texts, masks)
        best: list[list[tuple[int, float]]] = []
        for _, logits in self._logits(inputs, masks):
            scores = probabilities(logits)[:, candidates]
            order = np.argsort(-scores, axis=-1, kind="stable")[:, :top_k]
            best += [[(int(candidates[i]), float(row[i])) for i in of] for row, of in zip(scores, order, strict=True)]
        of_masks = iter(best)
        return [
            [
                [self._filled_mask(ids, place, token, score, alone=mask.sum() == 1) for token, score in next(of_masks)]
                for place in np.flatnonzero(mask).tolist()
            ]
            for ids, mask in zip(inputs["input_ids"], masks, strict=True)
        ]

    def _candidates(self, targets: str | Sequence[str] | None) -> np.ndarray:
        """The ids to choose from, ascending."""
        if targets is None:
            return np.arange(self.tokenizer.vocab_size)
        targets = listed(targets)
        known = {token: i for i, token in enumerate(self.tokenizer.tokens)}  # type: ignore[attr-defined]
        ids = set()
        for target, tokens in zip(targets, self.subwords(targets), strict=True):
            if target in known:
                tokens = [known[target]]
            if not tokens:
                raise ValueError(f"`targets` has {target!r}, of which the tokenizer makes no token: leave it out.")
            if len(tokens) > 1 or (target not in known and tokens[0] in self.tokenizer.all_special_ids):
                taken = self.tokenizer.decode(tokens[:1])
                warnings.warn(f"the target {target!r} is no token: {taken!r} is taken in its place.", stacklevel=3)
            ids.add(tokens[0])
        if not ids:
            raise ValueError("`targets` must name one token or more; got none.")
        return np.array(sorted(ids))

    def _require_masks(self, texts: Sequence[str], masks: np.ndarray) -> None:
        for i, (ids, read) in enumerate(zip(self.subwords(texts), masks.sum(axis=1), strict=True)):
            written = ids.count(self.mask_token_id)
            if not written:
                mask = self.tokenizer.decode([self.mask_token_id]).strip()
                raise ValueError(f"text {i} has no mask: write {mask} into it; got {texts[i][:SHOWN]!r}.")
            if read < written:
                raise ValueError(
                    f"text {i} has a mask beyond its first {self.max_length} tokens, which are all that is read: "
                    f"shorten it, or raise `max_length`; got {texts[i][:SHOWN]!r}."
                )

    def _filled_mask(self, ids: np.ndarray, place: int, token: int, score: float, *, alone: bool) -> FilledMask:
        filled = ids.copy()
        filled[place] = token
        filled = filled[filled != self.tokenizer.pad_token_id]
        sequence = self.tokenizer.decode(filled, skip_special_tokens=alone)
        return FilledMask(self.tokenizer.decode([token]), token, score, sequence)

    def _logits(self, inputs: dict[str, np.ndarray], places: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """One batch of rows after another, for the logits of all are large, with those where `places`, `(N, V)`."""
        for begin in range(0, len(places), self.batch_size):
            rows = slice(begin, begin + self.batch_size)
            yield rows, self.outputs({name: x[rows] for name, x in inputs.items()})["logits"][places[rows]]

    # === Training ===

    def training_data(self, texts: Any, *, seed: int = 0) -> tuple[dict[str, np.ndarray], Any]:  # type: ignore[override]
        """Returns the inputs with tokens hidden, and the labels, int32 `(R, T)`: the hidden ids, -100 elsewhere.

        Args:
            texts: as `fit` takes them.
            seed: of what is hidden.
        """
        return self._masked(self._rows(listed(texts)), None, (seed, 0))

    def fit(  # type: ignore[override]
        self,
        texts: Any,
        recipe: FineTuning | None = None,
        *,
        validation_data: Any = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int | str = "auto",
        **overrides: Any,
    ) -> keras.callbacks.History:
        """Trains the model to find tokens that are hidden, other ones in each epoch.

        Args:
            texts: strings, in any form that `Task.predict` takes.
            recipe, callbacks, verbose, overrides: as of `Task.fit`. The recipe's `seed` is that of the masks too.
            validation_data: further texts, evaluated after each epoch: the metrics as `"val_..."`.

        Returns:
            Keras's record of the training.

        Raises:
            ValueError: for a text without a token, with its number; and for a model that learns more than masked
                tokens.
        """
        from keras_tx.training.recipes.finetune import FineTuning, fine_tune

        if list(self.model.targets) != ["logits"]:
            raise ValueError(
                f"a {type(self.model).__name__} learns {', '.join(self.model.targets.values())} together: train the "
                "class for masked language modeling alone, as `BERTForMaskedLM`, of the same checkpoint."
            )
        inputs = self._rows(listed(texts))
        if validation_data is not None:
            callbacks = [Validation(self, listed(validation_data)), *callbacks]
        recipe = (recipe or FineTuning()).replace(**overrides)
        options: dict[str, Any] = {"augment": self._masked, "callbacks": callbacks, "verbose": verbose}
        return fine_tune(self.model, inputs, inputs["input_ids"], recipe, **options)

    def evaluate(self, texts: Any, *, seed: int = 0) -> dict[str, float]:  # type: ignore[override]
        """`"loss"`, the mean cross-entropy in nats of hidden tokens; its exponential, `"perplexity"`; and `"accuracy"`.

        Args:
            texts: as `fit` takes them.
            seed: of what is hidden; the same hides the same.

        Raises:
            ValueError: as of `fit`; and if the texts are so few that no token is hidden.
        """
        inputs, labels = self.training_data(texts, seed=seed)
        hidden = labels != IGNORED
        if not hidden.any():
            raise ValueError(f"no token of {len(labels)} rows was hidden: give more texts, or another `seed`.")
        loss = right = 0.0
        for rows, logits in self._logits(inputs, hidden):
            wanted = labels[rows][hidden[rows]]
            of_wanted = np.take_along_axis(logits, wanted[:, None], axis=1)[:, 0]
            loss += float(np.sum(np.logaddexp.reduce(logits, axis=1) - of_wanted)) / hidden.sum()
            right += float(np.sum(logits.argmax(axis=1) == wanted)) / hidden.sum()
        return {"loss": loss, "perplexity": float(np.exp(loss)), "accuracy": right}

    def _rows(self, texts: list[str]) -> dict[str, np.ndarray]:
        """The inputs of all that the texts have, nothing hidden."""
        if not texts:
            raise ValueError("there must be texts, one or more; got none.")
        tokens = self.subwords(texts)
        if [] in tokens:
            raise ValueError(f"text {tokens.index([])} has no token: leave it out, or put something into it.")
        numbered = [(ids, range(len(ids))) for ids in tokens]
        return self.arrays(windows(self.tokenizer, numbered, max_length=self.max_length, stride=0).batch)

    def _masked(self, inputs: dict[str, np.ndarray], labels: Any, seed: tuple[int, int]) -> tuple[dict, np.ndarray]:
        """Inputs with tokens hidden, and their labels."""
        ids, labels = self.masking(inputs["input_ids"], seed)
        return {**inputs, "input_ids": ids.numpy()}, labels.numpy()
