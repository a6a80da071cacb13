"""A training step of BERT base as a classifier: forward, backward and AdamW, with dropout: batch 8, length 128."""

from benchmarks.bert import train_step

UNIT = "step"
SIDES = dict.fromkeys(("keras_tx", "keras_hub", "transformers"), train_step)
