"""Translates dates from English to German and French, learned from what Babel's locales say.

    python examples/translate_dates.py
    python examples/translate_dates.py --model t5

The dates of two centuries, and the names of countries and scripts, are written out in three languages by Babel, which
holds Unicode's CLDR. A twentieth of the dates is never trained on, in whatever style; on some of them the score is
measured. `--dataset ted_hrlr_translate/pt_to_en` takes a set of TensorFlow Datasets instead.
"""

import argparse
import datetime
import random
import time
from pathlib import Path

import keras
import numpy as np

from keras_tx import BLEU, ChrF, ExactMatch, ScoreGenerated, SentencePieceTokenizer, T5Model, Transformer
from keras_tx.analysis import plot_cross_attention
from keras_tx.training import InverseSquareRoot, TranslationBatches, TranslationPairs, dataset_pairs, generate_texts

LANGUAGES = {"de": "German", "fr": "French"}
STYLES = ("full", "long", "medium")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["transformer", "t5"], default="transformer", help="%(default)s")
    parser.add_argument("--dataset", help="a TFDS set of pairs, as ted_hrlr_translate/pt_to_en")
    parser.add_argument("--epochs", type=int, default=4, help="%(default)s")
    parser.add_argument("--steps-per-epoch", type=int, default=400, help="%(default)s")
    parser.add_argument("--tests", type=int, default=500, help="pairs to score at the end; %(default)s")
    parser.add_argument("--num-beams", type=int, default=1, help="for that; %(default)s")
    parser.add_argument("--output", type=Path, default=Path("runs/translate_dates"), help="directory; %(default)s")
    options = parser.parse_args()
    keras.utils.set_random_seed(1337)
    began = time.perf_counter()
    train, test = from_tfds(options.dataset) if options.dataset else dates()
    test = TranslationPairs(test.sources[: options.tests], test.targets[: options.tests])
    vocabulary = 8000 if options.dataset else 700
    tokenizer = SentencePieceTokenizer.train([*train.sources, *train.targets][:60_000], vocabulary, extra_ids=0)
    batches = TranslationBatches(train, tokenizer, tokens=2048, max_length=64, buckets=(16, 24, 32, 64))
    model = MODELS[options.model](tokenizer)
    sample = TranslationPairs(test.sources[:64], test.targets[:64])
    generation = {"max_new_tokens": 64, "batch_size": 64, "num_beams": options.num_beams}
    history = model.fit(
        batches.dataset(),
        epochs=options.epochs,
        steps_per_epoch=options.steps_per_epoch,
        callbacks=[ScoreGenerated(sample, tokenizer, [BLEU(), ExactMatch()], **generation)],
        verbose=2,
    )
    texts = generate_texts(model, tokenizer, test.sources, **generation)
    scores = []
    for metric in (BLEU(), ChrF(), ExactMatch()):
        metric.update_state(test.targets, texts)
        scores.append(f"{metric.name} {metric.result():.4f}")
    print(f"{len(texts)} unseen pairs: {', '.join(scores)}; loss {history.history['loss'][-1]:.4f}")
    options.output.mkdir(parents=True, exist_ok=True)
    draw(model, tokenizer, test.sources[0], options.output / "cross_attention.png")
    model.save(options.output / "model.keras")
    tokenizer.save_pretrained(options.output)
    print(f"{time.perf_counter() - began:.0f} seconds: {options.output}")


def dates() -> tuple[TranslationPairs, TranslationPairs]:
    """Pairs to train on and to test with, which have no date in common."""
    from babel import Locale
    from babel.dates import format_date

    draw = random.Random(1337)
    days = [datetime.date(1900, 1, 1) + datetime.timedelta(i) for i in range(73_000)]
    draw.shuffle(days)

    def pair(day: datetime.date) -> tuple[str, str]:
        language, style = draw.choice([*LANGUAGES]), draw.choice(STYLES)
        return f"to {LANGUAGES[language]}: {format_date(day, style, 'en')}", format_date(day, style, language)

    held_out = len(days) // 20
    test, train = map(pair, days[:held_out]), [*map(pair, days[held_out:])]
    english = Locale("en")
    for language, name in LANGUAGES.items():
        locale = Locale(language)
        for kind in ("territories", "scripts"):
            theirs, ours = getattr(locale, kind), getattr(english, kind)
            train += [(f"to {name}: {ours[key]}", theirs[key]) for key in sorted({*ours} & {*theirs})]
    draw.shuffle(train)
    return tuple(TranslationPairs(*map(list, zip(*rows, strict=True))) for rows in (train, test))


def from_tfds(name: str) -> tuple[TranslationPairs, TranslationPairs]:
    source, target = name.rsplit("/", 1)[-1].split("_to_")
    return dataset_pairs(name, source, target), dataset_pairs(name, source, target, part="test")


def transformer(tokenizer: SentencePieceTokenizer) -> Transformer:
    model = Transformer(
        tokenizer.vocab_size,
        d_model=128,
        num_heads=4,
        num_layers=2,
        dim_feedforward=512,
        label_smoothing=0.1,
        eos_token_id=tokenizer.eos_token_id,
    )
    rate = InverseSquareRoot(128, warmup_steps=400)
    model.compile(keras.optimizers.Adam(rate, beta_2=0.98, epsilon=1e-9), jit_compile=True)
    return model


def t5(tokenizer: SentencePieceTokenizer) -> T5Model:
    model = T5Model(
        vocab_size=tokenizer.vocab_size, d_model=128, d_kv=32, num_heads=4, num_layers=2, d_ff=512, dropout=0.1
    )
    model.compile(keras.optimizers.Adafactor(InverseSquareRoot(128, warmup_steps=400, scale=2.0)), jit_compile=True)
    return model


MODELS = {"transformer": transformer, "t5": t5}


def draw(model, tokenizer: SentencePieceTokenizer, source: str, path: Path) -> None:
    """Where the decoder looks in the source while it writes the target."""
    ids = np.array([tokenizer.encode(source)])
    target = np.array(model.generate(ids, max_new_tokens=64))
    maps = model({"input_ids": ids, "decoder_input_ids": target[:, :-1]}, return_attention=True)["cross_attentions"]
    written = [tokenizer.tokens[i] for i in target[0, 1:]]
    read = [tokenizer.tokens[i] for i in ids[0]]
    plot_cross_attention(path, [keras.ops.convert_to_numpy(layer)[0] for layer in maps], written, read)


if __name__ == "__main__":
    main()
