"""What every transform can do: map points of the fixed image to the moving image, both in RAS mm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.transforms.invert import CHUNK, invert_on_grid

if TYPE_CHECKING:
    from jaxtyping import Float


class Transform:
    """A mapping of points (..., 3) in RAS mm, differentiable in the points and in its own parameters.

    `residual` is the largest error in mm of a transform that was obtained by numerical inversion, else 0.
    """

    residual: float = 0.0

    def __call__(self, points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points 3"]:
        raise TypeError(f"{type(self).__name__} does not map points: implement __call__.")

    def __matmul__(self, inner: Transform) -> Transform:
        """(outer @ inner)(x) = outer(inner(x))."""
        return Composite((self, inner))

    def to(self, device: torch.device | str) -> Transform:
        return self

    def default_geometry(self) -> Geometry | None:
        """The grid on which a numerical inverse is sampled when the caller names none."""
        return None

    def inverse(self, geometry: Geometry | None = None) -> Transform:
        """The inverse, by Newton's method on `geometry` where there is no closed form."""
        geometry = geometry or self.default_geometry()
        if geometry is None:
            raise RegistrationError(f"A {type(self).__name__} is inverted numerically: name the grid to invert it on.")
        field, residual = invert_on_grid(self, geometry)
        return DisplacementField(field, residual)

    def map_grid(self, geometry: Geometry | Image, device: torch.device | str = "cpu") -> Float[Tensor, "D H W 3"]:
        """(D, H, W, 3) RAS mm of the mapped voxel centers, without gradients, a slab at a time."""
        with torch.no_grad():
            points = geometry.grid(device).reshape(-1, 3)
            return torch.cat([self(chunk) for chunk in points.split(CHUNK)]).reshape(*geometry.shape, 3)

    def displacement(self, geometry: Geometry | Image, device: torch.device | str = "cpu") -> DisplacementField:
        """T(x) - x in mm at the voxel centers of a grid, as a transform of its own."""
        field = self.map_grid(geometry, device) - geometry.grid(device)
        return DisplacementField(Image(field.movedim(-1, 0).contiguous(), geometry.affine))

    def jacobian(self, points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points 3 3"]:
        """(..., 3, 3) dT/dx at points (..., 3): row = component of T, column = component of x, dimensionless."""
        with torch.enable_grad():
            x = points.detach().requires_grad_()
            mapped = self(x)
            rows = [torch.autograd.grad(mapped[..., row].sum(), x, retain_graph=row < 2)[0] for row in range(3)]
        return torch.stack(rows, -2)

    def jacobian_determinant(self, geometry: Geometry | Image, device: torch.device | str = "cpu") -> Image:
        """(1, D, H, W) det(dT/dx), by central differences over one voxel either way (one-sided at the border)."""
        if min(geometry.shape) < 2:
            raise RegistrationError(
                f"The Jacobian needs two voxels along each axis, not {geometry.shape}: use a finer grid."
            )
        mapped = self.map_grid(geometry, device)
        along_kji = torch.gradient(mapped, dim=(0, 1, 2))
        columns = torch.stack(along_kji[::-1], -1)
        det = torch.linalg.det(columns) / float(torch.linalg.det(geometry.affine[:3, :3]))
        return Image(det[None], geometry.affine)


class Composite(Transform):
    """Transforms applied one after the other, the last of the sequence first: (a, b)(x) = a(b(x))."""

    def __init__(self, transforms: tuple[Transform, ...] | list[Transform]) -> None:
        flat: list[Transform] = []
        for transform in transforms:
            flat.extend(transform.transforms if isinstance(transform, Composite) else [transform])
        if not flat:
            raise RegistrationError("A composite needs at least one transform: give one.")
        self.transforms: tuple[Transform, ...] = tuple(flat)
        self.residual = sum(transform.residual for transform in flat)

    def __call__(self, points: Tensor) -> Tensor:
        for transform in reversed(self.transforms):
            points = transform(points)
        return points

    def to(self, device: torch.device | str) -> Composite:
        return Composite([transform.to(device) for transform in self.transforms])

    def inverse(self, geometry: Geometry | None = None) -> Composite:
        """The inverses in reverse order; `geometry` goes to those parts that are inverted numerically."""
        return Composite([transform.inverse(geometry) for transform in reversed(self.transforms)])


class GridTransform(Transform):
    """A transform by vectors (3, D, H, W), mm along R, A, S, on an oblique grid."""

    def __init__(self, image: Image, residual: float = 0.0) -> None:
        if image.channels != 3:
            raise RegistrationError(
                f"A {type(self).__name__} needs 3 components a voxel, not {image.channels}: check the file."
            )
        self.image = image
        self.residual = residual

    def to(self, device: torch.device | str) -> Transform:
        return type(self)(self.image.to(device), self.residual)

    def default_geometry(self) -> Geometry:
        return self.image.geometry

    def _vectors(self, points: Tensor) -> Tensor:
        """(..., 3) interpolated linearly; beyond the grid the value at its border, as Slicer does."""
        return self.image.sample(points, outside="border").movedim(0, -1).to(points)


class DisplacementField(GridTransform):
    """x -> x + u(x) with u (3, D, H, W) in mm along R, A, S: linear between voxel centers, constant beyond."""

    def __call__(self, points: Tensor) -> Tensor:
        return points + self._vectors(points)
