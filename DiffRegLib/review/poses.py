"""The review of a pose: each X-ray with the CT's radiographs, and how sure the pose is, as ellipses on the detector."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from DiffRegLib.review.limits import Light
from DiffRegLib.review.radiographs import RadiographPair
from DiffRegLib.review.scores import Score

if TYPE_CHECKING:
    from DiffRegLib.camera import Camera

LIGHTS: Mapping[str, Light] = {"converged": "green", "doubtful": "amber", "failed": "red"}
NINETY_FIVE = 2.4477
"""Standard deviations of a Gaussian in the plane within which it lies in 95 of 100 cases: sqrt(-2 ln 0.05)."""


@dataclasses.dataclass(frozen=True, eq=False)
class PoseView:
    """One X-ray with its radiographs. camera: of the picture's pixels, at the end of the registration."""

    pair: RadiographPair
    camera: Camera


@dataclasses.dataclass(frozen=True, eq=False)
class PoseCase:
    """A pose to be reviewed. facts: `metrics.json` of its result. center: (3,) of the CT, where the pose puts it."""

    name: str
    views: tuple[PoseView, ...]
    center: Tensor
    facts: Mapping[str, Any]
    trace: tuple[Any, ...] = ()
    provenance: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class PoseReview:
    """What is known of a pose; it has the scores and the light of any review."""

    case: PoseCase
    scores: tuple[Score, ...]
    light: Light

    def score(self, key: str) -> Score | None:
        return next((score for score in self.scores if score.key == key), None)


@dataclasses.dataclass(frozen=True)
class Ellipse:
    """On the detector, in pixels: where the center of the CT is in 95 of 100 cases. degrees: of the first half axis,
    from the columns to the rows."""

    column: float
    row: float
    axes: tuple[float, float]
    degrees: float


def review_pose(case: PoseCase) -> PoseReview:
    """The numbers of the registration, with the light of its verdict."""
    facts, sure = case.facts, case.facts["uncertainty"]
    light = LIGHTS[facts["verdict"]]
    rows = [
        (
            "pose_verdict",
            f"verdict: {facts['verdict']}",
            facts.get("similarity"),
            "",
            3,
            light,
            "similarity at the end",
        ),
        ("pose_point", "uncertainty of points of the CT", sure["point_mm"], "mm", 2, "none", "one standard deviation"),
        ("pose_depth", "uncertainty in depth", sure["depth_mm"], "mm", 2, "none", "along the ray of the first X-ray"),
        ("pose_across", "uncertainty across the ray", _largest(sure["shift_mm"]), "mm", 2, "none", "the larger of two"),
        ("pose_turn", "uncertainty of rotation", _largest(sure["rotation_degrees"]), "\N{DEGREE SIGN}", 2, "none", ""),
        ("pose_moved", "moved by", facts["change"]["mm"], "mm", 2, "none", "the center of the CT"),
        ("pose_turned", "turned by", facts["change"]["degrees"], "\N{DEGREE SIGN}", 2, "none", ""),
    ]
    scores = [
        Score(key, title, value if value is not None else float("nan"), None, unit, color, covers, digits)
        for key, title, value, unit, digits, color, covers in rows
    ]
    return PoseReview(case, tuple(scores), light)


def _largest(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) else None


def ellipse(case: PoseCase, view: PoseView) -> Ellipse | None:
    """Of the center of the CT in a view; None where the pose has no finite uncertainty."""
    rows = case.facts["uncertainty"].get("covariance")
    if rows is None or any(value is None for row in rows for value in row):
        return None
    axes = case.views[0].camera.pose[:3, :3].double()  # the covariance is along those of the first camera
    shifts = axes @ torch.tensor(rows, dtype=torch.float64)[3:, 3:] @ axes.T
    center = case.center.double()
    slope = torch.autograd.functional.jacobian(lambda x: view.camera.project(x)[0], center)
    values, vectors = torch.linalg.eigh(slope @ shifts @ slope.T)
    pixel = view.camera.project(center)[0]
    half = NINETY_FIVE * values.clamp(min=0).sqrt()
    degrees = torch.rad2deg(torch.atan2(vectors[1, 1], vectors[0, 1]))
    return Ellipse(float(pixel[0]), float(pixel[1]), (float(half[1]), float(half[0])), float(degrees))
