"""The base of tokenizers that have a vocabulary and added tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from keras_tx.text.core.base import Tokenizer
from keras_tx.text.graph.added_tokens import AddedToken

ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""The roles of special tokens, in the order in which tokens that are not in the vocabulary get ids."""

_FURTHER = "additional_special_tokens"


class VocabularyTokenizer(Tokenizer):
    """A tokenizer whose ids are those of a vocabulary and of added tokens.

    Args:
        vocab: ids of tokens; without gaps, those of `added_tokens` included.
        added_tokens: tokens found before all else.
        special_tokens: which token has which role: `{"mask_token": "[MASK]"}`. Each has to be a token.
        **options: `template`, `model_max_length`, `padding_side`, `truncation_side` and `model_input_names`, as of
            `Tokenizer`.

    Attributes:
        bos_token_id, eos_token_id, cls_token_id, sep_token_id, mask_token_id: ids of the roles, or None.
        pad_token_id: fills rows; where there is no `pad_token`, the id of `eos_token`, or 0.

    Raises:
        ValueError: if ids repeat or leave gaps, or a role names what is no token.
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        *,
        added_tokens: Sequence[AddedToken] = (),
        special_tokens: Mapping[str, str] | None = None,
        **options: Any,
    ):
        self.vocab = dict(vocab)
        super().__init__(**options)
        self._take(added_tokens, special_tokens or {})

    def _take(self, added_tokens: Iterable[AddedToken], special_tokens: Mapping[str, str]) -> None:
        """Takes added tokens and roles in place of those there were, and forgets what was made with those."""
        added = tuple(sorted(added_tokens, key=lambda token: token.id))
        tokens = _tokens(self.vocab, added)
        self.added_tokens, self.special_tokens, self._tokens = added, dict(special_tokens), tokens
        self._ids = {token: i for i, token in enumerate(tokens)}
        roles = {role: self._id(token, f"`{role}`") for role, token in self.special_tokens.items()}
        self.bos_token_id, self.eos_token_id = roles.get("bos_token"), roles.get("eos_token")
        self.cls_token_id, self.sep_token_id = roles.get("cls_token"), roles.get("sep_token")
        self.mask_token_id = roles.get("mask_token")
        self.pad_token_id = roles.get("pad_token", self.eos_token_id or 0)
        for cls in type(self).__mro__:
            for name, value in vars(cls).items():
                if isinstance(value, cached_property):
                    vars(self).pop(name, None)

    def add_tokens(
        self, new_tokens: str | AddedToken | Sequence[str | AddedToken], special_tokens: bool = False
    ) -> int:
        """Makes texts tokens wherever they occur, with the next ids, as Transformers does.

        One that is a token of the vocabulary keeps its id. The model needs as many rows:
        `model.resize_token_embeddings(tokenizer.vocab_size)`.

        Args:
            new_tokens: the texts, or `AddedToken`s, whose `id` does not count.
            special_tokens: whether texts are special tokens, which `decode(ids, skip_special_tokens=True)` leaves out;
                others are found in the normalized text.

        Returns:
            How many there were that were not added tokens before.

        Raises:
            ValueError: for an empty text.
        """
        given = [new_tokens] if isinstance(new_tokens, str | AddedToken) else list(new_tokens)
        added, count = {token.content: token for token in self.added_tokens}, self.vocab_size
        before = len(added)
        for token in given:
            if isinstance(token, str):
                token = AddedToken(0, token, special=special_tokens, normalized=not special_tokens)
            if token.content not in added:
                place = self._ids.get(token.content, count)
                added[token.content] = replace(token, id=place)
                count += place == count
        self._take(added.values(), self.special_tokens)
        return len(added) - before

    def add_special_tokens(self, special_tokens: Mapping[str, str | Sequence[str]]) -> int:
        """Gives tokens roles, and adds those that are not there yet, as special tokens.

        What stands around texts remains as it was.

        Args:
            special_tokens: which token has which role: `{"pad_token": "<pad>"}`; as `"additional_special_tokens"` any
                number of tokens without one.

        Returns:
            As `add_tokens`.

        Raises:
            ValueError: for a role that there is not.
        """
        further = special_tokens.get(_FURTHER, ())
        roles: dict[str, str] = {role: str(token) for role, token in special_tokens.items() if role != _FURTHER}
        if unknown := sorted(roles.keys() - set(ROLES)):
            raise ValueError(f"`special_tokens` must name {', '.join((*ROLES, _FURTHER))}; got {unknown[0]!r}.")
        count = self.add_tokens([*roles.values(), *([further] if isinstance(further, str) else further)], True)
        self._take(self.added_tokens, {**self.special_tokens, **roles})
        return count

    @property
    def vocab_size(self) -> int:
        """Number of ids, added tokens included."""
        return len(self._tokens)

    @property
    def tokens(self) -> list[str]:
        """The tokens by id."""
        return list(self._tokens)

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of special tokens, ascending."""
        return [token.id for token in self.added_tokens if token.special]

    def _id(self, token: str, what: str) -> int:
        if token not in self._ids:
            raise ValueError(f"{what} names {token!r}, which is not in the vocabulary.")
        return self._ids[token]

    def _shown(self, ids: Iterable[int], skip_special_tokens: bool) -> list[int]:
        """Checked ids, special ones left out where asked."""
        ids, special = self._checked(ids), self.all_special_ids if skip_special_tokens else ()
        return [i for i in ids if i not in special]


def _tokens(vocab: Mapping[str, int], added_tokens: Sequence[AddedToken]) -> list[str]:
    """Tokens by id.

    Raises:
        ValueError: if an id is given twice or left out.
    """
    tokens: dict[int, str] = {}
    for token, i in [*vocab.items(), *((token.content, token.id) for token in added_tokens)]:
        if tokens.setdefault(i, token) != token:
            raise ValueError(f"the vocabulary gives the id {i} to {tokens[i]!r} and to {token!r}.")
    if sorted(tokens) != list(range(len(tokens))):
        missing = next(i for i in range(len(tokens)) if i not in tokens)
        raise ValueError(f"the vocabulary has {len(tokens)} tokens and gives none the id {missing}.")
    return [tokens[i] for i in range(len(tokens))]
