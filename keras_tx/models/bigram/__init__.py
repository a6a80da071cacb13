"""The bigram model."""
