"""The trachea of a CT, followed down from the top of the image."""

from __future__ import annotations

import torch
from torch import Tensor

COARSE_AREA = 9.0  # mm^2, about the area of a voxel of the 3 mm grid
AREA = (60.0, 700.0)  # mm^2, cross-section of the trachea and of both main bronchi
SHORTEST = 40.0  # mm, what is shorter may be the apex of a lung
HOLLOW = -850.0  # HU, mean of its cross-section, partial volume included


def trachea(coarse: Tensor, air: Tensor, affine: Tensor) -> Tensor:
    """Bool (D, H, W): trachea and the beginning of the main bronchi.

    coarse: (D, H, W) HU on a grid of about 3 mm; air: (D, H, W) bool; affine: (4, 4) of the CT, for the direction
    of the body alone. Regions of air in axial slices are followed downwards as long as they stay small and empty.
    """
    axis = 2 - int(affine[2, :3].abs().argmax())
    downwards = float(affine[2, 2 - axis]) < 0
    order = range(coarse.shape[axis]) if downwards else range(coarse.shape[axis] - 1, -1, -1)
    chains: list[list[tuple[int, Tensor]]] = []
    for k in order:
        for region in _cross_sections(coarse.select(axis, k), air.select(axis, k)):
            above = [c for c in chains if abs(c[-1][0] - k) <= 1 and bool((c[-1][1] & region).any())]
            if above:
                above[0].append((k, region))
            else:
                chains.append([(k, region)])
    found = torch.zeros_like(air)
    for chain in chains:
        if abs(chain[-1][0] - chain[0][0]) * COARSE_AREA**0.5 >= SHORTEST:
            for k, region in chain:
                found.select(axis, k).logical_or_(region)
    return found


def _cross_sections(hounsfield: Tensor, air: Tensor) -> list[Tensor]:
    """Bool (H, W) each: the small empty regions of a slice that do not touch its border."""
    from scipy import ndimage

    regions, count = ndimage.label(air.numpy())
    found = []
    for i, box in enumerate(ndimage.find_objects(regions), 1):
        inside = all(s.start > 0 and s.stop < n for s, n in zip(box, regions.shape, strict=True))
        region = torch.from_numpy(regions == i)
        if inside and AREA[0] <= int(region.sum()) * COARSE_AREA <= AREA[1] and hounsfield[region].mean() < HOLLOW:
            found.append(region)
    return found
