"""An analytic patient with an exactly known breathing motion, for demos, tests and studies.

Loaded on first use: the command line reads the options without waiting for torch.
"""

import importlib
from typing import Any

from DiffRegLib.phantom.options import PhantomOptions

_HOMES = {
    "LABELS": "anatomy",
    "BreathingMotion": "breathing",
    "Phantom": "patient",
    "State": "patient",
    "Surface": "surfaces",
    "breathing_phantom": "patient",
    "render": "patient",
    "write_phantom": "files",
}

__all__ = ["PhantomOptions", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
