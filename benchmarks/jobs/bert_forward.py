"""A forward pass of BERT base as a classifier, compiled by XLA where the side is not plain: batch 8, length 128."""

from benchmarks.bert import forward

UNIT = "batch"
SIDES = dict.fromkeys(("keras_tx", "keras_hub", "transformers"), forward)
