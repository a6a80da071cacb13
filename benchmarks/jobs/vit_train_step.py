"""A training step of ViT-B/16: forward, backward and AdamW: batch 8, 224 x 224."""

from benchmarks.images import VIT

UNIT = "step"
SIDES = dict.fromkeys(VIT.libraries, VIT.train_step)
