"""Transformers' tokenizer classes: which one a directory is of, and what it has unless its files say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_tx.files import read_json
from keras_tx.text.core.rows import Side
from keras_tx.text.core.template import Template

GENERIC = ("PreTrainedTokenizer", "TokenizersBackend", "PythonBackend")
"""Classes that say nothing of a tokenizer, `PreTrainedTokenizerFast` among them."""

WITHOUT_LIBRARY = {
    "BartphoTokenizer",
    "BertGenerationTokenizer",
    "BertJapaneseTokenizer",
    "BertweetTokenizer",
    "BioGptTokenizer",
    "CanineTokenizer",
    "CpmAntTokenizer",
    "CTRLTokenizer",
    "EsmTokenizer",
    "FlaubertTokenizer",
    "FSMTTokenizer",
    "GPTNeoXJapaneseTokenizer",
    "GPTSw3Tokenizer",
    "LukeTokenizer",
    "M2M100Tokenizer",
    "MarianTokenizer",
    "MLukeTokenizer",
    "MyT5Tokenizer",
    "PerceiverTokenizer",
    "PhobertTokenizer",
    "ProphetNetTokenizer",
    "RoCBertTokenizer",
    "RoFormerTokenizer",
    "Speech2TextTokenizer",
    "SpeechT5Tokenizer",
    "TapasTokenizer",
    "TapexTokenizer",
    "TransfoXLTokenizer",
    "XLMProphetNetTokenizer",
    "XLMTokenizer",
}
"""Classes that compute in Python what no `tokenizer.json` says."""

_OF_MODELS = {
    "AlbertTokenizer": "albert",
    "BartTokenizer": "bart",
    "BertTokenizer": "bert convbert electra ernie layoutlm lxmert megatron-bert mobilebert nezha squeezebert",
    "BigBirdTokenizer": "big_bird",
    "BioGptTokenizer": "biogpt",
    "BlenderbotTokenizer": "blenderbot",
    "ByT5Tokenizer": "byt5",
    "CamembertTokenizer": "camembert",
    "CanineTokenizer": "canine",
    "CLIPTokenizer": "clip",
    "CodeGenTokenizer": "codegen",
    "CTRLTokenizer": "ctrl",
    "DebertaTokenizer": "deberta",
    "DebertaV2Tokenizer": "deberta-v2",
    "DistilBertTokenizer": "distilbert",
    "DPRQuestionEncoderTokenizer": "dpr",
    "FlaubertTokenizer": "flaubert",
    "FSMTTokenizer": "fsmt",
    "FunnelTokenizer": "funnel",
    "GemmaTokenizer": "gemma gemma2 gemma3 gemma3_text",
    "GPT2Tokenizer": "gpt2 gpt_neo gptj opt",
    "GPTNeoXTokenizer": "gpt_neox",
    "LEDTokenizer": "led",
    "LlamaTokenizer": "llama mistral mixtral",
    "LongformerTokenizer": "longformer",
    "LukeTokenizer": "luke",
    "M2M100Tokenizer": "m2m_100",
    "MarianTokenizer": "marian",
    "MBartTokenizer": "mbart",
    "MPNetTokenizer": "mpnet",
    "MvpTokenizer": "mvp",
    "OpenAIGPTTokenizer": "openai-gpt",
    "PegasusTokenizer": "pegasus",
    "ProphetNetTokenizer": "prophetnet",
    "Qwen2Tokenizer": "qwen2 qwen3",
    "RemBertTokenizer": "rembert",
    "RobertaTokenizer": "data2vec-text ibert roberta roberta-prelayernorm",
    "RoFormerTokenizer": "roformer",
    "T5Tokenizer": "mt5 switch_transformers t5 umt5",
    "TapasTokenizer": "tapas",
    "TransfoXLTokenizer": "transfo-xl",
    "WhisperTokenizer": "whisper",
    "XLMRobertaTokenizer": "xlm-roberta xlm-roberta-xl xmod",
    "XLMTokenizer": "xlm",
    "XLNetTokenizer": "xlnet",
}
_BY_MODEL_TYPE = {model_type: name for name, types in _OF_MODELS.items() for model_type in types.split()}


@dataclass(frozen=True, kw_only=True)
class TokenizerClass:
    """The defaults of one of Transformers' tokenizer classes."""

    roles: Mapping[str, str]
    """The special tokens by role."""

    template: tuple[str, str] | None = None
    """The notation of the template of one text and of two, with the tokens of `roles`."""

    add_bos_token: bool = False
    """Whether texts begin with the `bos_token`, where there is no `template`."""

    mask_takes_blanks: bool = False
    """Whether the `mask_token` takes the whitespace before it."""

    model_input_names: tuple[str, ...] | None = None
    """What a batch holds; None: what is usual for the kind of tokenizer."""

    padding_side: Side = "right"
    """The side on which rows are padded."""

    plain: bool = True
    """Whether the vocabulary's own files are read; else `tokenizer.json` alone."""


def class_name(directory: Path) -> str | None:
    """Returns the name of the class that Transformers would take, without `Fast`; None if the files say of none.

    `tokenizer_config.json` names it, or `config.json` in older directories, or the `model_type` there tells it.
    """
    settings, config = (_content(directory / name) for name in ("tokenizer_config.json", "config.json"))
    if "word_tokenizer_type" in settings:
        return "BertJapaneseTokenizer"
    name = settings.get("tokenizer_class") or config.get("tokenizer_class")
    name = name or _BY_MODEL_TYPE.get(str(config.get("model_type")))
    return str(name).removesuffix("Fast") if name else None


def refuse_unknown(directory: Path, name: str | None, known: Mapping[str, TokenizerClass], *, plain: bool) -> None:
    """Raises ValueError for a class whose ids would come out otherwise than in Transformers.

    Args:
        directory: of the tokenizer.
        name: of the class, or None.
        known: the classes of this kind of tokenizer.
        plain: whether there are the vocabulary's own files alone, which leave the rest to the class.
    """
    if name in WITHOUT_LIBRARY:
        raise ValueError(
            f"{directory} holds a {name}, which is not supported: it computes what no tokenizer.json says."
        )
    if not plain or name is None or name in GENERIC or (name in known and known[name].plain):
        return
    raise ValueError(
        f"{directory} holds a {name}, whose vocabulary files are not supported; known are those of "
        f"{', '.join(key for key, value in known.items() if value.plain)}. If Transformers has a fast tokenizer of "
        "that class, the tokenizer.json that its `save_pretrained` writes is read."
    )


def class_template(
    kind: TokenizerClass, special_tokens: Mapping[str, str], ids: Mapping[str, int], directory: Path
) -> Template:
    """Returns the template of a class.

    Args:
        kind: the class, which has a template.
        special_tokens: the tokens by role.
        ids: the ids of tokens.
        directory: of the tokenizer, for the error.

    Raises:
        ValueError: if the vocabulary lacks a token of the template.
    """
    single, pair = kind.template or ("$A", "$A $B:1")
    named = {default: role for role, default in kind.roles.items() if default in single.replace(":", " ").split()}
    tokens = {default: special_tokens.get(role, default) for default, role in named.items()}
    for default, token in tokens.items():
        if token not in ids:
            raise ValueError(
                f"the vocabulary in {directory} has no token {token!r}, the tokenizer's `{named[default]}`."
            )
    return Template.parse(single, pair, {default: ids[token] for default, token in tokens.items()})


def _content(path: Path) -> dict[str, Any]:
    """The JSON object in a file; an empty one if there is none, which others complain of."""
    content = read_json(path) if path.exists() else {}
    return content if isinstance(content, dict) else {}
