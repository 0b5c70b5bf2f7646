"""Vessels of the lung in a CT as points on their center lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.points.cloud import FEWEST_POINTS, PointCloud
from DiffRegLib.points.hessian import Differentiator
from DiffRegLib.points.lungs import check_air, lungs_of
from DiffRegLib.points.ridges import center_line, tubeness
from DiffRegLib.points.sampling import farthest_points

SCALES = (1.5, 2.5)  # mm
FINEST = 1.0  # mm, voxels of the grid on which ridges are sought, unless the CT is coarser in every direction
FAINTEST = 20.0  # HU of tubeness; noise of 20 HU in voxels of 2 mm stays below it, the smallest visible vessel above
STEEPEST = 1.2  # slope along a line (times sigma) over its tubeness; the flank of a bend is steeper
REACH = 0.75  # voxels between a voxel and the center line that it stands for
LINKED = 2.0  # mm between points of one vessel
SHORTEST = 6  # points of the shortest vessel
SURPLUS = 1.5  # candidates for each point of the cloud
WINDOW = (-1024.0, 200.0)  # HU: metal and calcifications shine no brighter than a vessel with contrast agent
SLAB = 1_500_000  # voxels differentiated at a time


def cloud_from_vessels(
    ct: Image, mask: Image | None = None, points: int = 10000, seed: int = 0, name: str = "the CT"
) -> PointCloud:
    """At most `points` points on the center lines of the lung's vessels, evenly spread, with weight 1.

    ct: (1, D, H, W) HU; mask: lungs (anything above 0) on any grid, found by `lung_mask` where none is given.
    Points are placed to a fraction of a voxel, on ridges of a line filter at 1.5 and 2.5 mm; of the candidates the
    1.5 x `points` clearest are thinned to the farthest points. Raises `RegistrationError` for an image without air,
    lung or vessels.
    """
    check_air(ct, name)
    ridges = find_ridges(ct, lungs_of(ct, mask, name))
    long = torch.nonzero(_vessel_size(ridges.points) >= SHORTEST)[:, 0]
    if len(long) < FEWEST_POINTS:
        raise RegistrationError(f"No vessels were found in {name}: give a mask of the lungs, or surfaces instead.")
    clearest = long[ridges.tubeness[long].topk(min(int(SURPLUS * points), len(long))).indices]
    candidates = ridges.points[clearest]
    return PointCloud.plain(candidates[farthest_points(candidates, points, seed)])


@dataclass(frozen=True)
class Ridges:
    """Points on center lines, (N, 3) float32 RAS mm, and how clearly each stands out, (N,) HU."""

    points: Tensor
    tubeness: Tensor


def find_ridges(ct: Image, inside: Tensor, scales: tuple[float, ...] = SCALES) -> Ridges:
    """All sub-voxel ridge points of bright tubes; inside: (D, H, W) bool; scales: Gaussian sigmas in mm, ascending."""
    spacing = ct.spacing.flip(0).numpy()
    box = _box(inside, np.ceil(3 * max(scales) / spacing).astype(int))
    volume, inside = ct.data[0][box], inside[box]
    step = max(float(spacing.min()), FINEST)
    grid = tuple(np.arange(0, (n - 1) * s + 1e-6, step) for n, s in zip(volume.shape, spacing, strict=True))
    nearest = [torch.from_numpy(np.rint(g / s)).long() for g, s in zip(grid, spacing, strict=True)]
    operators = [Differentiator.of(volume.shape, tuple(spacing), grid, sigma) for sigma in scales]
    rows = max(1, SLAB // (len(grid[1]) * len(grid[2])))
    found = []
    for start in range(0, len(grid[0]), rows):
        slab = slice(start, min(start + rows, len(grid[0])))
        wanted = inside[nearest[0][slab]][:, nearest[1]][:, :, nearest[2]]
        needed = operators[-1].slices(slab)
        part = volume[needed].clamp(*WINDOW)
        derivatives = ((s, operator(part, slab, needed.start)) for s, operator in zip(scales, operators, strict=True))
        voxels, offset, strength = _ridges_of_slab(derivatives, wanted, step)
        voxels[:, 0] += start
        found.append((voxels.flip(1) * step + offset, strength))
    millimeters, strength = (torch.cat(parts) for parts in zip(*found, strict=True))
    index = millimeters / ct.spacing + torch.tensor([s.start for s in reversed(box)])
    return Ridges(ct.to_world(index.double()).float(), strength)


def _ridges_of_slab(
    derivatives: Iterable[tuple[float, Any]], wanted: Tensor, step: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Voxel (z, y, x), offset (x, y, z) in mm and tubeness of the ridges, each voxel at its clearest scale."""
    at = torch.nonzero(wanted.flatten())[:, 0]
    voxels = torch.stack(torch.unravel_index(at, wanted.shape), 1)
    best = torch.full((len(voxels),), FAINTEST)
    offset = torch.full((len(voxels), 3), torch.inf)
    for sigma, volumes in derivatives:
        values = {name: volume.flatten()[at] for name, volume in volumes.items()}
        bright = torch.nonzero((values["xx"] + values["yy"] + values["zz"]) * sigma**2 < -FAINTEST)[:, 0]
        values = {name: value[bright] for name, value in values.items()}
        clearness = tubeness(values, sigma)
        better = clearness > best[bright]
        clearer, clearness = bright[better], clearness[better]
        step_to_line, slope = center_line({name: value[better] for name, value in values.items()})
        best[clearer] = clearness
        flank = slope * sigma > STEEPEST * clearness
        offset[clearer] = torch.where(flank[:, None], torch.inf, step_to_line)
    near = (offset.abs() <= REACH * step).all(dim=1)
    return voxels[near], offset[near], best[near]


def _box(inside: Tensor, margin: np.ndarray) -> tuple[slice, ...]:
    slices = []
    for axis, pad in enumerate(margin.tolist()):
        filled = torch.nonzero(inside.movedim(axis, 0).flatten(1).any(dim=1))[:, 0]
        slices.append(slice(max(int(filled[0]) - pad, 0), min(int(filled[-1]) + pad + 1, inside.shape[axis])))
    return tuple(slices)


def _vessel_size(points: Tensor) -> Tensor:
    """(N,) int64: how many points the chain has to which each belongs."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    if len(points) == 0:
        return torch.zeros(0, dtype=torch.int64)
    pairs = cKDTree(points.numpy()).query_pairs(LINKED, output_type="ndarray")
    ones = np.ones(len(pairs), dtype=bool)
    links = coo_matrix((ones, (pairs[:, 0], pairs[:, 1])), shape=(len(points), len(points)))
    _, chain = connected_components(links, directed=False)
    return torch.from_numpy(np.bincount(chain)[chain])
