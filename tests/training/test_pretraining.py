"""Pre-training data: masks, sentence pairs and packed rows, by their definitions and by their statistics."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tx.models import BERTForMaskedLM
from keras_tx.text import CharTokenizer, Template, WordPieceTokenizer
from keras_tx.text.core.template import BERT
from keras_tx.training.data.documents import Documents, pack, read_documents
from keras_tx.training.data.masked_batches import masked_batches
from keras_tx.training.data.masking import Masking
from keras_tx.training.data.records import Records, write_records
from keras_tx.training.data.sentence_pairs import sentence_pairs

pytestmark = pytest.mark.any_backend

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [f"w{i}" for i in range(211)]  # one token each
ENDS = [f"##e{i}" for i in range(31)]


def tokenizer() -> WordPieceTokenizer:
    vocab = {piece: i for i, piece in enumerate([*SPECIAL, *WORDS, *ENDS])}
    added = WordPieceTokenizer.train(["a"], 7).added_tokens
    roles = {"mask_token": "[MASK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return WordPieceTokenizer(vocab, added_tokens=added, special_tokens=roles, template=Template.parse(*BERT, vocab))


TOKENIZER = tokenizer()
FIRST_WORD, FIRST_END = len(SPECIAL), len(SPECIAL) + len(WORDS)


def corpus(documents: int = 23) -> Documents:
    """Every token another one: `ids` count up, so that a token tells where it stood."""
    draw = np.random.default_rng(1)
    sentences = [[int(n) for n in draw.integers(1, 12, draw.integers(1, 9))] for _ in range(documents)]
    lengths = [length for document in sentences for length in document]
    splits = [np.concatenate([[0], np.cumsum(sizes)]) for sizes in (lengths, [len(d) for d in sentences])]
    return Documents(np.arange(sum(lengths), dtype="int32") + 1000, *splits)


def within(found: float, probability: float, trials: int) -> bool:
    """Five standard deviations of a binomial share."""
    return abs(found - probability) < 5 * (probability * (1 - probability) / trials) ** 0.5


# === Masking ===


@pytest.mark.parametrize("whole_words", [False, True])
def test_rates_of_masking(whole_words):
    draw = np.random.default_rng(2)
    ids = draw.integers(0, TOKENIZER.vocab_size, (401, 97)).astype("int32")
    masking = Masking.of(TOKENIZER, whole_words=whole_words)
    hidden, labels = (x.numpy() for x in masking(tf.constant(ids), tf.constant([3, 5])))
    chosen, special = labels != -100, ids < FIRST_WORD
    np.testing.assert_array_equal(labels[chosen], ids[chosen])
    np.testing.assert_array_equal(hidden[~chosen], ids[~chosen])
    assert not chosen[special].any()
    if whole_words:
        same = ids[:, 1:] >= FIRST_END
        same &= ids[:, :-1] >= FIRST_WORD  # a special token is no word
        np.testing.assert_array_equal(chosen[:, 1:][same], chosen[:, :-1][same])
        begins = (ids >= FIRST_WORD) & (ids < FIRST_END)
        assert within(chosen[begins].mean(), 0.15, begins.sum())
    else:
        assert within(chosen[~special].mean(), 0.15, (~special).sum())
        together = chosen[:, 1:] & chosen[:, :-1] & ~special[:, 1:] & ~special[:, :-1]
        both = ~special[:, 1:] & ~special[:, :-1]
        assert within(together[both].mean(), 0.15**2, both.sum() // 2)  # each by itself
    masked, kept = (hidden == 4)[chosen], (hidden == ids)[chosen]
    count, size = chosen.sum(), TOKENIZER.vocab_size
    assert within(masked.mean(), 0.8 + 0.1 / size, count)
    assert within(kept.mean(), 0.1 + 0.1 / size, count)
    assert len(np.unique(hidden[chosen][~masked & ~kept])) > size / 2  # from all of the vocabulary


def test_masks_by_seed():
    ids, masking = tf.constant(np.full((5, 83), FIRST_WORD, "int32")), Masking.of(TOKENIZER, probability=0.5)
    first, again, other = (masking(ids, tf.constant(seed))[0].numpy() for seed in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"probability": 0.0}, "`probability` must lie in"), ({"masked": 0.9, "random": 0.2}, "must be shares of one")],
)
def test_maskings_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        Masking.of(TOKENIZER, **options)


def test_masking_needs_a_mask_token_and_word_pieces():
    bare = WordPieceTokenizer({"[UNK]": 0, "a": 1})
    with pytest.raises(ValueError, match="no `mask_token`"):
        Masking.of(bare)
    masked = WordPieceTokenizer({"[UNK]": 0, "a": 1}, special_tokens={"mask_token": "[UNK]"})
    with pytest.raises(ValueError, match="`whole_words=True` needs tokens that begin with '##'"):
        Masking.of(masked, whole_words=True)


# === Documents ===


def test_documents_of_text_files(tmp_path):
    (tmp_path / "a").write_text("w1 w2\nw3\n\n\n  \nw4\n")
    (tmp_path / "b").write_text("\n\ufffd\n\nw5 w6e7\nw8")
    texts = list(read_documents([tmp_path / "a", tmp_path / "b"]))
    assert texts == [["w1 w2", "w3"], ["w4"], ["\ufffd"], ["w5 w6e7", "w8"]]
    documents = Documents.of(texts, TOKENIZER, batch_size=2)
    expected = [FIRST_WORD + i for i in (1, 2, 3, 4, 5, 6)] + [FIRST_END + 7, FIRST_WORD + 8]
    assert documents.ids.tolist() == expected
    assert documents.sentences.tolist() == [0, 2, 3, 4, 7, 8]
    assert documents.documents.tolist() == [0, 2, 3, 5] and len(documents) == 3  # one has no tokens
    assert documents.spans(2).tolist() == [[4, 7], [7, 8]]
    with pytest.raises(ValueError, match="the documents have no tokens"):
        Documents.of([["\ufffd"]], TOKENIZER)


def test_packed_rows_have_every_token_once():
    documents = corpus()
    batch = pack(documents, TOKENIZER, 29)
    ids, mask, segments = (batch[name] for name in ("input_ids", "attention_mask", "segment_ids"))
    text = ids[ids >= 1000]
    np.testing.assert_array_equal(text, documents.ids)
    assert mask[:-1].all() and not ids[mask == 0].any() and not segments[mask == 0].any()
    assert (ids[:, 0] == 2).all() and all(row[m == 1][-1] == 3 for row, m in zip(ids, mask, strict=True))
    ends = documents.sentences[documents.documents]
    owner = np.searchsorted(ends, ids - 1000, side="right")
    for row, of, segment in zip(ids, owner, segments, strict=True):
        places = row >= 1000
        np.testing.assert_array_equal(segment[places] - segment[places][0], of[places] - of[places][0])
        assert segment[0] == 1 and (np.diff(segment[segment > 0]) >= 0).all()
        inner = np.flatnonzero((row == 3)[:-1]) if (row == 3).any() else []
        assert all(segment[i] == segment[i - 1] for i in inner)
    with pytest.raises(ValueError, match="`max_length` is 2, which leaves no room"):
        pack(documents, TOKENIZER, 2)


# === Sentence pairs ===


def pair_texts(batch):
    """The two texts of each row, as places in the corpus."""
    for ids, types, mask in zip(*(batch[n] for n in ("input_ids", "token_type_ids", "attention_mask")), strict=True):
        assert ids[0] == 2 and ids[mask == 1][-1] == 3 and not ids[mask == 0].any() and (ids == 3).sum() == 2
        texts = [ids[(types == kind) & (ids >= 1000)] - 1000 for kind in (0, 1)]
        assert types.sum() == len(texts[1]) + 1
        yield texts


def test_second_texts_follow_or_come_from_elsewhere():
    documents = corpus()
    batch = sentence_pairs(documents, TOKENIZER, 37, seed=3)
    owner = np.repeat(np.arange(len(documents)), np.diff(documents.sentences[documents.documents]))
    labels = batch["next_sentence_label"]
    for (first, second), label in zip(pair_texts(batch), labels, strict=True):
        assert len(first) and len(second)
        for text in (first, second):
            assert (np.diff(text) == 1).all()
        if label:
            assert owner[first[0]] != owner[second[0]]
        else:
            assert owner[first[0]] == owner[second[0]] and first[-1] < second[0]
    assert set(labels.tolist()) == {0, 1}


def test_pairs_that_fit_follow_at_once_and_use_every_token():
    documents = corpus()
    batch = sentence_pairs(documents, TOKENIZER, 401, seed=3, short_probability=0.0)
    used = []
    for (first, second), label in zip(pair_texts(batch), batch["next_sentence_label"], strict=True):
        assert label or first[-1] + 1 == second[0]
        used += [*first, *second]
    assert set(used) == set(range(len(documents.ids)))


def test_the_coin_is_fair():
    documents = [[f"w{i % 211} w{j}" for j in range(2 + i % 5)] for i in range(701)]
    labels = sentence_pairs(Documents.of(documents, TOKENIZER), TOKENIZER, 17, seed=5)["next_sentence_label"]
    assert len(labels) > 1000 and within(labels.mean(), 0.5, len(labels))


def test_pairs_by_seed():
    first, again, other = (sentence_pairs(corpus(), TOKENIZER, 37, seed=seed)["input_ids"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or (first != other).any()


def test_pairs_that_cannot_be():
    with pytest.raises(ValueError, match="there is but one"):
        sentence_pairs(corpus(1), TOKENIZER, 37, seed=1)
    with pytest.raises(ValueError, match="leaves no room for two texts"):
        sentence_pairs(corpus(), TOKENIZER, 4, seed=1)
    ids = Documents(np.arange(4), np.array([0, 2, 4]), np.array([0, 1, 2]))
    assert (sentence_pairs(ids, CharTokenizer("abcd"), 5, seed=1)["next_sentence_label"] == 1).all()


# === Batches ===


def rows(count: int = 11) -> dict[str, np.ndarray]:
    ids = np.arange(count * 7, dtype="int32").reshape(count, 7) % len(WORDS) + FIRST_WORD
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "next_sentence_label": np.arange(count)}


def taken(start, steps, **options):
    data = masked_batches(rows(), Masking.of(TOKENIZER), 3, seed=5, start=start, **options)
    return [[{k: v.numpy() for k, v in part.items()} for part in batch] for batch in data.take(steps)]


@pytest.mark.parametrize("dynamic", [True, False])
def test_a_run_resumes_at_any_batch(dynamic):
    whole = taken(0, 9, dynamic=dynamic)
    for start in (1, 4, 8):
        for batch, resumed in zip(whole[start:], taken(start, 9 - start, dynamic=dynamic), strict=True):
            for part, again in zip(batch, resumed, strict=True):
                assert part.keys() == again.keys()
                for name in part:
                    np.testing.assert_array_equal(part[name], again[name])


@pytest.mark.parametrize("dynamic", [True, False])
def test_every_row_comes_once_an_epoch(dynamic):
    batches = taken(0, 22, dynamic=dynamic)  # six epochs
    assert set(batches[0][0]) == {"input_ids", "attention_mask"}
    order = np.concatenate([labels["next_sentence_label"] for _, labels in batches]).reshape(6, 11)
    np.testing.assert_array_equal(np.sort(order), np.tile(np.arange(11), (6, 1)))
    assert len({tuple(epoch) for epoch in order}) == 6
    ids = np.concatenate([inputs["input_ids"] for inputs, _ in batches]).reshape(6, 11, 7)
    labels = np.concatenate([labels["labels"] for _, labels in batches]).reshape(6, 11, 7)
    by_row = np.stack([epoch[np.argsort(of)] for epoch, of in zip(ids, order, strict=True)])
    labels = np.stack([epoch[np.argsort(of)] for epoch, of in zip(labels, order, strict=True)])
    np.testing.assert_array_equal(np.where(labels == -100, by_row, labels), np.tile(rows()["input_ids"], (6, 1, 1)))
    assert (by_row == by_row[:1]).all() == (not dynamic)
    assert (labels != -100).any()


@pytest.mark.parametrize("options", [{}, {"dynamic": False}, {"documents_apart": True}, {"start": 7}])
def test_batches_from_disk_are_those_from_memory(options, tmp_path):
    kept = {**rows(), "segment_ids": np.cumsum(rows()["input_ids"] % 3 == 0, axis=1)}
    write_records(tmp_path, kept, TOKENIZER, shards=3)
    batches = [
        [*masked_batches(source, Masking.of(TOKENIZER), 3, seed=5, **options).take(9)]
        for source in (kept, Records(tmp_path, TOKENIZER))
    ]
    for memory, disk in zip(*batches, strict=True):
        for part, again in zip(memory, disk, strict=True):
            assert part.keys() == again.keys()
            for name in part:
                assert part[name].shape == again[name].shape
                np.testing.assert_array_equal(part[name], again[name])


def test_documents_of_a_row_are_kept_apart():
    segments = np.array([[1, 1, 2, 2, 2, 3, 0]] * 11)
    apart = {**rows(), "segment_ids": segments}
    options = {"masking": Masking.of(TOKENIZER), "batch_size": 3, "seed": 5}
    for documents_apart in (False, True):
        data = masked_batches(apart, **options, documents_apart=documents_apart)
        inputs, _ = next(iter(data))
        assert set(inputs) == {"input_ids", "attention_mask"}
        mask = inputs["attention_mask"].numpy()
        if not documents_apart:
            assert mask.shape == (3, 7)
            continue
        expected = [
            [1, 1, 0, 0, 0, 0, 0],
            [1, 1, 0, 0, 0, 0, 0],
            [0, 0, 1, 1, 1, 0, 0],
            [0, 0, 1, 1, 1, 0, 0],
            [0, 0, 1, 1, 1, 0, 0],
            [0, 0, 0, 0, 0, 1, 0],
            [0, 0, 0, 0, 0, 0, 0],
        ]
        np.testing.assert_array_equal(mask, [expected] * 3)
    with pytest.raises(ValueError, match="needs rows with `segment_ids`"):
        masked_batches(rows(), **options, documents_apart=True)
    with pytest.raises(ValueError, match="there must be rows"):
        masked_batches({"input_ids": np.zeros((0, 7), "int32")}, **options)


@pytest.mark.slow
def test_bert_learns_from_them():
    """A row is one word again and again, so that what is hidden can be read off the others."""
    ids = np.repeat(np.random.default_rng(1).integers(0, 13, (211, 1)), 11, 1).astype("int32") + FIRST_WORD
    rows = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    model = BERTForMaskedLM(vocab_size=TOKENIZER.vocab_size, num_layers=1, num_heads=2, d_model=22, max_positions=13)
    model.compile(keras.optimizers.Adam(0.01))
    data = masked_batches(rows, Masking.of(TOKENIZER), 17, seed=1)
    losses = model.fit(data, steps_per_epoch=60, epochs=2, shuffle=False, verbose=0).history["loss"]
    assert losses[-1] < np.log(13)
