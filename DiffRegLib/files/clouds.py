"""The cloud that a file stands for, of whatever kind it is."""

from __future__ import annotations

from pathlib import Path

from DiffRegLib.files.opening import open_file
from DiffRegLib.points.cloud import PointCloud
from DiffRegLib.points.extract import cloud_of
from DiffRegLib.points.options import CloudOptions


def load_cloud(
    path: str | Path, options: CloudOptions | None = None, mask: str | Path | None = None, seed: int = 0
) -> PointCloud:
    """The cloud that is registered of a file of any kind; mask: the file of the lungs of a CT. See `cloud_of`."""
    within = open_file(mask, ("labels",)).content if mask else None
    return cloud_of(open_file(path).content, options, within, seed, str(path))
