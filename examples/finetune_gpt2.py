"""Fine-tunes a GPT-2 on a text, and saves it as Transformers reads it: weights, config and tokenizer.

    python examples/finetune_gpt2.py [CHECKPOINT] [--text FILE] [--output DIRECTORY]

CHECKPOINT is a directory that holds a GPT-2 and its tokenizer, ours or Transformers'. Without one a small GPT-2 with
random weights, and 500 tokens learned from the text, stands in for it; without a text it is the Python language
reference, which Python ships.

`python examples/finetune_gpt2.py`, on 2 cores that others used too, took 53 s, and the validation loss went from 6.217
nats a token to 4.145 in 300 steps.
"""

import argparse
import tempfile
from pathlib import Path

import keras
import numpy as np

from keras_tx import GPTModel
from keras_tx.text import BPETokenizer, default_text, read_text
from keras_tx.training import Recipe, compile_language_model, read_table, train_language_model, whole_stream


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, nargs="?")
    parser.add_argument("--text", type=Path)
    parser.add_argument("--output", type=Path, default=Path("runs/gpt2-finetuned"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--learning-rate", type=float, help="5e-5 unless given; 3e-3 for the small model")
    parser.add_argument("--prompt", default="The value of")
    arguments = parser.parse_args()

    text = read_text(arguments.text) if arguments.text else default_text()
    with tempfile.TemporaryDirectory() as directory:
        checkpoint = arguments.checkpoint or small_checkpoint(Path(directory) / "small", text)
        tokenizer = BPETokenizer.from_pretrained(checkpoint)
        model = GPTModel.from_pretrained(checkpoint)
        rate = arguments.learning_rate or (5e-5 if arguments.checkpoint else 3e-3)
        finetune(model, np.array(tokenizer.encode(text)), arguments.steps, rate, Path(directory) / "run")

    model.save_pretrained(arguments.output, format="huggingface")
    tokenizer.save_pretrained(arguments.output)
    ids = model.generate(tokenizer(arguments.prompt)["input_ids"], max_new_tokens=50, do_sample=True, top_k=20, seed=1)
    print(f"saved in {arguments.output}; a sample:\n\n{tokenizer.decode(ids[0])}")


def small_checkpoint(directory: Path, text: str) -> Path:
    """A GPT-2 that knows nothing yet, and its tokenizer, as Transformers would keep them."""
    keras.utils.set_random_seed(1337)
    tokenizer = BPETokenizer.train([text], vocab_size=500)
    model = GPTModel(
        vocab_size=tokenizer.vocab_size,
        max_positions=128,
        num_layers=2,
        num_heads=4,
        d_model=64,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model.save_pretrained(directory, format="huggingface")
    tokenizer.save_pretrained(directory)
    return directory


def finetune(model: GPTModel, ids: np.ndarray, steps: int, learning_rate: float, run: Path) -> None:
    """Trains on the first 90 % of the tokens and prints the loss on the rest, before and after."""
    recipe = Recipe(
        steps=steps,
        batch_size=8,
        block_size=min(64, model.config.max_positions),
        learning_rate=learning_rate,
        min_learning_rate=learning_rate / 10,
        warmup_steps=steps // 10,
        epoch_steps=steps,
    )
    split = int(0.9 * len(ids))
    validation = whole_stream(ids[split:], recipe.block_size, 10 * recipe.batch_size)
    compile_language_model(model, recipe)
    before = model.evaluate(validation, return_dict=True, verbose=0)["loss"]
    train_language_model(model, ids[:split], ids[split:], recipe, run, verbose=2)
    after = read_table(run / "metrics.csv")[-1]["val_loss"]
    print(f"validation loss {before:.3f} nats a token before, {after:.3f} after {steps} steps")


if __name__ == "__main__":
    main()
