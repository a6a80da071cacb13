"""Tables whose rows are tokens or positions, cut or grown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from keras_tx.ops.checks import require_positive

if TYPE_CHECKING:
    from keras_tx.models.core.head import HeadModel

_AXES = {
    "vocab_size": {
        "token_embedding/embeddings": 0,
        "head/output_projection/kernel": 1,
        "head/output_projection/bias": 0,
        "head/output_bias": 0,
    },
    "max_positions": {"position_embedding/embeddings": 0},
}
"""For each field of the config, how the paths of the weights end that have so many rows, and along which axis."""

RESIZABLE = tuple(_AXES)


def resized(path: str, values: np.ndarray, before: Any, after: Any) -> np.ndarray:
    """Returns a weight's values for a config with another vocabulary, or other positions.

    What there are fewer of is cut at the end. New rows are the mean of the old ones, which leaves a language model's
    probabilities of the old tokens nearly as they were (Hewitt 2021), as Transformers has it, but for its noise.

    Args:
        path: the weight's, below the model.
        values: as they were.
        before, after: the configs.
    """
    for field, axes in _AXES.items():
        if field not in before.to_dict() or getattr(before, field) == getattr(after, field):
            continue
        for ending, axis in axes.items():
            if path.endswith(ending):
                values = _resized(values, getattr(after, field), axis)
    return values


def _resized(values: np.ndarray, size: int, axis: int) -> np.ndarray:
    new = size - values.shape[axis]
    if new <= 0:
        return np.take(values, np.arange(size), axis)
    mean = values.astype("float32").mean(axis, keepdims=True).astype(values.dtype)
    return np.concatenate([values, np.repeat(mean, new, axis)], axis)


class ResizableEmbeddings:
    """Gives a model of texts `resize_token_embeddings`."""

    def resize_token_embeddings(self, new_num_tokens: int, pad_to_multiple_of: int | None = None) -> Self:
        """Cuts or grows the vocabulary: the token table, and what a language model's head has for each token.

        New rows are the mean of the old ones. The model itself is changed, its parts are new objects, and
        `config.vocab_size` follows; after `tokenizer.add_tokens(...)`, give `tokenizer.vocab_size`.

        Args:
            new_num_tokens: tokens of the vocabulary.
            pad_to_multiple_of: round it up to a multiple of this.

        Returns:
            The model.

        Raises:
            ValueError: for a size below 1; for a model that is compiled, has LoRA or is quantized, or shares its
                backbone or head with another.
        """
        require_positive(new_num_tokens=new_num_tokens, pad_to_multiple_of=pad_to_multiple_of)
        multiple = pad_to_multiple_of or 1
        resize(self, -(-new_num_tokens // multiple) * multiple)  # type: ignore[arg-type]
        return self


def resize(model: HeadModel, vocab_size: int) -> None:
    """Does what `resize_token_embeddings` says."""
    if "vocab_size" not in model.adaptable:
        raise ValueError(f"a {type(model).__name__} has another number for each pair of tokens: it cannot be resized.")
    if model.compiled:
        raise ValueError("resize the token embeddings before `compile`, which makes an optimizer for the weights.")
    for name, part in {"backbone": model.backbone, "head": model.head}.items():
        if part is not None and part.shared:
            raise ValueError(f"another model shares this `{name}`: resize the token embeddings before it is shared.")
    before, config = model.config, model.config.replace(vocab_size=vocab_size)
    other = type(model)(config, name=model.name, dtype=model.dtype_policy)
    old, new = model.weights_by_path(), other.weights_by_path()
    if old.keys() != new.keys():
        raise ValueError(
            "the model has LoRA or is quantized: resize the token embeddings before, or save the model and give "
            f"`from_pretrained` `vocab_size={vocab_size}`."
        )
    for path, weight in new.items():
        weight.assign(resized(path, np.asarray(old[path]), before, config))
    for ours, theirs in zip(model._flatten_layers(), other._flatten_layers(), strict=True):
        theirs.trainable = ours.trainable  # a layer before those in it
    model.take_parts(other)
