"""Images in patient space: a tensor with the affine from voxel index (i, j, k) to RAS mm."""

from __future__ import annotations

import dataclasses
from itertools import permutations
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from DiffRegLib import ops
from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import LPS, Geometry, Lattice, checked_affine
from DiffRegLib.ops import fields

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import SimpleITK
    from jaxtyping import Float, Shaped

RESAMPLED = 1 << 19
"""Voxels resampled at a time."""
SKEW = 1e-3
"""Largest cosine between two axes of a file that still counts as a right angle."""


@dataclasses.dataclass(frozen=True, eq=False)
class Image(Lattice):
    """`data` (C, D, H, W) on a grid; `affine` (4, 4) float64 from voxel index (i, j, k) to RAS mm.

    Intensities are float32; labels are integers, a channel a layer. Raises `RegistrationError` for another number of
    dimensions or a singular affine.
    """

    data: Shaped[Tensor, "C D H W"]
    affine: Float[Tensor, "4 4"]

    def __post_init__(self) -> None:
        if self.data.ndim != 4 or 0 in self.data.shape:
            raise RegistrationError(
                f"An image is (C, D, H, W) and not empty, not {tuple(self.data.shape)}: reshape it."
            )
        object.__setattr__(self, "affine", checked_affine(self.affine))

    @property
    def shape(self) -> tuple[int, int, int]:  # type: ignore[override]
        """(D, H, W)"""
        _channels, depth, height, width = self.data.shape
        return depth, height, width

    @property
    def channels(self) -> int:
        return self.data.shape[0]

    @property
    def device(self) -> torch.device:
        return self.data.device

    @property
    def geometry(self) -> Geometry:
        return Geometry(self.shape, self.affine)

    def to(self, device: torch.device | str) -> Image:
        return Image(self.data.to(device), self.affine)

    def along(self, directions: Float[Tensor, "3 3"]) -> Image:
        """The same image, its voxel axes exchanged and reversed so that i, j, k run nearly along three columns in RAS.

        Exact: no voxel is resampled, and each stays where it is in the patient.
        """
        cosines = (self.affine[:3, :3] / self.spacing).T @ (directions / directions.norm(dim=0)).to(self.affine)
        order = max(permutations(range(3)), key=lambda own: float(cosines[own, range(3)].abs().sum()))
        backward = [n for n, own in enumerate(order) if cosines[own, n] < 0]
        if order == (0, 1, 2) and not backward:
            return self
        data = self.data.permute(0, *(3 - order[n] for n in (2, 1, 0))).flip([3 - n for n in backward])
        affine = self.affine[:, [*order, 3]]
        for n in backward:
            affine[:3, 3] += affine[:3, n] * (data.shape[3 - n] - 1)
            affine[:3, n] *= -1
        return Image(data.contiguous(), affine)

    def sample(
        self,
        world: Float[Tensor, "*points 3"],
        mode: Literal["linear", "nearest"] = "linear",
        outside: float | Literal["border"] = 0.0,
    ) -> Shaped[Tensor, "C ..."]:
        """Values (C, ...) at points (..., 3) in RAS mm, differentiable in data and (linear) in the points.

        Beyond the box that the voxels fill the value is `outside`, or that of the nearest border voxel; in the outer
        half voxel it is the border voxel's, as in ITK.
        """
        data = self.data if self.data.is_floating_point() else self.data.float() if mode == "linear" else self.data
        kind = data.dtype if data.is_floating_point() else torch.float32
        world = world.to(self.device)
        if mode == "linear" and not (torch.is_grad_enabled() and (data.requires_grad or world.requires_grad)):
            points, matrix = world.reshape(-1, 3), torch.linalg.inv(self.affine)
            if points.dtype != kind:  # places are as exact as they were given
                points, matrix = self.to_voxel(points).to(kind), None
            values = fields.read(data, points, matrix, None if outside == "border" else outside)
            return values.reshape(self.channels, *world.shape[:-1])
        normalized = self.normalize(world).reshape(-1, 3).to(kind)
        if mode == "nearest":
            values = self._nearest(normalized)
        else:
            limit = 1 - 1 / self.size.to(normalized)
            clamped = torch.minimum(torch.maximum(normalized, -limit), limit)
            values = ops.sample(data[None], clamped[None])[0]
        if outside != "border":
            values = torch.where((normalized.abs() <= 1).all(-1), values, torch.full_like(values, outside))
        return values.reshape(self.channels, *world.shape[:-1])

    def _nearest(self, normalized: Tensor) -> Tensor:
        size = self.size.to(normalized)
        index = ((normalized.nan_to_num() + 1) * size / 2).floor().clamp(min=0)
        i, j, k = torch.minimum(index, size - 1).long().unbind(-1)
        return self.data[:, k, j, i]

    def resample(
        self,
        like: Lattice,
        transform: Callable[[Tensor], Tensor] | None = None,
        mode: Literal["linear", "nearest"] = "linear",
        outside: float | Literal["border"] = 0.0,
    ) -> Image:
        """The image on the grid of `like`: out(x) = self(transform(x)), some slices at a time to bound the memory."""
        depth, height, width = like.shape
        at_once = max(1, RESAMPLED // (height * width))
        j, i = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        plane = like.to_world(torch.stack((i, j, 0 * i), -1).double())
        kind = self.data.dtype if mode == "nearest" or self.data.is_floating_point() else torch.float32
        result = torch.empty(self.channels, *like.shape, dtype=kind, device=self.device)
        for k in torch.arange(depth).split(at_once):
            points = (plane + k[:, None, None, None] * like.affine[:3, 2]).float().to(self.device)
            moved = transform(points) if transform else points
            result[:, int(k[0]) : int(k[-1]) + 1] = self.sample(moved, mode, outside)
        return Image(result, like.affine)


def from_itk(image: SimpleITK.Image) -> Image:
    """A 3D SimpleITK image (LPS) as an `Image` (RAS) of float32; vector components become channels, unchanged."""
    import numpy as np
    import SimpleITK as sitk

    data = sitk.GetArrayFromImage(image).astype(np.float32)
    data = np.moveaxis(data, -1, 0) if image.GetNumberOfComponentsPerPixel() > 1 else data[None]
    return Image(torch.from_numpy(np.ascontiguousarray(data)), from_itk_grid(image))


def from_itk_grid(image: SimpleITK.Image) -> Tensor:
    """(4, 4) float64 from voxel index to RAS mm; raises `RegistrationError` where the axes are not at right angles."""
    affine = torch.eye(4, dtype=torch.float64)
    spacing = torch.tensor(image.GetSpacing(), dtype=torch.float64)
    axes = torch.tensor(image.GetDirection(), dtype=torch.float64).reshape(3, 3)
    if (axes.T @ axes - torch.eye(3, dtype=torch.float64)).abs().max() > SKEW:
        raise RegistrationError("its axes are not at right angles: resample it to a grid with right angles.")
    affine[:3, :3] = axes * spacing
    affine[:3, 3] = torch.tensor(image.GetOrigin(), dtype=torch.float64)
    return LPS @ affine


def to_itk(image: Image, dtype: str = "float32") -> SimpleITK.Image:
    """An `Image` (RAS) as a SimpleITK image (LPS); channels become vector components, unchanged."""
    import SimpleITK as sitk

    several = image.channels > 1
    data = stored_as(image.data.movedim(0, -1) if several else image.data[0], dtype)
    itk = sitk.GetImageFromArray(data, isVector=several)
    affine = LPS @ image.affine
    spacing = image.spacing
    itk.SetSpacing(spacing.tolist())
    itk.SetOrigin(affine[:3, 3].tolist())
    itk.SetDirection((affine[:3, :3] / spacing).flatten().tolist())
    return itk


def stored_as(data: Tensor, dtype: str) -> np.ndarray:
    """The values as numpy's `dtype`: rounded and clipped where that is an integer type."""
    import numpy as np

    array = data.detach().cpu().numpy()
    if array.dtype == np.dtype(dtype):
        return np.ascontiguousarray(array)
    result = np.empty(array.shape, dtype)
    whole = np.issubdtype(result.dtype, np.integer)
    for part, target in zip(array, result):
        target[...] = _clipped(part, np.iinfo(dtype)) if whole else part
    return result


def _clipped(data: np.ndarray, limits: np.iinfo) -> np.ndarray:
    """Whole numbers within the limits of an integer type."""
    import numpy as np

    if np.issubdtype(data.dtype, np.floating):
        return np.clip(np.rint(data), limits.min, limits.max)
    own = np.iinfo(data.dtype)
    return np.clip(data, max(limits.min, own.min), min(limits.max, own.max))
