"""One side of a job, in a process of its own: sets up, warms up, and then times a run whenever it is asked to."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarks.jobs import Options, load
from benchmarks.side import Side

MARK = "benchmarks: "
"""What our lines on stdout begin with; libraries may print there too."""


class Turn(NamedTuple):
    """What came of it.

    Attributes:
        side: as on the command line.
        seconds: for one unit of work, the median over the runs.
        unit: what that is.
        size, bytes_read: as in `Work`.
    """

    side: str
    seconds: float
    unit: str
    size: str
    bytes_read: int


def timed_runs(job: str, side: Side, options: Options) -> Iterator[dict[str, Any]]:
    """First what the work is; then, each time it is asked, the seconds of one unit.

    Raises:
        ValueError: if there is no such job, or not for that library.
    """
    module = load(job)
    if side.library not in module.SIDES:
        raise ValueError(f"{job} has {', '.join(module.SIDES)}; not {side.library!r}.")
    if side.backend == "torch":
        import benchmarks.cpu_torchvision  # noqa: F401

    work = module.SIDES[side.library](side, options)
    for _ in range(2):  # the first run compiles; the second may still be slower than the rest
        work.run()
    yield {"unit": module.UNIT, "size": work.size, "bytes_read": work.bytes_read}
    while True:
        start = time.perf_counter()
        work.run()
        yield {"seconds": (time.perf_counter() - start) / work.units}


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    runs = timed_runs(request["job"], Side(*request["side"]), Options(*request["options"]))
    print(MARK + json.dumps(next(runs)), flush=True)
    for _ in sys.stdin:
        print(MARK + json.dumps(next(runs)), flush=True)
