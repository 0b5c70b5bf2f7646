"""The numbers of a review: each before and after, with its light."""

from __future__ import annotations

import dataclasses
import math

import torch

from DiffRegLib.image import Image
from DiffRegLib.review.case import IDENTITY, Case, LabelPair, LandmarkPairs
from DiffRegLib.review.field import FieldMaps, same_grid
from DiffRegLib.review.folds import FoldedRegion
from DiffRegLib.review.labels import label_surfaces, present
from DiffRegLib.review.limits import Light, LimitOptions
from DiffRegLib.review.metrics import ErrorSummary, dice, surface_distance, target_registration_error
from DiffRegLib.transforms import Transform

SAME = 1e-3  # change of a similarity that counts as none


@dataclasses.dataclass(frozen=True)
class Score:
    """One number. key: its name for programs. before: None where only the result has it. covers: what it was taken
    over. digits: behind the point, for people."""

    key: str
    title: str
    after: float
    before: float | None = None
    unit: str = ""
    light: Light = "none"
    covers: str = ""
    digits: int = 2


@dataclasses.dataclass(frozen=True, eq=False)
class LandmarkRows:
    """Landmark errors (L,) in mm before and after, with what was compared."""

    pairs: LandmarkPairs
    before: torch.Tensor
    after: torch.Tensor

    def summaries(self) -> tuple[ErrorSummary, ErrorSummary]:
        return ErrorSummary.of(self.before), ErrorSummary.of(self.after)


@dataclasses.dataclass(frozen=True)
class LabelRow:
    """One label before and after; distances in mm, NaN where one of the two maps does not have it."""

    label: int
    name: str
    dice: tuple[float, float]
    surface: tuple[float, float]
    hausdorff: tuple[float, float]
    note: str = ""


def landmark_rows(transform: Transform, pairs: LandmarkPairs) -> LandmarkRows:
    errors = [target_registration_error(t, pairs.fixed, pairs.moving) for t in (IDENTITY, transform)]
    return LandmarkRows(pairs, *errors)


def label_rows(transform: Transform, pair: LabelPair) -> list[LabelRow]:
    """Every label of either map, on the fixed grid; the moving labels are carried there by nearest neighbor."""
    start = (
        pair.moving
        if same_grid(pair.fixed, pair.moving)
        else pair.moving.resample(pair.fixed, IDENTITY, mode="nearest")
    )
    warped = [start, pair.moving.resample(pair.fixed, transform, mode="nearest")]
    surfaces = label_surfaces(pair.fixed)
    overlaps = [dice(pair.fixed, image) for image in warped]
    moved = [label_surfaces(image) for image in warped]
    own = present(pair.moving)
    rows = []
    for label in sorted(set(surfaces) | own):
        distances = [_distance(surfaces.get(label), there.get(label)) for there in moved]
        note = "" if label in surfaces and label in own else "only in the fixed map"
        note = note if label in surfaces else "only in the moving map"
        if not note and label not in moved[1]:
            note = "carried out of the image"
        overlap = tuple(found.get(label, math.nan) if not note else math.nan for found in overlaps)
        rows.append(LabelRow(label, pair.name(label), overlap, *map(tuple, zip(*distances)), note))
    return rows


def _distance(fixed: torch.Tensor | None, moved: torch.Tensor | None) -> tuple[float, float]:
    if fixed is None or moved is None:
        return math.nan, math.nan
    found = surface_distance(fixed, moved)
    return found.mean, found.hausdorff95


def landmark_scores(rows: LandmarkRows, limits: LimitOptions) -> list[Score]:
    before, after = rows.summaries()
    covers = f"{after.count} landmarks"
    names = (("mean", "mean"), ("sd", "standard deviation"), ("median", "median"), ("max", "largest"))
    return [
        Score(
            f"landmarks_{key}",
            f"landmark error, {name}",
            getattr(after, key),
            getattr(before, key),
            "mm",
            limits.light("landmarks", after.mean) if key == "mean" else "none",
            covers,
        )
        for key, name in names
    ]


def label_scores(rows: list[LabelRow], limits: LimitOptions) -> list[Score]:
    """Means over the labels that both maps have."""
    shared = [row for row in rows if not row.note]
    if not shared:
        return []
    covers = f"{len(shared)} of {len(rows)} labels" if len(shared) < len(rows) else f"{len(rows)} labels"
    found = []
    for key, title, unit, digits in (
        ("dice", "Dice overlap, mean", "", 3),
        ("surface", "surface distance, mean", "mm", 2),
        ("hausdorff", "95 % Hausdorff distance, mean", "mm", 2),
    ):
        before, after = (_mean([getattr(row, key)[n] for row in shared]) for n in (0, 1))
        found.append(Score(key, title, after, before, unit, limits.light(key, after), covers, digits))
    return found


def _mean(values: list[float]) -> float:
    return float(torch.tensor(values, dtype=torch.float64).nanmean())


def field_scores(case: Case, maps: FieldMaps, regions: list[FoldedRegion], limits: LimitOptions) -> list[Score]:
    """Folds, percentiles of the determinant, displacement, and consistency with the inverse."""
    grid = " x ".join(str(int(n)) for n in maps.geometry.size)
    covers = f"{grid} voxels of {' x '.join(f'{s:.3g}' for s in maps.geometry.spacing.tolist())} mm"
    percent = 100 * float(maps.folded.double().mean())
    low, high = percentiles(maps.determinant, (1.0, 99.0))
    magnitude = maps.magnitude.data
    found = [
        Score("folded", "folded voxels", percent, None, "%", limits.light("folded", percent), covers, 4),
        Score("folded_regions", "folded regions", len(regions), None, "", "none", covers, 0),
        Score("determinant_p1", "determinant, 1st percentile", low, None, "", limits.light("determinant", low), covers),
        Score("determinant_p99", "determinant, 99th percentile", high, None, "", "none", covers),
        Score("displacement_mean", "displacement, mean", float(magnitude.double().mean()), None, "mm", "none", covers),
        Score("displacement_max", "displacement, largest", float(magnitude.max()), None, "mm", "none", covers),
    ]
    if maps.inverse_error is not None:
        error = maps.inverse_error.data[maps.inverse_error.data.isfinite()].double()
        if error.numel():
            mean = float(error.mean())
            light, share = limits.light("inverse", mean), 100 * error.numel() / maps.inverse_error.data.numel()
            within = f"{share:.0f} % of {covers}"
            found.append(Score("inverse_mean", "inverse consistency, mean", mean, None, "mm", light, within, 3))
            found.append(
                Score("inverse_max", "inverse consistency, largest", float(error.max()), None, "mm", "none", within)
            )
    return found


def percentiles(image: Image, shares: tuple[float, ...]) -> list[float]:
    """Percentiles of all voxels, interpolated linearly as numpy does; by selection, which does not sort them all."""
    import numpy as np

    return [float(v) for v in np.percentile(image.data.numpy(), shares)]


def compared(before: float, after: float) -> Light:
    """The light of a similarity: a result must not be less alike than its start."""
    if math.isnan(after):
        return "none"
    if math.isnan(before) or after > before + SAME:
        return "green"
    return "amber" if after >= before - SAME else "red"
