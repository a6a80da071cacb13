"""Loads a SavedModel by TensorFlow's C API, without Python's TensorFlow, and runs a signature of one string.

python tests/c_api.py LIBRARIES DIRECTORY SIGNATURE INPUT OUTPUT TEXT

The libraries are the directory of `libtensorflow_cc.so.2`. It prints the first string of the answer. What loads here
loads in TensorFlow Serving as far as its operations go: the library has the core ones alone.
"""

import ctypes
import sys
from pathlib import Path

STRING = 7


class Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class Buffer(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("free", ctypes.c_void_p))


class TString(ctypes.Union):
    """24 bytes whose layout the library alone knows."""

    _fields_ = (("bytes", ctypes.c_char * 24), ("alignment", ctypes.c_uint64 * 3))


def main(libraries: str, directory: str, signature: str, given: str, wanted: str, text: str) -> str:
    ctypes.CDLL(str(Path(libraries) / "libtensorflow_framework.so.2"), mode=ctypes.RTLD_GLOBAL)
    tf = ctypes.CDLL(str(Path(libraries) / "libtensorflow_cc.so.2"), mode=ctypes.RTLD_GLOBAL)
    for name in ("TF_NewStatus", "TF_NewGraph", "TF_NewSessionOptions", "TF_NewBuffer", "TF_AllocateTensor"):
        getattr(tf, name).restype = ctypes.c_void_p
    for name in ("TF_LoadSessionFromSavedModel", "TF_TensorData", "TF_GraphOperationByName", "TF_StringGetDataPointer"):
        getattr(tf, name).restype = ctypes.c_void_p
    tf.TF_Message.restype = ctypes.c_char_p
    tf.TF_StringGetSize.restype = ctypes.c_size_t
    status = ctypes.c_void_p(tf.TF_NewStatus())

    def check() -> None:
        if tf.TF_GetCode(status):
            sys.exit(tf.TF_Message(status).decode())

    graph, options = ctypes.c_void_p(tf.TF_NewGraph()), ctypes.c_void_p(tf.TF_NewSessionOptions())
    meta = ctypes.cast(tf.TF_NewBuffer(), ctypes.POINTER(Buffer))
    tags = (ctypes.c_char_p * 1)(b"serve")
    session = ctypes.c_void_p(
        tf.TF_LoadSessionFromSavedModel(options, None, directory.encode(), tags, 1, graph, meta, status)
    )
    check()
    names = tensor_names(ctypes.string_at(meta.contents.data, meta.contents.length), signature)

    def output(name: str) -> Output:
        operation, _, index = names[name].partition(":")
        found = tf.TF_GraphOperationByName(graph, operation.encode())
        assert found, f"no operation {operation}"
        return Output(found, int(index))

    tensor = ctypes.c_void_p(tf.TF_AllocateTensor(STRING, (ctypes.c_int64 * 1)(1), 1, ctypes.sizeof(TString)))
    data = text.encode()
    cell = ctypes.c_void_p(tf.TF_TensorData(tensor))
    tf.TF_StringInit(cell)
    tf.TF_StringCopy(cell, data, ctypes.c_size_t(len(data)))
    inputs, outputs = (Output * 1)(output(given)), (Output * 1)(output(wanted))
    results = (ctypes.c_void_p * 1)()
    values = (ctypes.c_void_p * 1)(tensor)
    tf.TF_SessionRun(session, None, inputs, values, 1, outputs, results, 1, None, 0, None, status)
    check()
    cell = ctypes.c_void_p(tf.TF_TensorData(ctypes.c_void_p(results[0])))
    return ctypes.string_at(tf.TF_StringGetDataPointer(cell), tf.TF_StringGetSize(cell)).decode()


def tensor_names(meta: bytes, signature: str) -> dict[str, str]:
    """The names in the graph of a signature's tensors, read from a serialized `MetaGraphDef`."""
    for key, value in fields(meta):
        if key == 5:  # signature_def
            entry = dict(fields(value))
            if entry[1] == signature.encode():
                tensors = (dict(fields(x)) for kind, x in fields(entry[2]) if kind in (1, 2))  # inputs, outputs
                return {x[1].decode(): dict(fields(x[2]))[1].decode() for x in tensors}
    sys.exit(f"no signature {signature}")


def fields(message: bytes):
    """The fields of a protobuf message that have a length, with their numbers."""
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            value, place, shift = value | (byte & 0x7F) << shift, place + 1, shift + 7
            if byte < 0x80:
                return value

    while place < len(message):
        key = varint()
        if key & 7 == 2:
            length = varint()
            yield key >> 3, message[place : place + length]
            place += length
        elif key & 7 == 0:
            varint()
        else:
            place += 4 if key & 7 == 5 else 8


if __name__ == "__main__":
    sys.stdout.write(main(*sys.argv[1:]))
    assert "tensorflow" not in sys.modules
