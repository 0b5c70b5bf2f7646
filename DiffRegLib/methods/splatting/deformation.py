"""The deformation that is optimized: a grid of vectors, smoothed twice, as displacement or as velocity."""

from __future__ import annotations

import torch
from torch import Tensor

from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.methods.splatting.density import filter_axes
from DiffRegLib.ops import sample
from DiffRegLib.transforms import DisplacementField

MARGIN = 30.0  # mm of grid around the clouds
BENDING_LENGTH = 10.0  # mm; makes the bending energy a number without unit
SQUARINGS = 6


class Deformation:
    """x -> x + u(x) with u interpolated linearly from a smooth grid; with `velocity`, u is the flow of that grid."""

    def __init__(self, points: Tensor, spacing: float, kernel: int, velocity: bool) -> None:
        """points: (N, 3) RAS mm that the grid shall hold with a margin; spacing in mm; kernel: width of the pooling."""
        self.geometry = Geometry.around(points, spacing, margin=MARGIN + spacing)
        self.velocity = velocity
        self._spacing = spacing
        self._grid = self.geometry.grid(points.device)
        self._edge = 1 - 1 / self.geometry.size.to(points)
        self._pooling = [pooling_matrix(n, kernel, points) for n in self.geometry.shape]
        self.raw = torch.zeros(3, *self.geometry.shape, device=points.device, requires_grad=True)

    def vectors(self) -> Tensor:
        """(3, D, H, W) mm: the grid after average pooling twice, an approximating quadratic B-spline."""
        return filter_axes(self.raw, self._pooling)

    def field(self, vectors: Tensor, sign: float = 1.0) -> Tensor:
        """(3, D, H, W) mm displacements of the smooth vectors; `sign` -1 gives the inverse of a velocity's flow."""
        if not self.velocity:
            return vectors
        field = vectors * (sign / 2**SQUARINGS)
        for _ in range(SQUARINGS):
            field = field + self._read(field, (self._grid + field.movedim(0, -1)).reshape(-1, 3)).view_as(field)
        return field

    def move(self, field: Tensor, points: Tensor) -> Tensor:
        """(N, 3) RAS mm points moved by a field of this grid; beyond it, by the field's value at the border."""
        return points + self._read(field, points).T

    def _read(self, field: Tensor, points: Tensor) -> Tensor:
        normalized = self.geometry.normalize(points)
        normalized = torch.minimum(torch.maximum(normalized, -self._edge), self._edge)
        return sample(field[None], normalized[None])[0]

    def bending(self, vectors: Tensor) -> Tensor:
        """Mean over the grid of the squared second differences along the axes, |d2u/dx2|^2, times (10 mm)^2."""
        energy = sum((vectors.diff(n=2, dim=axis) ** 2).mean() for axis in (1, 2, 3))
        return energy * (3 * BENDING_LENGTH**2 / self._spacing**4)

    @torch.no_grad()
    def transforms(self) -> tuple[DisplacementField, DisplacementField]:
        """The deformation and its inverse, which tells its residual, both without folds."""
        vectors = self.vectors()
        forward = self._refined(self.field(vectors))
        if not self.velocity:
            return forward, forward.inverse()
        backward = self._refined(self.field(vectors, -1.0))
        backward.residual = _round_trip(forward, backward)
        return forward, backward

    def _refined(self, field: Tensor) -> DisplacementField:
        """The field on a grid twice as fine, interpolated by Catmull-Rom splines."""
        rows = [refining_matrix(n, field) for n in self.geometry.shape]
        fine = unfold(filter_axes(field, rows), self._spacing / 2)
        affine = self.geometry.affine.clone()
        affine[:3, :3] /= 2
        return DisplacementField(Image(fine.cpu().contiguous(), affine))


def _round_trip(forward: DisplacementField, backward: DisplacementField) -> float:
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


def unfold(field: Tensor, spacing: float, least: float = 0.05, rounds: int = 100) -> Tensor:
    """Smooths a field (3, D, H, W) in mm only where its Jacobian determinant is below `least`, until it nowhere is."""
    pooling = [pooling_matrix(n, 3, field) for n in field.shape[1:]]
    covered = filter_axes(torch.ones_like(field), pooling)
    for _ in range(rounds):
        folded = least_determinant(field, spacing) < least
        if not folded.any():
            break
        mask = filter_axes(torch.nn.functional.max_pool3d(folded[None].to(field), 5, 1, 2)[0], pooling)
        field = field + mask * (filter_axes(field, pooling) / covered - field)
    return field


def least_determinant(field: Tensor, spacing: float) -> Tensor:
    """(D, H, W): the smallest Jacobian determinant of x + u(x) at the corners of the cells that meet in a node."""
    padded = torch.nn.functional.pad(field[None], (1,) * 6, mode="replicate")[0]
    least = torch.full(field.shape[1:], torch.inf, device=field.device)
    unit = torch.eye(3, device=field.device)[..., None, None, None]
    ahead = [padded.diff(dim=axis) / spacing for axis in (3, 2, 1)]
    inner = slice(1, -1)
    sides = (slice(0, -1), slice(1, None))
    for x in sides:
        for y in sides:
            across = torch.linalg.cross(
                ahead[0][:, inner, inner, x] + unit[0], ahead[1][:, inner, y, inner] + unit[1], dim=0
            )
            for z in sides:
                least = torch.minimum(least, (across * (ahead[2][:, z, inner, inner] + unit[2])).sum(0))
    return least
