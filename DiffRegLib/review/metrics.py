"""Measures of a transform (fixed -> moving, RAS mm) against landmarks, labels, its inverse and its own smoothness."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.review.labels import numbered
from DiffRegLib.transforms import Composite, Transform

FOLDS_AT_ONCE = 1 << 21
"""Points at which a determinant is taken at a time."""


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
    """The Jacobian determinant (dimensionless) where it was looked at: folded is what is not positive.

    log_deviation: standard deviation of log(max(determinant, 1e-3)), how unevenly the transform stretches.
    voxels, spacing_mm: how many were looked at, and the grid along i, j, k on which they lie.
    """

    percent: float
    minimum: float
    maximum: float
    log_deviation: float
    voxels: int
    spacing_mm: tuple[float, float, float]

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

    labels: the ones to measure; by default all that occur in either map except 0. Maps may have layers, in which
    structures overlap. Dice, Ecology 1945.
    """
    if a.shape != b.shape or not torch.allclose(a.affine, b.affine, atol=1e-3):
        raise RegistrationError("Dice needs two label maps on the same grid: resample one to the other first.")
    if a.channels == b.channels == 1:
        both, first, second = _joint_counts(a, b)
    else:
        both, first, second = _layered_counts(a, b, labels)
    if labels is None:
        labels = sorted({*first, *second} - {0})
    total = {label: first.get(label, 0) + second.get(label, 0) for label in labels}
    return {label: 2 * both.get(label, 0) / n if n else float("nan") for label, n in total.items()}


def _joint_counts(a: Image, b: Image) -> tuple[dict[int, int], ...]:
    """Voxels of each label in both maps, in the first, in the second; each map is passed once."""
    (first, x), (second, y) = numbered(a), numbered(b)
    place = {int(value): n for n, value in enumerate(first)}
    table = np.array([place.get(int(value), -1) for value in second])
    in_both = np.bincount(x[x == table[y]].ravel(), minlength=len(first))
    counts = ((first, in_both), (first, np.bincount(x.ravel())), (second, np.bincount(y.ravel())))
    return tuple({int(v): int(n) for v, n in zip(values, numbers)} for values, numbers in counts)


def _layered_counts(a: Image, b: Image, labels: list[int] | tuple[int, ...] | None) -> tuple[dict[int, int], ...]:
    found = labels if labels is not None else {*a.data.unique().tolist(), *b.data.unique().tolist()}
    masks = {v: ((a.data == v).any(0), (b.data == v).any(0)) for v in map(int, found)}
    both = {v: int((x & y).sum()) for v, (x, y) in masks.items()}
    return both, {v: int(x.sum()) for v, (x, _) in masks.items()}, {v: int(y.sum()) for v, (_, y) in masks.items()}


def mean_dice(by_label: dict[int, float]) -> float:
    """The mean over the labels that occur."""
    return float(torch.tensor(list(by_label.values()), dtype=torch.float64).nanmean())


def folding(transform: Transform, geometry: Geometry | Image, mask: Image | None = None) -> Folding:
    """Folding in the box of a grid, or only where `mask` (any grid, in the fixed frame) is not 0.

    It is counted at the points of the transform's own grid, or finer, see `fold_grid`: a coarser grid hides folds.
    Raises `RegistrationError` where the mask is empty and where the transform gives no finite place.
    """
    grid = fold_grid(transform, geometry)
    parts = [part for part in _determinants(transform, grid, mask) if part.numel()]
    if not parts:
        raise RegistrationError("The mask is empty on this grid: give a mask that covers the anatomy.")
    count = sum(part.numel() for part in parts)
    if not all(bool(part.isfinite().all()) for part in parts):
        raise RegistrationError("The transform has NaN or infinite values: repair its field.")
    logs = [part.double().clamp(min=1e-3).log() for part in parts]
    mean = sum(float(part.sum()) for part in logs) / count
    return Folding(
        percent=100 * sum(int((part <= 0).sum()) for part in parts) / count,
        minimum=min(float(part.min()) for part in parts),
        maximum=max(float(part.max()) for part in parts),
        log_deviation=(sum(float(((part - mean) ** 2).sum()) for part in logs) / count) ** 0.5,
        voxels=count,
        spacing_mm=tuple(grid.spacing.tolist()),
    )


def fold_grid(transform: Transform, box: Geometry | Image) -> Geometry:
    """The grid that fills a box with the steps of the transform's own grids, the finest along each axis.

    Between two points of its grid a field is linear, so that no fold is missed and nothing is gained by more points; a
    transform without a grid is the same everywhere.
    """
    parts = transform.transforms if isinstance(transform, Composite) else (transform,)
    own = [grid for part in parts if (grid := part.default_geometry()) is not None]
    axes = box.affine[:3, :3] / box.spacing
    steps = [1 / (torch.linalg.inv(grid.affine[:3, :3]) @ axes).abs().amax(0) for grid in own]
    lengths = box.size * box.spacing
    finest = torch.stack(steps).amin(0) if steps else lengths
    size = torch.ceil(lengths / finest - 1e-3).clamp(min=2)
    affine = box.affine.clone()
    affine[:3, :3] = axes * (lengths / size)
    affine[:3, 3] = box.to_world(box.size / size / 2 - 0.5)
    return Geometry(tuple(int(n) for n in size.flip(0)), affine)


def _determinants(transform: Transform, grid: Geometry, mask: Image | None) -> Iterator[Tensor]:
    """The determinants (n,) at the points of a grid, inside a mask, some slices at a time to bound the memory."""
    depth, height, width = grid.shape
    at_once = max(1, FOLDS_AT_ONCE // (height * width))
    for first in range(0, depth, at_once):
        last = min(depth, first + at_once)
        low, high = max(0, first - 1), min(depth, last + 1)
        affine = grid.affine.clone()
        affine[:3, 3] = grid.to_world(torch.tensor([0.0, 0.0, float(low)], dtype=torch.float64))
        slab = Geometry((high - low, height, width), affine)
        determinant = transform.jacobian_determinant(slab).data[0][first - low : last - low]
        if mask is None:
            yield determinant.flatten()
        else:
            yield determinant[mask.sample(slab.grid()[first - low : last - low], mode="nearest")[0] > 0.5]


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
