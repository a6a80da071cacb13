"""T5 and its version 1.1."""
