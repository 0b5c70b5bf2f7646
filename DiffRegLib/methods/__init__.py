"""The registration methods, one folder each; none of them imports another, and none is imported before it is asked for.

A method outside of this repository is found by its entry point in the group `diffreg.methods`, which names its
`METHOD`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.method import Method

METHODS = {
    "splatting": "DiffRegLib.methods.splatting",
    "projective": "DiffRegLib.methods.projective",
    "dense": "DiffRegLib.methods.dense",
    "neural": "DiffRegLib.methods.neural",
    "supervoxel": "DiffRegLib.methods.supervoxels",
}
"""One line a method: its name, and the folder that exports its `METHOD`."""

GROUP = "diffreg.methods"


def method(name: str) -> Method:
    """The method of that name; raises `RegistrationError` where there is none."""
    if name in METHODS:
        return _own(name)
    found = next((m for m in _others() if m.name == name), None)
    if found is None:
        known = ", ".join(m.name for m in methods())
        raise RegistrationError(f"There is no method {name!r}: choose one of {known}.")
    return found


def methods() -> Iterator[Method]:
    """All methods, each imported when its turn comes: those of the table, then those of others."""
    yield from map(_own, METHODS)
    yield from _others()


def _own(name: str) -> Method:
    return importlib.import_module(METHODS[name]).METHOD


def _others() -> Iterator[Method]:
    from importlib.metadata import entry_points

    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        yield point.load()
