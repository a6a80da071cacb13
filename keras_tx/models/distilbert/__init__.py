"""DistilBERT: BERT without token types and pooler, half as deep, and its heads."""

EXTENDS = ("bert",)
