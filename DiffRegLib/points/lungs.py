"""Lungs of a CT by threshold and texture, for a whole chest as for a crop of one lung."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.points.airways import trachea

COARSE = 3.0  # mm, the grid on which the lungs are found
AIR = -500.0  # HU, between parenchyma and soft tissue
EMPTY = -940.0  # HU, below it air holds hardly any tissue
TEXTURED = 0.15  # share of inner voxels above EMPTY that tells a lung from the room and from bowel gas
SIDES = 0.05  # share of voxels on the lateral faces of the image, above which a region is the room
SMALLEST = 50.0  # ml
SLICES = 16  # that a mask is brought to the grid of the CT at a time
CLOSING = 9.0  # mm, radius of the largest vessel that becomes part of the lung


def lung_mask(ct: Image, name: str = "the CT") -> Image:
    """The lungs with their vessels, (1, D, H, W) of 0 and 1 on the grid of the CT; the trachea is left out.

    ct: (1, D, H, W) in HU. Air is found on a grid of 3 mm; of its connected regions those are lungs that are large,
    hold tissue and do not surround the body. Raises `RegistrationError` that names the image where there is no air
    or no lung.
    """
    check_air(ct, name)
    coarse = _coarse(ct.data[0], ct)
    milliliters = float((ct.size * ct.spacing).prod()) / coarse.numel() / 1000
    lungs = _lungs(coarse, ct.affine, milliliters)
    if not lungs.any():
        raise RegistrationError(f"No lung was found in {name}: give a lung mask.")
    border = _upsampled(dilated(lungs, 1), ct).logical_and_(ct.data[0] < AIR)
    return Image(border.logical_or_(_upsampled(eroded(lungs, 1), ct))[None].to(torch.uint8), ct.affine)


def lungs_of(ct: Image, mask: Image | None, name: str = "the CT") -> Tensor:
    """(D, H, W) bool: the lungs with their vessels, from a mask (anything above 0, on any grid) or found.

    Raises `RegistrationError` that names the image where there is no lung or the mask is empty there.
    """
    if mask is None:
        return lung_mask(ct, name).data[0] > 0
    same = mask.shape == ct.shape and torch.allclose(mask.affine, ct.affine, atol=1e-3)
    inside = (mask if same else mask.resample(ct, mode="nearest")).data[0] > 0
    if not inside.any():
        raise RegistrationError(f"The lung mask of {name} is empty where the CT is: give the mask of this CT.")
    return closed_over_vessels(inside, ct)


def closed_over_vessels(inside: Tensor, ct: Image) -> Tensor:
    """(D, H, W) bool: a lung mask on the grid of the CT, with the holes that a threshold leaves for vessels filled."""
    coarse = _coarse(inside, ct) > 0.5
    return inside | _upsampled(eroded(closed(coarse, round(CLOSING / COARSE)), 1), ct)


def check_air(ct: Image, name: str) -> None:
    """Raises `RegistrationError` unless the image has one channel, finite voxels and air at its place in HU."""
    if ct.channels != 1:
        raise RegistrationError(f"{name} has {ct.channels} channels: give a CT with one.")
    low, high = map(float, ct.data.aminmax())  # NaN where a voxel is
    if not math.isfinite(high - low):
        raise RegistrationError(f"{name} has NaN or infinite voxels: repair the image.")
    if not low < AIR:
        raise RegistrationError(
            f"{name} has no air (its lowest value is {low:g}), so it is not a chest CT in "
            "Hounsfield units: rescale it, or give label maps or surfaces instead."
        )


def _lungs(coarse: Tensor, affine: Tensor, milliliters: float) -> Tensor:
    """(D, H, W) bool: the lungs on the coarse grid, each closed over its vessels."""
    from scipy import ndimage

    air = coarse < AIR
    air &= ~dilated(trachea(coarse, air, affine), 1)
    regions, count = ndimage.label(dilated(eroded(air, 1), 1).numpy())
    regions = torch.from_numpy(regions.astype(np.int64))

    def per_region(where: Tensor) -> Tensor:
        return torch.bincount(regions[where], minlength=count + 1).double()

    inner = eroded(air, 1)
    volume, core = per_region(air) * milliliters, per_region(inner).clamp(min=1)
    lung = (volume > SMALLEST) & (per_region(inner & (coarse > EMPTY)) > TEXTURED * core)
    lung &= per_region(_lateral_faces(coarse, affine)) < SIDES * per_region(torch.ones_like(air))
    lung[0] = False
    lungs = torch.zeros_like(air)
    for region in torch.nonzero(lung).flatten().tolist():
        lungs |= closed(dilated(regions == region, 1) & air, round(CLOSING / COARSE))
    return torch.from_numpy(ndimage.binary_fill_holes(lungs.numpy()))


def _lateral_faces(coarse: Tensor, affine: Tensor) -> Tensor:
    """Bool: the outermost voxels of the two axes that do not run along the body."""
    faces = torch.zeros_like(coarse, dtype=torch.bool)
    along = int(affine[2, :3].abs().argmax())
    for axis in {0, 1, 2} - {2 - along}:
        faces.select(axis, 0).fill_(True)
        faces.select(axis, -1).fill_(True)
    return faces


def _coarse(volume: Tensor, ct: Image) -> Tensor:
    """The means (d, h, w) of a volume (D, H, W) in voxels of 3 mm: slice by slice, then across them."""
    size = (ct.size * ct.spacing / COARSE).round().clamp(min=1).long().flip(0).tolist()
    planes = torch.cat([interpolate(plane.float()[None, None], size=size[1:], mode="area")[0] for plane in volume])
    return interpolate(planes[None, None], size=size, mode="area")[0, 0]


def _upsampled(mask: Tensor, ct: Image) -> Tensor:
    """(D, H, W) bool, where a mask (d, h, w), linear between its voxels, is above a half; some slices at a time."""
    depth, last = ct.shape[0], len(mask) - 1
    place = ((torch.arange(depth) + 0.5) * (len(mask) / depth) - 0.5).clamp(0, last)
    below, values = place.long(), mask.float()
    finer = torch.empty(ct.shape, dtype=torch.bool)
    for k in torch.arange(depth).split(SLICES):
        low, share = below[k], (place - below)[k, None, None]
        slices = torch.lerp(values[low], values[(low + 1).clamp(max=last)], share)
        wide = interpolate(slices[None], size=ct.shape[1:], mode="bilinear", align_corners=False)
        torch.gt(wide[0], 0.5, out=finer[int(k[0]) : int(k[-1]) + 1])
    return finer


def dilated(mask: Tensor, voxels: int) -> Tensor:
    """(D, H, W) bool, grown by a ball of that radius."""
    from scipy import ndimage

    if voxels == 1 or not mask.any():
        return torch.from_numpy(ndimage.binary_dilation(mask.numpy()))
    return torch.from_numpy(ndimage.distance_transform_edt(~mask.numpy()) <= voxels)


def eroded(mask: Tensor, voxels: int) -> Tensor:
    """(D, H, W) bool, shrunk by a ball of that radius; the border of the image does not shrink it."""
    return ~dilated(~mask, voxels)


def closed(mask: Tensor, voxels: int) -> Tensor:
    """(D, H, W) bool, with every gap narrower than a ball of that radius closed."""
    padded = torch.nn.functional.pad(mask, [voxels + 1] * 6)
    inside = slice(voxels + 1, -voxels - 1)
    return eroded(dilated(padded, voxels), voxels)[inside, inside, inside]
