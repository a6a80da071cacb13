"""Turns, each in a fresh process: A B A B ..."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.child import Turn
from benchmarks.jobs import Options
from benchmarks.machine import read_bandwidth
from benchmarks.side import Side


class Round(NamedTuple):
    """A turn of every side, A's first.

    Attributes:
        load: the machine's load average before it, which in the first round is other people's.
        bandwidth: bytes a second at which memory was read just before it.
        turns: one a side.
    """

    load: float
    bandwidth: float
    turns: list[Turn]


class TurnFailed(Exception):
    """A child process that did not come back with a time."""


def run(job: str, sides: Sequence[Side], options: Options, rounds: int, repetitions: int) -> Iterator[Round]:
    """Every side once a round."""
    for _ in range(rounds):
        load, bandwidth = os.getloadavg()[0], read_bandwidth()
        yield Round(load, bandwidth, [_turn(job, side, options, repetitions) for side in sides])


def _turn(job: str, side: Side, options: Options, repetitions: int) -> Turn:
    """One turn of one side.

    Raises:
        TurnFailed: if the process fails; with the end of what it wrote to stderr.
    """
    request = {"job": job, "side": side, "options": options, "repetitions": repetitions}
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks.child", json.dumps(request)],
        env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "KERAS_BACKEND": side.backend},
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        words = " | ".join(line.strip() for line in child.stderr.strip().splitlines()[-3:])
        raise TurnFailed(f"{side} failed at {job} (exit code {child.returncode}): {words or 'nothing on stderr'}")
    return Turn(**json.loads(child.stdout.splitlines()[-1]))  # libraries may have printed before
