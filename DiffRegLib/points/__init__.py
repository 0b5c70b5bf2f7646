"""Point clouds: from surfaces, vessels, label maps, markups and tables; sampling; files.

Loaded on first use: a command line or a panel reads the options without waiting for torch.
"""

import importlib
from typing import Any

from DiffRegLib.points.options import CloudOptions

_HOMES = {
    "PointCloud": "cloud",
    "load_cloud": "extract",
    "kind_of": "kinds",
    "read_cloud": "io",
    "read_landmarks": "io",
    "read_points": "io",
    "write_cloud": "io",
    "write_landmarks": "io",
}

__all__ = ["CloudOptions", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
