"""Marks: negative numbers among the code points of a text, for tokens found already and for bytes that are not UTF-8.

Tokens are numbered from 0 on, and bytes after the tokens. The functions work on numbers, arrays and tensors alike.
"""

from __future__ import annotations


def token_mark(id):
    """The mark of a token."""
    return ~id


def byte_mark(byte, tokens: int):
    """The mark of a byte that is not UTF-8, in a vocabulary of so many tokens."""
    return ~(tokens + byte)


def is_mark(points):
    """Whether a number is a mark, and not a code point."""
    return points < 0


def is_token(points, tokens: int):
    """Whether a number is the mark of a token, in a vocabulary of so many."""
    return (points < 0) & (points >= -tokens)


def number_of(marks):
    """The ids of marked tokens; of marked bytes, the number of tokens and the byte."""
    return ~marks
