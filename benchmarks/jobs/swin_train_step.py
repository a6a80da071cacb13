"""A training step of Swin-T: forward, backward and AdamW: batch 8, 224 x 224."""

from benchmarks.images import SWIN

UNIT = "step"
SIDES = dict.fromkeys(SWIN.libraries, SWIN.train_step)
