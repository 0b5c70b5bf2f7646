"""What jobs and the command line check and choose before a registration is measured."""

from __future__ import annotations

from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry

FEWEST, MOST = 2**14, 2**21  # voxels of the grid on which folding is counted


def check_landmarks(fixed: tuple[Tensor, str], moving: tuple[Tensor, str]) -> None:
    """Raises `RegistrationError` where points (N, 3) and the name of either side cannot correspond row by row."""
    counts = [len(points) for points, _ in (fixed, moving)]
    if counts[0] != counts[1]:
        raise RegistrationError(
            f"{fixed[1]} has {counts[0]} landmarks and {moving[1]} has {counts[1]}: give the same ones in the same "
            "order."
        )


def manageable(geometry: Geometry) -> Geometry:
    """The same box with enough voxels to see a fold and not so many that the memory fills."""
    voxels = float(geometry.size.prod())
    if FEWEST <= voxels <= MOST:
        return geometry
    volume = voxels * float(geometry.spacing.prod())
    return geometry.resized((volume / (FEWEST if voxels < FEWEST else MOST)) ** (1 / 3))
