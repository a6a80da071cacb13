"""Attention layers: multi-head attention and its variants."""
