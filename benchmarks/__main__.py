"""The command line: `python -m benchmarks JOB`."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Sequence

from benchmarks import machine, report, runner
from benchmarks.jobs import Options
from benchmarks.side import Side


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, and returns the exit code."""
    args = make_parser().parse_args(arguments)
    try:
        sides = [Side.parse(text) for text in (args.a, *args.b)]
        rounds = []
        for done in runner.run(
            args.job, sides, Options(args.batch_size, args.tiny, args.dtype), args.rounds, args.repetitions
        ):
            rounds.append(done)
            times = ", ".join(f"{turn.side} {turn.seconds * 1e3:.4g} ms" for turn in done.turns)
            print(f"round {len(rounds)} of {args.rounds}: {times}", file=sys.stderr, flush=True)
    except (ValueError, runner.TurnFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    today = datetime.datetime.now(datetime.UTC).date()
    title = f"{args.job}: {rounds[0].turns[0].size}; {today}"
    text = "\n\n".join([title, report.table(rounds), report.conditions(rounds), machine.describe()])
    print(text)
    if args.save:
        print(f"saved as {report.save(record_name(args, today), text, rounds)}", file=sys.stderr)
    return 0


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks", description="Times a job on several sides in turn and prints how many times as fast A is."
    )
    add = parser.add_argument
    add("job", help="a module in benchmarks/jobs (train_step, bert_forward, ...), or any module if it has a dot")
    add("--a", default="keras_tx", metavar="SIDE", help="library[:backend[:plain]][@PYTHON]; %(default)s unless given")
    add("--b", default=["keras_hub"], metavar="SIDE", nargs="+", help="what to hold it against; %(default)s")
    add("--rounds", type=int, default=5, help="processes of each side, one after another; %(default)s")
    add(
        "--repetitions",
        type=int,
        default=5,
        help="runs of each side in turn, a round; their median counts; %(default)s",
    )
    add("--batch-size", type=int, help="rows; the job's own number unless given")
    add("--tiny", action="store_true", help="sizes that take no time, to see that everything runs")
    add(
        "--dtype",
        choices=["float32", "bfloat16"],
        default="float32",
        help="of the BERT and image jobs; %(default)s",
    )
    add("--save", action="store_true", help="write the result to benchmarks/results")
    return parser


def record_name(args: argparse.Namespace, today: datetime.date) -> str:
    name = f"{today}-{args.job}" + ("" if args.dtype == "float32" else f"-{args.dtype}")
    side = Side.parse(args.a)
    name += "" if side.library == "keras_tx" else f"-{side.library}"
    name += ("" if side.backend == "tensorflow" else f"-{side.backend}") + ("" if side.jit else "-plain")
    return name + (f"-batch{args.batch_size}" if args.batch_size else "") + "-tiny" * args.tiny


if __name__ == "__main__":
    sys.exit(main())
