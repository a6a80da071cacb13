"""Checkpoints in and out: a two-way table a family, and the engine that reads and writes by it."""

from keras_tx.convert.account import Account, account, match, over_layers
from keras_tx.convert.directory import CheckpointDirectory
from keras_tx.convert.family import Family, Head, Setting, choose
from keras_tx.convert.hub import locate
from keras_tx.convert.load import filling
from keras_tx.convert.save import sources, write_directory
from keras_tx.convert.table import Rule

__all__ = [
    "Account",
    "CheckpointDirectory",
    "Family",
    "Head",
    "Rule",
    "Setting",
    "account",
    "choose",
    "filling",
    "locate",
    "match",
    "over_layers",
    "sources",
    "write_directory",
]
