"""The Vision Transformer, DeiT and their relatives."""
