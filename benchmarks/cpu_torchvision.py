"""Imported before timm and Transformers, makes the torchvision that they import fit torch."""

import sys
from types import ModuleType

try:
    import torchvision  # noqa: F401
except ImportError:
    pass
except RuntimeError:  # built for another torch, as one with CUDA, it lacks its operators, which nobody here needs
    sys.modules["torchvision._meta_registrations"] = ModuleType("_meta_registrations")
