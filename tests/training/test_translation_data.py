"""Translation data: pairs as they are kept, and batches by number of tokens."""

import numpy as np
import pytest

from keras_tx.text import CharTokenizer
from keras_tx.training.data.translation import (
    TranslationBatches,
    TranslationPairs,
    dataset_pairs,
    folder_pairs,
    length_buckets,
    parallel_files,
    tab_separated,
)

LETTERS = CharTokenizer("abcdefghijklmnopqrstuvwxyz")

# === Pairs ===


def test_parallel_files(tmp_path):
    (tmp_path / "de.train.txt").write_text("ein Haus\r\n\n  \nzwei\u2028drei\n", newline="")
    (tmp_path / "en.train.txt").write_text("a house\n\n\ntwo three")
    for pairs in (
        parallel_files(tmp_path / "de.train.txt", tmp_path / "en.train.txt"),
        folder_pairs(tmp_path, "de", "en"),
    ):
        assert pairs == TranslationPairs(["ein Haus", "zwei\u2028drei"], ["a house", "two three"])


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("a\nb\n", "x\n", "de has 2 lines, and .*en 1: they are not of one text"),
        ("a\n\n", "x\ny\n", "pair 2: its source is empty"),
        ("a\nb\n", "x\n \n", "pair 2: its target is empty"),
        ("\n", "\n", "there are no pairs in"),
        ("", "x", "de is empty"),
    ],
)
def test_files_that_do_not_go_together(source, target, message, tmp_path):
    (tmp_path / "de").write_text(source)
    (tmp_path / "en").write_text(target)
    with pytest.raises(ValueError, match=message):
        parallel_files(tmp_path / "de", tmp_path / "en")


def test_tab_separated_files(tmp_path):
    (tmp_path / "pairs").write_text("a\tx\n\nb c\ty z\n")
    assert tab_separated(tmp_path / "pairs") == TranslationPairs(["a", "b c"], ["x", "y z"])
    for text, message in (
        ("a\tx\nb\n", "line 2: 1 columns"),
        ("a\tb\tc\n", "line 1: 3 columns"),
        ("a\t\n", "pair 1: its target is empty"),
    ):
        (tmp_path / "pairs").write_text(text)
        with pytest.raises(ValueError, match=message):
            tab_separated(tmp_path / "pairs")


def test_tfds_sets(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    for language, text in (("de", "ein Haus\nzwei\n"), ("en", "a house\ntwo\n")):
        (tmp_path / f"{language}.train.txt").write_text(text)
    found = {"pair": ({"train": tfds.TranslateFolder(tmp_path).as_dataset(split="train")}, None)}
    monkeypatch.setattr(tfds, "load", lambda name, data_dir, with_info: found[name])
    assert dataset_pairs("pair", "de", "en") == folder_pairs(tmp_path, "de", "en")
    with pytest.raises(ValueError, match="no language 'fr'; it has de, en"):
        dataset_pairs("pair", "de", "fr")
    with pytest.raises(ValueError, match="the TFDS set 'pair' has no part 'test'; it has train"):
        dataset_pairs("pair", "de", "en", part="test")
    with pytest.raises(ValueError, match=r"cannot load the TFDS set 'none': .* Give files instead"):
        dataset_pairs("none", "de", "en")


def test_pairs_that_are_none():
    with pytest.raises(ValueError, match="there are 1 sources and 0 targets"):
        TranslationPairs(["a"], [])


# === Batches ===


def test_buckets():
    assert length_buckets(31, smallest=7, growth=1.5) == (7, 10, 15, 22, 31)
    assert length_buckets(5) == (5,) and length_buckets(11, smallest=9, growth=1.01) == (9, 10, 11)
    with pytest.raises(ValueError, match="`growth` must be above 1"):
        length_buckets(31, growth=1.0)


def corpus(count: int = 101) -> TranslationPairs:
    """Random lengths up to 23; the target is the source turned round, and three letters name the pair."""
    draw, letters = np.random.default_rng(3), LETTERS.characters
    texts = []
    for i in range(count):
        name = letters[i // 26 % 26] + letters[i % 26]
        texts.append(name + "".join(draw.choice([*letters], draw.integers(0, 22))))
    return TranslationPairs(texts, [text[::-1] for text in texts])


def batches(start: int = 0, count: int | None = None, **options):
    data = TranslationBatches(corpus(), LETTERS, **{"tokens": 61, "max_length": 17, "seed": 5, **options})
    count = len(data) if count is None else count
    return data, [{name: x.numpy() for name, x in batch.items()} for batch in data.dataset(start).take(count)]


def texts_of(batch) -> list[tuple[str, str]]:
    sources = [
        LETTERS.decode(row[mask == 1]) for row, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
    ]
    targets = [LETTERS.decode(row[row != -100]) for row in batch["labels"]]
    return [pair for pair in zip(sources, targets, strict=True) if any(pair)]


def test_every_pair_comes_once_an_epoch_in_batches_of_tokens():
    data, epoch = batches()
    kept = sorted(text for text in corpus().sources if len(text) <= 17)
    assert data.left_out == 101 - len(kept) > 0
    seen = []
    for batch in epoch:
        rows, length = batch["input_ids"].shape
        assert length in data.buckets and rows == 61 // length and batch["labels"].shape == (rows, length)
        shorter = max([bucket for bucket in data.buckets if bucket < length], default=0)
        for source, target in texts_of(batch):
            assert target == source[::-1] and shorter < len(source) <= length
            seen.append(source)
        assert not batch["input_ids"][batch["attention_mask"] == 0].any()
    assert sorted(seen) == kept
    order = [batch["input_ids"].shape[1] for batch in epoch]
    assert order != sorted(order)


def test_batches_resume_at_any_step_and_epochs_differ():
    data, whole = batches(count=3 * len(batches()[0]))
    for start in (1, len(data) + 3):
        for batch, again in zip(whole[start:], batches(start, len(whole) - start)[1], strict=True):
            for name, x in batch.items():
                np.testing.assert_array_equal(x, again[name])
    epochs = [[text for batch in whole[i::1][: len(data)] for text in texts_of(batch)] for i in (0, len(data))]
    assert sorted(epochs[0]) == sorted(epochs[1]) and epochs[0] != epochs[1]
    assert texts_of(batches(seed=6)[1][0]) != texts_of(whole[0])


def test_tokenizers_of_their_own():
    capitals = CharTokenizer("zyxwvutsrqponmlkjihgfedcba")
    data = TranslationBatches(TranslationPairs(["ab"], ["yz"]), LETTERS, capitals, tokens=7, max_length=3)
    [batch] = data.dataset().take(1)
    assert batch["input_ids"].numpy().tolist() == [[0, 1, 0], [0, 0, 0]]
    assert batch["attention_mask"].numpy().tolist() == [[1, 1, 0], [0, 0, 0]]
    assert batch["labels"].numpy().tolist() == [[1, 0, -100], [-100] * 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"buckets": [5, 5, 17]}, "`buckets` must ascend to `max_length`, 17"),
        ({"buckets": [5, 7]}, "`buckets` must ascend to `max_length`, 17"),
        ({"tokens": 13}, "`tokens` is 13: a batch must hold a row"),
        ({"max_length": 1}, "all 101 pairs are longer than `max_length`, 1"),
    ],
)
def test_batches_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        TranslationBatches(corpus(), LETTERS, **{"tokens": 61, "max_length": 17, **options})
