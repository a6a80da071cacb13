"""The encoder-decoder of "Attention Is All You Need"."""
