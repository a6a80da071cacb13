"""How vocabularies of bytes write them."""

from __future__ import annotations


def byte_characters() -> str:
    """The printable characters by which vocabularies write the bytes 0 to 255."""
    plain = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = (chr(256 + i) for i in range(256))
    return "".join(chr(byte) if byte in plain else next(others) for byte in range(256))
