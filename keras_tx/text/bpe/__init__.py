"""Byte-level BPE, as GPT-2 has it."""
