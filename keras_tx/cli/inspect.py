"""`keras-tx inspect`: what a checkpoint holds, and whether it would load."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_tx.cli.console import quiet
from keras_tx.cli.options import RevisionOption, SourceArgument

if TYPE_CHECKING:
    from keras_tx.convert import Account, CheckpointDirectory, Tensor


def inspect(
    source: SourceArgument,
    revision: RevisionOption = None,
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor and what it fills.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a checkpoint holds.

    The exit code is 1 if it would not load, and the report says why. Names, shapes and dtypes are read, the numbers
    are not: the largest checkpoint takes no memory.
    """
    with quiet():
        import keras  # noqa: F401
    from keras_tx.convert import CheckpointDirectory, locate

    report = examine(CheckpointDirectory(locate(source, revision=revision)))
    if not tensors:
        del report["tensors"]
    typer.echo(json.dumps(report, indent=2) if as_json else "\n".join(_lines(report)))
    raise typer.Exit(0 if report["loads"] else 1)


# === The report ===


def examine(checkpoint: CheckpointDirectory) -> dict[str, Any]:
    """Returns what `inspect` tells, in JSON's types."""
    import keras

    from keras_tx.models.core.auto import model_class

    report: dict[str, Any] = _holdings(checkpoint)
    try:
        cls = model_class(checkpoint.config)
        with keras.StatelessScope(initialize_variables=False):
            found = cls.examine(checkpoint)
    except ValueError as error:
        return {**report, "loads": False, "error": str(error), "tensors": _tensors(checkpoint.tensors, None)}
    finally:
        keras.utils.clear_session()  # Keras keeps a list of variables to be filled later: these never shall
    account = found.account
    return {
        **report,
        "class": cls.__name__,
        "parameters": found.model.count_params(),
        "config": found.saved.to_dict(),
        "loads": not account.problems,
        "missing": account.missing,
        "wrong": [f"{name} {what}" for name, what in account.wrong],
        "left_over": account.left_over,
        "fresh": [rule.tensor for rule in account.fresh],
        "left_out": account.other_heads,
        "tensors": _tensors(found.tensors, account),
    }


def _holdings(checkpoint: CheckpointDirectory) -> dict[str, Any]:
    from keras_tx.models.core.pretrained import NATIVE

    tensors = checkpoint.tensors.values()
    files = {tensor.file for tensor in tensors}
    return {
        "directory": str(checkpoint.path),
        "model_type": checkpoint.config.get("model_type", NATIVE),
        "files": {file.name: file.stat().st_size for file in sorted(files)},
        "dtypes": dict(Counter(tensor.dtype.name for tensor in tensors)),
        "bytes": sum(tensor.nbytes for tensor in tensors),
    }


def _tensors(tensors: Mapping[str, Tensor], account: Account | None) -> list[dict[str, Any]]:
    """Returns every tensor, with the weights that it fills."""
    fills = {name: list(rule.weights) for rule, name in account.found} if account else {}
    for name, copy in account.copies if account else ():
        fills[copy] = fills[name]
    return [
        {"name": name, "shape": list(tensor.shape), "dtype": tensor.dtype.name, "fills": fills.get(name, [])}
        for name, tensor in tensors.items()
    ]


# === For people ===


def _lines(report: dict[str, Any]) -> Iterator[str]:
    from keras_tx.convert import over_layers

    yield report["directory"]
    for name, size in report["files"].items():
        yield f"  {name}: {size:,} bytes"
    dtypes = ", ".join(f"{count} {dtype}" for dtype, count in report["dtypes"].items())
    yield f"  tensors: {dtypes}; {report['bytes']:,} bytes"
    if "class" in report:
        yield f"{report['class']} of {report['model_type']}, {report['parameters']:,} parameters"
        yield from (f"  {name} = {value!r}" for name, value in report["config"].items())
    for tensor in report.get("tensors", ()):
        fills = ", ".join(tensor["fills"]) or "nothing"
        yield f"{tensor['name']} {tuple(tensor['shape'])} {tensor['dtype']} -> {fills}"
    for what in ("fresh", "left_out", "missing", "wrong", "left_over"):
        yield from (f"{what.replace('_', ' ')}: {name}" for name in over_layers(report.get(what, ())))
    if "error" in report:
        yield report["error"]
    yield "It would load." if report["loads"] else "It would not load."
