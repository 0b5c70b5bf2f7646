"""Transforms that deeds wrote: `NAME_matrix.txt` and `NAME_displacements.dat` (Heinrich et al., TMI 2013).

The matrix is 4 x 4, transposed, and maps a voxel (i, j, k) of the fixed scan to one of the moving scan. The
displacements are float32 in voxels on a coarser grid that fills the fixed scan, i fastest, as three volumes after each
other: along j, along i, along k. A point v of the fixed scan has its counterpart at M v + u(v).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Lattice
from DiffRegLib.image import Image
from DiffRegLib.transforms import Affine, DisplacementField, Transform

MATRIX, DISPLACEMENTS = "_matrix.txt", "_displacements.dat"
ORDER = (1, 0, 2)  # which volume of the file moves along i, j and k


def read_deeds(prefix: str | os.PathLike, fixed: Lattice, moving: Lattice) -> Transform:
    """The transform fixed -> moving in RAS mm of `prefix`_matrix.txt and `prefix`_displacements.dat.

    fixed, moving: the grids that deeds registered. Raises RegistrationError for a file that is missing, cut off, or of
    another grid.
    """
    matrix = _matrix(Path(f"{os.fspath(prefix)}{MATRIX}"))
    linear = Affine(moving.affine @ matrix @ torch.linalg.inv(fixed.affine))
    voxels, affine = _displacements(Path(f"{os.fspath(prefix)}{DISPLACEMENTS}"), fixed)
    to_fixed = torch.linalg.inv(linear.matrix[:3, :3]) @ moving.affine[:3, :3]
    field = torch.einsum("ab,bkji->akji", to_fixed, voxels.double()).float()
    return linear @ DisplacementField(Image(field, affine))


def _matrix(path: Path) -> Tensor:
    try:
        matrix = torch.from_numpy(np.loadtxt(path).reshape(4, 4)).T.double()
    except FileNotFoundError:
        raise RegistrationError(f"{path} does not exist: name the prefix that deeds was given.", path=path) from None
    except (OSError, ValueError):
        raise RegistrationError(f"{path} is no 4 x 4 matrix of deeds: write it again.", path=path) from None
    if not matrix.isfinite().all() or abs(float(torch.linalg.det(matrix))) < 1e-6:
        raise RegistrationError(f"{path} is no invertible matrix of deeds: write it again.", path=path)
    return matrix


def _displacements(path: Path, fixed: Lattice) -> tuple[Tensor, Tensor]:
    """(3, d, h, w) displacements in voxels along i, j, k, and the affine of their grid, which fills the fixed box."""
    try:
        numbers = np.fromfile(path, "<f4")
    except OSError:
        raise RegistrationError(f"{path} does not exist: name the prefix that deeds was given.", path=path) from None
    step = _step(path.stat().st_size, fixed, path)
    shape = tuple(n // step for n in fixed.shape)
    field = torch.from_numpy(numbers.reshape(3, *shape)[list(ORDER)].copy())
    if not field.isfinite().all():
        raise RegistrationError(f"{path} holds displacements that are no numbers: run deeds again.", path=path)
    largest = float(field.abs().max())
    if largest > max(fixed.shape):
        raise RegistrationError(
            f"{path} holds displacements of up to {largest:.3g} voxels, more than its scan is wide, so deeds has not "
            "written it: run deeds again.",
            path=path,
        )
    stretch = torch.tensor([n / s for n, s in zip(fixed.shape[::-1], shape[::-1])], dtype=torch.float64)
    affine = fixed.affine.clone()
    affine[:3, :3] *= stretch
    affine[:3, 3] = fixed.to_world(stretch / 2 - 0.5)
    return field, affine


def _step(size: int, fixed: Lattice, path: Path) -> int:
    """Voxels from one displacement to the next: the spacing for which the file has just the right size."""
    for step in range(1, min(fixed.shape) + 1):
        if 12 * int(np.prod([n // step for n in fixed.shape])) == size:
            return step
    raise RegistrationError(
        f"{path} has {size} bytes, which is no grid of displacements of a scan of {' x '.join(map(str, fixed.shape))} "
        "voxels: it is cut off or belongs to another scan.",
        path=path,
    )
