"""Pre-trains a small BERT on prose from scratch, then fine-tunes it and the same model fresh: what was it worth?

    python examples/pretrain_bert.py
    python examples/pretrain_bert.py --text TEXT_FILE

The text is split 90/10 in order; unless given it is the prose that Python ships: its language reference and the
docstrings of its standard library. The model learns to predict hidden tokens of the first part, of short rows first: as
long as it attends everywhere alike, what stands next to a token is one in as many as there are. Both then learn from a
thousand of its short sentences, in each of which two neighbours have changed places, to find those words, and are held
to sentences of the second part, which neither has seen.
"""

import argparse
import ast
import contextlib
import re
import sysconfig
import time
from pathlib import Path

import keras
import numpy as np

from keras_tx import BERTForMaskedLM, BERTForTokenClassification
from keras_tx.analysis import plot_metric
from keras_tx.ops.attention.positions import sinusoidal
from keras_tx.tasks import TokenClassificationTask
from keras_tx.text import WordPieceTokenizer, default_text, read_text
from keras_tx.training import (
    Documents,
    FineTuning,
    LabelAccuracy,
    Masking,
    MetricsTable,
    adamw,
    masked_batches,
    pack,
    read_table,
)

LENGTH = 32
STAGES = ((16, 128, 0.6), (LENGTH, 64, 0.4))
"""Length of the rows, rows in a batch, share of the steps."""
SIZES = {"max_positions": LENGTH, "num_layers": 2, "num_heads": 8, "d_model": 128, "d_ff": 512}
# What suits so small a model, and so few tokens: kernels that start larger than BERT's, and no dropout.
SIZES |= {"initializer_range": 0.05, "hidden_dropout": 0.0, "attention_dropout": 0.0}
WORDS = {"num_labels": 2, "label_names": ("O", "B-MOVED")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, help="a file of prose, paragraphs between blank lines")
    parser.add_argument("--steps", type=int, default=6000, help="of pre-training; 6000 unless given")
    parser.add_argument("--labelled", type=int, default=1000, help="sentences to fine-tune on; 1000 unless given")
    parser.add_argument("--epochs", type=int, default=10, help="of fine-tuning; 10 unless given")
    parser.add_argument("--seeds", type=int, default=3, help="how often to fine-tune each; 3 unless given")
    parser.add_argument("--output", type=Path, default=Path("runs/pretrain_bert"), help="directory; %(default)s")
    options = parser.parse_args()

    sentences = split_sentences(read_text(options.text) if options.text else pythons_prose())
    split = int(0.9 * len(sentences))
    train, held_out = sentences[:split], sentences[split:]
    tokenizer = WordPieceTokenizer.train((" ".join(words) for words in train), 400)
    began = time.perf_counter()
    pretrain(train, held_out, tokenizer, options.steps, options.output)
    print(f"pre-trained in {(time.perf_counter() - began) / 60:.1f} minutes: {options.output}")
    compare(train, held_out, tokenizer, options)


def pythons_prose() -> str:
    """The language reference and every docstring of the standard library: 2 million characters."""
    found = [default_text()]
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.rglob("*.py")):
        if not {"site-packages", "test", "tests"} & set(path.parts):
            with contextlib.suppress(SyntaxError, UnicodeDecodeError):  # templates, and samples of bad code
                nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                documented = (node for node in nodes if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef))
                found += [text for node in documented if (text := ast.get_docstring(node))]
    return "\n\n".join(dict.fromkeys(found))


def split_sentences(text: str) -> list[list[str]]:
    """The sentences of a text as lists of words, marks among them; without tables, rules and code."""
    paragraphs = (" ".join(lines.split()) for lines in re.split(r"\n\s*\n", text))
    sentences = (sentence for paragraph in paragraphs for sentence in re.split(r"(?<=[.!?:;])\s+", paragraph))
    words = (re.findall(r"\w+|[^\w\s]", sentence) for sentence in sentences)
    return [found for found in words if sum(map(str.isalpha, found)) > max(2, 0.6 * len(found))]


# === Pre-training ===


def pretrain(train, held_out, tokenizer: WordPieceTokenizer, steps: int, output: Path) -> None:
    """Leaves the model, its tokenizer, the metrics and their curve in `output`."""
    keras.utils.set_random_seed(1337)
    model = BERTForMaskedLM(vocab_size=tokenizer.vocab_size, pad_token_id=tokenizer.pad_token_id, **SIZES)
    # So that what lies next to what need not be learned for each position by itself.
    table = model.weights_by_path()["backbone/position_embedding/embeddings"]
    table.assign(0.05 * sinusoidal(np.arange(LENGTH), table.shape[-1]))
    model.compile(
        adamw(model, learning_rate=1e-3, steps=steps, warmup_steps=steps // 20, schedule="linear", beta_2=0.99),
        metrics=[LabelAccuracy()],
        jit_compile=True,
    )
    output.mkdir(parents=True, exist_ok=True)
    metrics, epoch = MetricsTable(output / "metrics.csv"), 0
    for length, batch, share in STAGES:
        rows, validation_rows = (rows_of(part, tokenizer, length) for part in (train, held_out))
        validation = masked_batches(validation_rows, Masking.of(tokenizer), batch, seed=1, dynamic=False)
        validation = validation.take(len(validation_rows["input_ids"]) // batch)
        epochs = round(10 * share)
        model.fit(
            masked_batches(rows, Masking.of(tokenizer, probability=0.2), batch, seed=1337),
            initial_epoch=epoch,
            epochs=epoch + epochs,
            steps_per_epoch=max(steps // 10, 1),
            validation_data=validation,
            callbacks=[metrics],
            shuffle=False,  # the batches are drawn at random already
            verbose=2,
        )
        epoch += epochs
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    usual = np.bincount(rows["input_ids"][~np.isin(rows["input_ids"], tokenizer.all_special_ids)]).argmax()
    labels = np.concatenate([of_batch["labels"].numpy().ravel() for _, of_batch in validation])
    baseline = float(np.mean(labels[labels >= 0] == usual))
    found = read_table(output / "metrics.csv")
    plot_metric(
        output / "accuracy.png", found, "accuracy", "share of hidden tokens found", {"most frequent token": baseline}
    )
    print(f"hidden tokens found: {found[-1]['val_accuracy']:.3f}; always {tokenizer.decode([usual])!r}: {baseline:.3f}")


def rows_of(sentences, tokenizer: WordPieceTokenizer, length: int) -> dict[str, np.ndarray]:
    """Full rows of text."""
    return pack(Documents.of([[" ".join(words) for words in sentences]], tokenizer), tokenizer, length)


# === What it is worth ===


def compare(train, held_out, tokenizer: WordPieceTokenizer, options: argparse.Namespace) -> None:
    """Fine-tunes the pre-trained model and a fresh one alike, and prints their F1."""
    train, test = ([words for words in part if len(words) <= LENGTH // 3] for part in (train, held_out))
    test = swap_neighbours(test[:500], seed=-1)
    scores: dict[str, list[float]] = {"pre-trained": [], "fresh": []}
    for seed in range(options.seeds):
        chosen = np.random.default_rng(seed).choice(len(train), min(options.labelled, len(train)), replace=False)
        few = swap_neighbours([train[i] for i in chosen], seed)
        for name, of_seeds in scores.items():
            keras.utils.set_random_seed(seed)
            if name == "fresh":
                sizes = {"vocab_size": tokenizer.vocab_size, "pad_token_id": tokenizer.pad_token_id, **SIZES}
                model = BERTForTokenClassification(**sizes, **WORDS)
            else:
                model = BERTForTokenClassification.from_pretrained(options.output, **WORDS)
            task = TokenClassificationTask(model, tokenizer)
            recipe = FineTuning(epochs=options.epochs, batch_size=16, learning_rate=5e-4, layer_decay=1.0, seed=seed)
            task.fit(*few, recipe, verbose=0)
            of_seeds.append(task.evaluate(*test)["f1"])
            print(f"moved words, {options.labelled} sentences, seed {seed}, {name}: F1 {of_seeds[-1]:.3f}", flush=True)
    means = {name: np.mean(of_seeds) for name, of_seeds in scores.items()}
    print("mean F1: " + ", ".join(f"{name} {mean:.3f}" for name, mean in means.items()))


def swap_neighbours(sentences, seed: int) -> tuple[list[list[str]], list[list[str]]]:
    """Sentences in each of which two neighbours have changed places, and which words these are."""
    rng, swapped, labels = np.random.default_rng(seed % 2**32), [], []
    for words in sentences:
        at = int(rng.integers(len(words) - 1))
        swapped.append([*words[:at], words[at + 1], words[at], *words[at + 2 :]])
        labels.append(["B-MOVED" if at <= i <= at + 1 else "O" for i in range(len(words))])
    return swapped, labels


if __name__ == "__main__":
    main()
