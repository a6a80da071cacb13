"""nanoGPT's character model for CPUs on tiny Shakespeare: 4 layers, width 128, blocks of 64, 2,000 steps.

    python examples/nanogpt_shakespeare.py TEXT_FILE

The text is split 90/10 in order; the loss printed at the end is over the whole validation part. Everything is as
nanoGPT publishes it but for the positions, which are rotary here (`--positions learned` takes nanoGPT's own), and
the GELU, which is GPT-2's tanh form.
"""

import argparse
import math
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from keras_tx import GPTModel
from keras_tx.text import CharTokenizer, read_text
from keras_tx.training import Recipe, read_table, train_language_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path, help="the text, as tinyshakespeare.txt")
    parser.add_argument("--positions", choices=["rotary", "learned"], default="rotary")
    parser.add_argument("--steps", type=int, default=2000, help="2000 unless given")
    parser.add_argument("--seed", type=int, default=1337)
    arguments = parser.parse_args()

    began = time.perf_counter()
    text = read_text(arguments.text)
    tokenizer = CharTokenizer.from_text(text)
    ids = np.array(tokenizer.encode(text), "int32")
    split = int(0.9 * len(ids))

    keras.utils.set_random_seed(arguments.seed)
    model = GPTModel(
        vocab_size=tokenizer.vocab_size,
        max_positions=64,
        num_layers=4,
        num_heads=4,
        d_model=128,
        positions=arguments.positions,
        use_bias=False,
        embedding_dropout=0.0,
        attention_dropout=0.0,
        residual_dropout=0.0,
    )
    recipe = Recipe(
        steps=arguments.steps,
        warmup_steps=min(100, arguments.steps // 10),
        epoch_steps=arguments.steps,  # one validation, at the end: the whole part takes as long as 40 steps
        seed=arguments.seed,
    )
    with tempfile.TemporaryDirectory() as directory:
        train_language_model(model, ids[:split], ids[split:], recipe, directory, verbose=2)
        last = read_table(Path(directory) / "metrics.csv")[-1]
    print(f"validation loss {last['val_bits'] * math.log(2):.4f} nats, {last['val_bits']:.4f} bits a character")
    print(f"{time.perf_counter() - began:.1f} s in all")


if __name__ == "__main__":
    main()
