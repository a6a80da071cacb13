"""The device that the work runs on, where the fastest way depends on it."""

from __future__ import annotations

import keras


def on_cpu() -> bool:
    """Whether the backend sees CPUs alone."""
    return all(device.startswith("cpu") for device in keras.distribution.list_devices())


def on_tpu() -> bool:
    """Whether the backend sees a TPU."""
    return any(device.startswith("tpu") for device in keras.distribution.list_devices())
