"""What is measured: a library on a backend."""

from __future__ import annotations

from typing import NamedTuple

BACKENDS = ("tensorflow", "jax", "torch")


class Side(NamedTuple):
    """A library on a Keras backend, written `library:backend`, or `library:backend:plain` for one without XLA."""

    library: str
    backend: str = "tensorflow"
    jit: bool = True

    @classmethod
    def parse(cls, text: str) -> Side:
        """The side that `text` names; on TensorFlow if it names no backend.

        Raises:
            ValueError: for an unknown backend, or anything but "plain" after it.
        """
        library, backend, *rest = text.split(":") if ":" in text else (text, "tensorflow")
        if backend not in BACKENDS or rest not in ([], ["plain"]):
            raise ValueError(
                f"a side is library[:backend[:plain]], the backend of {', '.join(BACKENDS)}; got {text!r}."
            )
        return cls(library, backend, not rest)

    def __str__(self) -> str:
        return f"{self.library}:{self.backend}" + ("" if self.jit else ":plain")
