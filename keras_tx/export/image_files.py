"""Decodes JPEG and PNG files in the graph: turned upright by their Exif data, and not read if too large.

Source: CIPA DC-008, "Exchangeable image file format for digital still cameras: Exif Version 2.32", section 4.6.
"""

from __future__ import annotations

LARGEST_FILE = 2**24
"""The most bytes of a file."""
LARGEST_IMAGE = 2**26
"""The most pixels of an image, because a small file may hold very many."""
PNG = b"\x89PNG\r\n\x1a\n"
"""The first bytes of a PNG file."""


def fault_of(file):
    """Why a file is not read, by its first bytes: a string, empty for a file that is."""
    import tensorflow as tf

    def jpeg():
        return tf.io.extract_jpeg_shape(file)[:2]

    def png():
        return tf.io.decode_raw(tf.strings.substr(file, 16, 8), tf.int32, little_endian=False)

    is_jpeg = tf.io.is_jpeg(file)
    is_png = (tf.strings.substr(file, 0, len(PNG)) == PNG) & (tf.strings.length(file) >= 24)
    small = tf.strings.length(file) <= LARGEST_FILE
    size = tf.cond(is_jpeg & small, jpeg, lambda: tf.cond(is_png & small, png, lambda: tf.zeros([2], tf.int32)))
    few = tf.reduce_prod(tf.cast(size, tf.int64)) <= LARGEST_IMAGE
    return tf.case(
        [
            (~small, lambda: tf.constant(f"`image_bytes` must be of {LARGEST_FILE} bytes at most")),
            (~(is_jpeg | is_png), lambda: tf.constant("`image_bytes` must be JPEG or PNG files")),
            (~few, lambda: tf.constant(f"`image_bytes` must have images of {LARGEST_IMAGE} pixels at most")),
        ],
        default=lambda: tf.constant(""),
    )


def image_of(file, channels: int):
    """The upright image of a JPEG or PNG file, uint8 `(H, W, channels)`.

    Raises:
        InvalidArgumentError: when run on a file that is damaged.
    """
    import tensorflow as tf

    def jpeg():
        return upright(tf.io.decode_jpeg(file, channels, dct_method="INTEGER_ACCURATE"), file)  # as Pillow's

    image = tf.cond(tf.io.is_jpeg(file), jpeg, lambda: tf.io.decode_png(file, channels))
    image.set_shape((None, None, channels))
    return image


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
