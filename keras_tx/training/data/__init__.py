"""Batches by step number, from texts, pairs and images."""
