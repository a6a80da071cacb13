"""A trie as arrays that a graph can hold as constants."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from keras_tx.text.graph.lookup import find

_POINTS = 0x110000


class Trie:
    """Texts spelled one character after another from the root, which is the node 0.

    Args:
        texts: the value of each text, 0 or above.

    Attributes:
        values: of the text that each node ends, int32 `(nodes,)`; -1 where none ends.
        depth: characters of the longest text.
    """

    def __init__(self, texts: Mapping[str, int]):
        prefixes = {text[:end] for text in texts for end in range(1, len(text) + 1)}
        order = sorted(prefixes, key=lambda prefix: (len(prefix), prefix))  # so parents' numbers ascend
        number = {prefix: i for i, prefix in enumerate(["", *order])}
        edges = [number[prefix[:-1]] * _POINTS + ord(prefix[-1]) for prefix in order]
        self._edges = np.array(edges or [-1], "int64")  # none is negative
        self.values = np.array([-1, *(texts.get(prefix, -1) for prefix in order)], "int32")
        self.depth = len(order[-1]) if order else 0

    def step(self, nodes, points):
        """Returns which nodes have an edge for their code point, booleans, and the nodes they lead to, int32."""
        import tensorflow as tf

        found, edge = find(self._edges, tf.cast(nodes, tf.int64) * _POINTS + tf.cast(points, tf.int64))
        return found, edge + 1
