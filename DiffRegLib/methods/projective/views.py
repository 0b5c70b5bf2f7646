"""Radiographs at the resolutions of a coarse-to-fine search."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from DiffRegLib.camera import Camera
from DiffRegLib.errors import RegistrationError
from DiffRegLib.radiographs.radiograph import Radiograph


@dataclasses.dataclass(frozen=True)
class View:
    """An X-ray with its camera in a registration: float32 image, boolean mask (both rows, columns) and camera.

    integrals: whether it is said to show line integrals; sign: -1 where the values of its file were inverted.
    """

    image: Tensor
    mask: Tensor
    camera: Camera
    integrals: bool = True
    sign: int = 1

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
        return View(mean, share > 0.99, self.camera.resized(factor), self.integrals, self.sign)


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
    mask = torch.as_tensor(xray.inside).bool()
    if mask.shape != image.shape:
        raise RegistrationError(f"The mask of {name} has the shape {tuple(mask.shape)}: give {tuple(image.shape)}.")
    if mask.sum() < 100:
        raise RegistrationError(f"Only {int(mask.sum())} pixels of {name} are inside its mask: correct the mask.")
    inside = image[mask]
    if not inside.isfinite().all():
        raise RegistrationError(f"{name} has values that are not numbers: mask or replace them.")
    if inside.max() - inside.min() <= 1e-6 * inside.abs().max():
        raise RegistrationError(f"{name} is constant ({inside[0].item():g}): give another image.")
    return View(torch.where(mask, image, inside.mean()), mask, xray.camera, xray.kind == "line integral", xray.sign)
