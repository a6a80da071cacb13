"""RoBERTa: BERT but for its positions, its heads' details and its checkpoints."""

EXTENDS = ("bert",)
