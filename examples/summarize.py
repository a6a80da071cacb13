"""Summarizes texts with a T5 from a checkpoint, and fine-tunes it to do so better.

    python examples/summarize.py
    python examples/summarize.py --checkpoint google-t5/t5-small --dataset cnn_dailymail
    python examples/summarize.py --checkpoint DIRECTORY --dataset samsum --columns dialogue summary --steps 1000

A checkpoint is a directory or a hub id, in our format or Transformers', with its tokenizer. The published ones of
version 1.0 know the prefix "summarize: " and need no steps; those of version 1.1 have to be fine-tuned. Without a
checkpoint a small T5 that knows nothing is written to disk first and taken from there; without a dataset it learns from
made-up reports of matches, whose summary says who won, who lost, how, and where.
"""

import argparse
import random
import time
from pathlib import Path

import keras

from keras_tx import ROUGE, SentencePieceTokenizer, T5Model, mixed_batches
from keras_tx.text import Tokenizer, load_tokenizer
from keras_tx.training import TranslationPairs, dataset_pairs, generate_texts, text_to_text

PREFIX = "summarize: "
SMALL = {"d_model": 64, "d_kv": 16, "num_heads": 4, "num_layers": 2, "d_ff": 256, "dropout": 0.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", help="a directory or a hub id, as google-t5/t5-small")
    parser.add_argument("--dataset", help="a TFDS set, as cnn_dailymail, instead of the made-up reports")
    parser.add_argument("--columns", nargs=2, default=["article", "highlights"], help="its texts and summaries")
    parser.add_argument("--examples", type=int, default=2000, help="texts to learn from; %(default)s")
    parser.add_argument("--tests", type=int, default=64, help="unseen texts to score; %(default)s")
    parser.add_argument("--steps", type=int, help="of fine-tuning: 0 for a checkpoint, 600 for the small model")
    parser.add_argument("--learning-rate", type=float, help="1e-3 for a checkpoint, 1e-2 for the small model")
    parser.add_argument("--batch-size", type=int, default=16, help="%(default)s")
    parser.add_argument("--max-length", type=int, help="tokens of a text: 512; 128 for the small model")
    parser.add_argument("--max-target-length", type=int, help="tokens of a summary: 128; 32 for the small model")
    parser.add_argument("--num-beams", type=int, default=4, help="%(default)s")
    parser.add_argument("--output", type=Path, default=Path("runs/summarize"), help="directory; %(default)s")
    options = parser.parse_args()
    for name, (real, small) in {
        "steps": (0, 600),
        "learning_rate": (1e-3, 1e-2),
        "max_length": (512, 128),
        "max_target_length": (128, 32),
    }.items():
        if getattr(options, name) is None:
            setattr(options, name, real if options.checkpoint else small)
    keras.utils.set_random_seed(1337)
    began = time.perf_counter()
    train, test = from_tfds(options) if options.dataset else made_up(options)
    checkpoint = options.checkpoint or small_checkpoint(options.output / "small", train)
    model, tokenizer = T5Model.from_pretrained(checkpoint), load_tokenizer(checkpoint)
    score("before", model, tokenizer, test, options)
    if options.steps:
        fine_tune(model, tokenizer, train, options)
        score(f"after {options.steps} steps", model, tokenizer, test, options)
        model.save_pretrained(options.output / "tuned", format="huggingface")
        tokenizer.save_pretrained(options.output / "tuned")
        print(f"saved in {options.output / 'tuned'}")
    print(f"{time.perf_counter() - began:.0f} seconds")


def score(when: str, model: T5Model, tokenizer: Tokenizer, test: TranslationPairs, options) -> None:
    """Prints ROUGE of what the model makes of unseen texts, and the first one."""
    texts = generate_texts(
        model,
        tokenizer,
        [PREFIX + text for text in test.sources],
        batch_size=options.batch_size,
        multiple=64,
        max_source_length=options.max_length,
        max_new_tokens=options.max_target_length,
        # As T5's authors have it.
        num_beams=options.num_beams,
        length_penalty=0.6,
    )
    scores = []
    for kind in ("rouge1", "rouge2", "rougeL"):
        metric = ROUGE(kind)
        metric.update_state(test.targets, texts)
        scores.append(f"{kind} {metric.result():.3f}")
    print(f"{when}: {', '.join(scores)} on {len(texts)} unseen texts; the first: {texts[0]!r}")


def fine_tune(model: T5Model, tokenizer: Tokenizer, train: TranslationPairs, options) -> None:
    """Learns as T5 did, with Adafactor at a constant rate."""
    lengths = {"max_length": options.max_length, "max_target_length": options.max_target_length}
    task = text_to_text(train.sources, train.targets, tokenizer, prefix=PREFIX, **lengths)
    model.compile(keras.optimizers.Adafactor(options.learning_rate), jit_compile=True)
    batches = mixed_batches([task], options.batch_size, seed=1337)
    model.fit(batches, steps_per_epoch=options.steps, shuffle=False, verbose=2)


def from_tfds(options) -> tuple[TranslationPairs, TranslationPairs]:
    parts = f"train[:{options.examples}]", f"test[:{options.tests}]"
    train, test = (dataset_pairs(options.dataset, *options.columns, part=part) for part in parts)
    return train, test


def made_up(options) -> tuple[TranslationPairs, TranslationPairs]:
    """Reports of matches, with what happened besides, and their summaries."""
    draw = random.Random(1337)
    teams = ["Blues", "Foxes", "Tigers", "Rovers", "Bears", "Stars"]
    places = ["Oslo", "Rome", "Lyon", "Leeds", "Porto", "Bonn"]
    besides = [
        "The stands were full.",
        "It rained in the second half.",
        "The referee showed four yellow cards.",
        "Both sides missed a penalty.",
        "The crowd sang until the end.",
        "The keeper was injured.",
    ]

    def pair() -> tuple[str, str]:
        sides, place = draw.sample(teams, 2), draw.choice(places)
        winner, loser = draw.sample(sides, 2)
        lost = draw.randrange(3)
        won = lost + draw.randint(1, 3)
        told = [draw.choice(besides), f"The {winner} scored {won} and let in {lost}.", draw.choice(besides)]
        draw.shuffle(told)
        report = f"In {place} the {sides[0]} met the {sides[1]}. {' '.join(told)}"
        return report, f"The {winner} beat the {loser} {won} : {lost} in {place}."

    rows = [*{pair(): None for _ in range(options.examples + options.tests)}]
    tests = min(options.tests, len(rows) // 10)
    train, test = (TranslationPairs(*map(list, zip(*part, strict=True))) for part in (rows[tests:], rows[:tests]))
    return train, test


def small_checkpoint(directory: Path, train: TranslationPairs) -> Path:
    """A T5 that knows nothing yet, and its tokenizer, as Transformers would keep them."""
    tokenizer = SentencePieceTokenizer.train([PREFIX, *train.sources, *train.targets], 300)
    model = T5Model(vocab_size=tokenizer.vocab_size, **SMALL)
    model.save_pretrained(directory, format="huggingface")
    tokenizer.save_pretrained(directory)
    return directory


if __name__ == "__main__":
    main()
