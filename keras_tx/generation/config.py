"""The options of `generate`, under Transformers' names, with its defaults and its meaning."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from keras import ops

from keras_tx.generation.defaults import DEFAULTS, LACKING, RANGES, RANGES_OF_DRAWS, SPECIAL_TOKENS
from keras_tx.generation.state import Decoding


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """The options of `generate`. Those that belong to a method not chosen make no difference.

    Where Transformers 4.57 and 5.23 differ the meaning is 5.23's. So is that of None: in a config it is an option not
    given, for which the model's `generation_config`, then its config, then `DEFAULTS` stand; given to `generate` by
    itself it switches the option off. `generate(eos_token_id=None)` ends at no token, whatever the model's config says.

    Raises:
        ValueError: for an option out of range.
    """

    max_length: int | None = None
    """Tokens of prompt and continuation together, if `max_new_tokens` is not given."""
    max_new_tokens: int | None = None
    """Tokens to add at most; 20, or as many as the model has positions for, if neither length is given."""
    min_length: int | None = None
    """End tokens do not come before prompt and continuation have this length, if `min_new_tokens` is not given."""
    min_new_tokens: int | None = None
    """End tokens do not come before so many other tokens."""
    do_sample: bool | None = None
    """Draw tokens; otherwise take the likeliest."""
    num_beams: int | None = None
    """Sequences kept side by side; more than 1 is beam search, or with `do_sample` beam sampling."""
    num_return_sequences: int | None = None
    """Continuations of each prompt: the best beams, or independent draws."""
    length_penalty: float | None = None
    """Beams are compared by log-probability divided by this power of their length: above 0 favours long ones."""
    early_stopping: bool | Literal["never"] | None = None
    """True ends a beam search as soon as there are `num_beams` finished sequences, "never" when none can improve,
    False when none seems likely to."""
    temperature: float | None = None
    """Divides the logits when drawing."""
    top_k: int | None = None
    """Draw from this many of the likeliest tokens, 0 for all; in contrastive search, compare so many."""
    top_p: float | None = None
    """Draw from the likeliest tokens that together reach this probability."""
    min_p: float | None = None
    """Do not draw tokens less likely than this share of the likeliest."""
    typical_p: float | None = None
    """Draw from the tokens nearest in surprise to what is expected that together reach this probability."""
    epsilon_cutoff: float | None = None
    """Do not draw tokens of less than this probability."""
    eta_cutoff: float | None = None
    """Do not draw tokens of less than this probability, or of less than its root where all tokens are unlikely."""
    repetition_penalty: float | None = None
    """The penalty of tokens that occurred: above 1 makes them less likely."""
    no_repeat_ngram_size: int | None = None
    """Runs of so many tokens occur once, in prompt and continuation together; 0 for no such rule."""
    bad_words_ids: Sequence[Sequence[int]] | None = None
    """Runs of tokens that must not come."""
    sequence_bias: Mapping[Sequence[int], float] | Sequence[tuple[Sequence[int], float]] | None = None
    """Runs of tokens, and what is added to the logits of their last tokens where the others have just come."""
    suppress_tokens: Sequence[int] | None = None
    """Tokens that must not come."""
    begin_suppress_tokens: Sequence[int] | None = None
    """Tokens that must not come first."""
    forced_bos_token_id: int | None = None
    """The first new token, after a prompt of one: the target's language, say."""
    forced_eos_token_id: int | Sequence[int] | None = None
    """A token, or several, of which one comes last where the greatest length is reached."""
    exponential_decay_length_penalty: tuple[int, float] | None = None
    """After so many new tokens, end tokens become likelier, by this factor to the power of the tokens since."""
    renormalize_logits: bool | None = None
    """Make the probabilities sum to 1 again after all rules."""
    stop_strings: str | Sequence[str] | None = None
    """Texts that end a row when they have come; with `tokenizer` given to `generate`."""
    penalty_alpha: float | None = None
    """Contrastive search (Su et al. 2022): the weight of the likeness to tokens before against the probability."""
    num_assistant_tokens: int | None = None
    """Tokens the assistant drafts at a time, always; Transformers starts at 20 and may stop each draft early."""
    bos_token_id: int | None = None
    """The token that a text begins with if there is no prompt."""
    eos_token_id: int | Sequence[int] | None = None
    """A token, or several, that end a row; none at all if empty."""
    pad_token_id: int | None = None
    """The token that fills a row after its end; the first end token if there is none."""
    decoder_start_token_id: int | Sequence[int] | None = None
    """The token that the decoder of an encoder-decoder begins with, or one for each row."""
    return_dict_in_generate: bool | None = None
    """Return a `GenerateOutput`."""
    output_scores: bool | None = None
    """With `return_dict_in_generate`, the `scores` of each step too."""

    def __post_init__(self):
        for name, allowed, valid in RANGES:
            value = getattr(self, name)
            if value is not None and not valid(value):
                raise ValueError(f"`{name}` must be {allowed}; got {value}.")

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> tuple[Self, list[str]]:
        """Returns the options of a `generation_config.json`, and the names of those there that `generate` lacks.

        Options that make no difference, as `use_cache`, are not among these.

        Raises:
            ValueError: for an option out of range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        given = {name: value for name, value in content.items() if value is not None}
        lacking = [
            f"{name}={value!r}"
            for name, value in given.items()
            if name in LACKING and value != LACKING[name] and value is not False
        ]
        return cls(**{name: value for name, value in given.items() if name in known}), lacking

    def to_dict(self) -> dict[str, Any]:
        """Returns the options that are given, as JSON has them."""
        given = {name: value for name, value in dataclasses.asdict(self).items() if value is not None}
        if self.sequence_bias is not None:
            given["sequence_bias"] = [[list(run), bias] for run, bias in self.biases]
        return given

    def replace(self, **options: Any) -> Self:
        """A copy with other values of some options.

        Raises:
            TypeError: for an option that there is not; the message says which there are.
            ValueError: for a value out of range.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in options:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean `{near[0]}`? " if near else ""
                raise TypeError(f"there is no option `{name}`: {hint}The options are {', '.join(known)}.")
        return dataclasses.replace(self, **options)

    @property
    def beams(self) -> int:
        """`num_beams`, 1 where it is not given."""
        return self.num_beams or 1

    @property
    def contrastive(self) -> bool:
        """Whether this is contrastive search."""
        return bool(self.penalty_alpha) and (self.top_k or 0) > 1

    @property
    def ends(self) -> tuple[int, ...]:
        """The end tokens."""
        return _tokens(self.eos_token_id)

    @property
    def bad_words(self) -> tuple[tuple[int, ...], ...]:
        """`bad_words_ids` without end tokens, which as Transformers has it are not to be forbidden so."""
        words = (tuple(map(int, word)) for word in self.bad_words_ids or ())
        return tuple(word for word in words if word not in {(end,) for end in self.ends})

    @property
    def biases(self) -> tuple[tuple[tuple[int, ...], float], ...]:
        """`sequence_bias` as pairs of a run and a number."""
        given = self.sequence_bias or ()
        pairs = given.items() if isinstance(given, Mapping) else given
        return tuple((tuple(map(int, run)), float(bias)) for run, bias in pairs)

    def resolved(self, model_config: Any, defaults: GenerationConfig | None = None, **options: Any) -> Self:
        """Returns the options that count: these, then the model's, then those of `DEFAULTS`.

        Args:
            model_config: the model's, whose special tokens and `vocab_size` count.
            defaults: the model's `generation_config`, which stands before its config.
            options: fields in place of all that; None switches one off.

        Raises:
            TypeError: for an option that there is not.
            ValueError: for options out of range or that exclude each other, and rules on tokens outside the model's
                vocabulary. End tokens there just never come.
        """
        fields = dataclasses.asdict(model_config)
        tokens = {name: fields.get(name) for name in SPECIAL_TOKENS}
        found: dict[str, Any] = {**DEFAULTS, **tokens}
        for config in (defaults, self):
            given = {} if config is None else vars(config)
            found |= {name: value for name, value in given.items() if value is not None}
        off = {name: DEFAULTS.get(name) for name, value in options.items() if value is None} | {"top_k": None}
        self.replace(**options)  # names and ranges
        found |= {name: off[name] if value is None else value for name, value in options.items()}
        if found["top_k"]:
            found["top_k"] = min(found["top_k"], model_config.vocab_size)
        config = dataclasses.replace(self, **found)
        config._require_compatible()
        config._require_known_tokens(model_config.vocab_size)
        return config

    def _require_compatible(self) -> None:
        """Raises ValueError for options that exclude each other; these include the defaults."""
        beams, copies = self.beams, self.num_return_sequences or 1
        if self.do_sample:
            for name, allowed, valid in RANGES_OF_DRAWS:
                value = getattr(self, name)
                if value is not None and not valid(value):
                    raise ValueError(f"`{name}` must be {allowed} with `do_sample`; got {value}.")
        if copies > beams > 1:
            raise ValueError(
                f"`num_return_sequences` = {copies} is more than `num_beams` = {beams}: raise `num_beams`."
            )
        if copies > 1 and beams == 1 and not self.do_sample:
            raise ValueError(
                "`num_return_sequences` above 1 needs beams or draws, or all would be the same: give `num_beams`, or "
                "`do_sample=True`."
            )
        if self.contrastive and (beams > 1 or self.do_sample):
            raise ValueError(
                "`penalty_alpha` is for contrastive search, which takes neither `num_beams` nor `do_sample`."
            )
        if self.output_scores and self.contrastive:
            raise ValueError("contrastive search gives no scores: leave out `output_scores`.")

    def _require_known_tokens(self, vocab_size: int) -> None:
        """Raises ValueError for rules on tokens outside the vocabulary."""
        runs = {
            "bad_words_ids": self.bad_words,
            "sequence_bias": [run for run, _ in self.biases],
            "suppress_tokens": [_tokens(self.suppress_tokens)],
            "begin_suppress_tokens": [_tokens(self.begin_suppress_tokens)],
            "forced_bos_token_id": [_tokens(self.forced_bos_token_id)],
            "forced_eos_token_id": [_tokens(self.forced_eos_token_id)],
        }
        for name, words in runs.items():
            for word in words:
                if not all(0 <= token < vocab_size for token in word):
                    raise ValueError(f"`{name}` holds {word}, outside the vocabulary of {vocab_size} tokens.")

    def length(self, prompt: Any, max_positions: int | None) -> Any:
        """Columns of the result, after a prompt of so many; where that is a tensor, this is one, and nothing checked.

        Raises:
            ValueError: if nothing would be added, the model lacks the positions, or the least length is greater.
        """
        known = isinstance(prompt, int)
        if self.max_new_tokens is not None:
            length = prompt + self.max_new_tokens
        elif self.max_length is not None:
            length = self.max_length
        else:
            length = prompt + 20
            if max_positions is not None:
                length = min(length, max_positions) if known else ops.minimum(length, max_positions)
        if not known:
            return ops.convert_to_tensor(length, "int32")
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

    def least_length(self, prompt: Any) -> Any:
        """Columns to be filled before end tokens may come."""
        return (self.min_length or 0) if self.min_new_tokens is None else prompt + self.min_new_tokens

    def decoding(self, length: Any, *, assisted: bool = False) -> Decoding:
        """Returns the options that a loop is compiled for; these options include the model's."""
        pad, beams = self.pad_token_id, self.beams
        # Transformers' beam search takes a padding token of 0 for none.
        if pad is None or (pad == 0 and beams > 1):
            pad = self.ends[0] if self.ends else 0
        candidates = self.top_k if self.contrastive else self.num_assistant_tokens if assisted else 0
        return Decoding(
            length=length,
            do_sample=bool(self.do_sample),
            top_k=self.top_k if self.do_sample else None,
            eos_token_ids=self.ends,
            pad_token_id=pad,
            num_beams=beams,
            num_samples=(self.num_return_sequences or 1) if beams == 1 else 1,
            early_stopping=self.early_stopping or False if beams > 1 else False,
            no_repeat_ngram_size=self.no_repeat_ngram_size or 0,
            bad_words_ids=self.bad_words,
            candidates=candidates or 0,
            sequence_bias=self.biases,
            suppress_tokens=_tokens(self.suppress_tokens),
            begin_suppress_tokens=_tokens(self.begin_suppress_tokens),
            forced_bos_token_ids=_tokens(self.forced_bos_token_id),
            forced_eos_token_ids=_tokens(self.forced_eos_token_id),
            renormalize_logits=bool(self.renormalize_logits),
            output_scores=bool(self.output_scores and self.return_dict_in_generate),
        )

    def controls(self, prompt: Any, length: Any) -> dict[str, Any]:
        """The values, by name, that make a difference and may change without compiling again.

        Args:
            prompt: columns of the prompt.
            length: columns of the result.
        """
        neutral = {"repetition_penalty": 1.0}
        if self.do_sample:
            neutral |= {"temperature": 1.0, "top_p": 1.0, "min_p": 0.0}
            neutral |= {"typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0}
        if self.beams > 1:
            neutral |= {"length_penalty": 1.0}
        if self.contrastive:
            neutral |= {"penalty_alpha": 0.0}
        values = {name: getattr(self, name) for name in neutral}
        controls = {name: x for name, x in values.items() if x is not None and x != neutral[name]}
        if self.ends and self.least_length(0):
            controls["min_length"] = self.least_length(prompt)
        if self.forced_bos_token_id is not None:
            controls["forced_bos"] = 1
        if self.forced_eos_token_id is not None:
            controls["forced_eos"] = length - 1
        if self.begin_suppress_tokens:
            controls["begin"] = prompt
            if self.forced_bos_token_id is not None:  # after a prompt of one token the first is that
                controls["begin"] = ops.where(prompt > 1, prompt, prompt + 1)
        if self.exponential_decay_length_penalty and self.ends:
            start, factor = self.exponential_decay_length_penalty
            controls |= {"decay_start": prompt + start, "decay_factor": factor}
        return controls


def _tokens(given: int | Sequence[int] | None) -> tuple[int, ...]:
    """A token, or several, as a tuple."""
    return () if given is None else tuple(np.atleast_1d(given).astype(int).tolist())


class GenerateOutput(NamedTuple):
    """The result of `generate` with `return_dict_in_generate`; R is B * num_return_sequences.

    Attributes:
        sequences: int32 `(R, length)`.
        sequences_scores: float32 `(R,)`, of beam search: log-probabilities after the length penalty; None otherwise.
        scores: with `output_scores`, the logits that each new token was chosen by, after all rules: float32 `(R, V)`
            each, -inf for tokens that must not come. Of beam search they are log-probabilities, and those of all
            beams, `(B * num_beams, V)`.
    """

    sequences: Any
    sequences_scores: Any = None
    scores: tuple[Any, ...] | None = None
