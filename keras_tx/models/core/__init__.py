"""The parts that all families share: configs, backbones, heads, `from_pretrained`, the registry."""
