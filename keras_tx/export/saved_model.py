"""SavedModels that take tensors, strings and images' files, with TensorFlow's core operations alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from keras_tx.export.card import write_card
from keras_tx.export.check import check_saved_model, sample_requests
from keras_tx.export.formats import SAVED_MODEL
from keras_tx.export.frame import Progress, exportable, write_artifact
from keras_tx.export.generation import text_signatures
from keras_tx.export.pictures import image_signatures
from keras_tx.export.signature import Integers, Signature
from keras_tx.export.tensors import Inside, tensor_signatures
from keras_tx.export.text_generator import TextOptions
from keras_tx.export.texts import embedding_signature, string_signatures
from keras_tx.export.warmup import write_warmup
from keras_tx.generation import GenerationMixin
from keras_tx.models.core.base import Model
from keras_tx.models.core.images import ImageModel
from keras_tx.ops.primitives import portable_graph
from keras_tx.text import Tokenizer
from keras_tx.vision import ImagePreprocessor

ONLY_GENERATING = ("num_beams", "repetition_penalty", "no_repeat_ngram_size", "min_p", "penalty_alpha")
"""The options that change what is exported of a model that generates."""


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
    seed: int = -1,
    eos_token_id: int | Sequence[int] | None = None,
    num_beams: int = 1,
    repetition_penalty: float = 1.0,
    no_repeat_ngram_size: int = 0,
    min_p: float = 0.0,
    penalty_alpha: float = 0.0,
    inside: Collection[Inside] = (),
    integers: Integers = "int32",
    xla: bool = False,
    source: str | None = None,
    progress: Progress | None = None,
) -> None:
    """Writes a SavedModel that runs with TensorFlow alone, checks it against the model, and only then keeps it.

    Signatures, in which batch and length are free:
        serving_default: from the tensors of `model.input_signature()` to the model's outputs, flat and by name.
        encode, decode: the two halves of an encoder-decoder that generates.
        hidden_states, attentions, embedding, with `inside`: what is inside the model, as `inner_signatures` describes;
            with a `tokenizer`, `serve_text_embedding` gives the `embedding` of each `text`.
        serve_text, with a `tokenizer`: strings in, strings out. What they are depends on the head: `text` to `label`,
            `score` and all `scores`; `text` to entities, each with `label`, `text`, the characters `start` and `end`,
            and `score`; `question` and `context` to `answer`, `start`, `end` and `score`; `text` and `choices` to
            `choice`, `index`, `score` and `scores`; `text` with mask tokens to `token`, `token_id` and `score`; `text`
            to the outputs of a model without a head; `prompt` to a generated `text`, with the options given here.
        serve_text_pair: the same for `text` and `text_pair`, where a model reads pairs.
        serve_zero_shot, of a classifier with a label that begins with "entail": `text`, `hypotheses` and the scalar
            `multi_label`, False unless given, to `hypothesis`, `index`, `score` and `scores`.
        generate, of a model that generates: `prompt` and the scalars `max_new_tokens`, `temperature` (0 for greedy),
            `top_k` (0 for all), `top_p` and `seed` to `text`. TensorFlow Serving fills in those that a request leaves
            out. A decoder's text begins with the prompt. Equal prompts, options and seeds give equal texts, whatever
            else is in the batch; with a `seed` below 0 texts are drawn anew each time.
        generate_batch: as `generate`, with options `(B,)`, so that a server may put requests together.
        generate_beams, with `num_beams` above 1: `prompt`, `max_new_tokens` and `length_penalty` to `text` and `score`.
        generate_contrastive, with `penalty_alpha`: `prompt`, `max_new_tokens` and `penalty_alpha` to `text`.
        generate_xla, serving_default_xla, with `xla`: the same, compiled when they are first called with new sizes.
        serve_image, with a `preprocessor`: `image_bytes`, JPEG or PNG files `(B,)`, to `label`, `score` and `scores`;
            to `label`, `score` and `box` of every query; to the `classes` of all pixels; or to `features`.

    What is asked with strings also says what is wrong with each row, `error`, empty where nothing is: a text without a
    token, not UTF-8, longer than 1 MiB, or with characters that the tokenizer does not know; an option of its own out
    of range; a file that is neither JPEG nor PNG, or above 16 MiB or 67 million pixels. The outputs of such a row are
    "", -1 and NaN, and the other rows are answered.

    Beside the graph the directory has `model_card.json`, with signatures, versions, config, source and the checksums of
    the files, and requests with which TensorFlow Serving warms up.

    Args:
        model: a model or a backbone; of one that does not compute in float32, a copy that does is exported. LoRA
            weights are part of what is exported, and layers that Keras has quantized to 8 bits stay so.
        path: of the directory; TensorFlow Serving wants its name to be a version number.
        tokenizer: of a text model.
        preprocessor: of an image model.
        max_new_tokens, temperature, top_k, top_p, seed: what `serve_text` generates with, and the defaults of
            `generate`. With a `seed` below 0 each request draws anew.
        eos_token_id: one or several tokens that end a text. Unless they are special they are part of it. None for those
            of the model's config; empty for none.
        num_beams: of `generate_beams`.
        repetition_penalty, no_repeat_ngram_size, min_p: of all that generates, as of `GenerationConfig`.
        penalty_alpha: of `generate_contrastive`, which chooses among the likeliest `top_k`.
        inside: which signatures to add for what is inside the model.
        integers: the dtype of ids and masks.
        xla: whether to add signatures that XLA compiles. TensorFlow Serving does not run these on CPUs by default.
        source: where the weights come from, for the card.
        progress: called with the number of steps done, and of all.

    Raises:
        ValueError: on another backend than TensorFlow; for a tokenizer or preprocessor that does not fit the model; if
            `path` holds anything but a SavedModel; and if the artifact does not answer as the model does. Nothing is
            written then.
    """
    import tensorflow as tf

    model = exportable(model, SAVED_MODEL)
    options = TextOptions(
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        eos_token_id=eos_token_id,
        num_beams=num_beams,
        repetition_penalty=repetition_penalty,
        no_repeat_ngram_size=no_repeat_ngram_size,
        min_p=min_p,
        penalty_alpha=penalty_alpha,
    )
    signatures = model_signatures(model, tokenizer, preprocessor, options, inside=inside, integers=integers, xla=xla)
    requests = sample_requests(signatures)

    def write(directory: Path) -> None:
        write_signatures(model, signatures, directory)
        write_warmup(directory, [request for request in requests if not signatures[request[0]].xla])

    def check(directory: Path) -> None:
        check_saved_model(directory, signatures, requests)
        write_card(directory, model, tf.saved_model.load(str(directory)).signatures, source=source)

    write_artifact(SAVED_MODEL, path, write, check, progress=progress)


def write_signatures(model: Model, signatures: Mapping[str, Signature], directory: Path) -> None:
    """Writes a SavedModel of these signatures and the model's weights."""
    import tensorflow as tf

    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    traced = {name: signature.traced() for name, signature in signatures.items()}
    for name, function in traced.items():
        setattr(module, name, function)  # in Python these may be called with some inputs left out
    with portable_graph():  # saving traces functions again
        tf.saved_model.save(module, str(directory), signatures=traced)


def model_signatures(
    model: Model,
    tokenizer: Tokenizer | None,
    preprocessor: ImagePreprocessor | None,
    options: TextOptions,
    *,
    inside: Collection[Inside] = (),
    integers: Integers = "int32",
    xla: bool = False,
) -> dict[str, Signature]:
    """All signatures of a model.

    Raises:
        ValueError: for a tokenizer or a preprocessor that does not fit it.
    """
    found = tensor_signatures(model, xla=xla, inside=inside, integers=integers)
    if tokenizer is not None:
        if model.main_input != "input_ids":
            raise ValueError(f"`tokenizer` is for text models, and a {type(model).__name__} is not one.")
        generates = isinstance(model, GenerationMixin)
        found |= (
            text_signatures(model, tokenizer, options, xla=xla) if generates else string_signatures(model, tokenizer)
        )
        if "embedding" in inside:
            found["serve_text_embedding"] = embedding_signature(model, tokenizer)
    if preprocessor is not None:
        if not isinstance(model, ImageModel):
            raise ValueError(f"`preprocessor` is for image models, and a {type(model).__name__} is not one.")
        found |= image_signatures(model, preprocessor)
    given = [name for name in ONLY_GENERATING if getattr(options, name) != getattr(TextOptions, name)]
    if given and "generate" not in found:
        raise ValueError(
            f"`{given[0]}` is for models that generate text, exported with their tokenizer; got "
            f"{getattr(options, given[0])} for a {type(model).__name__}{'' if tokenizer else ' without one'}."
        )
    return found
