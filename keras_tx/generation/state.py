"""The options that a decode loop is compiled for, and the state that it carries from step to step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, NamedTuple


@dataclasses.dataclass(frozen=True)
class Decoding:
    """The options that a loop is compiled for.

    Attributes:
        length: columns of the result, L: the prompt's and the new tokens'. A scalar tensor where a graph is traced for
            any length; None in the options of a program that is told when it runs.
        do_sample: draw tokens, or take the likeliest.
        top_k: draw from this many of the likeliest; None or 0 for all.
        eos_token_ids: tokens that end a row.
        pad_token_id: what follows them.
        num_samples: draws of each prompt, side by side.
        num_beams: more than 1 for beam search.
        early_stopping: as in `GenerationConfig`.
        no_repeat_ngram_size: runs of so many tokens occur once; 0 for no such rule.
        padding_repeats: whether padding counts among these runs, as in Transformers.
        bad_words_ids: runs of tokens that must not occur.
        candidates: tokens tried at a time, C: drafted, or by contrastive search. The buffers are as much wider.
        sequence_bias: runs of tokens, and what is added to the logits of their last tokens.
        suppress_tokens, begin_suppress_tokens: tokens that must not come, or not first.
        forced_bos_token_ids, forced_eos_token_ids: tokens that come first, and last.
        renormalize_logits: make the probabilities sum to 1 after all rules.
        output_scores: keep the logits that each token is chosen by.
        prefix_allowed_tokens_fn, logits_processor, stopping_criteria: the user's own rules, as `generate` takes them.
        columns: of the buffers, where they are not as many as are needed.
        chunk: columns of the prompt that are read at a time; None for all at once.
        vocab_size, width: of the logits and the hidden states, where a prompt is read in chunks.
    """

    length: Any
    do_sample: bool = False
    top_k: int | None = None
    eos_token_ids: tuple[int, ...] = ()
    pad_token_id: int = 0
    num_samples: int = 1
    num_beams: int = 1
    early_stopping: bool | Literal["never"] = False
    no_repeat_ngram_size: int = 0
    padding_repeats: bool = True
    bad_words_ids: tuple[tuple[int, ...], ...] = ()
    candidates: int = 0
    sequence_bias: tuple[tuple[tuple[int, ...], float], ...] = ()
    suppress_tokens: tuple[int, ...] = ()
    begin_suppress_tokens: tuple[int, ...] = ()
    forced_bos_token_ids: tuple[int, ...] = ()
    forced_eos_token_ids: tuple[int, ...] = ()
    renormalize_logits: bool = False
    output_scores: bool = False
    prefix_allowed_tokens_fn: Callable[[Any, Any], Any] | None = None
    logits_processor: tuple[Callable[[Any, Any], Any], ...] = ()
    stopping_criteria: tuple[Callable[[Any, Any], Any], ...] = ()
    columns: int | None = None
    chunk: int | None = None
    vocab_size: int = 0
    width: int = 0

    @property
    def slots(self) -> Any:
        """Columns of the token buffer, and slots of the cache, S: at least L + C."""
        return self.length + self.candidates if self.columns is None else self.columns

    @property
    def branches(self) -> int:
        """Tokens that beam search compares a beam: one that is no end is always among them."""
        return max(2, 1 + len(self.eos_token_ids))


class DecodeState(NamedTuple):
    """The state between two steps.

    Attributes:
        tokens: `(B, S)` int32: prompt, new tokens, padding.
        valid: `(B, S)` boolean: the columns that hold tokens to look at.
        index: int32 scalar, how many columns are filled.
        finished: `(B,)` boolean: rows that met an end token.
        seen: `(B, V)` boolean, the tokens so far, if there is a repetition penalty; `()` otherwise.
        cache: the model's cache; for some strategies, with more beside it.
        scores: `(B, S, V)`, the logits that each column's token was chosen by, with `output_scores`; `()` otherwise.
    """

    tokens: Any
    valid: Any
    index: Any
    finished: Any
    seen: Any
    cache: Any
    scores: Any = ()
