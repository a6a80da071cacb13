"""Attention as pure functions: softmax, sparse and linear; masks, positions and caches."""
