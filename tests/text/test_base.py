"""Batches: padding, truncation and the ids that stand around every text, on arrays and in graphs."""

import numpy as np
import pytest
import tensorflow as tf

from keras_tx import CharTokenizer
from keras_tx.text import Template, Tokenizer


class Surrounded(CharTokenizer):
    """Letters in brackets, and dots to fill up."""

    def __init__(self, **options):
        super().__init__("abcdefg[].")
        template = Template.parse("[ $A ]", "[ $A ] $B:1 ]:1", {"[": 7, "]": 8})
        Tokenizer.__init__(self, template=template, pad_token_id=9, **options)


def rows(batch, tokenizer):
    assert {key: value.dtype for key, value in batch.items()} in (
        dict.fromkeys(("input_ids", "attention_mask"), np.dtype("int32")),
        dict.fromkeys(("input_ids", "attention_mask"), tf.int32),
    )
    ids, mask = np.array(batch["input_ids"]), np.array(batch["attention_mask"])
    np.testing.assert_array_equal(mask, ids != tokenizer.pad_token_id)
    return [tokenizer.decode(row) for row in ids]


@pytest.mark.parametrize("kind", [list, tf.constant])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["[abcde]", "[].....", "[fg]..."]),
        ({"padding_side": "left"}, ["[abcde]", ".....[]", "...[fg]"]),
        ({"add_special_tokens": False}, ["abcde", ".....", "fg..."]),
        ({"truncation": True, "max_length": 5}, ["[abc]", "[]...", "[fg]."]),
        ({"truncation": True, "max_length": 5, "truncation_side": "left"}, ["[cde]", "[]...", "[fg]."]),
        ({"truncation": True}, ["[abcd]", "[]....", "[fg].."]),
        ({"truncation": True, "max_length": 9}, ["[abcde]", "[].....", "[fg]..."]),
        (
            {"truncation": True, "max_length": 9, "padding": "max_length", "padding_side": "left"},
            ["..[abcde]", ".......[]", ".....[fg]"],
        ),
        (
            {"truncation": True, "max_length": 3, "padding": "max_length", "add_special_tokens": False},
            ["abc", "...", "fg."],
        ),
    ],
)
def test_batches(kind, options, expected):
    tokenizer = Surrounded(model_max_length=6)
    assert rows(tokenizer(kind(["abcde", "", "fg"]), **options), tokenizer) == expected


def test_sides_of_the_tokenizer_itself():
    tokenizer = Surrounded(padding_side="left", truncation_side="left")
    assert rows(tokenizer(["abcde", "f"], truncation=True, max_length=4), tokenizer) == ["[de]", ".[f]"]


def test_max_length_is_a_static_shape():
    tokenizer = Surrounded()
    data = tf.data.Dataset.from_tensor_slices(["abc", "d", "efg"]).batch(2)
    options = {"truncation": True, "max_length": 5, "padding": "max_length"}
    for side in ("left", "right"):
        spec = data.map(lambda texts, side=side: tokenizer(texts, padding_side=side, **options)).element_spec
        assert {tuple(value.shape) for value in spec.values()} == {(None, 5)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": True}, "`padding` must be"),
        ({"padding_side": "middle"}, '`padding_side` must be "left" or "right"; got \'middle\''),
        ({"truncation_side": "both"}, '`truncation_side` must be "left" or "right"'),
        ({"truncation": True}, "needs `max_length`"),
        ({"max_length": 5}, "need `truncation=True`"),
        ({"padding": "max_length", "max_length": 5}, "need `truncation=True`"),
        ({"truncation": True, "max_length": 2}, "`max_length` is 2, and 2 special tokens stand around"),
    ],
)
def test_arguments_that_do_not_fit_together(options, message):
    with pytest.raises(ValueError, match=message):
        Surrounded()(["a"], **options)
