"""The sizes that loops are compiled for, in few steps, so that prompts and results of many sizes share a program.

The token buffer and the cache have as many columns as a power of two, or half as many again. A prompt lies at the start
of the buffer, and is read some columns at a time until its own end; padding of the last columns read leaves no trace,
since the next tokens are written over it. How long prompt and result are is a run-time number.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_tx.generation.request import Prompts
from keras_tx.generation.state import Decoding

LEAST = 128
"""The fewest columns."""
LEAST_SOURCE = 64
"""The fewest columns of a source, which an encoder reads whole."""
CHUNKS = 4
"""The most parts that the columns are divided into for reading."""
LEAST_ROWS = 96
"""The fewest rows, of all prompts together, that a pass reads: fewer take as long, for it reads all weights, too."""
SHARE = 10
"""A batch is filled up by less than one row in so many, which costs less than that share of the time."""


class Extent(NamedTuple):
    """The sizes that a program is told as it runs, int32 scalars.

    Attributes:
        prompt: how many columns the decoder begins with, P.
        length: how many columns there are in the end at most, L.
    """

    prompt: Any
    length: Any


def of_buckets(decoding: Decoding, model: Any, rows: int, prompt: int, positions: int | None) -> Decoding:
    """Returns the options with the bucket's sizes in place of the length.

    Args:
        decoding: the options with the length that is wanted.
        model: whose loop it is.
        rows: of prompts.
        prompt: columns that the decoder begins with. The start token of an encoder-decoder is read as it is.
        positions: that the models have; None if there is no limit.
    """
    columns = power_of_two(int(decoding.slots))
    if model.reads_prompt and 3 * columns // 4 >= max(decoding.slots, LEAST):
        columns = 3 * columns // 4
    chunk = columns // min(CHUNKS, 2 ** (max(1, columns * rows // LEAST_ROWS).bit_length() - 1))
    if positions is not None:
        chunk = min(chunk, positions)
        columns = min(columns, multiple(positions + decoding.candidates, chunk))
    return dataclasses.replace(
        decoding,
        length=None,
        columns=multiple(columns, chunk),
        chunk=chunk if model.reads_prompt or prompt > 1 else None,
        vocab_size=model.config.vocab_size,
        width=model.backbone.width,
    )


def filled_up(prompts: Prompts, decoding: Decoding, columns: int) -> Prompts:
    """Returns prompts with padding after them and the last row again below them.

    Args:
        prompts: of NumPy.
        decoding: with the bucket's sizes.
        columns: of the ids in the end.
    """
    rows, decoder = rows_of_buckets(len(prompts.ids), decoding), prompts.decoder
    pad = decoding.pad_token_id if decoder is None else 0
    ids, mask = _filled(prompts.ids, rows, columns, pad), _filled(prompts.mask, rows, columns, 0)
    if decoder is not None:
        begun = decoder[0].shape[1] if decoding.chunk is None else decoding.slots
        pads = (decoding.pad_token_id, 0)
        decoder = tuple(_filled(x, rows, begun, pad) for x, pad in zip(decoder, pads, strict=True))
    return Prompts(ids, mask, decoder)


def _filled(x: np.ndarray, rows: int, columns: int, value: int):
    """`(B, P)` as an int32 tensor `(rows, columns)`."""
    x = np.pad(x, ((0, 0), (0, columns - x.shape[1])), constant_values=value)
    return ops.convert_to_tensor(np.pad(x, ((0, rows - len(x)), (0, 0)), mode="edge"), "int32")


def rows_of_buckets(rows: int, decoding: Decoding) -> int:
    """Returns to how many rows a batch is filled up: at most a tenth more.

    It stays as it is where rows count: draws depend on how many there are, and rules of the user's may know them.
    """
    rules = decoding.prefix_allowed_tokens_fn, *decoding.logits_processor, *decoding.stopping_criteria
    if decoding.do_sample or any(rules):
        return rows
    return multiple(rows, 2 ** (int(rows / SHARE + 1).bit_length() - 1))


def power_of_two(count: int, least: int = LEAST) -> int:
    """Returns the smallest power of two that is at least `count` and `least`."""
    return max(least, 2 ** (count - 1).bit_length())


def multiple(count: int, of: int) -> int:
    """Returns the smallest multiple of `of` that is at least `count`."""
    return (count + of - 1) // of * of
