"""Where a result comes from: the versions and the machine of the process that made it."""

from __future__ import annotations

import importlib.metadata
import platform

PACKAGES = ("torch", "numpy", "numba", "scipy", "SimpleITK", "scikit-image", "vtk")


def collect(seconds: float) -> dict:
    """What `job.json` records beside the method's own provenance; seconds: from the start of the job to its end."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "job_seconds": round(seconds, 3),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
