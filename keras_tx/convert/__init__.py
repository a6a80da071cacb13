"""Checkpoints in and out: a two-way table a family, and the engine that reads and writes by it."""

from keras_tx.convert.account import Account, account, match, over_layers
from keras_tx.convert.directory import GENERATION_CONFIG, CheckpointDirectory
from keras_tx.convert.effective import Source, effective_weights
from keras_tx.convert.family import Family, Head, Setting, choose, kind
from keras_tx.convert.hub import locate
from keras_tx.convert.load import Progress, load
from keras_tx.convert.preprocessing import (
    PREPROCESSOR,
    as_timm,
    as_transformers,
    preprocessing_at_size,
    read_preprocessing,
)
from keras_tx.convert.save import sources, write_directory
from keras_tx.convert.table import Rule
from keras_tx.convert.tensors import Tensor

__all__ = [
    "GENERATION_CONFIG",
    "PREPROCESSOR",
    "Account",
    "CheckpointDirectory",
    "Family",
    "Head",
    "Progress",
    "Rule",
    "Setting",
    "Source",
    "Tensor",
    "account",
    "as_timm",
    "as_transformers",
    "choose",
    "effective_weights",
    "kind",
    "load",
    "locate",
    "match",
    "over_layers",
    "preprocessing_at_size",
    "read_preprocessing",
    "sources",
    "write_directory",
]
