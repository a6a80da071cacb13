"""`serve_image`: from JPEG and PNG files to labels, boxes, classes of pixels or features."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_tx.export.faults import Faults
from keras_tx.export.image_files import fault_of, image_of
from keras_tx.export.samples import sample_files
from keras_tx.export.signature import Signature, strings
from keras_tx.export.texts import label_outputs
from keras_tx.models.core.images import ImageModel
from keras_tx.ops.image.boxes import center_to_corners
from keras_tx.ops.image.detection import best_classes
from keras_tx.ops.image.patches import pair
from keras_tx.tasks.labels import label_scores
from keras_tx.vision import ImagePreprocessor


def takes_files(model: ImageModel) -> bool:
    """Whether images from files, of 1 or 3 channels, are all that a model takes."""
    config: Any = model.config
    return list(model.input_signature()) == ["images"] and config.channels in (1, 3)


def image_signatures(model: ImageModel, preprocessor: ImagePreprocessor) -> dict[str, Signature]:
    """`serve_image`, whose outputs depend on those of the model.

    Raises:
        ValueError: for a model that takes more than images, or images that are not of 1 or 3 channels.
    """
    config: Any = model.config
    if not takes_files(model):
        raise ValueError(
            f"a {type(model).__name__} takes {', '.join(model.input_signature())}, with {config.channels} channels, "
            "and files hold images alone, of 1 or 3: leave out `preprocessor`."
        )
    names = config.label_names or [f"LABEL_{i}" for i in range(config.num_classes)]

    def serve(image_bytes):
        images, sizes, faults = decoded(image_bytes, preprocessor, config.channels)
        return faults.marked(answers(model.named_outputs(model(preprocessor.normalize(images))), sizes))

    def answers(outputs, sizes):
        if "features" in outputs:
            return outputs
        if "pred_boxes" in outputs:
            return detections(outputs, names, preprocessor, sizes)
        if len(outputs["logits"].shape) > 2:
            return {"classes": ops.argmax(outputs["logits"], axis=-1)}
        return label_outputs(names, label_scores(ops.cast(outputs["logits"], "float32"), problem_type(config)))

    def sample(rng, rows, length):
        return {"image_bytes": sample_files(rng, rows, config.channels)}

    return {"serve_image": Signature(serve, {"image_bytes": strings()}, sample)}


def problem_type(config: Any) -> str:
    """The `problem_type` of an image classifier's config; of one class alone, unless that is a number, yes or no."""
    if config.num_classes == 1 and config.problem_type != "regression":
        return "multi_label_classification"
    return config.problem_type or "single_label_classification"


def decoded(files, preprocessor: ImagePreprocessor, channels: int):
    """The images of files `(B,)`, resized to the model's size and not yet normalized.

    Returns:
        The images, float32 `(B, height, width, C)`, the original height and width of each, int32 `(B, 2)`, and what is
        wrong with files that are no images.
    """
    import tensorflow as tf

    def one(file):
        fault = fault_of(file)
        image = tf.cond(fault == "", lambda: image_of(file, channels), lambda: tf.zeros((1, 1, channels), tf.uint8))
        return preprocessor.resized(image)[0], tf.shape(image)[:2], fault

    faults = Faults(files, "image_bytes")
    images = tf.TensorSpec((*pair(preprocessor.image_size), channels), tf.float32)
    specs = images, tf.TensorSpec((2,), tf.int32), tf.TensorSpec((), tf.string)
    images, sizes, faults.messages = tf.map_fn(one, files, fn_output_signature=specs)
    return images, sizes, faults


def detections(outputs: dict, names, preprocessor: ImagePreprocessor, sizes) -> dict[str, Any]:
    """What each query found: `label` and `score` `(B, Q)`, and `box` `(B, Q, 4)`, corners in pixels of the file.

    The label is the likeliest class other than "no object"; the caller keeps those with a high enough score.
    """
    import tensorflow as tf

    labels, scores = best_classes(outputs["logits"])
    boxes = center_to_corners(outputs["pred_boxes"]) * tf.constant(pair(preprocessor.image_size)[::-1] * 2, tf.float32)
    boxes = preprocessor.in_file(boxes, sizes[:, None, 0], sizes[:, None, 1])
    return {"label": tf.gather(tf.constant(list(names)), labels), "score": scores, "box": boxes}
