"""`serve_image`: JPEG and PNG files in, labels, boxes, classes of pixels or features out."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_tx.export.samples import sample_files
from keras_tx.export.signature import LONGEST_TEXT, Signature, strings
from keras_tx.export.tensors import named_outputs
from keras_tx.export.texts import label_outputs
from keras_tx.generation.sampling import probabilities
from keras_tx.models.images import ImageModel
from keras_tx.ops.boxes import center_to_corners
from keras_tx.ops.detection import best_classes
from keras_tx.vision import ImagePreprocessor

LARGEST_FILE = 16 * LONGEST_TEXT
"""Bytes of an image's file; a larger one is an error."""


def image_signatures(model: ImageModel, preprocessor: ImagePreprocessor) -> dict[str, Signature]:
    """`serve_image` of a model that takes images and nothing else; what it gives depends on the model's outputs."""
    if list(model.input_signature()) != ["images"]:
        return {}
    config: Any = model.config
    if config.channels not in (1, 3):
        raise ValueError(f"an image's file has 1 or 3 channels, and the model takes {config.channels}.")
    names = config.label_names or [f"LABEL_{i}" for i in range(config.num_classes)]

    def serve(image_bytes):
        images, sizes = decoded(image_bytes, preprocessor, config.channels)
        outputs = named_outputs(model, model(preprocessor.normalize(images)))
        if "features" in outputs:
            return outputs
        if "pred_boxes" in outputs:
            return detections(outputs, names, preprocessor, sizes)
        if len(outputs["logits"].shape) > 2:
            return {"classes": ops.argmax(outputs["logits"], axis=-1)}
        return label_outputs(names, probabilities(ops.cast(outputs["logits"], "float32")))

    def sample(rng, rows, length):
        return {"image_bytes": sample_files(rng, rows, config.channels)}

    return {"serve_image": Signature(serve, {"image_bytes": strings()}, sample)}


def decoded(files, preprocessor: ImagePreprocessor, channels: int):
    """The files `(B,)` as images of the model's size, not yet normalized, `(B, height, width, C)`, and their sizes.

    Returns:
        The images, float32, and height and width that each file had, int32 `(B, 2)`.
    """
    import tensorflow as tf

    checks = [
        tf.debugging.assert_positive(tf.size(files), "`image_bytes` must hold a file"),
        tf.debugging.assert_less_equal(
            tf.strings.length(files), LARGEST_FILE, f"`image_bytes` must be of {LARGEST_FILE} bytes at most"
        ),
    ]
    with tf.control_dependencies([check for check in checks if check is not None]):
        files = tf.identity(files)

    def one(file):
        image = tf.cond(
            tf.io.is_jpeg(file),
            lambda: tf.io.decode_jpeg(file, channels, dct_method="INTEGER_ACCURATE"),  # as Pillow's
            lambda: tf.io.decode_png(file, channels),
        )
        image.set_shape((None, None, channels))
        return preprocessor.resized(image)[0], tf.shape(image)[:2]

    specs = tf.TensorSpec((*preprocessor.image_size, channels), tf.float32), tf.TensorSpec((2,), tf.int32)
    return tf.map_fn(one, files, fn_output_signature=specs)


def detections(outputs: dict, names, preprocessor: ImagePreprocessor, sizes) -> dict[str, Any]:
    """What each query found, `(B, Q)`: `label`, `score`, and `box`, corners in pixels of the file, `(B, Q, 4)`.

    The scores are of the likeliest class but "no object"; who asks keeps those that are high enough.
    """
    import tensorflow as tf

    labels, scores = best_classes(outputs["logits"])
    boxes = center_to_corners(outputs["pred_boxes"]) * tf.constant(preprocessor.image_size[::-1] * 2, tf.float32)
    boxes = preprocessor.in_file(boxes, sizes[:, None, 0], sizes[:, None, 1])
    return {"label": tf.gather(tf.constant(list(names)), labels), "score": scores, "box": boxes}
