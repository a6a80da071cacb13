"""What the families share: configs, heads, pretrained, the registry."""
