"""Translates dates from English to German and French, learned from what Babel's locales say.

    python examples/translate_dates.py
    python examples/translate_dates.py --model t5

The dates of two centuries, and the names of countries and scripts, are written out in three languages by Babel, which
holds Unicode's CLDR. A twentieth of the dates is never trained on, in whatever style; on some of them the score is
measured. `--dataset ted_hrlr_translate/pt_to_en` takes a set of TensorFlow Datasets instead, and wants more width,
layers and epochs.
"""

import argparse
import datetime
import random
import time
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_tx import BLEU, ChrF, ExactMatch, ScoreGenerated, SentencePieceTokenizer, T5Model, Transformer
from keras_tx.analysis import plot_cross_attention
from keras_tx.training import InverseSquareRoot, TranslationBatches, TranslationPairs, dataset_pairs, generate_texts

LANGUAGES = {"de": "German", "fr": "French"}
STYLES = ("full", "long", "yMMMEd", "yMMMd")
"""Of CLDR: Monday, July 4, 2016; July 4, 2016; Mon, Jul 4, 2016; Jul 4, 2016. The English tells what it is to be."""


class Data(NamedTuple):
    train: TranslationPairs
    test: TranslationPairs
    vocab_size: int
    lengths: tuple[int, ...]
    """Tokens that sources and targets are filled up to; the training step is compiled once for each."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["transformer", "t5"], default="transformer", help="%(default)s")
    parser.add_argument("--dataset", help="a TFDS set of pairs, as ted_hrlr_translate/pt_to_en")
    parser.add_argument("--d-model", type=int, default=96, help="width, of 4 heads; %(default)s")
    parser.add_argument("--layers", type=int, default=2, help="of the encoder, and of the decoder; %(default)s")
    parser.add_argument("--epochs", type=int, default=4, help="%(default)s")
    parser.add_argument("--steps-per-epoch", type=int, default=300, help="%(default)s")
    parser.add_argument("--tests", type=int, default=500, help="pairs to score at the end; %(default)s")
    parser.add_argument("--num-beams", type=int, default=1, help="for that; %(default)s")
    parser.add_argument("--output", type=Path, default=Path("runs/translate_dates"), help="directory; %(default)s")
    options = parser.parse_args()
    keras.utils.set_random_seed(1337)
    began = time.perf_counter()
    train, test, vocab_size, lengths = from_tfds(options.dataset) if options.dataset else dates()
    test = TranslationPairs(test.sources[: options.tests], test.targets[: options.tests])
    texts = [*train.sources[:30_000], *train.targets[:30_000]]
    tokenizer = SentencePieceTokenizer.train(texts, vocab_size, extra_ids=0)
    batches = TranslationBatches(train, tokenizer, tokens=1536, max_length=lengths[-1], buckets=lengths)
    print(f"{len(train)} pairs to learn from, {batches.left_out} of them left out as too long")
    model = MODELS[options.model](tokenizer, options)
    sample = TranslationPairs(test.sources[:64], test.targets[:64])
    generation = {"max_new_tokens": lengths[-1], "batch_size": 64, "multiple": lengths[0]}
    history = model.fit(
        batches.dataset(),
        epochs=options.epochs,
        steps_per_epoch=options.steps_per_epoch,
        shuffle=False,  # the batches come shuffled
        callbacks=[ScoreGenerated(sample, tokenizer, [BLEU(), ExactMatch()], **generation)],
        verbose=2,
    )
    texts = generate_texts(model, tokenizer, test.sources, num_beams=options.num_beams, **generation)
    scores = []
    for metric in (BLEU(), ChrF(), ExactMatch()):
        metric.update_state(test.targets, texts)
        scores.append(f"{metric.name} {metric.result():.4f}")
    print(f"{len(texts)} unseen pairs: {', '.join(scores)}; loss {history.history['loss'][-1]:.4f}")
    options.output.mkdir(parents=True, exist_ok=True)
    draw(model, tokenizer, test.sources[0], texts[0], options.output / "cross_attention.png")
    model.save(options.output / "model.keras")
    tokenizer.save_pretrained(options.output)
    print(f"{time.perf_counter() - began:.0f} seconds: {options.output}")


def dates() -> Data:
    """Pairs to train on and to test with, which have no date in common."""
    from babel import Locale
    from babel.dates import format_date, format_skeleton

    draw = random.Random(1337)
    days = [datetime.date(1900, 1, 1) + datetime.timedelta(i) for i in range(73_000)]
    draw.shuffle(days)

    def written(day: datetime.date, style: str, language: str) -> str:
        if style.startswith("y"):
            return format_skeleton(style, day, locale=language)
        return format_date(day, style, language)

    def pair(day: datetime.date) -> tuple[str, str]:
        language, style = draw.choice([*LANGUAGES]), draw.choice(STYLES)
        return f"to {LANGUAGES[language]}: {written(day, style, 'en')}", written(day, style, language)

    held_out = len(days) // 20
    test, train = map(pair, days[:held_out]), [*map(pair, days[held_out:])]
    english = Locale("en")
    for language, name in LANGUAGES.items():
        locale = Locale(language)
        for kind in ("territories", "scripts"):
            theirs, ours = getattr(locale, kind), getattr(english, kind)
            train += [(f"to {name}: {ours[key]}", theirs[key]) for key in sorted({*ours} & {*theirs})]
    draw.shuffle(train)
    train, test = (TranslationPairs(*map(list, zip(*rows, strict=True))) for rows in (train, test))
    return Data(train, test, vocab_size=700, lengths=(18,))


def from_tfds(name: str) -> Data:
    source, target = name.rsplit("/", 1)[-1].split("_to_")
    parts = [dataset_pairs(name, source, target, part=part) for part in ("train", "test")]
    return Data(*parts, vocab_size=8000, lengths=(16, 32, 64))


def transformer(tokenizer: SentencePieceTokenizer, options: argparse.Namespace) -> Transformer:
    width = options.d_model
    model = Transformer(
        tokenizer.vocab_size,
        d_model=width,
        num_heads=4,
        num_layers=options.layers,
        dim_feedforward=4 * width,
        label_smoothing=0.1,
        eos_token_id=tokenizer.eos_token_id,
    )
    rate = InverseSquareRoot(width, warmup_steps=300, scale=0.5)
    model.compile(keras.optimizers.Adam(rate, beta_2=0.98, epsilon=1e-9), jit_compile=True)
    return model


def t5(tokenizer: SentencePieceTokenizer, options: argparse.Namespace) -> T5Model:
    width = options.d_model
    sizes = {"d_model": width, "d_kv": width // 4, "num_heads": 4, "num_layers": options.layers, "d_ff": 4 * width}
    model = T5Model(vocab_size=tokenizer.vocab_size, eos_token_id=tokenizer.eos_token_id, **sizes)
    model.compile(keras.optimizers.Adafactor(InverseSquareRoot(width, warmup_steps=300, scale=2.0)), jit_compile=True)
    return model


MODELS = {"transformer": transformer, "t5": t5}


def draw(model, tokenizer: SentencePieceTokenizer, source: str, text: str, path: Path) -> None:
    """Where the decoder looks in the source as it writes each token of the target."""
    read, written = tokenizer.encode(source), tokenizer.encode(text)
    inputs = {"input_ids": np.array([read]), "labels": np.array([written])}  # labels are shifted right
    maps = model(inputs, return_attention=True)["cross_attentions"]
    target, columns = ([tokenizer.tokens[i] for i in ids] for ids in (written, read))
    plot_cross_attention(path, [keras.ops.convert_to_numpy(layer)[0] for layer in maps], target, columns)


if __name__ == "__main__":
    main()
