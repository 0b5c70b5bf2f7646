"""The deformation that is optimized: a grid of vectors, smoothed twice, as displacement or as velocity."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.methods.splatting.options import SplattingOptions
from DiffRegLib.ops import sample
from DiffRegLib.ops.axes import filter_axes
from DiffRegLib.points.nearest import nearest
from DiffRegLib.transforms import DisplacementField
from DiffRegLib.transforms.folds import unfolded

MARGIN = 30.0  # mm of grid around the clouds
BENDING_LENGTH = 10.0  # mm; makes the bending energy a number without unit
SQUARINGS = 6


class Deformation:
    """x -> x + u(x) with u interpolated linearly from a smooth grid; with `velocity`, u is the flow of that grid."""

    def __init__(self, points: Tensor, spacing: float, kernel: int, velocity: bool, margin: float = MARGIN) -> None:
        """points: (N, 3) RAS mm that the grid holds with a margin; spacing, margin: mm; kernel: of the pooling."""
        self.geometry = Geometry.around(points, spacing, margin=margin + spacing)
        self.velocity = velocity
        self._spacing = spacing
        self._grid = self.geometry.grid(points.device)
        self._edge = 1 - 1 / self.geometry.size.to(points)
        self._pooling = [pooling_matrix(n, kernel, points) for n in self.geometry.shape]
        self.raw = torch.zeros(3, *self.geometry.shape, device=points.device, requires_grad=True)

    def copy(self) -> Deformation:
        """The same deformation, to be optimized further."""
        other = copy.copy(self)
        other.raw = self.raw.detach().clone().requires_grad_()
        return other

    def vectors(self) -> Tensor:
        """(3, D, H, W) mm: the grid after average pooling twice, an approximating quadratic B-spline."""
        return filter_axes(self.raw, self._pooling)

    def field(self, vectors: Tensor, sign: float = 1.0) -> Tensor:
        """(3, D, H, W) mm displacements of the smooth vectors; `sign` -1 gives the inverse of a velocity's flow."""
        if not self.velocity:
            return vectors
        field = vectors * (sign / 2**SQUARINGS)
        for _ in range(SQUARINGS):
            field = field + self.read(field, (self._grid + field.movedim(0, -1)).reshape(-1, 3)).view_as(field)
        return field

    def move(self, field: Tensor, points: Tensor) -> Tensor:
        """(N, 3) RAS mm points moved by a field of this grid; beyond it, by the field's value at the border."""
        return points + self.read(field, points).T

    def read(self, field: Tensor, points: Tensor) -> Tensor:
        """(3, N) mm of a field of this grid at (N, 3) points; beyond it, the field's value at the border."""
        normalized = self.geometry.normalize(points)
        normalized = torch.minimum(torch.maximum(normalized, -self._edge), self._edge)
        return sample(field[None], normalized[None])[0]

    def bending(self, vectors: Tensor) -> Tensor:
        """Mean over the grid of the squared second differences along the axes, |d2u/dx2|^2, times (10 mm)^2."""
        energy = sum((vectors.diff(n=2, dim=axis) ** 2).mean() for axis in (1, 2, 3))
        return energy * (3 * BENDING_LENGTH**2 / self._spacing**4)

    @torch.no_grad()
    def transforms(self, vectors: Tensor | None = None) -> tuple[DisplacementField, DisplacementField]:
        """The deformation and its inverse, which tells its residual, both without folds.

        vectors: (3, D, H, W) mm in place of the smooth vectors of the grid.
        """
        vectors = self.vectors() if vectors is None else vectors
        forward = self._refined(self.field(vectors))
        if not self.velocity:
            return forward, forward.inverse()
        backward = self._refined(self.field(vectors, -1.0))
        backward.residual = round_trip(forward, backward)
        return forward, backward

    def _refined(self, field: Tensor) -> DisplacementField:
        """The field on a grid twice as fine, interpolated by Catmull-Rom splines."""
        rows = [refining_matrix(n, field) for n in self.geometry.shape]
        affine = self.geometry.affine.clone()
        affine[:3, :3] /= 2
        fine = unfolded(Image(filter_axes(field, rows), affine))
        return DisplacementField(Image(fine.data.cpu().contiguous(), affine))


@torch.no_grad()
def faded_transforms(
    deformation: Deformation, points: Tensor, options: SplattingOptions, reach: float, length: float
) -> tuple[DisplacementField, DisplacementField]:
    """Deformation and inverse as they are up to `reach` mm from (N, 3) points, none from `length` mm further on."""
    wide = Deformation(
        points, options.control_spacing, options.smoothing_kernel, deformation.velocity, MARGIN + reach + length
    )
    places = wide.geometry.grid(points.device).reshape(-1, 3)
    vectors = deformation.read(deformation.vectors(), places)
    away = ((nearest(places, points) - reach) / length).clamp(0, 1)
    weight = 1 - away**2 * (3 - 2 * away)
    return wide.transforms((weight * vectors).reshape(3, *wide.geometry.shape))


def round_trip(forward: DisplacementField, backward: DisplacementField) -> float:
    """The largest |forward(backward(y)) - y| in mm over the nodes y of the grid."""
    y = forward.image.grid().reshape(-1, 3)
    back = backward(y)
    inside = forward.image.contains(back)
    return float((forward(back[inside]) - y[inside]).norm(dim=-1).max())


def refining_matrix(n: int, like: Tensor) -> Tensor:
    """(2 n - 1, n): interpolation at the n nodes and half way between them, Catmull-Rom; linear at the ends."""
    matrix = torch.zeros(2 * n - 1, n, device=like.device, dtype=like.dtype)
    index = torch.arange(n, device=like.device)
    matrix[2 * index, index] = 1
    for offset, weight in ((-1, -1 / 16), (0, 9 / 16), (1, 9 / 16), (2, -1 / 16)):
        matrix[2 * index[1:-2] + 1, index[1:-2] + offset] = weight
    for end in (1, 2 * n - 3):
        matrix[end, [end // 2, end // 2 + 1]] = 0.5
    return matrix


def pooling_matrix(n: int, kernel: int, like: Tensor) -> Tensor:
    """(n, n): average pooling of odd width `kernel`, stride 1, twice, zero beyond the ends."""
    index = torch.arange(n, device=like.device)
    once = ((index[:, None] - index).abs() <= kernel // 2).to(like.dtype) / kernel
    return once @ once
