"""Recipes: data by step number, optimizers, exact resume, language models, fine-tuning."""

from keras_tx.training.batches import ShuffledBatches
from keras_tx.training.character import CharacterText
from keras_tx.training.data import random_blocks, whole_stream
from keras_tx.training.finetune import FineTuning, compile_for_fine_tuning, fine_tune, freeze_layers, layer_scales
from keras_tx.training.language_model import Recipe, compile_language_model, train_language_model
from keras_tx.training.metrics import BitsPerToken, MetricsTable, read_table
from keras_tx.training.optimizer import LayerwiseAdamW, adamw
from keras_tx.training.run import Run
from keras_tx.training.schedules import LinearDecay
from keras_tx.training.state import Interrupted, SaveState, restore_state, save_state

__all__ = [
    "BitsPerToken",
    "CharacterText",
    "FineTuning",
    "Interrupted",
    "LayerwiseAdamW",
    "LinearDecay",
    "MetricsTable",
    "Recipe",
    "Run",
    "SaveState",
    "ShuffledBatches",
    "adamw",
    "compile_for_fine_tuning",
    "compile_language_model",
    "fine_tune",
    "freeze_layers",
    "layer_scales",
    "random_blocks",
    "read_table",
    "restore_state",
    "save_state",
    "train_language_model",
    "whole_stream",
]
