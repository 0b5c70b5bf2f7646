"""Radiographs and CT at the resolutions of a coarse-to-fine search."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from DiffRegLib.camera import Camera
from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image

COARSE = 1.8  # a voxel may be this many times as wide as a pixel is at the center of the volume


class Radiograph(Protocol):
    """`image` (rows, columns), `mask` of the same shape or None for all of it, and the `camera` that took it.

    An optional `kind` of "line integral" says that the values are those of a CT's projection.
    """

    image: Tensor
    mask: Tensor | None
    camera: Camera


@dataclasses.dataclass(frozen=True)
class View:
    """A radiograph ready to be compared: float32 image, boolean mask (both rows, columns) and camera.

    integrals: whether it is said to show line integrals.
    """

    image: Tensor
    mask: Tensor
    camera: Camera
    integrals: bool = True

    def shrunk(self, width: int) -> View:
        """Averages whole blocks of pixels until at most `width` of them are side by side."""
        factor = max(1, math.ceil(max(self.image.shape) / width))
        if factor == 1:
            return self
        rows, columns = (n // factor for n in self.image.shape)
        image = self.image[: rows * factor, : columns * factor]
        weights = self.mask[: rows * factor, : columns * factor].float()
        share = F.avg_pool2d(weights[None], factor)[0]
        mean = F.avg_pool2d((image * weights)[None], factor)[0] / share.clamp(min=1e-6)
        return View(mean, share > 0.99, self.camera.resized(factor), self.integrals)


def views_of(radiographs: Sequence[Radiograph]) -> tuple[View, ...]:
    """Checks the radiographs; raises RegistrationError for one that cannot be registered."""
    if not radiographs:
        raise RegistrationError("No X-ray was given: give at least one.")
    return tuple(_checked(xray, f"X-ray {k + 1}") for k, xray in enumerate(radiographs))


def _checked(xray: Radiograph, name: str) -> View:
    image = torch.as_tensor(xray.image, dtype=torch.float32)
    if image.ndim != 2 or image.shape != tuple(xray.camera.size):
        raise RegistrationError(
            f"{name} has the shape {tuple(image.shape)}, its camera {xray.camera.size}: give one image of that size."
        )
    mask = torch.ones_like(image, dtype=torch.bool) if xray.mask is None else torch.as_tensor(xray.mask).bool()
    if mask.shape != image.shape:
        raise RegistrationError(f"The mask of {name} has the shape {tuple(mask.shape)}: give {tuple(image.shape)}.")
    if mask.sum() < 100:
        raise RegistrationError(f"Only {int(mask.sum())} pixels of {name} are inside its mask: correct the mask.")
    inside = image[mask]
    if not inside.isfinite().all():
        raise RegistrationError(f"{name} has values that are not numbers: mask or replace them.")
    if inside.max() - inside.min() <= 1e-6 * inside.abs().max():
        raise RegistrationError(f"{name} is constant ({inside[0].item():g}): give another image.")
    kind = getattr(xray, "kind", "line integral")
    return View(torch.where(mask, image, inside.mean()), mask, xray.camera, kind == "line integral")


def pooled(volume: Image, widest: float) -> Image:
    """Averages blocks of voxels up to `widest` mm; the far end is padded with air to whole blocks."""
    spacing = volume.affine[:3, :3].norm(dim=0)
    factors = [max(1, int(widest / float(s) + 1e-6)) for s in spacing]  # along i, j, k
    if max(factors) == 1:
        return volume
    missing = [-n % f for n, f in zip(reversed(volume.shape), factors)]
    data = F.pad(volume.data, [p for m in missing for p in (0, m)])
    data = F.avg_pool3d(data[None], tuple(reversed(factors)))[0]
    affine = volume.affine.clone()
    affine[:3, :3] *= torch.tensor(factors, dtype=affine.dtype)
    affine[:3, 3] = volume.to_world(torch.tensor([(f - 1) / 2 for f in factors], dtype=torch.float64))
    return Image(data, affine)


def pixel_at(camera: Camera, point: Tensor) -> float:
    """Width of a pixel in mm where it is projected back to the depth of a point (3,) in RAS mm."""
    depth = (torch.linalg.inv(camera.pose.double()) @ torch.cat([point.double(), point.new_ones(1).double()]))[2]
    return min(map(abs, camera.spacing)) * float(depth) / camera.distance
