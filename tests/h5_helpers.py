"""Checkpoints of Transformers' TensorFlow classes, of the files that `golden/make_h5_namings.py` describes."""

from __future__ import annotations

import gzip
import shutil
import warnings
from pathlib import Path

import numpy as np
from helpers import numpy
from outputs import read_golden

from keras_tx.models import load_pretrained


def unpacked(case: Path, naming: str, directory: Path) -> Path:
    """The checkpoint's directory as the class wrote it."""
    directory.mkdir()
    config = case / ("resized.json" if naming == "resized" else "config.json")
    shutil.copyfile(config, directory / "config.json")
    if naming == "tensorflow":
        shutil.copyfile(case / "tensorflow.safetensors", directory / "model.safetensors")
    elif naming == "sharded":
        shutil.unpack_archive(case / "sharded.zip", directory)
    else:
        (directory / "tf_model.h5").write_bytes(gzip.decompress((case / f"{naming}.h5.gz").read_bytes()))
    return directory


def namings(case: Path) -> set[str]:
    files = {path.name.partition(".")[0] for path in case.iterdir()}
    return files - {"config", "expected", "resized"}


def load_whole(directory: Path, left_out: str = ""):
    """The model, of which nothing is fresh, and nothing left out but what this pattern names."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        if left_out:
            warnings.filterwarnings("ignore", message=f".*: left out, [^:]*: {left_out}")
        return load_pretrained(directory)


def check_every_naming(case: Path, class_name: str, directory: Path, left_out: str = "") -> None:
    """Each gives the same model, of this class, and it computes what the peer did; `left_out` as of `load_whole`."""
    model = load_whole(unpacked(case, "scoped", directory / "scoped"), left_out)
    assert type(model).__name__ == class_name
    weights = model.weights_by_path()
    for naming in namings(case) - {"scoped"}:
        other = load_whole(unpacked(case, naming, directory / naming), left_out).weights_by_path()
        assert other.keys() == weights.keys()
        for path, weight in other.items():
            np.testing.assert_array_equal(numpy(weight), numpy(weights[path]), err_msg=f"{naming}: {path}")
    given, expected = read_golden(case)
    outputs = model(given)
    if not isinstance(outputs, dict):
        outputs = {str(i): x for i, x in enumerate(outputs)} if isinstance(outputs, tuple) else {"logits": outputs}
    assert expected
    for name, want in expected.items():
        np.testing.assert_allclose(numpy(outputs[name]), want, atol=1e-4, rtol=0, err_msg=name)
