"""Exact resume of interrupted training."""
