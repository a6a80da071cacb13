"""A run that was killed or stopped, and continued, ends with the bits of one left alone; dropout is on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import numpy
from small_run import After, step_of, tensors, train

from keras_tx.training import Interrupted, read_table

PROGRAM = Path(__file__).parents[1] / "small_run.py"

KILLS = [  # moment, steps of that process, the step whose state it leaves
    ("after the step", 3, None),  # nothing saved yet
    ("after the step", 17, 10),  # in the middle of an epoch
    ("in the write of the state", 10, 10),  # that of step 20, half written
    ("at the rename of the state", 10, 10),  # whole, not yet in its place
    ("before the next step", 10, 20),  # just after it
]


@pytest.fixture(scope="session")
def reference(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("reference")
    train(directory)
    return directory


def assert_same_bits(directory: Path, reference: Path) -> None:
    got, want = tensors(directory), tensors(reference)
    assert got.keys() == want.keys()
    for name, tensor in want.items():
        assert got[name].tobytes() == tensor.tobytes(), name


def assert_same_table(directory: Path, reference: Path, columns=("loss", "bits", "val_loss", "val_bits")) -> None:
    got, want = (read_table(path / "metrics.csv") for path in (directory, reference))
    assert [row["step"] for row in got] == [row["step"] for row in want] == [10, 20, 30, 40]
    for column in columns:
        assert [row[column] for row in got] == [row[column] for row in want]
    assert [row["seconds"] for row in got] == sorted(row["seconds"] for row in got)


@pytest.mark.slow
def test_killed_five_times(reference, tmp_path):
    for moment, steps, saved in KILLS:
        killed = subprocess.run(
            [sys.executable, PROGRAM, tmp_path, moment, str(steps)], capture_output=True, check=False
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert step_of(tmp_path) == saved
    train(tmp_path, resume=True)
    assert_same_bits(tmp_path, reference)
    assert_same_table(tmp_path, reference)


@pytest.mark.slow
def test_stopped_by_signals(reference, tmp_path):
    """In the middle of an epoch, then at the last step of one, then in the one step after the last save."""
    for number, steps, saved in ((signal.SIGINT, 7, 7), (signal.SIGTERM, 13, 20), (signal.SIGTERM, 1, 21)):
        before = signal.getsignal(number)
        with pytest.raises(Interrupted, match=f"^stopped at step {saved}, .*continue with --resume$") as stop:
            train(tmp_path, resume=True, callbacks=[After(steps, lambda number=number: os.kill(os.getpid(), number))])
        assert (stop.value.signal, stop.value.step) == (number, saved)
        assert step_of(tmp_path) == saved
        assert signal.getsignal(number) is before
        assert [row["step"] for row in read_table(tmp_path / "metrics.csv")] == list(range(10, saved + 1, 10))
    train(tmp_path, resume=True)
    assert_same_bits(tmp_path, reference)
    assert_same_table(tmp_path, reference, columns=["val_loss", "val_bits"])


@pytest.fixture
def usual_ctrl_c() -> Iterator[None]:
    """Python's own handler, whatever the test's process has."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_a_second_signal_stops_at_once(tmp_path, usual_ctrl_c):
    def twice():
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)  # two signals at once may be heard as one

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, callbacks=[After(13, twice)])
    assert step_of(tmp_path) == 10


def test_a_finished_run_resumed_is_left_as_it_is(reference):
    before = [(reference / name).read_bytes() for name in ("state.safetensors", "metrics.csv")]
    model = train(reference, resume=True)
    assert [(reference / name).read_bytes() for name in ("state.safetensors", "metrics.csv")] == before
    for i, variable in enumerate(model.variables):
        np.testing.assert_array_equal(numpy(variable), tensors(reference)[f"model/{i:04d}"])
