"""The benchmark harness: its arithmetic, its failures, and its real jobs at tiny sizes."""

import datetime
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__, attention_scaling, classifiers, report
from benchmarks.child import Turn
from benchmarks.runner import Round
from benchmarks.side import Side

pytestmark = pytest.mark.any_backend

ROOT = Path(__file__).parents[1]

FAKE_JOB = """
import time
from benchmarks.jobs import Work

UNIT = "nap"


def nap(seconds):
    return lambda side, options: Work(lambda: time.sleep(seconds), units=2, size="a fake", bytes_read=1000)


def fail(side, options):
    raise RuntimeError("out of coffee")


SIDES = {"quick": nap(0.02), "slow": nap(0.06), "broken": fail}
"""


def benchmarks(*arguments: str, modules: Path = ROOT) -> subprocess.CompletedProcess:
    """The command line, with the jobs in `modules` within reach."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    env = {**os.environ, "PYTHONPATH": str(modules)}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def fake_job(tmp_path):
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "naps.py").write_text(FAKE_JOB)
    return tmp_path


def test_sides_are_read_and_written():
    for text, side in {
        "keras_tx": Side("keras_tx", "tensorflow", True),
        "keras_hub:jax": Side("keras_hub", "jax", True),
        "keras_hub:tensorflow:plain": Side("keras_hub", "tensorflow", False),
        "timm": Side("timm", "torch", True),
        "transformers:tensorflow": Side("transformers", "tensorflow", True),
    }.items():
        assert Side.parse(text) == side
        assert Side.parse(str(side)) == side
    other = Side.parse("transformers:torch@/other/bin/python")
    assert other == Side("transformers", "torch", True, "/other/bin/python")
    assert str(other) == "transformers:torch"
    for text in ("keras_hub:cupy", "keras_hub:jax:fast", "keras_hub:jax:plain:plain"):
        with pytest.raises(ValueError, match=r"a side is library\[:backend\[:plain\]\]\[@PYTHON\]"):
            Side.parse(text)


def test_ratios_are_paired_by_round(tmp_path):
    def turn(side, seconds):
        return Turn(side, seconds, "step", "a fake", bytes_read=4_000_000_000)

    # The machine slows down to half; the ratio of the medians would be 2.5, no round's ratio is above 2.
    pairs = [(1.0, 2.0), (2.0, 3.0), (2.0, 4.0), (4.0, 8.0)]
    rounds = [Round(0.5, 8e9, [turn("a", a), turn("b", b)]) for a, b in pairs]
    assert report.ratios(rounds, 1) == (1.5, 2.0, 2.0)
    header, _, a, b = report.table(rounds).splitlines()
    assert "ms a step" in header
    assert "2000" in a and "2.0" in a and "25%" in a  # 4 GB in 2 s, of 8 GB/s
    assert a.split("|")[3].strip() == "1000" and b.split("|")[3].strip() == "2000"  # the least
    assert "3500" in b and "1.50 / 2.00 / 2.00" in b
    path = report.save("fake", "text", rounds, tmp_path / "results")
    assert path.read_text() == "text\n"
    saved = json.loads(path.with_suffix(".json").read_text())
    assert [turn["seconds"] for turn in saved[1]["turns"]] == [2.0, 3.0]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ([], "2026-03-05-job"),
        (["--batch-size", "8", "--a", "keras_tx:jax"], "2026-03-05-job-jax-batch8"),
        (["--dtype", "bfloat16", "--a", "keras_tx:tensorflow:plain"], "2026-03-05-job-bfloat16-plain"),
        (["--a", "keras_hub"], "2026-03-05-job-keras_hub"),
    ],
)
def test_records_of_other_sides_have_other_names(arguments, name):
    args = __main__.make_parser().parse_args(["job", *arguments])
    assert __main__.record_name(args, datetime.date(2026, 3, 5)) == name


@pytest.mark.slow
def test_a_job_is_timed_in_child_processes(fake_job):
    done = benchmarks("fake.naps", "--a", "quick", "--b", "slow", "quick", "--rounds", "2", modules=fake_job)
    assert done.returncode == 0, done.stderr
    slow, again = [line.split("|") for line in done.stdout.splitlines() if " / " in line][1:]
    assert float(slow[2]) == pytest.approx(30, rel=0.3)  # ms a nap, two naps a run
    assert float(slow[4].split("/")[1]) == pytest.approx(3, rel=0.3)
    assert float(again[4].split("/")[1]) == pytest.approx(1, rel=0.3)
    assert "keras-hub" in done.stdout and "load average" in done.stdout


@pytest.mark.slow
def test_a_side_runs_in_the_environment_it_names(fake_job):
    python, used = fake_job / "python", fake_job / "used"
    python.write_text(f'#!/bin/sh\ntouch {used}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    done = benchmarks("fake.naps", "--a", "quick", "--b", f"quick@{python}", "--rounds", "1", modules=fake_job)
    assert done.returncode == 0, done.stderr
    assert used.exists() and str(python) not in done.stdout


def test_classifiers_of_torch_are_timed_on_torch():
    with pytest.raises(ValueError, match="timm is timed on torch here; got timm:tensorflow"):
        classifiers.torch_forward(Side.parse("timm:tensorflow"), None, {}, "", dtype="float32")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fake.naps", "--b", "slow", "--a", "broken"), "broken:tensorflow failed at fake.naps .*out of coffee"),
        (("fake.naps", "--a", "sleepless"), "fake.naps has quick, slow, broken; not 'sleepless'"),
        (("fake.dreams",), "there is no job 'fake.dreams'"),
        (("fake.naps", "--a", "quick:abacus"), "got 'quick:abacus'"),
    ],
)
def test_failures_are_one_clear_line(fake_job, arguments, message):
    done = benchmarks(*arguments, modules=fake_job)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and re.search(message, line)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("job", "options", "said"),
    [
        ("train_step", (), "8528 parameters"),
        ("generate", (), "8528 parameters"),
        ("t5_generate", (), "12112 parameters"),
        ("bert_forward", ("--dtype", "bfloat16"), "8866 parameters, bfloat16"),
        ("bert_train_step", (), "8866 parameters, float32"),
    ],
)
def test_real_jobs_run(job, options, said):
    sides = ("--a", "keras_tx", "--b", "keras_hub", "keras_hub:tensorflow:plain")
    done = benchmarks(job, "--tiny", "--rounds", "1", "--batch-size", "3", *options, *sides)
    assert done.returncode == 0, done.stderr
    assert "batch 3" in done.stdout and said in done.stdout


# === Attention over the length ===


@pytest.mark.parametrize("name", ["linear, causal", "Keras MultiHeadAttention"])
def test_a_layer_is_measured_at_each_length(name):
    points = list(attention_scaling.measure(name, [32, 24]))
    assert [point["length"] for point in points] == [24, 32]
    assert all(point["variant"] == name and point["seconds"] > 0 and point["bytes"] >= 0 for point in points)


def test_scaling_fits_exponents_of_long_sequences_alone():
    points = [
        {"variant": "linear", "length": n, "seconds": 1e-6 * n**1.5 if n >= 1024 else 1.0, "bytes": 2**20}
        for n in attention_scaling.LENGTHS
    ]
    assert attention_scaling.slope(points, "seconds") == pytest.approx(1.5)
    assert attention_scaling.slope(points[:4], "seconds") is None
    row = attention_scaling.table(points).splitlines()[-1]
    assert row.startswith("| linear ") and "32.8 / 1" in row and row.endswith("1.50          |")
