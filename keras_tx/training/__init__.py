"""Recipes: data by step number, optimizers, exact resume, language models."""

from keras_tx.training.character import CharacterText
from keras_tx.training.data import random_blocks, whole_stream
from keras_tx.training.language_model import Recipe, compile_language_model, train_language_model
from keras_tx.training.metrics import BitsPerToken, MetricsTable, read_table
from keras_tx.training.optimizer import adamw
from keras_tx.training.run import Run
from keras_tx.training.state import Interrupted, SaveState, restore_state, save_state

__all__ = [
    "BitsPerToken",
    "CharacterText",
    "Interrupted",
    "MetricsTable",
    "Recipe",
    "Run",
    "SaveState",
    "adamw",
    "compile_language_model",
    "random_blocks",
    "read_table",
    "restore_state",
    "save_state",
    "train_language_model",
    "whole_stream",
]
