"""The algorithms below the tokenizers, in TensorFlow's graph."""
