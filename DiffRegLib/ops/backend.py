"""Which implementation runs an operator, and which one ran last."""

from __future__ import annotations

import importlib
import warnings
from functools import cache
from types import ModuleType

import torch
from torch import Tensor

BACKENDS = ("auto", "reference", "cpu", "cuda")
_ran: dict[str, str] = {}


def last_backend(operator: str) -> str | None:
    """The backend that the latest call of "splat", "sample", "gather" or "project" ran on; None before the first."""
    return _ran.get(operator)


def available(backend: str) -> bool:
    """Whether a backend can run on this machine: its compiler is installed and its device is there."""
    if backend == "cuda":
        return torch.cuda.is_available() and _imports("numba_cuda") is not None and _kernels_run()
    return backend == "reference" or (backend == "cpu" and _imports("numba") is not None)


def choose(backend: str, *tensors: Tensor) -> str:
    """The implementation that shall run on these tensors: "reference", "cpu" or "cuda".

    "auto" takes the kernels of the tensors' device where they can run, and the reference for float64, for dtypes that
    the kernels lack, and where numba is missing. A backend asked for by name that cannot run raises ValueError.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend is {backend!r}: choose one of {', '.join(BACKENDS)}.")
    device, narrow = tensors[0].device.type, (torch.float16, torch.bfloat16) if tensors[0].is_cuda else ()
    fits = all(t.device.type == device and t.dtype in (torch.float32, *narrow) for t in tensors)
    if backend == "auto":
        return device if fits and device in BACKENDS and available(device) else "reference"
    if backend != "reference":
        if not available(backend):
            raise ValueError(f"backend {backend!r} cannot run here: choose 'auto', or install what it needs.")
        if not (fits and device == backend):
            kinds = ", ".join(f"{t.dtype} on {t.device}" for t in tensors)
            raise ValueError(f"backend {backend!r} takes float32 tensors on its own device, not {kinds}: use 'auto'.")
    return backend


def kernels(operator: str, backend: str, module: str, *tensors: Tensor) -> ModuleType | None:
    """The kernels' module `module` + "_cpu" or "_cuda" that `choose` takes, noted as the latest; None: reference."""
    chosen = _ran[operator] = choose(backend, *tensors)
    return None if chosen == "reference" else importlib.import_module(f"DiffRegLib.ops.kernels.{module}_{chosen}")


@cache
def _kernels_run() -> bool:
    """Whether a CUDA kernel compiles and runs: the installed numba-cuda may know numpy or the driver too little."""
    try:
        importlib.import_module("DiffRegLib.ops.kernels.launching").try_out()
    except Exception as error:
        warnings.warn(
            f"The CUDA kernels do not run here ({error}): torch computes in their place, slower.", stacklevel=2
        )
        return False
    return True


@cache
def _imports(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except Exception:  # a broken installation shows itself by any error; the reference still runs
        return None
