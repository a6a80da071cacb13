"""What must be done before any test here imports a peer."""

import benchmarks.cpu_torchvision  # noqa: F401
