"""One turn of one side, in a process of its own: set up, warm up, time, print one line of JSON."""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import NamedTuple

from benchmarks.jobs import Options, load
from benchmarks.side import Side


class Turn(NamedTuple):
    """What came of it.

    Attributes:
        side: as on the command line.
        seconds: for one unit of work, the median over the repetitions.
        unit: what that is.
        size, bytes_read: as in `Work`.
    """

    side: str
    seconds: float
    unit: str
    size: str
    bytes_read: int


def take_turn(job: str, side: Side, options: Options, repetitions: int) -> Turn:
    """Times one unit of the job.

    Raises:
        ValueError: if there is no such job, or not for that library.
    """
    module = load(job)
    if side.library not in module.SIDES:
        raise ValueError(f"{job} has {', '.join(module.SIDES)}; not {side.library!r}.")
    work = module.SIDES[side.library](side, options)
    for _ in range(2):  # the first run compiles; the second may still be slower than the rest
        work.run()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        work.run()
        times.append((time.perf_counter() - start) / work.units)
    return Turn(str(side), statistics.median(times), module.UNIT, work.size, work.bytes_read)


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    turn = take_turn(request["job"], Side(*request["side"]), Options(*request["options"]), request["repetitions"])
    print(json.dumps(turn._asdict()))
