"""The options of `generate`, under Transformers' names, with its defaults and its meaning."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Self

import numpy as np

from keras_tx.generation.state import Decoding


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """The options of `generate`. Those that belong to a method not chosen make no difference.

    Where Transformers 4.57 and 5.23 differ the meaning is 5.23's. So is that of None: in a config it is an option not
    given, for which the model's config or else the default stands; given to `generate` by itself it switches the option
    off. `generate(eos_token_id=None)` ends at no token, whatever the model's config says.

    Raises:
        ValueError: for an option out of range, and options that exclude each other.
    """

    max_length: int | None = None
    """Tokens of prompt and continuation together, if `max_new_tokens` is not given."""
    max_new_tokens: int | None = None
    """Tokens to add at most; 20, or as many as the model has positions for, if neither length is given."""
    min_length: int = 0
    """End tokens do not come before prompt and continuation have this length, if `min_new_tokens` is not given."""
    min_new_tokens: int | None = None
    """End tokens do not come before so many other tokens."""
    do_sample: bool = False
    """Draw tokens; otherwise take the likeliest."""
    num_beams: int = 1
    """Sequences kept side by side; more than 1 is beam search, or with `do_sample` beam sampling."""
    num_return_sequences: int = 1
    """Continuations of each prompt: the best beams, or independent draws."""
    length_penalty: float = 1.0
    """Beams are compared by log-probability divided by this power of their length: above 0 favours long ones."""
    early_stopping: bool | Literal["never"] = False
    """True ends a beam search as soon as there are `num_beams` finished sequences, "never" when none can improve,
    False when none seems likely to."""
    temperature: float = 1.0
    """Divides the logits when drawing."""
    top_k: int | None = 50
    """Draw from this many of the likeliest tokens, 0 for all; in contrastive search, compare so many."""
    top_p: float = 1.0
    """Draw from the likeliest tokens that together reach this probability."""
    min_p: float | None = None
    """Do not draw tokens less likely than this share of the likeliest."""
    repetition_penalty: float = 1.0
    """The penalty of tokens that occurred: above 1 makes them less likely."""
    no_repeat_ngram_size: int = 0
    """Runs of so many tokens occur once, in prompt and continuation together; 0 for no such rule."""
    bad_words_ids: Sequence[Sequence[int]] | None = None
    """Runs of tokens that must not come."""
    penalty_alpha: float | None = None
    """Contrastive search (Su et al. 2022): the weight of the likeness to tokens before against the probability."""
    num_assistant_tokens: int = 5
    """Tokens the assistant drafts at a time, always; Transformers starts at 20 and may stop each draft early."""
    bos_token_id: int | None = None
    """The token that a text begins with if there is no prompt."""
    eos_token_id: int | Sequence[int] | None = None
    """A token, or several, that end a row; none at all if empty."""
    pad_token_id: int | None = None
    """The token that fills a row after its end; the first end token if there is none."""
    return_dict_in_generate: bool = False
    """Return a `GenerateOutput`."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            if getattr(self, field.name) is None and field.name != "top_k":  # the only default that is not "off"
                object.__setattr__(self, field.name, field.default)
        for name, allowed, valid in (
            ("min_length", "at least 0", self.min_length >= 0),
            ("min_new_tokens", "at least 0", self.min_new_tokens is None or self.min_new_tokens >= 0),
            ("num_beams", "at least 1", self.num_beams >= 1),
            ("num_return_sequences", "at least 1", self.num_return_sequences >= 1),
            ("early_stopping", 'True, False or "never"', self.early_stopping in (True, False, "never")),
            ("temperature", "above 0", self.temperature > 0),
            ("top_k", "at least 0", self.top_k is None or self.top_k >= 0),
            ("top_p", "in (0, 1]", 0 < self.top_p <= 1),
            ("min_p", "in [0, 1]", self.min_p is None or 0 <= self.min_p <= 1),
            ("repetition_penalty", "above 0", self.repetition_penalty > 0),
            ("no_repeat_ngram_size", "at least 0", self.no_repeat_ngram_size >= 0),
            ("penalty_alpha", "in [0, 1]", self.penalty_alpha is None or 0 <= self.penalty_alpha <= 1),
            ("num_assistant_tokens", "at least 1", self.num_assistant_tokens >= 1),
            ("bad_words_ids", "runs of at least one token", all(len(word) for word in self.bad_words_ids or ())),
        ):
            if not valid:
                raise ValueError(f"`{name}` must be {allowed}; got {getattr(self, name)}.")
        if self.num_beams > 1 and self.num_return_sequences > self.num_beams:
            raise ValueError(
                f"`num_return_sequences` = {self.num_return_sequences} is more than `num_beams` = {self.num_beams}: "
                "raise `num_beams`."
            )
        if self.num_beams == 1 and self.num_return_sequences > 1 and not self.do_sample:
            raise ValueError(
                "`num_return_sequences` above 1 needs beams or draws, or all would be the same: give `num_beams`, or "
                "`do_sample=True`."
            )
        if self.contrastive and (self.num_beams > 1 or self.do_sample):
            raise ValueError(
                "`penalty_alpha` is for contrastive search, which takes neither `num_beams` nor `do_sample`."
            )

    @property
    def contrastive(self) -> bool:
        """Whether this is contrastive search."""
        return bool(self.penalty_alpha) and (self.top_k or 0) > 1

    @property
    def ends(self) -> tuple[int, ...]:
        """The end tokens."""
        return () if self.eos_token_id is None else tuple(np.atleast_1d(self.eos_token_id).astype(int).tolist())

    @property
    def bad_words(self) -> tuple[tuple[int, ...], ...]:
        """`bad_words_ids` without end tokens, which as Transformers has it are not to be forbidden so."""
        words = (tuple(map(int, word)) for word in self.bad_words_ids or ())
        return tuple(word for word in words if word not in {(end,) for end in self.ends})

    def resolved(self, model_config: Any, **options: Any) -> Self:
        """Returns the options that count: these, then `model_config`'s special tokens, then the defaults.

        Args:
            model_config: has `vocab_size`, `bos_token_id`, `eos_token_id` and `pad_token_id`.
            options: fields in place of all that; None switches one off.

        Raises:
            ValueError: for an option out of range, and forbidden tokens outside the model's vocabulary. End tokens
                there just never come.
        """
        unset: dict[str, Any] = {
            "bos_token_id": model_config.bos_token_id,
            "eos_token_id": model_config.eos_token_id,
            "pad_token_id": model_config.pad_token_id,
            "top_k": type(self).top_k,
        }
        given = {name: value for name in unset if (value := getattr(self, name)) is not None}
        found = dataclasses.replace(self, **{**unset, **given, **options})
        size = model_config.vocab_size
        for word in found.bad_words:
            if not all(0 <= token < size for token in word):
                raise ValueError(f"`bad_words_ids` holds {word}, outside the vocabulary of {size} tokens.")
        return dataclasses.replace(found, top_k=min(found.top_k, size)) if found.top_k else found

    def length(self, prompt: int, max_positions: int | None) -> int:
        """Columns of the result, after a prompt of so many.

        Raises:
            ValueError: if nothing would be added, the model lacks the positions, or the least length is greater.
        """
        if self.max_new_tokens is not None:
            length = prompt + self.max_new_tokens
        elif self.max_length is not None:
            length = self.max_length
        else:
            length = min(prompt + 20, max_positions or prompt + 20)
        if length <= prompt:
            raise ValueError(
                f"nothing to generate: the prompt is {prompt} tokens and the result {length}; "
                "raise `max_length` or give `max_new_tokens` of at least 1."
            )
        if max_positions is not None and length > max_positions:
            raise ValueError(
                f"prompt and new tokens are {length} together, more than the model's `max_positions` = "
                f"{max_positions}: shorten the prompt or generate less."
            )
        if self.least_length(prompt) > length:
            raise ValueError(
                f"the result is to be at least {self.least_length(prompt)} and at most {length} tokens: lower "
                "`min_length` or `min_new_tokens`."
            )
        return length

    def least_length(self, prompt: int) -> int:
        """Columns to be filled before end tokens may come."""
        return self.min_length if self.min_new_tokens is None else prompt + self.min_new_tokens

    def decoding(self, length: int, *, assisted: bool = False) -> Decoding:
        """Returns the options that a loop is compiled for; these options include the model's."""
        pad = self.pad_token_id
        # Transformers' beam search takes a padding token of 0 for none.
        if pad is None or (pad == 0 and self.num_beams > 1):
            pad = self.ends[0] if self.ends else 0
        candidates = self.top_k if self.contrastive else self.num_assistant_tokens if assisted else 0
        return Decoding(
            length=length,
            do_sample=self.do_sample,
            top_k=self.top_k if self.do_sample else None,
            eos_token_ids=self.ends,
            pad_token_id=pad,
            num_beams=self.num_beams,
            num_samples=self.num_return_sequences if self.num_beams == 1 else 1,
            early_stopping=self.early_stopping if self.num_beams > 1 else False,
            no_repeat_ngram_size=self.no_repeat_ngram_size,
            bad_words_ids=self.bad_words,
            candidates=candidates or 0,
        )

    def controls(self, prompt: int) -> dict[str, float]:
        """The values, by name, that make a difference and may change without compiling again."""
        neutral = {"repetition_penalty": 1.0}
        if self.do_sample:
            neutral |= {"temperature": 1.0, "top_p": 1.0, "min_p": 0.0}
        if self.num_beams > 1:
            neutral |= {"length_penalty": 1.0}
        if self.contrastive:
            neutral |= {"penalty_alpha": 0.0}
        values = {name: float(getattr(self, name) or 0.0) for name in neutral}
        controls = {name: value for name, value in values.items() if value != neutral[name]}
        if self.ends and self.least_length(prompt) > prompt:
            controls["min_length"] = float(self.least_length(prompt))
        return controls


class GenerateOutput(NamedTuple):
    """The result of `generate` with `return_dict_in_generate`; R is B * num_return_sequences.

    Attributes:
        sequences: int32 `(R, length)`.
        sequences_scores: float32 `(R,)`, of beam search: log-probabilities after the length penalty; None otherwise.
    """

    sequences: Any
    sequences_scores: Any = None
