"""What the examples `bert_*.py` fine-tune: a checkpoint, or a small BERT that knows nothing yet."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import keras

from keras_tx.models.bert.backbone import BERTBackbone
from keras_tx.text import Tokenizer, WordPieceTokenizer, load_tokenizer
from keras_tx.training import FineTuning

SMALL = {"max_positions": 64, "num_layers": 2, "num_heads": 4, "d_model": 64, "d_ff": 256, "hidden_dropout": 0.0}


def arguments(description: str | None, dataset: str) -> argparse.Namespace:
    """The options that all of the examples have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", help="a directory or a hub id, as google-bert/bert-base-uncased")
    parser.add_argument("--dataset", help=f"a TFDS set with the features of {dataset}, instead of the made-up examples")
    parser.add_argument("--epochs", type=int, help="3 for a checkpoint, 20 for the small model")
    parser.add_argument("--learning-rate", type=float, help="5e-5 for a checkpoint, 1e-3 for the small model")
    parser.add_argument("--batch-size", type=int, default=32)
    return parser.parse_args()


def recipe(options: argparse.Namespace) -> FineTuning:
    """The defaults for a checkpoint; for weights that know nothing one high rate for all layers."""
    chosen = {"epochs": options.epochs, "learning_rate": options.learning_rate, "batch_size": options.batch_size}
    begun = FineTuning() if options.checkpoint else FineTuning(epochs=20, learning_rate=1e-3, layer_decay=1.0)
    return begun.replace(**{name: value for name, value in chosen.items() if value})


def model_and_tokenizer(
    cls: type[BERTBackbone], checkpoint: str | None, texts: Sequence[str], **config: Any
) -> tuple[BERTBackbone, Tokenizer]:
    """A model of a class, and its tokenizer, which learns from the texts where there is no checkpoint."""
    keras.utils.set_random_seed(1337)
    if checkpoint:
        return cls.from_pretrained(checkpoint, **config), load_tokenizer(checkpoint)
    tokenizer = WordPieceTokenizer.train(texts, 600)
    return cls(vocab_size=tokenizer.vocab_size, pad_token_id=tokenizer.pad_token_id, **SMALL, **config), tokenizer
