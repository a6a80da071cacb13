"""SentencePiece's normalization rules, as the `tokenizers` library applies them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from keras_tx.text.graph.aligned import ITSELF, AlignedText
from keras_tx.text.graph.graphemes import joined
from keras_tx.text.graph.lookup import find
from keras_tx.text.graph.trie import Trie

_NOTHING = 1
"""The number of the output of what is removed; 0 is that of what stays."""

_SMALL = 6
"""Bytes of the smallest cluster that is not looked up as a whole."""


@dataclass(frozen=True)
class Charsmap:
    """Rules of what characters and short sequences become, like those of Unicode's NFKC.

    A cluster of characters of fewer than six bytes of UTF-8 becomes what the rule for its shortest beginning says,
    whatever follows; all other characters become what the rules for them say. SentencePiece itself looks for the
    longest sequence that has a rule: where the two differ, this does what the library does.

    Source: the `Precompiled` normalizer of the `tokenizers` library; google/sentencepiece, `normalizer.cc`, for the
    format: a double-array trie, and the texts that its values point to.
    """

    precompiled: bytes
    """The rules as a model of SentencePiece holds them."""

    def content(self) -> dict[str, Any]:
        """Returns the normalizer as `tokenizer.json` writes it."""
        return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(self.precompiled).decode()}

    def __call__(self, text: AlignedText) -> AlignedText:
        import tensorflow as tf

        characters, numbers, _, outputs = self._tables
        found, place = find(characters, text.points)
        choice = tf.where(found, tf.gather(numbers, place), 0)
        whole, first, count, number = self._ruled_clusters(text)
        choice = tf.tensor_scatter_nd_update(tf.where(whole, _NOTHING, choice), first[:, None], number)
        sizes = tf.tensor_scatter_nd_update(tf.cast(~whole, tf.int32), first[:, None], count)
        return _substituted(text, choice, sizes, outputs)

    def _ruled_clusters(self, text: AlignedText):
        """Returns which elements are in clusters with a rule, and these clusters' first elements, sizes and outputs."""
        import tensorflow as tf

        *_, rules, _ = self._tables
        within = joined(text.points, text.starts)
        cluster = tf.cumsum(tf.cast(~within, tf.int32)) - 1
        counts, sizes = (tf.math.segment_sum(x, cluster) for x in (tf.ones_like(cluster), _bytes_of(text.points)))
        first = tf.cast(tf.where(~within)[:, 0], tf.int32)
        looked_up = (counts > 1) & (sizes < _SMALL)
        first, count = tf.boolean_mask(first, looked_up), tf.boolean_mask(counts, looked_up)
        nodes = number = tf.zeros_like(first)
        for ahead in range(_SMALL - 1):
            going = (number == 0) & (nodes >= 0) & (ahead < count)
            found, stepped = rules.step(nodes, tf.gather(text.points, tf.where(going, first + ahead, 0)))
            nodes = tf.where(going, tf.where(found, stepped, -1), nodes)
            number = tf.where(going & found, tf.maximum(tf.gather(rules.values, tf.maximum(nodes, 0)), 0), number)
        first, count, number = (tf.boolean_mask(x, number > 0) for x in (first, count, number))
        ruled = tf.scatter_nd(tf.gather(cluster, first)[:, None], tf.ones_like(first), tf.shape(counts))
        return tf.gather(ruled, cluster) > 0, first, count, number

    @cached_property
    def _tables(self) -> tuple[np.ndarray, np.ndarray, Trie, list[tuple[int, ...]]]:
        """Code points that have rules, ascending; the numbers of their outputs, and of short texts'; the outputs."""
        rules = parse_charsmap(self.precompiled)
        numbers = {(ITSELF,): 0, (): _NOTHING}
        of_rule = {text: numbers.setdefault(tuple(map(ord, to)), len(numbers)) for text, to in rules.items()}
        single = sorted((ord(text), number) for text, number in of_rule.items() if len(text) == 1)
        characters, of_character = np.array(single or [(-1, 0)], "int32").T
        return characters, of_character, Trie(of_rule), list(numbers)


def _substituted(text: AlignedText, choice, sizes, outputs: Sequence[Sequence[int]]) -> AlignedText:
    """Returns the text that characters have become, and where each part comes from as the library has it.

    Of what several characters become together, or one, each code point comes from the next of them, further ones from
    the last. Characters left over are passed by with the code point before them; where a stretch begins with some, all
    that follows is thought to come from so many characters too early.

    Args:
        text: the characters.
        choice: what each becomes, a place in `outputs`, int32 `(N,)`.
        sizes: how many from this one on become that together, int32 `(N,)`; 0 for those that are counted before.
        outputs: code points, or `ITSELF`.
    """
    import tensorflow as tf

    source, points = text.outputs(choice, outputs)
    made = tf.math.unsorted_segment_sum(tf.ones_like(source), source, tf.size(choice))
    stretches = tf.cumsum(tf.cast(text.starts, tf.int32)) - 1
    stretch = tf.gather(stretches, source)

    place = tf.range(tf.size(source))
    steps = tf.cast(place - tf.searchsorted(source, source) < tf.gather(sizes, source), tf.int32)
    last = tf.cumsum(made) - 1  # so far
    passed = (sizes > made) & (tf.gather(tf.concat([[-1], stretch], 0), last + 1) == stretches)
    left_over = tf.boolean_mask(sizes - made, passed), tf.boolean_mask(last, passed)[:, None]
    steps = tf.tensor_scatter_nd_add(steps, left_over[1], left_over[0])

    ahead = tf.cumsum(steps, exclusive=True)
    ahead -= tf.gather(ahead, tf.searchsorted(stretch, stretch))
    begins = tf.boolean_mask(tf.range(tf.size(choice)), text.starts)
    return text.at(tf.gather(begins, stretch) + tf.maximum(ahead - tf.cast(steps == 0, tf.int32), 0), points)


def parse_charsmap(data: bytes) -> dict[str, str]:
    """The rules that a precompiled map holds for small texts, others being of no use: what each becomes.

    Raises:
        ValueError: if the data is damaged.
    """
    size = int.from_bytes(data[:4], "little")
    try:
        units, texts = np.frombuffer(data[4 : 4 + size], "<u4").astype("int64"), data[4 + size :]
        found = {text.decode(): texts[begin : texts.index(b"\0", begin)].decode() for text, begin in _keys(units)}
    except (IndexError, ValueError) as error:
        raise ValueError(f"the precompiled character map is damaged: {error}.") from None
    return found


def _keys(units: np.ndarray) -> Iterator[tuple[bytes, int]]:
    """The keys of a double-array trie that are small, and their values."""
    offsets = (units >> 10) << ((units & (1 << 9)) >> 6)
    labels, is_key = units & (1 << 31 | 0xFF), units >> 8 & 1
    spelled, bases = [b""], offsets[:1]
    for _ in range(_SMALL - 1):
        places = bases[:, None] ^ np.arange(1, 256)
        inside = places < len(units)
        parent, byte = np.nonzero(inside & (labels[np.where(inside, places, 0)] == np.arange(1, 256)))
        nodes = places[parent, byte]
        if len(nodes) > len(units):
            raise ValueError("its trie has more nodes than units")
        spelled = [spelled[i] + bytes([b + 1]) for i, b in zip(parent, byte, strict=True)]
        bases = nodes ^ offsets[nodes]
        for text, node, base in zip(spelled, nodes, bases, strict=True):
            if is_key[node]:
                yield text, int(units[base] & 0x7FFFFFFF)


def _bytes_of(points):
    """Returns the number of bytes of UTF-8 that each code point takes, int32."""
    import tensorflow as tf

    return 1 + tf.reduce_sum([tf.cast(points >= limit, tf.int32) for limit in (0x80, 0x800, 0x10000)], 0)
