"""The machine: what it is, and how fast it reads memory."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np

PACKAGES = ("keras_tx", "keras", "keras-hub", "tensorflow", "jax", "torch", "transformers", "timm")
SETTINGS = ("GLIBC_TUNABLES", "XLA_FLAGS", "TF_XLA_FLAGS", "OMP_NUM_THREADS")
"""Variables of the environment that change speed."""


def describe() -> str:
    """CPU, cores, memory, the versions that are being compared, and settings of the environment if there are any."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    hardware = f"{_cpu()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}"
    software = [f"Python {platform.python_version()}", *map(_version, PACKAGES)]
    settings = [f"{name}={os.environ[name]}" for name in SETTINGS if name in os.environ]
    return f"{hardware}; " + ", ".join(software + settings)


def read_bandwidth() -> float:
    """Bytes a second at which all cores together read an array much larger than the caches, at best of three."""
    parts = _parts()
    best = float("inf")
    with ThreadPoolExecutor(len(parts)) as pool:
        for _ in range(3):
            start = time.perf_counter()
            list(pool.map(np.bitwise_or.reduce, parts))  # the cheapest reduction: nothing but the reading takes time
            best = min(best, time.perf_counter() - start)
    return sum(part.nbytes for part in parts) / best


@cache
def _parts() -> list[np.ndarray]:
    return np.array_split(np.ones(2**26, "int64"), os.cpu_count() or 1)


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return f"no {package}"
