"""The directories of sentence-transformers: what makes one vector of a text, module by module."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from keras_tx.convert.directory import CONFIG, WEIGHTS
from keras_tx.convert.hub import locate
from keras_tx.convert.tensors import read_safetensors, write_safetensors
from keras_tx.files import read_json, whole_file, write_json
from keras_tx.hub import HUB_SCHEME, download

MODULES = "modules.json"
_TRANSFORMER = "sentence_bert_config.json"
SETTINGS = "config_sentence_transformers.json"
_PICKLE = "pytorch_model.bin"
_POOLING = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""The ways of pooling by the entries that say them, up to version 5, in their order."""
_ACTIVATIONS = {
    "torch.nn.modules.linear.Identity": "linear",
    **{
        f"torch.nn.modules.activation.{theirs}": ours
        for theirs, ours in {
            **{"Tanh": "tanh", "ReLU": "relu", "GELU": "gelu", "SiLU": "silu", "Sigmoid": "sigmoid"},
            **{"ReLU6": "relu6", "Mish": "mish", "LeakyReLU": "leaky_relu"},
        }.items()
    },
}
"""The activations of a dense module by their classes."""
_OF_PROJECTION = {
    "projection/kernel": "linear.weight",
    "projection/bias": "linear.bias",
    "residual/kernel": "residual.weight",
}
"""The weights of a projection, and a dense module's tensors."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SentenceModules:
    """What a directory says beyond the transformer.

    Attributes:
        pooling: the ways of pooling, in order.
        include_prompt: whether a prompt's tokens are pooled, too.
        steps: of each further module, "normalize" or the fields of a projection.
        weights: of each projection, its arrays as we lay them out, by "projection/kernel", "projection/bias" and
            "residual/kernel".
        max_length: the most tokens of a text; None for what the tokenizer and the model say.
        lowercase: whether texts are put into lower case first.
        prompts: the texts put before others, by name.
        default_prompt_name: the one that is, where none is asked for.
        similarity: how embeddings are compared: "cosine", "dot", "euclidean" or "manhattan".
    """

    pooling: tuple[str, ...] = ("mean",)
    include_prompt: bool = True
    steps: tuple[dict[str, Any] | str, ...] = ()
    weights: tuple[Mapping[str, np.ndarray], ...] = ()
    max_length: int | None = None
    lowercase: bool = False
    prompts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    default_prompt_name: str | None = None
    similarity: str = "cosine"


def locate_sentence_transformer(source: str | Path, **hub: Any) -> Path:
    """Returns the directory that `source` names; of what is on the hub, the modules' files are downloaded first.

    Args:
        source: a directory or a hub id.
        hub: `revision`, `cache_dir`, `local_files_only` and `token`, as `locate` takes them.
    """
    directory = locate(source, **hub)
    if not Path(source).is_dir():
        hub_id = str(source).removeprefix(HUB_SCHEME)
        names = [_TRANSFORMER, SETTINGS]
        if found := download(hub_id, MODULES, **hub):
            modules = [module for module in read_json(found) if module.get("path")]
            names += [f"{module['path']}/{name}" for module in modules for name in (CONFIG, WEIGHTS)]
        for name in names:
            download(hub_id, name, **hub)
    return directory


def read_settings(directory: Path) -> dict[str, Any]:
    """Returns what a directory's `config_sentence_transformers.json` holds; nothing where there is none."""
    return _json(directory / SETTINGS)


def transformer_directory(directory: Path) -> Path:
    """Returns where the transformer's own files lie: in the directory, or in its first module's."""
    if not (directory / MODULES).exists():
        return directory
    first = _modules(directory)[0]
    return directory / first["path"] if first["path"] else directory


def read_modules(directory: Path) -> SentenceModules | None:
    """Returns what the modules say; None for a directory without any, which holds a transformer alone.

    Raises:
        ValueError: for a module, an activation or a way of pooling that is not known, and weights that do not fit.
    """
    if not (directory / MODULES).exists():
        return None
    first, *others = _modules(directory)
    _require(first, "Transformer")
    if not others:
        raise ValueError(f"{directory / MODULES} has no pooling: there is no one vector of a text.")
    _require(others[0], "Pooling")
    pooling = _json(directory / others[0]["path"] / CONFIG)
    steps: list[dict[str, Any] | str] = []
    weights: list[Mapping[str, np.ndarray]] = []
    for module in others[1:]:
        kind = _require(module, "Dense", "Normalize")
        if kind == "Normalize":
            steps.append("normalize")
        else:
            step, arrays = _read_dense(directory / module["path"])
            steps.append(step)
            weights.append(arrays)
    settings = read_settings(directory)
    transformer = _json(transformer_directory(directory) / _TRANSFORMER)
    return SentenceModules(
        pooling=_pooling(pooling),
        include_prompt=bool(pooling.get("include_prompt", True)),
        steps=tuple(steps),
        weights=tuple(weights),
        max_length=transformer.get("max_seq_length"),
        lowercase=bool(transformer.get("do_lower_case", False)),
        prompts=settings.get("prompts") or {},
        default_prompt_name=settings.get("default_prompt_name"),
        similarity=settings.get("similarity_fn_name") or "cosine",
    )


def _modules(directory: Path) -> list[dict[str, Any]]:
    modules = read_json(directory / MODULES)
    if not isinstance(modules, list) or not modules or not all({"type", "path"} <= module.keys() for module in modules):
        raise ValueError(f'{directory / MODULES} must be a list of modules with "type" and "path".')
    for module in modules:
        if not (directory / module["path"]).resolve().is_relative_to(directory.resolve()):
            raise ValueError(f"{directory / MODULES} leads out of its directory, to {module['path']}: it is not read.")
    return modules


def _require(module: Mapping[str, Any], *kinds: str) -> str:
    """Returns a module's kind, which must be one of these."""
    kind = module["type"].rpartition(".")[2]
    if kind not in kinds:
        raise ValueError(f"the module {module['type']} is not supported here; {' or '.join(kinds)} is.")
    return kind


def _json(path: Path) -> dict[str, Any]:
    content = read_json(path) if path.exists() else {}
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object.")
    return content


def _pooling(config: Mapping[str, Any]) -> tuple[str, ...]:
    if (modes := config.get("pooling_mode")) is not None:
        return (modes,) if isinstance(modes, str) else tuple(modes)
    return tuple(mode for entry, mode in _POOLING.items() if config.get(entry)) or ("mean",)


def _read_dense(directory: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Returns the fields of a projection, and its arrays."""
    config = _json(directory / CONFIG)
    activation = config.get("activation_function", "torch.nn.modules.activation.Tanh")
    if activation not in _ACTIVATIONS:
        known = ", ".join(_ACTIVATIONS)
        raise ValueError(f"{directory} has the activation {activation}, which is not known; known are {known}.")
    for entry in ("module_input_name", "module_output_name"):
        if config.get(entry) not in (None, "sentence_embedding"):
            raise ValueError(f"{directory} says {entry}={config[entry]!r}; only 'sentence_embedding' is supported.")
    if not (directory / WEIGHTS).exists():
        why = ", but a pickle, which can run any code: save the model anew with safetensors"
        raise ValueError(f"{directory} holds no {WEIGHTS}{why if (directory / _PICKLE).exists() else ''}.")
    tensors, found = read_safetensors(directory / WEIGHTS), {}
    for ours, theirs in _OF_PROJECTION.items():
        if theirs in tensors:
            x = tensors[theirs].read().astype("float32")
            found[ours] = x.T
    wanted = (config["in_features"], config["out_features"])
    if "projection/kernel" not in found or found["projection/kernel"].shape != wanted:
        raise ValueError(f"{directory / WEIGHTS} must have `linear.weight` of shape {wanted[::-1]}.")
    step = {
        "units": config["out_features"],
        "activation": _ACTIVATIONS[activation],
        "use_bias": bool(config.get("bias", True)),
        "residual": bool(config.get("use_residual", False)),
    }
    return step, found


def write_modules(directory: Path, modules: SentenceModules, width: int) -> None:
    """Writes a directory's modules, beside the transformer's and the tokenizer's files in it.

    Args:
        directory: where to.
        modules: what they say.
        width: of the transformer's hidden states.
    """
    entries = [_entry(0, "Transformer", ""), _entry(1, "Pooling", "1_Pooling")]
    write_json(directory / "1_Pooling" / CONFIG, _written_pooling(modules, width))
    width, weights = width * len(modules.pooling), iter(modules.weights)
    for i, step in enumerate(modules.steps, start=2):
        kind = "Normalize" if isinstance(step, str) else "Dense"
        entries.append(_entry(i, kind, f"{i}_{kind}"))
        (directory / f"{i}_{kind}").mkdir(parents=True, exist_ok=True)
        if isinstance(step, dict):
            _write_dense(directory / f"{i}_{kind}", step, next(weights), width)
            width = step["units"]
    write_json(directory / MODULES, entries)
    write_json(directory / _TRANSFORMER, {"max_seq_length": modules.max_length, "do_lower_case": modules.lowercase})
    settings = {
        "prompts": dict(modules.prompts),
        "default_prompt_name": modules.default_prompt_name,
        "similarity_fn_name": modules.similarity,
    }
    write_json(directory / SETTINGS, settings)


def _entry(index: int, kind: str, path: str) -> dict[str, Any]:
    return {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}


def _written_pooling(modules: SentenceModules, width: int) -> dict[str, Any]:
    """As every version reads it; where the order is another than theirs, as version 6 does."""
    config: dict[str, Any] = {"word_embedding_dimension": width, "include_prompt": modules.include_prompt}
    if list(modules.pooling) == [mode for mode in _POOLING.values() if mode in modules.pooling]:
        return config | {entry: mode in modules.pooling for entry, mode in _POOLING.items()}
    return config | {"pooling_mode": list(modules.pooling)}


def _write_dense(directory: Path, step: Mapping[str, Any], arrays: Mapping[str, np.ndarray], width: int) -> None:
    activations = {ours: theirs for theirs, ours in _ACTIVATIONS.items()}
    if step["activation"] not in activations:
        raise ValueError(f"the format has no activation {step['activation']!r}; it has {', '.join(activations)}.")
    config = {
        "in_features": width,
        "out_features": step["units"],
        "bias": step["use_bias"],
        "activation_function": activations[step["activation"]],
        **({"use_residual": True} if step["residual"] else {}),
    }
    write_json(directory / CONFIG, config)
    tensors = {_OF_PROJECTION[name]: np.ascontiguousarray(x.T) for name, x in arrays.items()}
    with whole_file(directory / WEIGHTS) as partial_file:
        write_safetensors(partial_file, {name: (x.shape, partial(np.asarray, x)) for name, x in tensors.items()})
