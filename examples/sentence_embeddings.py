"""Fine-tunes a sentence encoder on the paragraphs of a text: the halves of each belong together.

    python examples/sentence_embeddings.py
    python examples/sentence_embeddings.py --checkpoint sentence-transformers/all-MiniLM-L6-v2 --text book.txt

A checkpoint is a sentence-transformers directory or hub id. Without one a small BERT that knows nothing is written to
disk first and taken from there; without a text it reads the documentation that Python ships. Of the paragraphs that it
has not seen it asks, before and after, which second half belongs to each first one.
"""

import argparse
import tempfile
import time
from pathlib import Path

import keras

from keras_tx import BERTBackbone, EmbeddingHead, TextEmbeddingModel, TextEmbeddingTask, WordPieceTokenizer
from keras_tx.text import default_text

SMALL = {"d_model": 128, "num_heads": 4, "num_layers": 2, "d_ff": 512, "max_positions": 128}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", help="a sentence-transformers directory or a hub id")
    parser.add_argument("--text", type=Path, help="a file of paragraphs, with empty lines between them")
    parser.add_argument("--tests", type=int, default=100, help="unseen paragraphs to ask; %(default)s")
    parser.add_argument("--epochs", type=int, default=10, help="%(default)s")
    parser.add_argument("--batch-size", type=int, default=32, help="%(default)s")
    parser.add_argument("--learning-rate", type=float, help="5e-5 for a checkpoint, 1e-3 for the small model")
    parser.add_argument("--output", type=Path, help="where to save the encoder, for sentence-transformers too")
    args = parser.parse_args()
    keras.utils.set_random_seed(0)

    text = args.text.read_text(encoding="utf-8") if args.text else default_text()
    pairs = halves(text)
    tests, examples = pairs[:: len(pairs) // args.tests][: args.tests], []
    examples = [pair for pair in pairs if pair not in tests]
    print(f"{len(examples)} pairs to learn from, {len(tests)} to ask", flush=True)

    with tempfile.TemporaryDirectory() as directory:
        task = TextEmbeddingTask.from_pretrained(args.checkpoint or small_model(text, Path(directory)), max_length=64)
    rate = args.learning_rate or (5e-5 if args.checkpoint else 1e-3)
    print(f"before: {score(task, tests)}", flush=True)
    begun = time.perf_counter()
    task.fit(examples, epochs=args.epochs, batch_size=args.batch_size, learning_rate=rate, layer_decay=1.0, verbose=2)
    print(f"after {time.perf_counter() - begun:.0f} s: {score(task, tests)}")
    if args.output:
        task.save_pretrained(args.output)
        print(f"saved in {args.output}")


def halves(text: str) -> list[tuple[str, str]]:
    """The first and the second half of each paragraph that has words for both."""
    paragraphs = [paragraph.split() for paragraph in text.split("\n\n")]
    found = [words for words in paragraphs if len(words) >= 16 and sum(word.isalpha() for word in words) > 12]
    return [(" ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])) for words in found]


def small_model(text: str, directory: Path) -> Path:
    """Writes a small encoder that knows nothing, and its tokenizer."""
    tokenizer = WordPieceTokenizer.train([text], 4000)
    backbone = BERTBackbone(vocab_size=tokenizer.vocab_size, **SMALL)
    model = TextEmbeddingModel(backbone, EmbeddingHead(backbone.width, ("mean",), ["normalize"]))
    TextEmbeddingTask(model, tokenizer).save_pretrained(directory)
    return directory


def score(task: TextEmbeddingTask, tests: list[tuple[str, str]]) -> str:
    """Which second half is found for each first one."""
    first, second = map(list, zip(*tests, strict=True))
    found = task.evaluate_retrieval(first, second, range(len(tests)), at=(1, 10))
    return ", ".join(f"{name} {value:.2f}" for name, value in found.items() if name != "mrr@1")


if __name__ == "__main__":
    main()
