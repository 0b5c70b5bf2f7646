"""Numerical inversion: Newton's method a point, on a grid that covers the transform's range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image

if TYPE_CHECKING:
    from jaxtyping import Float

CHUNK = 1 << 20
"""Points mapped at a time where a whole grid is evaluated: bounds the memory."""

ITERATIONS = 30
COARSE = 4
"""Voxels of a grid in one of the coarser grid that its start is taken from."""


class Mapping(Protocol):
    """What is inverted: a map of points (..., 3) in RAS mm that knows its Jacobian (..., 3, 3)."""

    def __call__(self, points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points 3"]: ...

    def jacobian(self, points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points 3 3"]: ...


def invert_points(
    transform: Mapping,
    targets: Float[Tensor, "*points 3"],
    start: Float[Tensor, "*points 3"] | None = None,
    tolerance: float = 1e-3,
) -> Float[Tensor, "*points 3"]:
    """x with T(x) = y for targets y (..., 3) in RAS mm, to `tolerance` mm where T is a diffeomorphism.

    From `start` (..., 3), or y less its displacement: fixed-point steps x - (T(x) - y) while they shrink the residual
    fast, else Newton steps with the local Jacobian, halved until they shrink it. Where T folds, the best point found.
    """
    with torch.no_grad():
        y = targets.reshape(-1, 3)
        x = 2 * y - transform(y) if start is None else start.reshape(-1, 3).clone()
        error = transform(x) - y
        for _ in range(ITERATIONS):
            open_ = (error.norm(dim=-1) > tolerance).nonzero()[:, 0]
            if not len(open_):
                break
            x[open_], error[open_] = _improve(transform, x[open_], y[open_], error[open_])
        return x.reshape(targets.shape)


def _improve(transform: Mapping, x: Tensor, y: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
    """One step a point: the fixed-point one where it quarters the residual, elsewhere Newton's with backtracking."""
    candidate = x - error
    candidate_error = transform(candidate) - y
    slow = (candidate_error.norm(dim=-1) > 0.25 * error.norm(dim=-1)).nonzero()[:, 0]
    if len(slow):
        start, before = x[slow], error[slow]
        step = _newton_step(transform.jacobian(start), before)
        best, best_error = start, before
        for scale in (1.0, 0.5, 0.25, 0.1):
            trial = start - scale * step
            trial_error = transform(trial) - y[slow]
            better = (trial_error.norm(dim=-1) < best_error.norm(dim=-1))[:, None]
            best, best_error = torch.where(better, trial, best), torch.where(better, trial_error, best_error)
        candidate[slow], candidate_error[slow] = best, best_error
    return candidate, candidate_error


def _newton_step(jacobian: Tensor, error: Tensor) -> Tensor:
    """J^-1 e; a nearly singular J, where the transform folds, is replaced by the identity."""
    singular = torch.linalg.det(jacobian).abs() < 1e-3
    jacobian = torch.where(singular[:, None, None], torch.eye(3).to(jacobian), jacobian)
    return torch.linalg.solve(jacobian, error[..., None])[..., 0]


def invert_on_grid(transform: Mapping, geometry: Geometry | Image) -> tuple[Image, float]:
    """The inverse's displacements (3, D, H, W) mm on `geometry`, widened by the largest displacement; its residual, mm.

    The residual is the largest |T(T^-1(y)) - y| over nodes and cell centers y whose preimage lies in `geometry`.
    """
    device = getattr(getattr(transform, "image", None), "device", "cpu")
    grid = Geometry(geometry.shape, geometry.affine)
    wide = grid.widened(torch.ceil(_reach(transform, geometry, device) / grid.spacing))
    points = wide.grid(device).reshape(-1, 3)
    start = _coarse_start(transform, wide, device)
    solved = torch.cat([invert_points(transform, chunk, _moved(chunk, start)) for chunk in points.split(CHUNK)])
    field = Image((solved - points).reshape(*wide.shape, 3).movedim(-1, 0).contiguous(), wide.affine)
    return field, _residual(transform, field, geometry, points)


def _reach(transform: Mapping, geometry: Geometry | Image, device: torch.device | str) -> float:
    """The largest displacement at a voxel center, mm."""
    with torch.no_grad():
        points = geometry.grid(device).reshape(-1, 3)
        return max(float((transform(chunk) - chunk).norm(dim=-1).max()) for chunk in points.split(CHUNK))


def _coarse_start(transform: Mapping, wide: Geometry, device: torch.device | str) -> Image:
    """The inverse on a grid of 1/64 of the voxels: close enough for one or two Newton steps on the full one."""
    coarse = wide.resized(COARSE * float(wide.spacing.max()))
    points = coarse.grid(device)
    return Image((invert_points(transform, points) - points).movedim(-1, 0).contiguous(), coarse.affine)


def _moved(points: Tensor, field: Image) -> Tensor:
    """Points (..., 3) with the displacements of a field, which go on beyond its border."""
    return points + field.sample(points, outside="border").movedim(0, -1).to(points)


def _residual(transform: Mapping, inverse: Image, geometry: Geometry | Image, nodes: Tensor) -> float:
    half = (geometry.affine[:3, :3] @ torch.full((3,), 0.5, dtype=torch.float64)).to(nodes)
    largest = 0.0
    with torch.no_grad():
        for chunk in torch.cat((nodes, nodes + half)).split(CHUNK):
            back = _moved(chunk, inverse)
            kept = geometry.contains(back)
            if kept.any():
                largest = max(largest, float((transform(back[kept]) - chunk[kept]).norm(dim=-1).max()))
    return largest
