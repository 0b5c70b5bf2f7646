"""Where a result comes from: versions, machine, time and memory of the process that made it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys

PACKAGES = ("torch", "numpy", "numba", "scipy", "SimpleITK", "scikit-image", "vtk")


def collect(seconds: float) -> dict:
    """What `job.json` records beside the method's own provenance; memory in MB, time in seconds."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "job_seconds": round(seconds, 3),
        "peak_memory_mb": round(peak_memory_mb(), 1),
    }


def peak_memory_mb() -> float:
    """The largest main memory that this process has held so far, in MB (10^6 bytes)."""
    if os.name == "nt":
        return _peak_on_windows() / 1e6
    if sys.platform == "linux":  # rusage would count what the parent held when it started this process
        with open("/proc/self/status") as status:
            peak = next(line for line in status if line.startswith("VmHWM"))
        return int(peak.split()[1]) * 1024 / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _peak_on_windows() -> int:
    import ctypes
    from ctypes import wintypes

    class Counters(ctypes.Structure):
        _fields_ = [("cb", wintypes.DWORD), ("faults", wintypes.DWORD)] + [
            (name, ctypes.c_size_t) for name in ("peak", "current", "a", "b", "c", "d", "pagefile", "peak_pagefile")
        ]

    counters = Counters(cb=ctypes.sizeof(Counters))
    kernel = ctypes.windll.kernel32
    kernel.GetCurrentProcess.restype = wintypes.HANDLE
    query = kernel.K32GetProcessMemoryInfo
    query.argtypes = [wintypes.HANDLE, ctypes.POINTER(Counters), wintypes.DWORD]
    query(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.cb)
    return counters.peak


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
