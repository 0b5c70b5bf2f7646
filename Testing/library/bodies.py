"""A small CT of a made-up body: an ellipsoid of soft tissue with organs of other density at known places."""

from __future__ import annotations

import torch
from torch import Tensor

from DiffRegLib.image import Image

ORGANS = ((60.0, (40.0, 10.0, 30.0), 35.0), (180.0, (-45.0, -10.0, -20.0), 25.0), (-90.0, (0.0, 30.0, -60.0), 30.0))
"""Of each organ: HU, center in mm from the middle of the body, radius in mm."""


def body_ct(
    center: tuple[float, float, float] = (0.0, 0.0, 0.0),
    spacing: float = 6.0,
    shape: tuple[int, int, int] = (56, 40, 48),
    turn: Tensor | None = None,
) -> Image:
    """(1, D, H, W) HU: the body around `center` (RAS mm) in the middle of a grid; `turn` (3, 3) are the grid's axes."""
    affine = torch.eye(4, dtype=torch.float64)
    affine[:3, :3] = (torch.eye(3, dtype=torch.float64) if turn is None else turn) * spacing
    size = torch.tensor(shape[::-1], dtype=torch.float64)
    affine[:3, 3] = torch.tensor(center, dtype=torch.float64) - affine[:3, :3] @ ((size - 1) / 2)
    image = Image(torch.zeros(1, *shape), affine)
    place = image.grid() - torch.tensor(center)
    radii = torch.tensor([110.0, 85.0, 130.0])
    outside = ((place / radii).norm(dim=-1) - 1) * 60
    hounsfield = 40 - 1040 * torch.sigmoid(outside)
    for density, where, radius in ORGANS:
        inside = torch.sigmoid((radius - (place - torch.tensor(where)).norm(dim=-1)) / 4)
        hounsfield = hounsfield + inside * (density - 40)
    return Image(hounsfield[None], affine)
