"""The base classes of tokenizers, and the templates, rows and files that they have in common."""
