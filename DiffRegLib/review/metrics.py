"""Measures of a transform (fixed -> moving, RAS mm) against landmarks, labels, its inverse and its own smoothness."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.transforms import Transform


@dataclasses.dataclass(frozen=True)
class ErrorSummary:
    """A set of distances in mm; `sd` is their standard deviation about the mean."""

    count: int
    mean: float
    sd: float
    median: float
    p90: float
    max: float

    @classmethod
    def of(cls, distances: Tensor) -> ErrorSummary:
        """distances: (N,) mm, N > 0."""
        d = distances.detach().double().flatten().cpu()
        if not len(d):
            raise RegistrationError("There is no distance to summarize: give at least one point.")
        spread = float(d.std(correction=0))
        return cls(len(d), float(d.mean()), spread, float(d.quantile(0.5)), float(d.quantile(0.9)), float(d.max()))

    def to_dict(self) -> dict[str, float]:
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Folding:
    """The Jacobian determinant (dimensionless) where it was looked at: folded is what is not positive."""

    percent: float
    minimum: float
    maximum: float
    log_deviation: float
    """Standard deviation of log(max(determinant, 1e-3)): how unevenly the transform stretches."""

    def to_dict(self) -> dict[str, float]:
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class SurfaceDistance:
    """Distances in mm from each point of one cloud to the nearest of the other, both ways together."""

    mean: float
    hausdorff95: float

    def to_dict(self) -> dict[str, float]:
        return dataclasses.asdict(self)


def target_registration_error(transform: Transform, fixed: Tensor, moving: Tensor) -> Tensor:
    """(L,) mm: the distance of every transformed fixed landmark (L, 3) from its moving one (L, 3)."""
    if fixed.shape != moving.shape or fixed.ndim != 2 or fixed.shape[1] != 3 or not len(fixed):
        raise RegistrationError(
            f"Landmarks must be two lists of equal length, not {tuple(fixed.shape)} and {tuple(moving.shape)}: "
            "give the same landmarks in the same order."
        )
    with torch.no_grad():
        return (transform(fixed.double()) - moving.double().to(fixed.device)).norm(dim=1)


def dice(a: Image, b: Image, labels: list[int] | tuple[int, ...] | None = None) -> dict[int, float]:
    """2 |A and B| / (|A| + |B|) by label of two label maps on the same grid; NaN where neither map has the label.

    labels: the ones to measure; by default all that occur in either map except 0. Dice, Ecology 1945.
    """
    if a.shape != b.shape or not torch.allclose(a.affine, b.affine, atol=1e-3):
        raise RegistrationError("Dice needs two label maps on the same grid: resample one to the other first.")
    x, y = (image.data.round().long().flatten() for image in (a, b))
    if labels is None:
        labels = [v for v in torch.cat((x.unique(), y.unique())).unique().tolist() if v]
    return {label: _dice(x == label, y == label) for label in labels}


def _dice(a: Tensor, b: Tensor) -> float:
    total = int(a.sum() + b.sum())
    return 2 * int((a & b).sum()) / total if total else float("nan")


def mean_dice(by_label: dict[int, float]) -> float:
    """The mean over the labels that occur."""
    return float(torch.tensor(list(by_label.values()), dtype=torch.float64).nanmean())


def folding(transform: Transform, geometry: Geometry | Image, mask: Image | None = None) -> Folding:
    """Folding at the voxel centers of a grid, or only where `mask` (any grid, in the fixed frame) is not 0."""
    determinant = transform.jacobian_determinant(geometry).data[0]
    if mask is not None:
        determinant = determinant[mask.sample(geometry.grid(), mode="nearest")[0] > 0.5]
    if not determinant.numel():
        raise RegistrationError("The mask is empty on this grid: give a mask that covers the anatomy.")
    determinant = determinant.double()
    return Folding(
        percent=100 * float((determinant <= 0).double().mean()),
        minimum=float(determinant.min()),
        maximum=float(determinant.max()),
        log_deviation=float(determinant.clamp(min=1e-3).log().std(correction=0)),
    )


def folded_percent(transform: Transform, geometry: Geometry | Image, mask: Image | None = None) -> float:
    """Voxels of a grid where the Jacobian determinant is not positive, in percent."""
    return folding(transform, geometry, mask).percent


def inverse_consistency(transform: Transform, inverse: Transform, points: Tensor) -> ErrorSummary:
    """How far inverse(transform(x)) lies from x, over points (..., 3) in the fixed frame."""
    points = points.reshape(-1, 3)
    with torch.no_grad():
        return ErrorSummary.of((inverse(transform(points)) - points).norm(dim=-1))


def surface_distance(a: Tensor, b: Tensor) -> SurfaceDistance:
    """Between two clouds (N, 3) and (M, 3): the mean of both directed means, the larger of both 95th percentiles."""
    from scipy.spatial import cKDTree

    clouds = [cloud.detach().double().cpu().numpy() for cloud in (a, b)]
    if not len(clouds[0]) or not len(clouds[1]):
        raise RegistrationError("A cloud without points has no distance: check its file.")
    there = torch.from_numpy(cKDTree(clouds[1]).query(clouds[0])[0])
    back = torch.from_numpy(cKDTree(clouds[0]).query(clouds[1])[0])
    return SurfaceDistance(
        mean=float((there.mean() + back.mean()) / 2),
        hausdorff95=float(max(there.quantile(0.95), back.quantile(0.95))),
    )
