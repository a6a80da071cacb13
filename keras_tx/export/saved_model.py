"""SavedModels that take tensors, strings and images' files, with TensorFlow's core operations alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from keras_tx.export.card import write_card
from keras_tx.export.check import check_saved_model, sample_requests
from keras_tx.export.generation import TextOptions, text_signatures
from keras_tx.export.pictures import image_signatures
from keras_tx.export.signature import Signature
from keras_tx.export.source import require_exportable
from keras_tx.export.tensors import tensor_signatures
from keras_tx.export.texts import string_signatures
from keras_tx.export.warmup import write_warmup
from keras_tx.files import whole_directory
from keras_tx.generation import GenerationMixin
from keras_tx.models.core.base import Model
from keras_tx.models.core.images import ImageModel
from keras_tx.ops.primitives import portable_graph
from keras_tx.text import Tokenizer
from keras_tx.vision import ImagePreprocessor


def export_saved_model(
    model: Model,
    path: str | Path,
    tokenizer: Tokenizer | None = None,
    *,
    preprocessor: ImagePreprocessor | None = None,
    max_new_tokens: int = 200,
    temperature: float = 0.8,
    top_k: int = 0,
    top_p: float = 1.0,
    eos_token_id: int | Sequence[int] | None = None,
    num_beams: int = 1,
    xla: bool = False,
    source: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes a SavedModel that runs with TensorFlow alone, checks it against the model, and only then keeps it.

    Signatures, with batch and length free:
        serving_default: the tensors of `model.input_signature()` to the model's outputs, flat and by name.
        encode, decode: the halves of an encoder-decoder that generates.
        serve_text, of a model with a tokenizer: strings to strings. `text` to `label`, `score` and all `scores`; to
            entities, each a `label`, its `text`, characters `start` and `end`, and `score`; `question` and `context` to
            `answer`, `start`, `end`, `score`; `text` and `choices` to `choice`, `index`, `score`; a `text` with masks
            to `token` and `score`; a `text` to the outputs of a model without a head; a `prompt` to `text`, with the
            options given here.
        serve_text_pair: likewise, of `text` and `text_pair`, where a model may be asked of pairs.
        generate, of a model that generates: `prompt` and the scalars `max_new_tokens`, `temperature` (0 for greedy),
            `top_k` (0 for all), `top_p` and `seed` to `text`; TensorFlow Serving fills in those not given. A decoder's
            text begins with the prompt. Equal prompts give equal text, whatever stands beside them in the batch.
        generate_batch: as `generate`, with options `(B,)`, so that a server may put requests together.
        generate_beams, with `num_beams` above 1: `prompt`, `max_new_tokens` and `length_penalty` to `text` and `score`.
        generate_xla, serving_default_xla, with `xla`: the same, compiled when first called with new sizes.
        serve_image, of a model with a preprocessor: `image_bytes`, JPEG or PNG files `(B,)`, to `label`, `score` and
            `scores`; to `label`, `score` and `box` of every query; to `classes` of all pixels; or to `features`.

    Texts that are empty, not UTF-8 or longer than 1 MiB are errors, as are files above 16 MiB or 67 million pixels.

    Beside it lie `model_card.json`, with signatures, versions, config, source and the files' sums, and requests that
    TensorFlow Serving warms up with.

    Args:
        model: a model of the registry.
        path: of the directory, whose name TensorFlow Serving wants to be a version number.
        tokenizer: of a text model.
        preprocessor: of an image model.
        max_new_tokens, temperature, top_k, top_p: of `serve_text`, and the defaults of `generate`.
        eos_token_id: a token, or several, that end a text, and show unless they are special; the model's config's if
            None, none at all if empty.
        num_beams: of `generate_beams`.
        xla: whether to add signatures that XLA compiles. TensorFlow Serving on CPUs does not run these by default.
        source: where the weights come from, for the card.
        progress: called with how many steps are done, and of how many.

    Raises:
        ValueError: on another backend than TensorFlow, for a model that does not compute in float32, for a tokenizer or
            preprocessor that does not fit it, if `path` holds anything but a SavedModel, or if the artifact's answers
            are not the model's; nothing is written then.
    """
    import tensorflow as tf

    require_exportable(model, "a SavedModel")
    _require_replaceable(Path(path))
    step = progress or (lambda done, total: None)
    options = TextOptions(max_new_tokens, temperature, top_k, top_p, 0, eos_token_id, num_beams)
    signatures = model_signatures(model, tokenizer, preprocessor, options, xla=xla)
    requests = sample_requests(signatures)
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    with whole_directory(path) as partial:
        traced = {name: signature.traced() for name, signature in signatures.items()}
        for name, function in traced.items():
            setattr(module, name, function)  # in Python these may be called with some inputs left out
        with portable_graph():  # saving traces functions again
            tf.saved_model.save(module, str(partial), signatures=traced)
        step(1, 2)
        check_saved_model(partial, signatures, requests)
        write_warmup(partial, [request for request in requests if not signatures[request[0]].xla])
        found = tf.saved_model.load(str(partial)).signatures
        write_card(partial, model, found, source=source)
    step(2, 2)


def model_signatures(
    model: Model,
    tokenizer: Tokenizer | None,
    preprocessor: ImagePreprocessor | None,
    options: TextOptions,
    *,
    xla: bool = False,
) -> dict[str, Signature]:
    """All that a model offers.

    Raises:
        ValueError: for a tokenizer or a preprocessor that does not fit it.
    """
    found = tensor_signatures(model, xla=xla)
    if tokenizer is not None:
        if not model.main_input == "input_ids":
            raise ValueError(f"`tokenizer` is for models of texts; {type(model).__name__} is none.")
        generates = isinstance(model, GenerationMixin)
        found |= (
            text_signatures(model, tokenizer, options, xla=xla) if generates else string_signatures(model, tokenizer)
        )
    if preprocessor is not None:
        if not isinstance(model, ImageModel):
            raise ValueError(f"`preprocessor` is for models of images; {type(model).__name__} is none.")
        found |= image_signatures(model, preprocessor)
    if options.num_beams > 1 and "generate_beams" not in found:
        raise ValueError(
            f"`num_beams` is of models that generate texts, with their tokenizer: leave out {options.num_beams}."
        )
    return found


def _require_replaceable(path: Path) -> None:
    """Raises ValueError for a path whose content is not ours to remove."""
    if path.is_file() or (path.is_dir() and any(path.iterdir()) and not (path / "saved_model.pb").exists()):
        raise ValueError(f"{path} exists and is not a SavedModel: choose a new directory.")
