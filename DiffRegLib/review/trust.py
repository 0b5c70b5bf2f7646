"""How far each place of a field is supported, and where it is an extrapolation."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.geometry import Lattice
from DiffRegLib.image import Image
from DiffRegLib.transforms import Transform

SPACING = 3.0
"""mm between the places where support is looked at, at least."""
EDGE = 0.9
"""Quantile of the gradient's length in an image above which a voxel is an edge that drives a registration."""
REACH = 12.0
"""mm from what drove the field up to which it counts as supported, where the method names no other."""


@dataclasses.dataclass(frozen=True, eq=False)
class Trust:
    """Support of a field over a coarse grid in the fixed frame; maps are (1, D, H, W).

    distance: mm to the nearest thing that drove the field. drivers: what that was, in words. reach: mm up to which it
    is taken to drive. similarity: local correlation after registration, NaN where there is nothing to compare, or None
    without two images. spread: mm, standard deviation over repeats, or None without any.
    """

    distance: Image
    drivers: str
    reach: float
    similarity: Image | None = None
    spread: Image | None = None

    @property
    def supported(self) -> Tensor:
        """(D, H, W) bool"""
        return self.distance.data[0] <= self.reach

    @property
    def share(self) -> float:
        """The share of the grid that is supported."""
        return float(self.supported.double().mean())

    def sentence(self) -> str:
        """What a person must know of it, in one sentence."""
        part = f"{100 * self.share:.0f} % of the image"
        words = f"The field is supported within {self.reach:.0f} mm of {self.drivers} ({part})"
        if self.similarity is not None:
            inside = self._mean(self.similarity, True)
            if not np.isnan(inside):
                words += f", where the local correlation is {inside:.2f} on average"
        if self.spread is not None:
            words += f" and repeats differ by {self._mean(self.spread, True):.1f} mm"
        return words + ("; beyond, it is an extrapolation." if self.share < 1 else ".")

    def _mean(self, image: Image, inside: bool) -> float:
        near = self.distance.sample(image.grid(), outside="border")[0] <= self.reach
        values = image.data[0][near == inside]
        return float(values.nanmean()) if values.numel() else float("nan")


def distance_to_points(points: Tensor, like: Lattice) -> Image:
    """(1, D, H, W) mm from the places of a grid over the box of `like` to the nearest of (N, 3) points, RAS mm."""
    from scipy.spatial import cKDTree

    grid = _grid(like)
    places = grid.grid().reshape(-1, 3).numpy()
    found, _ = cKDTree(points.detach().cpu().numpy()).query(places)
    return Image(torch.from_numpy(found.astype(np.float32)).reshape(1, *grid.shape), grid.affine)


def distance_to_mask(mask: Image, like: Lattice) -> Image | None:
    """(1, D, H, W) mm from the places of a grid over the box of `like` to a mask's nearest voxel; None if it is empty.

    mask: not 0 where the registration looked, on any grid in the fixed frame.
    """
    from scipy.ndimage import distance_transform_edt

    grid = _grid(like)
    inside = (mask.sample(grid.grid(), mode="nearest")[0] != 0).numpy()
    if not inside.any():
        return None
    found = distance_transform_edt(~inside, sampling=grid.spacing.flip(0).tolist())
    return Image(torch.from_numpy(found.astype(np.float32))[None], grid.affine)


def edges(image: Image) -> Image:
    """(1, D, H, W): 1 on the steepest tenth of the voxels of a coarse copy, which is what a similarity holds on to."""
    from scipy.ndimage import gaussian_gradient_magnitude

    grid = _grid(image)
    coarse = Image(image.data[:1].float(), image.affine).resample(grid, outside="border").data[0].numpy()
    slope = gaussian_gradient_magnitude(coarse, 1.0)
    steep = (slope > np.quantile(slope, EDGE)) & (slope > 0)
    return Image(torch.from_numpy(steep.astype(np.float32))[None], grid.affine)


def spread_of(repeats: list[Transform], like: Lattice) -> Image:
    """(1, D, H, W) mm: the standard deviation of where repeats of a registration take each place, all axes together."""
    grid = _grid(like)
    mapped = torch.stack([repeat.map_grid(grid) for repeat in repeats])
    return Image(mapped.var(0, correction=1).sum(-1).sqrt()[None], grid.affine)


def _grid(like: Lattice):
    from DiffRegLib.geometry import Geometry

    return Geometry(like.shape, like.affine).resized(max(SPACING, float(like.spacing.max())))
