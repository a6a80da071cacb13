"""Runs artifacts in a process of their own, which has their runtime and neither Keras nor keras_tx."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_tx.export import artifact_runner
from keras_tx.export.formats import Format

Request = tuple[str, dict[str, np.ndarray]]
"""A signature and its inputs."""


def run_artifacts(artifacts: Sequence[tuple[Format, Path, list[Request]]]) -> list[dict[str, np.ndarray]]:
    """Runs artifacts in one fresh process.

    Args:
        artifacts: of each its format, where it lies and the requests to it.

    Returns:
        The answers of each: arrays called NUMBER/OUTPUT.

    Raises:
        ValueError: if one cannot be run.
    """
    with tempfile.TemporaryDirectory() as scratch:
        arguments, answered = list[str](), list[Path]()
        for i, (format, path, requests) in enumerate(artifacts):
            given = Path(scratch) / f"requests_{i}.npz"
            arrays = {f"{k}/{name}/{key}": x for k, (name, inputs) in enumerate(requests) for key, x in inputs.items()}
            np.savez(given, allow_pickle=False, **arrays)
            answered.append(Path(scratch) / f"answers_{i}.npz")
            arguments += map(str, (format.name, path, given, answered[-1]))
        command = [sys.executable, "-P", str(artifact_runner.__file__), *arguments]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            said = done.stderr.strip()[-3000:] or f"the process ended with {done.returncode}"
            raise ValueError(f"the artifact does not run by itself: {said}")
        return [dict(np.load(path)) for path in answered]
