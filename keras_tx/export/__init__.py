"""Artifacts that run without keras_tx, each checked against the model it came from.

The names are those of `__init__.pyi`; the module that holds one is imported when it is first asked for, so that the
program can read the table of `formats` without Keras.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
