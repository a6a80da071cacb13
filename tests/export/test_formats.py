"""The table of formats: what the program, the runner and the docs read of it holds."""

import inspect
import tomllib
from pathlib import Path

import pytest

from keras_tx.export import artifact_runner
from keras_tx.export.formats import FORMATS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)
def test_a_format_has_an_exporter_a_runtime_and_an_extra(format):
    parameters = inspect.signature(format.exporter).parameters
    assert {"model", "path", "progress", *format.options} <= set(parameters)
    assert format.name in artifact_runner.RUNTIMES
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    packages = {requirement.split(">")[0] for requirement in extras.get(format.extra, [])}
    assert {module.replace("_", "-") for module in format.modules} == packages


def test_there_is_no_runtime_without_a_format():
    assert set(artifact_runner.RUNTIMES) == set(FORMATS)


def test_the_docs_list_every_format():
    lines = (ROOT / "docs" / "export.md").read_text().splitlines()
    start = lines.index("| Format | For | Runs with | Install to write it |") + 2
    listed = lines[start : lines.index("", start)]
    for format, line in zip(FORMATS.values(), listed, strict=True):
        assert f"`{format.name}`" in line and f"`{format.runtime}`" in line and format.purpose in line
        assert (f'pip install "keras_tx[{format.extra}]"' in line) == bool(format.extra)
