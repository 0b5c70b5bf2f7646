"""Point clouds: from surfaces, vessels and label maps; sampling.

Loaded on first use: a command line or a panel reads the options without waiting for torch.
"""

import importlib
from typing import Any

from DiffRegLib.points.options import CloudOptions

_HOMES = {
    "PointCloud": "cloud",
    "cloud_of": "extract",
}

__all__ = ["CloudOptions", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
