"""Metrics of texts, tokens and boxes."""
