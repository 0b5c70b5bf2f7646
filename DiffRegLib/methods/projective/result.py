"""What pose estimation returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from DiffRegLib.camera import Camera
from DiffRegLib.methods.registration import Registration
from DiffRegLib.transforms import Affine

Verdict = Literal["converged", "doubtful", "failed"]


@dataclass(frozen=True)
class Uncertainty:
    """One standard deviation of the pose about the volume's center, along the axes of the first camera.

    rotation_degrees: (3,) about the camera's x, y and z (the ray's) axis; shift_mm: (2,) along its x and y;
    depth_mm: along the ray; point_mm: root mean square over points of the volume; unfinished_mm: the same for the step
    that would still lead to the optimum; covariance: (6,6) of turns (in mm at 100 mm from the center) and shifts (mm).
    """

    rotation_degrees: tuple[float, float, float]
    shift_mm: tuple[float, float]
    depth_mm: float
    point_mm: float
    unfinished_mm: float
    covariance: Tensor


@dataclass(frozen=True)
class Standing:
    """Evidence (see `crowd`) of the result and of its rivals at one level, with what it comes from.

    correlation: of the neighborhoods; known: the part of the field, both means over the views.
    start, elsewhere, opposite, oriented: evidence of the rivals, 0 where there is none; away: mm from the result to the
        one elsewhere; orientation: the words for the best other orientation.
    """

    evidence: float
    correlation: float
    known: float
    start: float
    elsewhere: float
    away: float
    opposite: float
    oriented: float
    orientation: str


@dataclass(frozen=True, kw_only=True)
class PoseRegistration(Registration):
    """A registration whose `transform` places the CT in the world of the cameras: X_camera_world = transform(X_ct).

    start: the pose from which the work began; rotation_degrees, translation_mm (3,): the change from it about the
    volume's center, angle and shift of the center. similarity: correlation of what was compared, 1 is best.
    appearance, polarity: how the radiographs were found to relate to the CT, see the options; where the views differ in
        polarity, a word for each.
    remedy: what a person can do next where the verdict is not "converged".
    standing: evidence of the pose and of its rivals, None where radiographs and CT show the same.
    cameras: of the X-rays; of all but the first as the images say, where their relation was refined.
    verdict: "failed" where no pose explains the radiographs, "doubtful" where `reason` says why, else "converged".
    """

    start: Affine
    rotation_degrees: float
    translation_mm: tuple[float, float, float]
    uncertainty: Uncertainty
    similarity: float
    appearance: str
    polarity: str
    verdict: Verdict
    reason: str
    remedy: str
    standing: Standing | None
    cameras: tuple[Camera, ...]

    @property
    def pose(self) -> Affine:
        """The transform as the rigid one that it is."""
        assert isinstance(self.transform, Affine)
        return self.transform
