"""Writing checkpoint directories: one tensor is in memory at a time, each file is written whole or not at all."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from keras_tx.convert.account import over_layers
from keras_tx.convert.directory import CONFIG, GENERATION_CONFIG, INDEX, SUMS, WEIGHTS, sha256
from keras_tx.convert.effective import Source
from keras_tx.convert.load import Progress
from keras_tx.convert.table import Rule
from keras_tx.convert.tensors import write_safetensors
from keras_tx.files import dump_json, whole_file

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG]?)B", re.IGNORECASE)


def sources(weights: Mapping[str, Source], rules: list[Rule]) -> dict[str, Source]:
    """Returns the peer's tensors by name, each made of the model's weights when it is written.

    Raises:
        ValueError: if the rules leave a weight out.
    """
    surplus = weights.keys() - {path for rule in rules for path in rule.weights}
    if surplus:
        raise ValueError(
            f"this format has no place for {', '.join(over_layers(sorted(surplus)))}, which the model has beyond what "
            'its config says: save it with format="keras_tx".'
        )

    def source(rule: Rule) -> Source:
        parts = [weights[path] for path in rule.weights]

        def values() -> np.ndarray:
            arrays = (values() for _, values in parts)
            return rule.to_tensor([x if rule.row is None else x[rule.row] for x in arrays])

        *most, last = parts[0][0] if rule.row is None else parts[0][0][1:]
        shape = (*most, last * len(parts))
        return (shape if rule.axes is None else tuple(shape[i] for i in np.argsort(rule.axes))), values

    return {rule.tensor: source(rule) for rule in rules}


def write_directory(
    directory: str | Path,
    config: dict[str, Any],
    tensors: Mapping[str, Source],
    *,
    max_shard_size: int | str = "5GB",
    generation_config: dict[str, Any] | None = None,
    beside: Mapping[str, Any] = MappingProxyType({}),
    sums: bool = False,
    progress: Progress | None = None,
) -> None:
    """Writes configs and weights into a directory, beside what else it holds.

    All files are written under other names first and take their places together at the end. Weights that an earlier
    call left and that no longer count are removed, and so are options of generation.

    Args:
        directory: made if need be.
        config: for `config.json`.
        tensors: what to write, float32.
        max_shard_size: bytes, or as "500MB"; weights of more than that are split into shards with an index.
        generation_config: for `generation_config.json`.
        beside: contents of further JSON files by name, each written unless there is such a file.
        sums: also write `SHA256SUMS`, by which a later change of any of these files is found out.
        progress: told of each tensor done.

    Raises:
        ValueError: for a `max_shard_size` that is no size.
        OSError: if the disk is full or cannot be written; what was there before is intact.
    """
    directory = Path(directory)
    shards = _shards(tensors, _bytes(max_shard_size))
    counted = _counted(tensors, progress)
    with ExitStack() as stack:
        partial: dict[str, Path] = {}

        def begin(name: str) -> Path:
            partial[name] = stack.enter_context(whole_file(directory / name))
            return partial[name]

        for name, members in shards.items():
            write_safetensors(begin(name), {key: counted[key] for key in members})
        documents = {CONFIG: config}
        if generation_config is not None:
            documents[GENERATION_CONFIG] = generation_config
        if len(shards) > 1:
            places = {member: name for name, members in shards.items() for member in members}
            size = sum(4 * math.prod(shape) for shape, _ in tensors.values())
            documents[INDEX] = {"metadata": {"total_size": size}, "weight_map": places}
        for name, content in documents.items():
            dump_json(begin(name), content)
        if sums:
            lines = [f"{sha256(path)}  {name}\n" for name, path in partial.items()]
            begin(SUMS).write_text("".join(lines))
        for name, content in beside.items():  # has no sum, for it may be replaced by itself
            if not (directory / name).exists():
                dump_json(begin(name), content)
    old_shards = [path.name for path in directory.glob("model-*-of-*.safetensors")]
    for stale in (WEIGHTS, INDEX, SUMS, GENERATION_CONFIG, *old_shards):
        if stale not in partial:
            (directory / stale).unlink(missing_ok=True)


def _shards(tensors: Mapping[str, Source], limit: int) -> dict[str, list[str]]:
    """Returns the names of the tensors in each file."""
    groups: list[list[str]] = [[]]
    used = 0
    for name, (shape, _) in tensors.items():
        size = 4 * math.prod(shape)
        if groups[-1] and used + size > limit:
            groups.append([])
            used = 0
        groups[-1].append(name)
        used += size
    if len(groups) == 1:
        return {WEIGHTS: groups[0]}
    return {f"model-{i:05}-of-{len(groups):05}.safetensors": group for i, group in enumerate(groups, 1)}


def _counted(tensors: Mapping[str, Source], progress: Progress | None) -> Mapping[str, Source]:
    """Returns the same tensors, which tell `progress` when they are made."""
    if progress is None:
        return tensors

    def told(number: int, values: Callable[[], np.ndarray]) -> Callable[[], np.ndarray]:
        def made() -> np.ndarray:
            array = values()
            progress(number, len(tensors))
            return array

        return made

    return {name: (shape, told(i, values)) for i, (name, (shape, values)) in enumerate(tensors.items(), 1)}


def _bytes(size: int | str) -> int:
    if isinstance(size, int) and size > 0:
        return size
    match = _SIZE.fullmatch(str(size))
    if not match or not float(match[1]):
        raise ValueError(f'`max_shard_size` must be a number of bytes or as "500MB"; got {size!r}.')
    return int(float(match[1]) * 1000 ** " KMG".index(match[2].upper() or " "))
