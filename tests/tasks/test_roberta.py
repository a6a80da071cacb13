"""A task on RoBERTa and its tokenizer, from a directory that has both."""

import numpy as np
import pytest
from helpers import numpy, randomize

from keras_tx import BPETokenizer, RobertaForSequenceClassification, TextClassificationTask
from keras_tx.text import load_tokenizer

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
BOS, PAD, EOS = range(3)
TEXT = "Anna Smith of Paris met Anna and Bob in Rome. The film is good, not bad."


@pytest.fixture
def directory(tmp_path, rng):
    """With `vocab.json` and `merges.txt` alone, whose special tokens and template follow from the model's type."""
    tokenizer = BPETokenizer.train([TEXT] * 2, 307, special_tokens=SPECIAL)
    config = {"max_positions": 37, "num_layers": 1, "num_heads": 3, "d_model": 15, "d_ff": 29}
    names = {"num_labels": 3, "label_names": ("bad", "fair", "good")}
    model = randomize(RobertaForSequenceClassification(vocab_size=tokenizer.vocab_size, **config, **names), rng)
    model.save_pretrained(tmp_path, format="huggingface")
    tokenizer.save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (tmp_path / name).unlink(missing_ok=True)
    return tmp_path


def test_texts_and_pairs(directory):
    """`</s></s>` stands between two texts, and all are of the one token type there is."""
    task, tokenizer = TextClassificationTask.from_pretrained(directory), load_tokenizer(directory)
    assert type(task.model) is RobertaForSequenceClassification and task.max_length == 35
    texts = ["good", ("The film", " bad"), "Paris " * 50]
    inputs, _ = task.training_data(texts, ["good", "bad", "fair"])
    good, film, bad, paris = (
        tokenizer.encode(text, add_special_tokens=False) for text in ("good", "The film", " bad", "Paris " * 50)
    )
    rows = [[BOS, *good, EOS], [BOS, *film, EOS, EOS, *bad, EOS], [BOS, *paris[:33], EOS]]
    assert [ids[: len(row)].tolist() for ids, row in zip(inputs["input_ids"], rows, strict=True)] == rows
    assert list(inputs) == ["input_ids", "attention_mask"]
    names = ("bad", "fair", "good")
    for found, row in zip(task.predict(texts), rows, strict=True):
        logits = numpy(task.model(np.array([row]))["logits"])[0]
        shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        assert (found.label, found.score) == (names[logits.argmax()], pytest.approx(shares.max(), rel=1e-4))
