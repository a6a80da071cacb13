"""The base of tokenizers that have a vocabulary and added tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keras_tx.text.core.base import Tokenizer
from keras_tx.text.graph.added_tokens import AddedToken


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
        self.added_tokens = tuple(sorted(added_tokens, key=lambda token: token.id))
        self.special_tokens = dict(special_tokens or {})
        self._tokens = _tokens(self.vocab, self.added_tokens)
        self._ids = {token: i for i, token in enumerate(self._tokens)}
        roles = {role: self._id(token, f"`{role}`") for role, token in self.special_tokens.items()}
        self.bos_token_id, self.eos_token_id = roles.get("bos_token"), roles.get("eos_token")
        self.cls_token_id, self.sep_token_id = roles.get("cls_token"), roles.get("sep_token")
        self.mask_token_id = roles.get("mask_token")
        super().__init__(pad_token_id=roles.get("pad_token", self.eos_token_id or 0), **options)

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
