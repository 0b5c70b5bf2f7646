"""A case in, everything that a reviewer wants to know out."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable

from DiffRegLib.image import Image
from DiffRegLib.review.agreement import Likeness, likeness, local_correlation, unregistered, warped_or_nan
from DiffRegLib.review.case import Case, Drivers
from DiffRegLib.review.checks import Finding, findings
from DiffRegLib.review.field import FieldMaps, analyze, own_grid
from DiffRegLib.review.folds import FoldedRegion, folded_regions
from DiffRegLib.review.limits import Light, LimitOptions, worst
from DiffRegLib.review.scores import (
    LabelRow,
    LandmarkRows,
    Score,
    compared,
    field_scores,
    label_rows,
    label_scores,
    landmark_rows,
    landmark_scores,
)
from DiffRegLib.review.segments import VolumeChange, volume_changes
from DiffRegLib.review.trust import REACH, Trust, distance_to_mask, distance_to_points, edges, spread_of

Progress = Callable[[float, str], None]


@dataclasses.dataclass(frozen=True, eq=False)
class Review:
    """What was found out about a case; what could not be measured is empty or None."""

    case: Case
    limits: LimitOptions
    maps: FieldMaps
    scores: tuple[Score, ...]
    landmarks: LandmarkRows | None
    labels: tuple[LabelRow, ...]
    volumes: tuple[VolumeChange, ...]
    regions: tuple[FoldedRegion, ...]
    trust: Trust
    findings: tuple[Finding, ...]
    warped: Image | None
    seconds: float

    @property
    def light(self) -> Light:
        """The worst of all lights."""
        return worst([s.light for s in self.scores] + [f.light for f in self.findings])

    def score(self, key: str) -> Score | None:
        return next((score for score in self.scores if score.key == key), None)


def assess(case: Case, limits: LimitOptions = LimitOptions(), progress: Progress | None = None) -> Review:  # noqa: B008
    """Measures, maps and judges a case.

    progress: called with the fraction done and a message; it ends the work by raising. Raises RegistrationError where
    the case cannot be reviewed at all.
    """
    begin = time.perf_counter()
    report = progress or (lambda fraction, message: None)
    frame = case.frame()
    report(0.0, "Analyzing the field.")
    maps = analyze(case.transform, own_grid(case.transform, frame), case.inverse)
    regions = folded_regions(maps)
    scores: list[Score] = []
    report(0.3, "Measuring.")
    landmarks = landmark_rows(case.transform, case.landmarks) if case.landmarks else None
    if landmarks is not None:
        scores += landmark_scores(landmarks, limits)
    labels, volumes = _of_labels(case, maps)
    scores += label_scores(labels, limits)
    report(0.6, "Comparing the images.")
    warped, more = _compare(case)
    scores += more + field_scores(case, maps, regions, limits)
    report(0.8, "Looking at what supports the field.")
    trust = trust_in(case)
    found = findings(case)
    return Review(
        case,
        limits,
        maps,
        tuple(scores),
        landmarks,
        tuple(labels),
        tuple(volumes),
        tuple(regions),
        trust,
        tuple(found),
        warped,
        time.perf_counter() - begin,
    )


def _of_labels(case: Case, maps: FieldMaps) -> tuple[list[LabelRow], list[VolumeChange]]:
    if case.labels is None:
        return [], []
    return label_rows(case.transform, case.labels), volume_changes(maps, case.labels.fixed)


def _compare(case: Case) -> tuple[Image | None, list[Score]]:
    """The warped moving image, NaN where it does not reach, and how alike the pair is before and after."""
    if case.images is None:
        return None, []
    fixed, moving = case.images
    before = likeness(fixed, unregistered(moving, fixed)) or Likeness(math.nan, math.nan, 0.0)
    warped = warped_or_nan(moving, fixed, case.transform)
    after = likeness(fixed, warped) or Likeness(math.nan, math.nan, 0.0)
    covers = f"{100 * after.covered:.0f} % of the fixed image, {100 * before.covered:.0f} % before"
    names = (("correlation", "correlation of the images", ""), ("information", "mutual information", "bit"))
    scores = []
    for key, title, unit in names:
        a, b = getattr(before, key), getattr(after, key)
        scores.append(Score(key, title, b, a, unit, "none", covers, 3))
    alike = "correlation" if abs(after.correlation) > 0.3 else "information"
    judged = compared(getattr(before, alike), getattr(after, alike))
    return warped, [dataclasses.replace(s, light=judged) if s.key == alike else s for s in scores]


def trust_in(case: Case) -> Trust:
    """How far each place of a case's field is supported."""
    frame = case.frame()
    drivers = case.driven_by or guessed_drivers(case)
    if drivers.distance is not None:
        distance = drivers.distance
    elif drivers.points is not None:
        distance = distance_to_points(drivers.points, frame)
    else:
        distance = distance_to_mask(drivers.mask, frame)
    if distance is None:
        return trust_in(dataclasses.replace(case, driven_by=Drivers("the whole image", mask=_whole(case))))
    similarity = local_correlation(*case.images, case.transform) if case.images else None
    spread = spread_of(list(case.repeats), frame) if len(case.repeats) > 1 else None
    return Trust(distance, drivers.words, drivers.reach or REACH, similarity, spread)


def guessed_drivers(case: Case) -> Drivers:
    """What must have driven a field whose method does not say: the points, the edges of the image, the labels."""
    if case.clouds is not None:
        return Drivers("the points", points=case.clouds[0].points)
    if case.images is not None:
        return Drivers("the edges of the fixed image", mask=edges(case.images[0]))
    if case.labels is not None:
        return Drivers("the labels", mask=case.labels.fixed)
    if case.landmarks is not None:
        return Drivers("the landmarks", points=case.landmarks.fixed)
    return Drivers("the field's own grid", mask=_whole(case))


def _whole(case: Case) -> Image:
    import torch

    frame = case.frame()
    return Image(torch.ones(1, *frame.shape), frame.affine)
