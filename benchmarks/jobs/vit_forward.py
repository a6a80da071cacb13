"""A forward pass of ViT-B/16, compiled by XLA where the side is not plain: batch 8, 224 x 224."""

from benchmarks.images import VIT

UNIT = "batch"
SIDES = dict.fromkeys(VIT.libraries, VIT.forward)
