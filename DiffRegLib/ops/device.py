"""Where the work is done, and how much memory it has taken."""

from __future__ import annotations

import sys

import torch

from DiffRegLib.errors import RegistrationError


def choose_device(name: str) -> torch.device:
    """The device of an option: "auto" (a GPU where torch finds one), "cpu" or "cuda".

    Raises RegistrationError where a GPU is asked for that is not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise RegistrationError(
            "{device} is cuda, but torch finds no GPU that it can use: choose auto or cpu.", option="device"
        )
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """What a result tells of where it was computed: the GPU's name, or "cpu"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies numbers of half the width itself, twice as fast."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # older torch does not tell
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def peak_memory_mb(device: torch.device) -> float:
    """The largest memory held so far in MB (10^6 bytes): of the GPU that torch uses, else of this process.

    Not by psutil: it knows the peak on Windows alone.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    if sys.platform == "linux":  # rusage would count what the parent held when it started this process
        with open("/proc/self/status") as status:
            return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6
    if sys.platform == "win32":
        return _peak_on_windows() / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def release_freed() -> None:
    """Gives the system what was freed and is still held for later: after slabs of a CT that is half a GB (glibc)."""
    if sys.platform == "linux":
        import ctypes

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _peak_on_windows() -> int:
    import ctypes
    from ctypes import wintypes

    names = ("peak", "size", "paged_peak", "paged", "nonpaged_peak", "nonpaged", "pagefile", "pagefile_peak")

    class Counters(ctypes.Structure):
        _fields_ = [("cb", wintypes.DWORD), ("faults", wintypes.DWORD), *((n, ctypes.c_size_t) for n in names)]

    counters = Counters(cb=ctypes.sizeof(Counters))
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined]
    kernel.GetCurrentProcess.restype = wintypes.HANDLE
    query = kernel.K32GetProcessMemoryInfo
    query.argtypes = [wintypes.HANDLE, ctypes.POINTER(Counters), wintypes.DWORD]
    query(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.cb)
    return counters.peak
