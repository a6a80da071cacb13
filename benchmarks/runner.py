"""Turns: A B A B ..., each side in a process of its own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple, Self

from benchmarks.child import MARK, Turn
from benchmarks.jobs import Options
from benchmarks.machine import read_bandwidth
from benchmarks.side import Side

REST = 0.2
"""Seconds between two runs: the threads of the last one's library may spin for as long, in wait of more."""


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
    """Every side in a new process each round; there they run one after another, again and again.

    A machine that is shared is at times slower, for seconds or minutes: so all sides meet with the same.
    """
    for _ in range(rounds):
        load, bandwidth = os.getloadavg()[0], read_bandwidth()
        with ExitStack() as stack:
            children = [stack.enter_context(_Child(job, side, options)) for side in sides]
            about = [child.read() for child in children]  # waits until it is warm
            seconds = [[child.time() for child in children] for _ in range(repetitions)]
        medians = map(statistics.median, zip(*seconds, strict=True))
        turns = [Turn(str(s), t, **what) for s, t, what in zip(sides, medians, about, strict=True)]
        yield Round(load, bandwidth, turns)


class _Child:
    """A side's process.

    Raises:
        TurnFailed: wherever the process has failed; with the end of what it wrote to stderr.
    """

    def __init__(self, job: str, side: Side, options: Options):
        self.job, self.side = job, side
        request = {"job": job, "side": side, "options": options}
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - __exit__ closes it
        self.process = subprocess.Popen(
            [side.python, "-m", "benchmarks.child", json.dumps(request)],
            env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "KERAS_BACKEND": side.backend},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        self.errors.close()

    def time(self) -> float:
        """The seconds of one unit of work, run now."""
        time.sleep(REST)
        with suppress(BrokenPipeError):  # `read` says why
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        return self.read()["seconds"]

    def read(self) -> dict[str, Any]:
        """What the process says next."""
        for line in self.process.stdout:
            if line.startswith(MARK):
                return json.loads(line.removeprefix(MARK))
        code = self.process.wait()
        self.errors.seek(0)
        words = " | ".join(line.strip() for line in self.errors.read().strip().splitlines()[-3:])
        raise TurnFailed(f"{self.side} failed at {self.job} (exit code {code}): {words or 'nothing on stderr'}")
