"""The base of tokenizers: texts to padded batches of ids, in Python and in TensorFlow graphs alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Self, get_args

from keras_tx.tensorflow import leave_gpus
from keras_tx.text.core.locate import locate_tokenizer
from keras_tx.text.core.rows import Rows, Side, Tokens, Truncation, functions_of
from keras_tx.text.core.template import Template


class Tokenizer:
    """Texts to ids and back.

    A tokenizer is `tokenize` and `detokenize`, which are TensorFlow graphs of core operations without tables or files:
    they run eagerly, in a `tf.data` map and inside an exported SavedModel, with the same result. Everything else is
    made of them.

    Args:
        template: the special tokens around a text and around a pair, unless `add_special_tokens=False`.
        pad_token_id: fills rows up; a mask of 0 lies over it.
        model_max_length: how many ids the model takes; `truncation=True` cuts to it unless told otherwise.
        padding_side: where rows are filled unless told otherwise.
        truncation_side: where long texts lose ids unless told otherwise.
        model_input_names: what a batch holds: `"input_ids"`, `"attention_mask"`, and where the model has token types,
            `"token_type_ids"`. Unless given, as the model has it that this kind of tokenizer was made for.

    Raises:
        ValueError: for a name or a side that there is not.
    """

    model_input_names: tuple[str, ...] = ("input_ids", "attention_mask")

    def __init__(
        self,
        *,
        template: Template | None = None,
        pad_token_id: int = 0,
        model_max_length: int | None = None,
        padding_side: Side = "right",
        truncation_side: Side = "right",
        model_input_names: Sequence[str] | None = None,
    ):
        leave_gpus()
        self.template = template or Template()
        self.pad_token_id = pad_token_id
        self.model_max_length = model_max_length
        self.padding_side = _side("padding_side", padding_side)
        self.truncation_side = _side("truncation_side", truncation_side)
        if model_input_names is not None:
            self.model_input_names = _input_names(model_input_names)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
    ) -> Self:
        """Reads a tokenizer that `save_pretrained` or Transformers saved. No weights are downloaded.

        Args:
            source: a directory, or a hub id such as "openai-community/gpt2".
            revision: branch, tag or commit on the hub; "main" unless given.
            cache_dir: the hub's cache; as `huggingface_hub` has it unless given.
            local_files_only: take what is in the hub's cache and ask no server.
            token: for what is not public, as `huggingface_hub` takes it.

        Raises:
            FileNotFoundError: if there is neither such a directory nor, within reach, such a tokenizer on the hub.
            ValueError: if files are missing, damaged, or of a tokenizer that would give other ids here.
        """
        path = locate_tokenizer(
            source, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only, token=token
        )
        return cls.from_directory(path)

    @classmethod
    def from_directory(cls, directory: Path) -> Self:
        """Reads the tokenizer in a directory."""
        raise NotImplementedError

    def save_pretrained(self, directory: str | Path) -> None:
        """Writes the tokenizer into a directory; other files there stay."""
        raise NotImplementedError

    @property
    def vocab_size(self) -> int:
        """Number of ids, added tokens included."""
        raise NotImplementedError

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of the special tokens; none unless a subclass has some."""
        return []

    def tokenize(self, texts):
        """The ids of TensorFlow strings `(B,)` of UTF-8, nothing put around them: a ragged int32 tensor `(B, None)`."""
        raise NotImplementedError

    def knows(self, texts):
        """Which of TensorFlow strings `(B,)` of UTF-8 `tokenize` takes, boolean `(B,)`.

        All, unless a subclass refuses characters outside its vocabulary.
        """
        import tensorflow as tf

        return tf.fill(tf.shape(texts), True)

    def tokenize_with_offsets(self, texts):
        """Ragged int32 `(B, None, 4)`: of each token its id, its word, and the characters `[begin, end)` it is of."""
        raise ValueError(f"{type(self).__name__} gives no offsets: leave `return_offsets_mapping` out.")

    def detokenize(self, ids):
        """The texts of ids, `(B, T)` or ragged: a TensorFlow string tensor `(B,)`."""
        raise NotImplementedError

    def encode(self, text: str, text_pair: str | None = None, add_special_tokens: bool = True) -> list[int]:
        """The ids of a text or of a pair, with the ids that the tokenizer puts around them.

        Raises:
            ValueError: if the tokenizer has no ids for a text.
        """
        pairs = None if text_pair is None else [text_pair]
        return self([text], pairs, add_special_tokens=add_special_tokens)["input_ids"][0].tolist()

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """The text of ids."""
        raise NotImplementedError

    def __call__(
        self,
        texts: str | Sequence[str],
        text_pairs: str | Sequence[str] | None = None,
        *,
        add_special_tokens: bool = True,
        padding: Literal["longest", "max_length"] = "longest",
        padding_side: Side | None = None,
        truncation: bool | Truncation = False,
        truncation_side: Side | None = None,
        max_length: int | None = None,
        stride: int = 0,
        return_overflowing_tokens: bool = False,
        return_offsets_mapping: bool = False,
    ) -> dict:
        """A padded batch of texts, or of pairs of texts.

        Args:
            texts: Python strings, or a TensorFlow string tensor `(B,)`, in a graph or not.
            text_pairs: as many second texts, of the same kind.
            add_special_tokens: whether to put the template's special tokens around texts.
            padding: fill rows up to the longest, or to `max_length`, which then is a static shape.
            padding_side: where shorter rows are filled, with `pad_token_id` under a mask of 0.
            truncation: cut rows to `max_length`, special tokens kept; for pairs, which text is cut: `"only_first"`,
                `"only_second"`, or the longer one and then both, `"longest_first"` or True.
            truncation_side: where longer texts lose ids.
            max_length: `model_max_length` unless given.
            stride: ids by which each row of a text overlaps the one before. With `return_overflowing_tokens` only.
            return_overflowing_tokens: make several rows of a text too long, rather than cut it. Of a pair one text
                alone can be so split: `truncation="only_first"` or `"only_second"`.
            return_offsets_mapping: give the characters and words that ids stand for.

        Returns:
            `model_input_names`, int32 `(B, T)`: NumPy arrays for Python strings, TensorFlow tensors for tensors. If
            asked for, `overflow_to_sample_mapping`, int32 `(B,)`, the text that each row is of; `offset_mapping`, int32
            `(B, T, 2)`, the characters `[begin, end)` of its text that each id stands for; and `word_ids`, int32
            `(B, T)`. Special tokens and padding stand for `[0, 0)`, and are of the word -1.

        Raises:
            ValueError: for arguments that do not fit together, and for texts without ids; a tensor's text raises
                TensorFlow's `InvalidArgumentError` instead.
        """
        _check_windows(truncation, text_pairs is not None, stride, return_overflowing_tokens)
        rows = Rows(
            template=self.template if add_special_tokens else self.template.without_special_tokens(),
            pad_token_id=self.pad_token_id,
            max_length=self._length(padding, truncation, max_length),
            truncation="longest_first" if isinstance(truncation, bool) else truncation,
            truncation_side=_side("truncation_side", truncation_side or self.truncation_side),
            stride=stride if return_overflowing_tokens else None,
            padding_side=_side("padding_side", padding_side or self.padding_side),
            pad_to_max_length=padding == "max_length",
        )
        given = (texts,) if text_pairs is None else (texts, text_pairs)
        rows.room(len(given))  # before any text is tokenized
        cells, samples = rows(*self._encoded(given, return_offsets_mapping))
        columns = {"input_ids": cells[0], "token_type_ids": cells[-2], "attention_mask": cells[-1]}
        batch = {name: columns[name] for name in self.model_input_names}
        if return_overflowing_tokens:
            batch["overflow_to_sample_mapping"] = samples
        if return_offsets_mapping:
            xp = functions_of(samples)
            batch["word_ids"] = cells[1]
            batch["offset_mapping"] = xp.maximum(xp.stack([cells[2], cells[3]], axis=-1), 0)
        return batch

    def _encoded(self, given: Sequence, offsets: bool) -> list[Tokens]:
        """The tokens of texts and of their pairs: tensors of tensors, NumPy's arrays of Python strings."""
        if hasattr(given[0], "dtype"):
            return [Tokens.of_ragged(self.tokenize_with_offsets(x) if offsets else self.tokenize(x)) for x in given]
        lists = [[texts] if isinstance(texts, str) else list(texts) for texts in given]
        if len({len(texts) for texts in lists}) > 1:
            raise ValueError(f"`texts` are {len(lists[0])} and `text_pairs` {len(lists[1])}: give as many of each.")
        return [self._encoded_strings(texts, offsets) for texts in lists]

    def _encoded_strings(self, texts: Sequence[str], offsets: bool) -> Tokens:
        with value_errors():
            tensor = strings(texts)
            return Tokens.of_eager(self.tokenize_with_offsets(tensor) if offsets else self.tokenize(tensor))

    def _length(self, padding: str, truncation: bool | str, max_length: int | None) -> int | None:
        if padding not in ("longest", "max_length"):
            raise ValueError(f'`padding` must be "longest" or "max_length"; got {padding!r}.')
        if truncation not in (True, False, *get_args(Truncation)):
            raise ValueError(f"`truncation` must be a bool or one of {get_args(Truncation)}; got {truncation!r}.")
        if truncation:
            length = self.model_max_length if max_length is None else max_length
            if length is None:
                raise ValueError("`truncation=True` needs `max_length`: the tokenizer has no `model_max_length`.")
            return length
        if max_length is not None or padding == "max_length":
            raise ValueError("`max_length` and `padding='max_length'` need `truncation=True`: rows may be longer.")
        return None

    def _checked(self, ids: Iterable[int]) -> list[int]:
        ids = [int(i) for i in ids]
        for i in ids:
            if not 0 <= i < self.vocab_size:
                raise ValueError(f"`ids` must lie in [0, {self.vocab_size}); got {i}.")
        return ids


def strings(texts: Sequence[str]):
    """Python strings as a TensorFlow tensor `(B,)`.

    Raises:
        ValueError: if one holds a lone surrogate.
    """
    import tensorflow as tf

    try:
        data = [text.encode("utf-8") for text in texts]
    except UnicodeEncodeError as error:
        raise ValueError(
            f"a text holds the lone surrogate {error.object[error.start]!r} at {error.start}: no character. "
            'Mend it with `text.encode("utf-8", "replace").decode()`.'
        ) from None
    return tf.constant(data, tf.string, (len(data),))


@contextmanager
def value_errors() -> Iterator[None]:
    """Gives the assertions of a graph that is run on Python's strings as ValueErrors."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        reason = error.message.partition("assertion failed: ")[2].partition("\n")[0]
        raise ValueError(reason.strip("[]'") or error.message) from None


def _check_windows(truncation: bool | str, pair: bool, stride: int, overflowing: bool) -> None:
    if not overflowing:
        if stride:
            raise ValueError(f"`stride` is {stride}, and means nothing without `return_overflowing_tokens=True`.")
        return
    if not truncation:
        raise ValueError("`return_overflowing_tokens=True` needs `truncation` and a length.")
    if pair and truncation not in ("only_first", "only_second"):
        raise ValueError(
            'of a pair one text alone can become several rows: `truncation` must be "only_first" or "only_second"; '
            f"got {truncation!r}."
        )
    if stride < 0:
        raise ValueError(f"`stride` must be 0 or above; got {stride}.")


def _side(name: str, side: str) -> Side:
    if side not in ("left", "right"):
        raise ValueError(f'`{name}` must be "left" or "right"; got {side!r}.')
    return side  # type: ignore[return-value]


def _input_names(names: Sequence[str]) -> tuple[str, ...]:
    known = {"input_ids", "token_type_ids", "attention_mask"}
    if not {"input_ids", "attention_mask"} <= set(names) <= known:
        raise ValueError(
            f'`model_input_names` must be "input_ids", "attention_mask" and perhaps "token_type_ids"; got {[*names]}.'
        )
    return tuple(names)
