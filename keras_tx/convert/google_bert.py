"""The folder that Google's BERT is published in: `bert_config.json` and a TensorFlow checkpoint of named variables."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from keras_tx.convert.tensors import Tensor
from keras_tx.files import read_json

BERT_CONFIG = "bert_config.json"
_INDEX = ".index"
_PUBLISHED = "bert_model.ckpt"
_OF_TRAINING = re.compile(r"(.*/)?((adam|nadam|lamb)_[mv]|global_step|good_steps|loss_scale|beta[12]_power)(_\d+)?")
_HEADS = {
    "cls/seq_relationship/output_weights": ("cls/seq_relationship/weight", "BertForPreTraining"),
    "cls/seq_relationship/output_bias": ("cls/seq_relationship/bias", "BertForPreTraining"),
    "cls/predictions/output_bias": ("cls/predictions/bias", "BertForMaskedLM"),
    "cls/squad/output_weights": ("qa_outputs/weight", "BertForQuestionAnswering"),
    "cls/squad/output_bias": ("qa_outputs/bias", "BertForQuestionAnswering"),
    "output_weights": ("classifier/weight", "BertForSequenceClassification"),
    "output_bias": ("classifier/bias", "BertForSequenceClassification"),
}
"""The variables of heads: as Transformers' TensorFlow classes would call them, and the class that has them."""


def is_google_bert(directory: Path) -> bool:
    """Returns whether a directory is such a folder."""
    return (directory / BERT_CONFIG).exists() and bool([*directory.glob(f"*{_INDEX}")])


def read_google_bert(directory: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Returns the config and the tensors, both as Transformers' TensorFlow classes would have them.

    What the optimizer left in the checkpoint is left out.

    Raises:
        ValueError: if there are several checkpoints and none is the last, or the checkpoint is broken.
    """
    import tensorflow as tf

    prefix = _prefix(directory)
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    except (tf.errors.OpError, ValueError) as error:
        raise ValueError(f"{prefix} is not a whole TensorFlow checkpoint: {error}") from None
    names = {name: _renamed(name) for name in shapes if not _OF_TRAINING.fullmatch(name)}
    tensors = {}
    for old, new in names.items():
        rows = partial(_rows, reader, old)
        tensors[new] = Tensor(tuple(shapes[old]), np.dtype(dtypes[old].as_numpy_dtype), rows, prefix, in_parts=False)
    config = {**read_json(directory / BERT_CONFIG), "model_type": "bert", "architectures": [_architecture(set(shapes))]}
    if "output_weights" in shapes:
        config["num_labels"] = shapes["output_weights"][0]
    return config, tensors


def _prefix(directory: Path) -> Path:
    """Returns the checkpoint's path without what its files' names end in: the published one, or the last."""
    import tensorflow as tf

    found = sorted(path.with_suffix("") for path in directory.glob(f"*{_INDEX}"))
    if directory / _PUBLISHED in found:
        return directory / _PUBLISHED
    if latest := tf.train.latest_checkpoint(str(directory)):
        return Path(latest)
    if len(found) > 1:
        raise ValueError(f"{directory} holds {len(found)} checkpoints, {', '.join(x.name for x in found)}: leave one.")
    return found[0]


def _rows(reader: Any, name: str, start: int, stop: int) -> np.ndarray:
    values = np.asarray(reader.get_tensor(name))
    return values[start:stop] if values.shape else values


def _renamed(name: str) -> str:
    if name in _HEADS:
        return _HEADS[name][0]
    name = re.sub(r"layer_(\d+)", r"layer_._\1", name)
    return f"{name}/weight" if name.endswith("_embeddings") else name


def _architecture(names: set[str]) -> str:
    """Returns the class that has the heads of these variables: of both tasks of the pre-training, say."""
    return next((cls for name, (_, cls) in _HEADS.items() if name in names), "BertModel")
