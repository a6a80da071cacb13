"""From times to ratios: a table, and files."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.runner import Round

RESULTS = Path(__file__).parent / "results"


class Spread(NamedTuple):
    low: float
    median: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.2f} / {self.median:.2f} / {self.high:.2f}"


def ratios(rounds: Sequence[Round], b: int) -> Spread:
    """How many times as fast as side `b` side 0 is: b's seconds over A's in the same round, spread over the rounds."""
    each = [r.turns[b].seconds / r.turns[0].seconds for r in rounds]
    return Spread(min(each), statistics.median(each), max(each))


def table(rounds: Sequence[Round]) -> str:
    """Markdown, a row a side: its time, how many times as fast A is and, where weights bound it, how near it is.

    The time is the median of all turns, and the least, in which the machine was the least disturbed.
    """
    a, *others = rounds[0].turns
    bandwidth = max(r.bandwidth for r in rounds)
    rows = [["side", f"ms a {a.unit}", "least", "A is faster by (min / median / max)"]]
    if a.bytes_read:
        rows[0] += ["weights read, GB/s", "of the memory's rate"]
    for i, turn in enumerate([a, *others]):
        times = [r.turns[i].seconds for r in rounds]
        seconds = statistics.median(times)
        ratio = str(ratios(rounds, i)) if i else "A"
        rows.append([turn.side, f"{seconds * 1e3:.4g}", f"{min(times) * 1e3:.4g}", ratio])
        if a.bytes_read:
            rate = turn.bytes_read / seconds
            rows[-1] += [f"{rate / 1e9:.1f}", f"{rate / bandwidth:.0%}"]
    return markdown(rows)


def conditions(rounds: Sequence[Round]) -> str:
    """What the machine was like meanwhile."""
    bandwidth = max(r.bandwidth for r in rounds)
    loads = ", ".join(f"{r.load:.1f}" for r in rounds)
    return f"{len(rounds)} rounds; memory reads {bandwidth / 1e9:.1f} GB/s; load average before each round: {loads}."


def save(name: str, text: str, rounds: Sequence[Round], folder: Path = RESULTS) -> Path:
    """Writes `text` to `name`.md in the folder, and all rounds beside it as JSON; returns the former's path."""
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / f"{name}.md"
    path.write_text(text + "\n")
    raw = [{**r._asdict(), "turns": [turn._asdict() for turn in r.turns]} for r in rounds]
    path.with_suffix(".json").write_text(json.dumps(raw, indent=1) + "\n")
    return path


def markdown(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    padded.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(row)} |" for row in padded)
