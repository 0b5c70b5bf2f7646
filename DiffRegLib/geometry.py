"""Grids in patient space: a shape and the affine from voxel index (i, j, k) to RAS mm."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

LPS = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64))
"""(4, 4) flip between RAS and LPS; it is its own inverse."""


class Lattice:
    """What an image and a bare grid share: voxel (i, j, k) runs along (W, H, D); the affine maps it to RAS mm."""

    shape: tuple[int, int, int]
    affine: Float[Tensor, "4 4"]

    @property
    def spacing(self) -> Float[Tensor, 3]:
        """(3,) float64 voxel size in mm along i, j, k."""
        return self.affine[:3, :3].norm(dim=0)

    @property
    def center(self) -> Float[Tensor, 3]:
        """(3,) float64 RAS mm of the middle of the grid."""
        return self.to_world((self.size - 1) / 2)

    @property
    def size(self) -> Float[Tensor, 3]:
        """(3,) float64 number of voxels along i, j, k."""
        return torch.tensor(self.shape[::-1], dtype=torch.float64)

    def to_world(self, index: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points 3"]:
        """(..., 3) voxel index (i, j, k) -> RAS mm."""
        return _apply(self.affine, index)

    def to_voxel(self, world: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points 3"]:
        """(..., 3) RAS mm -> continuous voxel index (i, j, k)."""
        return _apply(torch.linalg.inv(self.affine), world)

    def normalize(self, world: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points 3"]:
        """(..., 3) RAS mm -> torch's normalized (x, y, z), `align_corners=False`: -1 and 1 are the outer faces."""
        return _apply(self._world_to_normalized(), world)

    def _world_to_normalized(self) -> Tensor:
        scale = torch.diag(torch.cat((2 / self.size, torch.ones(1, dtype=torch.float64))))
        scale[:3, 3] = 1 / self.size - 1
        return scale @ torch.linalg.inv(self.affine)

    def contains(self, world: Float[Tensor, "*points 3"]) -> Bool[Tensor, "*points"]:
        """(...,) bool: is the point (RAS mm) inside the box that the voxels fill?"""
        return (self.normalize(world).abs() <= 1).all(-1)

    def grid(self, device: torch.device | str = "cpu") -> Float[Tensor, "D H W 3"]:
        """(D, H, W, 3) float32 RAS mm of the voxel centers."""
        axes = [torch.arange(n, dtype=torch.float32, device=device) for n in self.shape]
        k, j, i = torch.meshgrid(*axes, indexing="ij")
        return self.to_world(torch.stack((i, j, k), -1))

    def corners(self) -> Float[Tensor, "8 3"]:
        """(8, 3) float64 RAS mm of the corners of the box that the voxels fill."""
        unit = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 3)
        return self.to_world(unit * self.size - 0.5)


def _apply(matrix: Tensor, points: Tensor) -> Tensor:
    matrix = matrix.to(points)
    return torch.nn.functional.linear(points, matrix[:3, :3], matrix[:3, 3])


@dataclasses.dataclass(frozen=True, eq=False)
class Geometry(Lattice):
    """A grid without data: shape (D, H, W) and the (4, 4) float64 affine from index (i, j, k) to RAS mm."""

    shape: tuple[int, int, int]
    affine: Tensor

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "affine", checked_affine(self.affine))
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise RegistrationError(f"A grid needs three sizes of at least 1, not {self.shape}: correct its shape.")

    @classmethod
    def around(cls, points: Float[Tensor, "N 3"], spacing: float, margin: float = 0.0) -> Geometry:
        """The axis-aligned grid of `spacing` mm whose box holds (N, 3) points (RAS mm) and `margin` mm around."""
        low, high = points.double().amin(0).cpu() - margin, points.double().amax(0).cpu() + margin
        size = torch.ceil((high - low) / spacing).clamp(min=1)
        affine = torch.eye(4, dtype=torch.float64) * spacing
        affine[3, 3] = 1
        affine[:3, 3] = (low + high) / 2 - (size - 1) / 2 * spacing
        return cls(_shape(size), affine)

    def covering(self, points: Float[Tensor, "N 3"]) -> Geometry:
        """The same lattice, its voxels where they are, cut or extended to the box of (N, 3) points, RAS mm."""
        index = self.to_voxel(points.double().cpu())
        low, high = torch.floor(index.amin(0) + 0.5 + 1e-6), torch.ceil(index.amax(0) - 0.5 - 1e-6)
        affine = self.affine.clone()
        affine[:3, 3] = self.to_world(low)
        return Geometry(_shape((high - low + 1).clamp(min=1)), affine)

    def resized(self, spacing: float) -> Geometry:
        """The grid that fills the same box, to less than a voxel, with voxels of about `spacing` mm."""
        factor = spacing / self.spacing
        size = torch.ceil(self.size / factor - 1e-6).clamp(min=1)
        affine = self.affine.clone()
        affine[:3, :3] *= self.size / size
        affine[:3, 3] = self.to_world(self.size / size / 2 - 0.5)
        return Geometry(_shape(size), affine)

    def widened(self, voxels: Tensor) -> Geometry:
        """The same lattice with (3,) whole voxels more on either side along i, j, k."""
        affine = self.affine.clone()
        affine[:3, 3] = self.to_world(-voxels)
        return Geometry(_shape(self.size + 2 * voxels), affine)


def _shape(size: Tensor) -> tuple[int, int, int]:
    """(D, H, W) of (3,) numbers of voxels along i, j, k."""
    width, height, depth = (int(n) for n in size)
    return depth, height, width


def boxes_overlap(a: Lattice, b: Lattice, move: Callable[[Tensor], Tensor] | None = None) -> bool:
    """Whether the boxes around two grids meet; `move` maps points from the frame of `a` to that of `b`."""
    corners = move(a.corners()) if move is not None else a.corners()
    low = torch.maximum(corners.amin(0), b.corners().amin(0))
    return bool((low < torch.minimum(corners.amax(0), b.corners().amax(0))).all())


def checked_affine(affine: Tensor) -> Tensor:
    affine = torch.as_tensor(affine, dtype=torch.float64).cpu()
    if affine.shape != (4, 4) or not affine.isfinite().all():
        raise RegistrationError("The affine of an image must be a finite 4 x 4 matrix: repair the image's geometry.")
    lengths = affine[:3, :3].norm(dim=0)
    if (lengths < 1e-9).any() or abs(torch.linalg.det(affine[:3, :3] / lengths)) < 1e-6:
        raise RegistrationError(
            "The geometry is singular (two axes coincide or a spacing is 0): repair spacing and direction."
        )
    return affine


RIGID = 1e-4
"""The largest `rigid_error` of a matrix that counts as rigid."""


def rigid_error(matrix: Tensor) -> float:
    """How far a (4, 4) matrix is from rigid: the largest entry of |R R^T - 1|.

    Infinite where it mirrors, is NaN, or has another last row than 0 0 0 1.
    """
    matrix = matrix.detach().double().cpu()
    rotation = matrix[:3, :3]
    if not (matrix[3] - torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)).abs().max() <= RIGID:
        return float("inf")
    error = float((rotation @ rotation.T - torch.eye(3, dtype=torch.float64)).abs().max())
    return error if error >= 0 and torch.linalg.det(rotation) > 0 else float("inf")
