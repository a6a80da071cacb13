"""Beam search, and beam sampling: the likeliest of several continuations kept side by side.

The rules of when a hypothesis counts as finished, and when a search is over, are those of Transformers 5.

Shape letters: B prompts, K beams, N candidates a prompt, V tokens, L columns; the model sees B * K rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from keras_tx.generation.loop import forward, is_end, note_seen, put, read
from keras_tx.generation.processors import process
from keras_tx.generation.rows import repeat_rows, take_rows
from keras_tx.generation.sampling import gumbel, scored, step_seed
from keras_tx.generation.state import DecodeState, Decoding
from keras_tx.generation.stopping import is_stopped
from keras_tx.ops.primitives import write

NEVER = -1e9
"""Added to the score of what shall not be chosen."""


class Hypotheses(NamedTuple):
    """The best finished sequences of each prompt so far, the best first.

    Attributes:
        tokens: `(B, K, L)`.
        scores: `(B, K)`: sums of log-probabilities after the length penalty.
        lengths: `(B, K)` int32: new tokens in each; 0 where there is none yet.
    """

    tokens: Any
    scores: Any
    lengths: Any

    @property
    def found(self):
        """`(B, K)` boolean: where there is one."""
        return self.lengths > 0


class Candidates(NamedTuple):
    """Continuations of the running beams by one token each, the best first.

    Attributes:
        rows: `(B, N)` int32: the beam it continues, of all B * K.
        tokens: `(B, N)` int32: the new token.
        scores: `(B, N)`: the sum of its log-probabilities.
        ended: `(B, N)` boolean: whether it ends there.
    """

    rows: Any
    tokens: Any
    scores: Any
    ended: Any


class BeamState(NamedTuple):
    """The state between two steps.

    Attributes:
        running: of the B * K rows that go on.
        scores: `(B, K)`: the sums of their log-probabilities.
        finished: the sequences that do not.
        improvable: `(B, 1)` boolean: whether a running one can still beat a finished one.
        over: boolean scalar: whether the search is over.
        record: `(B * K, S, V)`, the log-probabilities of each step, with `output_scores`; `()` otherwise.
    """

    running: DecodeState
    scores: Any
    finished: Hypotheses
    improvable: Any
    over: Any
    record: Any


class Found(NamedTuple):
    """The result of a search.

    Attributes:
        best: K hypotheses of each prompt.
        record: `(B * K, S, V)`, the log-probabilities that the tokens of each column were chosen by, after all rules,
            with `output_scores`; `()` otherwise.
        index: int32 scalar, how many columns the search filled.
    """

    best: Hypotheses
    record: Any
    index: Any


def beam_search(
    step: Callable, decoding: Decoding, ids, attention_mask, cache, controls: dict, seed, prompt=None
) -> Found:
    """Continues prompts by the sequences with the highest sum of log-probabilities that beams find.

    Takes what `loop.prefill` takes. Of the controls, `length_penalty` is the power of the number of new tokens that
    the sum is divided by. With `do_sample`, continuations are drawn without replacement.
    """
    logits, running = read(step, decoding, ids, attention_mask, cache, prompt)
    running = note_seen(running, ids, attention_mask, logits.shape[-1], controls)
    logits, running = repeat_rows((logits, running), decoding.num_beams)
    search = _Search(decoding, controls, seed, prompt=running.index)

    def body(*state):
        state = BeamState(*state)
        logits, cache = forward(step, decoding, state.running)
        return tuple(search.advance(state._replace(running=state.running._replace(cache=cache)), logits))

    state = search.advance(search.nothing_found(running, logits), logits)
    state = BeamState(*ops.while_loop(lambda *state: ops.logical_not(BeamState(*state).over), body, tuple(state)))
    return Found(state.finished, state.record, state.running.index)


@dataclasses.dataclass(frozen=True)
class _Search:
    """The rules of one search, whose prompts are `prompt` columns long."""

    decoding: Decoding
    controls: dict
    seed: Any
    prompt: Any

    def nothing_found(self, running: DecodeState, logits) -> BeamState:
        """The state before the first token."""
        tokens = self._split(running.tokens)
        batch, beams, _ = ops.shape(tokens)
        none = ops.full((batch, beams), NEVER, "float32")
        # All beams are the prompt yet: the first one alone counts, or they would stay the same.
        scores = ops.concatenate([ops.zeros((batch, 1)), none[:, 1:]], axis=1)
        finished = Hypotheses(tokens, none, ops.zeros((batch, beams), "int32"))
        record: Any = ()
        if self.decoding.output_scores:
            record = ops.zeros((batch * beams, self.decoding.slots, logits.shape[-1]))
        return BeamState(running, scores, finished, ops.ones((batch, 1), "bool"), ops.zeros((), "bool"), record)

    def advance(self, state: BeamState, logits) -> BeamState:
        """Continues the running beams by a token each, given the logits for it, `(B * K, V)`."""
        log_probs = self._log_probs(state.running, logits)
        record = state.record
        if self.decoding.output_scores:
            record = write(record, log_probs[:, None], state.running.index, axis=1)
        candidates = self._candidates(state, log_probs)
        finished = self._finish(state, candidates)
        running, scores = self._go_on(state.running, candidates)
        improvable = ops.logical_and(state.improvable, self._could_improve(scores, finished, running.index))
        over = ops.logical_or(ops.logical_not(ops.any(improvable)), ops.all(candidates.ended))
        if self.decoding.early_stopping is True:
            over = ops.logical_or(over, ops.all(finished.found))
        return BeamState(running, scores, finished, improvable, over, record)

    def _log_probs(self, running: DecodeState, logits):
        """The log-probabilities of the next tokens after all rules, `(B * K, V)`."""
        log_probs = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
        log_probs = process(log_probs, running, self.decoding, self.controls)
        return scored(log_probs, self.controls, self.decoding, keep=self.decoding.branches)

    def _candidates(self, state: BeamState, log_probs) -> Candidates:
        """The N best, so many that K can go on however many of them end."""
        decoding, running = self.decoding, state.running
        vocab_size = log_probs.shape[-1]
        sums = state.scores[:, :, None] + self._split(log_probs)
        batch, beams, _ = ops.shape(sums)
        sums = ops.reshape(sums, (batch, beams * vocab_size))
        ranks = sums + gumbel(sums, step_seed(self.seed, running.index)) if decoding.do_sample else sums
        places = ops.cast(ops.top_k(ranks, decoding.branches * decoding.num_beams)[1], "int32")
        rows = ops.arange(batch, dtype="int32")[:, None] * beams + places // vocab_size
        tokens = places % vocab_size
        ended = ops.logical_or(is_end(tokens, decoding), running.index + 1 >= decoding.length)
        if decoding.stopping_criteria:
            texts = write(
                ops.take(running.tokens, _merge(rows), axis=0), _merge(tokens)[:, None], running.index, axis=1
            )
            stopped = is_stopped(texts, running.index + 1, decoding)
            ended = ops.logical_or(ended, ops.reshape(stopped, ops.shape(ended)))
        return Candidates(rows, tokens, ops.take_along_axis(sums, places, axis=1), ended)

    def _go_on(self, running: DecodeState, candidates: Candidates) -> tuple[DecodeState, Any]:
        """The K best candidates that have not ended, as the running beams, and their scores."""
        scores = candidates.scores + NEVER * ops.cast(candidates.ended, "float32")
        scores, best = ops.top_k(scores, self.decoding.num_beams)
        rows, tokens = (_merge(ops.take_along_axis(x, best, axis=1)) for x in (candidates.rows, candidates.tokens))
        return put(take_rows(running, rows), tokens), scores

    def _finish(self, state: BeamState, candidates: Candidates) -> Hypotheses:
        """The K best of the finished sequences and of the candidates that end now and are among the first K."""
        beams, index = self.decoding.num_beams, state.running.index
        first = ops.arange(candidates.rows.shape[1]) < beams
        new = ops.logical_and(candidates.ended, first)
        barred = [ops.logical_not(new), ops.logical_not(state.improvable)]
        if self.decoding.early_stopping is True:
            barred.append(ops.all(state.finished.found, axis=1, keepdims=True))
        scores = self._penalized(candidates.scores, index + 1)
        for bar in barred:
            scores = scores + NEVER * ops.cast(bar, "float32")
        tokens = ops.take(state.running.tokens, candidates.rows, axis=0)
        tokens = write(tokens, candidates.tokens[:, :, None], index, axis=2)
        lengths = ops.where(new, index + 1 - self.prompt, 0)
        pairs = zip(state.finished, (tokens, scores, lengths), strict=True)
        tokens, scores, lengths = (ops.concatenate(pair, axis=1) for pair in pairs)
        scores, best = ops.top_k(scores, beams)
        tokens = ops.take_along_axis(tokens, best[:, :, None], axis=1)
        return Hypotheses(tokens, scores, ops.take_along_axis(lengths, best, axis=1))

    def _could_improve(self, scores, finished: Hypotheses, index):
        """`(B, 1)` boolean: whether the best running beam could still beat the worst finished one.

        What it could reach is its score at the length it has, though with `early_stopping="never"` and a penalty that
        favours long sequences, at the greatest length.
        """
        best = self._penalized(scores[:, :1], index)
        if self.decoding.early_stopping == "never":
            favours_long = self.controls.get("length_penalty", 1.0) > 0.0
            best = ops.where(favours_long, self._penalized(scores[:, :1], self.decoding.length), best)
        worst = ops.where(finished.found, ops.min(finished.scores, axis=1, keepdims=True), NEVER)
        return ops.any(best > worst, axis=1, keepdims=True)

    def _penalized(self, scores, length):
        """Scores divided by the power of the number of new tokens, for sequences of this length."""
        tokens = ops.cast(length - self.prompt, "float32")
        if "length_penalty" in self.controls:
            tokens = tokens ** self.controls["length_penalty"]
        return scores / tokens

    def _split(self, x):
        """`(B * K, ...)` to `(B, K, ...)`."""
        return ops.reshape(x, (-1, self.decoding.num_beams, *ops.shape(x)[1:]))


def _merge(x):
    """`(B, N, ...)` to `(B * N, ...)`."""
    return ops.reshape(x, (-1, *ops.shape(x)[2:]))
