"""Text as it is generated, in whole characters."""

from __future__ import annotations

from typing import Any

import numpy as np

CUT = "\ufffd"
"""What a tokenizer shows for bytes that are no character, such as half of one."""


class TextStreamer:
    """Shows the text of tokens as they come: `generate(..., streamer=TextStreamer(tokenizer))`.

    A character of several tokens is shown when the last of them has come. By itself: `put` and `end` return the text
    that they show.

    Args:
        tokenizer: has `decode`.
        skip_prompt: leave the prompt out.
        skip_special_tokens: leave special tokens out.
    """

    def __init__(self, tokenizer: Any, *, skip_prompt: bool = False, skip_special_tokens: bool = False):
        self.tokenizer = tokenizer
        self.skip_prompt = skip_prompt
        self.skip_special_tokens = skip_special_tokens
        self._at_prompt = True
        self._clear()

    def put(self, value) -> str:
        """Takes the prompt, and then the tokens that follow, `(n,)` or `(1, n)`; returns the text that they complete.

        Raises:
            ValueError: for more than one row.
        """
        ids = np.asarray(value)
        if ids.ndim > 1 and len(ids) > 1:
            raise ValueError(f"a TextStreamer shows one row; got {len(ids)}: generate from one prompt.")
        is_prompt, self._at_prompt = self._at_prompt, False
        known = ids.ravel() < self.tokenizer.vocab_size  # a model may have more tokens than its tokenizer
        self._ids += ids.ravel()[known].tolist()
        if is_prompt and self.skip_prompt:
            self._shown = len(self._ids)
            return ""
        text = self._text(self._ids)
        return "" if text.endswith(CUT) else self._show(text)

    def end(self) -> str:
        """Ends the text; returns what was still held back."""
        rest = self._show(self._text(self._ids), stream_end=True)
        self._clear()
        return rest

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Prints a piece of text; subclasses may do something else with it."""
        print(text, end="\n" if stream_end else "", flush=True)

    def _clear(self) -> None:
        self._ids: list[int] = []
        """The tokens to decode: those that the text shown last is of, since a token's text may depend on the one
        before it, and those after."""
        self._shown = 0
        """How many of them are shown."""
        self._at_prompt = True

    def _show(self, text: str, stream_end: bool = False) -> str:
        before = self._text(self._ids[: self._shown])
        new = text[len(before.rstrip(CUT)) :]
        if new and not before.endswith(CUT):  # what is left begins with a whole character
            self._ids = self._ids[self._shown :]
        self._shown = len(self._ids)
        self.on_finalized_text(new, stream_end)
        return new

    def _text(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=self.skip_special_tokens)
