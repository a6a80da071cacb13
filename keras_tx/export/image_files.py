"""Decodes JPEG and PNG files in the graph: turned upright by their Exif data, and refused if too large.

Source: CIPA DC-008, "Exchangeable image file format for digital still cameras: Exif Version 2.32", section 4.6.
"""

from __future__ import annotations

from keras_tx.export.signature import LONGEST_TEXT, after

LARGEST_FILE = 16 * LONGEST_TEXT
"""The most bytes of a file; a larger one is an error."""
LARGEST_IMAGE = 2**26
"""The most pixels of an image; more are an error, because a small file may hold very many."""
PNG = b"\x89PNG\r\n\x1a\n"
"""The first bytes of a PNG file."""


def image_of(file, channels: int):
    """The upright image of a file, uint8 `(H, W, channels)`; InvalidArgumentError for a file that is not an image."""
    import tensorflow as tf

    def jpeg():
        checked = _with_few_pixels(file, tf.io.extract_jpeg_shape(file)[:2])
        return upright(tf.io.decode_jpeg(checked, channels, dct_method="INTEGER_ACCURATE"), file)  # as Pillow's

    def png():
        begins = tf.strings.substr(file, 0, len(PNG)) == PNG
        checked = after([tf.debugging.Assert(begins, ["`image_bytes` must be JPEG or PNG files"])], file)
        size = tf.io.decode_raw(tf.strings.substr(checked, 16, 8), tf.int32, little_endian=False)
        return tf.io.decode_png(_with_few_pixels(checked, size), channels)

    image = tf.cond(tf.io.is_jpeg(file), jpeg, png)
    image.set_shape((None, None, channels))
    return image


def _with_few_pixels(file, size):
    """The file, checked to have an image that is not too large; `size` is height and width, in either order."""
    import tensorflow as tf

    pixels = tf.reduce_prod(tf.cast(size, tf.int64))
    message = f"`image_bytes` must have images of {LARGEST_IMAGE} pixels at most"
    return after([tf.debugging.assert_less_equal(pixels, tf.constant(LARGEST_IMAGE, tf.int64), message)], file)


# === Exif ===

EXIF = "Exif\0\0"
"""The first bytes of the data."""
ORDERS = ("II*\0", "MM\0*")
"""The byte order that follows: little-endian or big-endian."""
WITHIN = 2**17
"""Bytes of a file that are searched for the data, which are in one of its first segments of at most 64 KiB."""
ORIENTATION = 0x0112
MOST_TAGS = 2**10
"""The most tags that are read."""


def upright(image, file):
    """The image `(H, W, C)` of a JPEG file, turned upright."""
    import tensorflow as tf

    how = orientation(file)
    image = tf.cond(how >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    for axis, values in ((0, (3, 4, 7, 8)), (1, (2, 3, 6, 7))):
        image = _reversed_if(tf.reduce_any(how == tf.constant(values)), image, axis)
    return image


def orientation(file):
    """The Exif orientation of a JPEG file, 1 to 8, int32 scalar; 1, which is upright, if the file has none."""
    import tensorflow as tf

    parts = tf.strings.split(tf.strings.substr(file, 0, WITHIN), EXIF, maxsplit=1)
    text = tf.strings.join([tf.concat([parts, [""]], 0)[1], "\0" * 16])  # what is missing is 0
    data = tf.cast(tf.io.decode_raw(text, tf.uint8), tf.int32)
    little, big = tf.unstack(tf.strings.substr(text, 0, 4) == tf.constant(ORDERS))

    def number(at):
        """The 16-bit numbers at these offsets."""
        first, second = (tf.gather(data, tf.minimum(at + i, tf.size(data) - 1)) for i in (0, 1))
        return tf.where(little, first + 256 * second, 256 * first + second)

    directory = number(tf.where(little, 4, 6))  # of 32 bits, the lower ones
    count = tf.where(little | big, tf.minimum(number(directory), MOST_TAGS), 0)
    entries = directory + 2 + 12 * tf.range(count)
    found = tf.boolean_mask(number(entries + 8), number(entries) == ORIENTATION)
    how = tf.concat([found, [1]], 0)[0]
    return tf.where((how >= 1) & (how <= 8), how, 1)


def _reversed_if(condition, image, axis: int):
    import tensorflow as tf

    return tf.cond(condition, lambda: tf.reverse(image, [axis]), lambda: image)
