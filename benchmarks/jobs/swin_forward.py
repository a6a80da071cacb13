"""A forward pass of Swin-T, compiled by XLA where the side is not plain: batch 8, 224 x 224."""

from benchmarks.images import SWIN

UNIT = "batch"
SIDES = dict.fromkeys(SWIN.libraries, SWIN.forward)
