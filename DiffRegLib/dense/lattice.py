"""Grids of one box and one orientation, coarse and fine: values pass between them by a matrix an axis."""

from __future__ import annotations

import torch
from torch import Tensor

from DiffRegLib.geometry import Geometry, Lattice
from DiffRegLib.ops.axes import blurring, cubic_spline, linear

FEWEST = 4
"""Voxels along an axis below which no grid is made coarser."""


def coarsened(geometry: Lattice, spacing: float) -> Geometry:
    """The grid that fills the same box with voxels of about `spacing` mm; an axis that is coarser already stays."""
    extent = geometry.size * geometry.spacing
    size = torch.minimum((extent / spacing).round().clamp(min=FEWEST), geometry.size)
    affine = geometry.affine.clone()
    affine[:3, :3] *= geometry.size / size
    affine[:3, 3] = geometry.to_world(geometry.size / size / 2 - 0.5)
    return Geometry(tuple(int(n) for n in size.flip(0)), affine)


def places(target: Lattice, source: Lattice, like: Tensor) -> list[Tensor]:
    """The voxels of `target` along D, H and W in voxel coordinates of `source`, whose axes are the same."""
    first = source.to_voxel(target.to_world(torch.zeros(3, dtype=torch.float64)))
    ratio = target.spacing / source.spacing
    axes = [first[a] + ratio[a] * torch.arange(target.shape[2 - a], dtype=torch.float64) for a in (2, 1, 0)]
    return [axis.to(like) for axis in axes]


def averaging(target: Lattice, source: Lattice, like: Tensor, blur: Tensor) -> list[Tensor]:
    """Matrices that read `source` at the voxels of `target` by Gaussian means.

    blur: (3,) standard deviations in mm along i, j, k.
    """
    sigma = (blur / source.spacing).flip(0).tolist()
    return [blurring(at, n, s) for at, n, s in zip(places(target, source, like), source.shape, sigma)]


def pooling(target: Lattice, source: Lattice, like: Tensor) -> list[Tensor]:
    """Matrices that distribute what lies in the voxels of `source` over those of `target`: sums are kept."""
    return [linear(at, n).T.contiguous() for at, n in zip(places(source, target, like), target.shape)]


def smooth(target: Lattice, source: Lattice, like: Tensor) -> list[Tensor]:
    """Matrices that interpolate `source` at the voxels of `target`, inside of its own, by natural cubic splines."""
    matrices = []
    for at, n in zip(places(target, source, like.double()), source.shape):
        nodes = torch.arange(n, dtype=torch.float64, device=like.device)
        spline = cubic_spline(at + 1, n + 2)
        conditions = torch.zeros(n + 2, n + 2, dtype=torch.float64, device=like.device)
        conditions[1:-1] = cubic_spline(nodes + 1, n + 2)
        bend = torch.tensor([1.0, -2.0, 1.0], dtype=torch.float64, device=like.device)
        conditions[0, :3], conditions[-1, -3:] = bend, bend
        inverse = torch.linalg.inv(conditions)[:, 1:-1]
        matrices.append((spline @ inverse).to(like))
    return matrices
