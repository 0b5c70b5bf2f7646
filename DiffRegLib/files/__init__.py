"""Files: the one place where a path becomes a thing. Heavy parts load on first use."""

import importlib
from typing import Any

from DiffRegLib.files.kinds import Kind, accepted_as, check_input, kind_of, kind_of_name, split_key

_HOMES = {
    "Opened": "opening",
    "open_file": "opening",
    "write": "opening",
    "suffix_for": "opening",
    "carry": "carrying",
    "frame": "carrying",
    "around": "carrying",
    "matched_labels": "structures",
    "renumbered": "structures",
    "Segment": "segments",
    "read_grid": "images",
    "read_image": "images",
    "read_landmarks": "points",
    "read_points": "points",
    "read_polydata": "surfaces",
    "read_transform": "fields",
    "write_cloud": "points",
    "write_image": "images",
    "write_landmarks": "points",
    "write_points": "points",
    "write_polydata": "surfaces",
}

__all__ = ["Kind", "accepted_as", "check_input", "kind_of", "kind_of_name", "split_key", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
