"""Generation past the model's positions: when they are used up, the last half of them is read anew."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_tx.generation.request import asked


def window_size(max_positions: int | None) -> int:
    """Returns how many tokens are read at a time; the positions after them are for new tokens.

    Raises:
        ValueError: for fewer than two positions.
    """
    if max_positions is None or max_positions < 2:
        raise ValueError(f"rolling generation needs `max_positions` of at least 2; the model has {max_positions}.")
    return max_positions // 2


def last_window(ids, attention_mask, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The last `size` columns of prompts padded on the left, filled up on the left if there are fewer.

    Args:
        ids: `(B, P)`.
        attention_mask: `(B, P)`, 0 at padding.
        size: columns wanted.

    Returns:
        Both, int32 `(B, size)`.
    """
    short = max(size - ids.shape[1], 0)
    window = [np.pad(np.asarray(x, "int32"), ((0, 0), (short, 0)))[:, -size:] for x in (ids, attention_mask)]
    return window[0], window[1]


def stream_rolling(
    model, input_ids, *, attention_mask=None, max_new_tokens: int, seed: int = 0, chunk: int = 1, **options
) -> Iterator[np.ndarray]:
    """Streams any number of new tokens, as `model.stream` does within the model's positions.

    The first window holds the end of the prompt. Each time all positions are used, the last half of them becomes the
    next window, so a token is always drawn from between a half and all of the positions. When an end token has come in
    every row of a window, that is the end.

    Args:
        model: has `stream`, and positions up to `config.max_positions`.
        input_ids: prompts, `(B, P)`, padded on the left if at all.
        attention_mask: `(B, P)`, 0 at padding.
        max_new_tokens: how many tokens to add.
        seed: makes the draws repeatable; each window has a seed of its own.
        chunk: tokens at a time, at most.
        options: the others of `generate`.

    Yields:
        New tokens, int32 `(B, n)`.
    """
    ids = np.asarray(input_ids, "int32")
    mask = np.ones_like(ids) if attention_mask is None else np.asarray(attention_mask, "int32")
    size = window_size(model.config.max_positions)
    room = model.config.max_positions - size
    ends = asked(model, ids, mask, **options).config.ends
    for turn, left in enumerate(range(max_new_tokens, 0, -room)):
        begun = ids.shape[1]
        window, seen = last_window(ids, mask, size)
        draws = {"seed": (seed + turn) % 2**32, "max_new_tokens": room, "chunk": chunk}
        for new in model.stream(window, attention_mask=seen, **draws, **options):
            new = new[:, :left]
            left -= new.shape[1]
            ids = np.concatenate([ids, new], axis=1)
            mask = np.concatenate([mask, np.ones_like(new)], axis=1)
            yield new
            if not left:
                return
        if np.isin(ids[:, begun:], ends).any(axis=1).all():
            return
