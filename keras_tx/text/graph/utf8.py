"""UTF-8 to code points without loss."""

from __future__ import annotations

from keras_tx.text.graph.marks import byte_mark


def decode_utf8(texts, tokens: int):
    """Code points of strings, and the bytes of what is not UTF-8.

    Args:
        texts: TensorFlow strings `(B,)`.
        tokens: number of tokens in the vocabulary.

    Returns:
        Ragged int32 `(B, None)`. A byte that belongs to no character, as Python's `bytes.decode` has it, is marked.
    """
    import tensorflow as tf

    points, offsets = tf.strings.unicode_decode_with_offsets(texts, "UTF-8", errors="replace")

    def with_bytes():
        data = tf.cast(tf.io.decode_raw(tf.strings.reduce_join(texts), tf.uint8), "int32")
        before = tf.cumsum(tf.cast(tf.strings.length(texts), "int64"), exclusive=True)
        begins = offsets.values + tf.gather(before, points.value_rowids())
        lengths = tf.concat([begins[1:], [tf.size(data, tf.int64)]], 0) - begins
        genuine = (lengths == 3) & (tf.gather(data, begins) == 0xEF)  # U+FFFD that stands in the text
        replaced = (points.values == 0xFFFD) & ~genuine
        begins = tf.ragged.range(begins, begins + tf.where(replaced, lengths, 1))
        replaced = tf.gather(replaced, begins.value_rowids())
        values = tf.gather(points.values, begins.value_rowids())
        values = tf.where(replaced, byte_mark(tf.gather(data, begins.values), tokens), values)
        return points.with_values(begins.with_values(values)).merge_dims(1, 2)

    return tf.cond(tf.reduce_any(points.values == 0xFFFD), with_bytes, lambda: points)
