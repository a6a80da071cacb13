"""How a camera was held, which JPEG files tell in their Exif data: read, and undone, in the graph.

Source: CIPA DC-008, "Exchangeable image file format for digital still cameras: Exif Version 2.32", section 4.6.
"""

from __future__ import annotations

BEGIN = "Exif\0\0"
"""What the data begin with."""
ORDERS = ("II*\0", "MM\0*")
"""What follows: which byte of a number comes first, the smaller one or the larger."""
WITHIN = 2**17
"""Bytes of a file in which they are looked for; they are its first segments, of 64 KiB at most each."""
TAG = 0x0112
LARGEST_TAGS = 2**10
"""Tags that are read."""


def upright(image, file):
    """The image `(H, W, C)` of a JPEG file as it is to be seen."""
    import tensorflow as tf

    how = orientation(file)
    image = tf.cond(how >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    for axis, values in ((0, (3, 4, 7, 8)), (1, (2, 3, 6, 7))):
        image = _reversed_if(tf.reduce_any(how == tf.constant(values)), image, axis)
    return image


def orientation(file):
    """1 to 8 of a JPEG file, int32 scalar; 1, upright, where it does not say."""
    import tensorflow as tf

    parts = tf.strings.split(tf.strings.substr(file, 0, WITHIN), BEGIN, maxsplit=1)
    text = tf.strings.join([tf.concat([parts, [""]], 0)[1], "\0" * 16])  # what is missing is 0
    data = tf.cast(tf.io.decode_raw(text, tf.uint8), tf.int32)
    little, big = tf.unstack(tf.strings.substr(text, 0, 4) == tf.constant(ORDERS))

    def number(at):
        """The 16 bits at places."""
        first, second = (tf.gather(data, tf.minimum(at + i, tf.size(data) - 1)) for i in (0, 1))
        return tf.where(little, first + 256 * second, 256 * first + second)

    directory = number(tf.where(little, 4, 6))  # of 32 bits, the lower ones
    count = tf.where(little | big, tf.minimum(number(directory), LARGEST_TAGS), 0)
    entries = directory + 2 + 12 * tf.range(count)
    found = tf.boolean_mask(number(entries + 8), number(entries) == TAG)
    how = tf.concat([found, [1]], 0)[0]
    return tf.where((how >= 1) & (how <= 8), how, 1)


def _reversed_if(condition, image, axis: int):
    import tensorflow as tf

    return tf.cond(condition, lambda: tf.reverse(image, [axis]), lambda: image)
