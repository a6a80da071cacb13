"""What is measured: a library on a backend."""

from __future__ import annotations

import sys
from typing import NamedTuple

BACKENDS = ("tensorflow", "jax", "torch")
OF_TORCH = ("timm", "transformers")
"""Libraries that are torch's, unless a side names another backend."""


class Side(NamedTuple):
    """A library on a backend, written `library:backend`, or `library:backend:plain` for one without XLA.

    `@PYTHON` after it names the interpreter of an environment that has the library, where this one's has not.
    """

    library: str
    backend: str = "tensorflow"
    jit: bool = True
    python: str = sys.executable

    @classmethod
    def parse(cls, text: str) -> Side:
        """The side that `text` names; on its library's own backend, or TensorFlow, if it names none.

        Raises:
            ValueError: for an unknown backend, or anything but "plain" after it.
        """
        name, _, python = text.partition("@")
        library, *how = name.split(":")
        backend, *rest = how or ["torch" if library in OF_TORCH else "tensorflow"]
        if backend not in BACKENDS or rest not in ([], ["plain"]):
            raise ValueError(
                f"a side is library[:backend[:plain]][@PYTHON], the backend of {', '.join(BACKENDS)}; got {text!r}."
            )
        return cls(library, backend, not rest, python or sys.executable)

    def __str__(self) -> str:
        return f"{self.library}:{self.backend}" + ("" if self.jit else ":plain")
