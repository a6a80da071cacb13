"""Safetensors in and out, against the library; damaged files."""

import json
import struct

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from keras_tx.convert import tensors as module
from keras_tx.convert.tensors import read_safetensors, write_safetensors


def header(entries: dict | bytes, data: bytes = b"", size: int | None = None) -> bytes:
    """A file with this header, whose length may be a lie."""
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def entry(shape=(2,), offsets=(0, 8), dtype="F32") -> dict:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", ml_dtypes.bfloat16, "int64", "uint8", "bool"])
def test_reads_what_the_library_writes(tmp_path, rng, dtype):
    arrays = {"a": rng.normal(size=(5, 3)).astype(dtype), "b.c": np.ones((), dtype), "d": np.ones((0, 7), dtype)}
    save_file(arrays, tmp_path / "x.safetensors", metadata={"format": "pt"})
    found = read_safetensors(tmp_path / "x.safetensors")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].shape == array.shape and found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name].read(), array)
    np.testing.assert_array_equal(found["a"].rows(2, 4), arrays["a"][2:4])


def test_chunks_are_all_rows_in_order(tmp_path, rng, monkeypatch):
    array = rng.normal(size=(11, 3, 5)).astype("float32")
    save_file({"a": array}, tmp_path / "x.safetensors")
    monkeypatch.setattr(module, "CHUNK_BYTES", 4 * 3 * 5 * 4)
    chunks = list(read_safetensors(tmp_path / "x.safetensors")["a"].chunks())
    assert [start for start, _ in chunks] == [0, 4, 8]
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in chunks]), array)


def test_the_library_reads_what_is_written(tmp_path, rng):
    arrays = {"a": rng.normal(size=(5, 3)).astype("float32"), "ü": rng.normal(size=(7,)).astype("float32")}
    write_safetensors(tmp_path / "x", {name: (x.shape, lambda x=x: x) for name, x in arrays.items()})
    found = load_file(tmp_path / "x")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08\0\0",
        header({"a": entry()}, b"\0" * 8)[:-1],
        header({"a": entry()}, b"\0" * 9),
        header({"a": entry()}, b"\0" * 8, size=2**62),
        header({"a": entry()}, b"\0" * 8, size=10**9),
        header(b'{"a"'),
        header({"a": entry(offsets=(4, 12))}, b"\0" * 12),
        header({"a": entry(), "b": entry(offsets=(4, 12))}, b"\0" * 12),
        header({"a": entry(shape=(3,))}, b"\0" * 8),
        header({"a": entry(shape=(-2,))}, b"\0" * 8),
        header({"a": entry(shape=(2**62, 2**62))}, b"\0" * 8),
        header({"a": entry(dtype="F31")}, b"\0" * 8),
        header({"a": entry(shape=(8,), dtype="F8_E4M3")}, b"\0" * 8),
        header(b'{"a":' + json.dumps(entry()).encode() + b',"a":' + json.dumps(entry()).encode() + b"}", b"\0" * 8),
    ],
    ids=[
        "empty",
        "cut in its length",
        "cut in its data",
        "longer than it says",
        "a length beyond all files",
        "a length beyond this file",
        "a header cut short",
        "a hole",
        "an overlap",
        "a shape of more numbers",
        "a negative shape",
        "a shape beyond all memory",
        "a dtype there is not",
        "a dtype not read here",
        "a name twice",
    ],
)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.safetensors|twice"):
        read_safetensors(tmp_path / "x.safetensors")


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file({"a": np.ones((5, 3), "float32")}, path)
    tensor = read_safetensors(path)["a"]
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match="became shorter"):
        tensor.read()
