"""The pinhole that takes a radiograph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import RIGID, rigid_error

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

SKEW = 1e-4
"""Largest cosine between columns and rows that still counts as a right angle: directions are rounded."""
Vector = Tensor | Sequence[float]
"""(3,) RAS mm."""


@dataclass(frozen=True)
class Camera:
    """Intrinsics and placement of an X-ray source with its flat detector.

    distance: source to detector, mm.
    spacing: (column, row) pitch of the pixels, mm; a negative pitch is a detector that is read out mirrored.
    size: (rows, columns) of the image.
    pose: (4,4) rigid float64, camera to world in RAS mm; the source is at the camera's origin and looks along +z, the
        columns run along +x and the rows along +y.
    principal: (column, row) in pixels where the optical axis meets the detector; None is the middle of the image.

    Pixels are counted from 0 at their centers: the middle of an image of N columns is column (N - 1) / 2.
    """

    distance: float
    spacing: tuple[float, float]
    size: tuple[int, int]
    pose: Float[Tensor, "4 4"]
    principal: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.distance < math.inf:
            raise RegistrationError(f"distance from source to detector is {self.distance}: give a positive one in mm.")
        if 0 in self.spacing or min(self.size) < 1 or not all(map(math.isfinite, self.spacing)):
            raise RegistrationError(f"detector of {self.size} pixels of {self.spacing} mm: give sizes other than zero.")
        if self.principal is not None and not all(map(math.isfinite, self.principal)):
            raise RegistrationError(f"principal point is {self.principal}: give a column and a row in pixels.")
        if self.pose.shape != (4, 4) or rigid_error(self.pose) > RIGID:
            raise RegistrationError(
                "pose of the camera is not a (4, 4) rigid matrix: give rotation and translation only."
            )

    @property
    def center(self) -> tuple[float, float]:
        """The principal point (column, row) in pixels."""
        return self.principal or ((self.size[1] - 1) / 2, (self.size[0] - 1) / 2)

    @property
    def source(self) -> Float[Tensor, 3]:
        """(3,) float64 RAS mm."""
        return self.pose[:3, 3].double()

    @property
    def intrinsics(self) -> Float[Tensor, "3 3"]:
        """(3,3) float64 calibration matrix K: camera coordinates in mm to homogeneous (column, row) in pixels."""
        focal = (self.distance / self.spacing[0], self.distance / self.spacing[1])
        rows = [[focal[0], 0.0, self.center[0]], [0.0, focal[1], self.center[1]], [0.0, 0.0, 1.0]]
        return torch.tensor(rows, dtype=torch.float64)

    @property
    def projection_matrix(self) -> Float[Tensor, "3 4"]:
        """(3,4) float64 P = K [R | t]: RAS mm to homogeneous (column, row); its third row gives the depth in mm."""
        return self.intrinsics @ torch.linalg.inv(self.pose.double())[:3]

    def project(
        self, points: Float[Tensor, "*points 3"]
    ) -> tuple[Float[Tensor, "*points 2"], Float[Tensor, "*points"]]:
        """Where points (..., 3) in RAS mm appear: (..., 2) column and row in pixels, and (...,) depth in mm.

        The depth is the distance from the source along the axis; a point with a depth of 0 or less is never seen.
        """
        matrix = self.projection_matrix.to(points)
        projected = torch.nn.functional.linear(points, matrix[:, :3], matrix[:, 3])
        return projected[..., :2] / projected[..., 2:], projected[..., 2]

    def detector_points(self, pixels: Float[Tensor, "*pixels 2"]) -> Float[Tensor, "*pixels 3"]:
        """(..., 3) float64 RAS mm on the detector of pixels (..., 2), given as column and row."""
        center, pitch = torch.tensor((self.center, self.spacing), dtype=torch.float64)
        offset = (pixels.double() - center) * pitch
        local = torch.cat((offset, torch.full_like(offset[..., :1], self.distance)), -1)
        return torch.nn.functional.linear(local, self.pose[:3, :3].double(), self.source)

    @property
    def detector_affine(self) -> Float[Tensor, "4 4"]:
        """(4,4) float64: (column, row, 0) in pixels to RAS mm on the detector, with 1 mm along the third axis.

        What an image that lies on its detector has as voxel-to-world matrix; right-handed.
        """
        pitch = torch.tensor(self.spacing, dtype=torch.float64)
        matrix = torch.eye(4, dtype=torch.float64)
        matrix[:3, :2] = self.pose[:3, :2].double().cpu() * pitch
        normal = torch.linalg.cross(matrix[:3, 0], matrix[:3, 1])
        matrix[:3, 2] = normal / normal.norm()
        matrix[:3, 3] = self.detector_points(torch.zeros(2, dtype=torch.float64))
        return matrix

    def sees(self, points: Float[Tensor, "*points 3"]) -> Bool[Tensor, "*points"]:
        """(...,) bool: points (..., 3) between source and detector whose shadow falls on the image."""
        pixels, depth = self.project(points)
        high = torch.tensor([self.size[1], self.size[0]]) - 0.5
        inside = ((pixels >= -0.5) & (pixels <= high.to(pixels))).all(-1)
        return inside & (depth > 0) & (depth < self.distance)

    def moved(self, motion: Float[Tensor, "4 4"]) -> Camera:
        """The camera after a rigid motion (4,4) of the world, RAS mm."""
        return replace(self, pose=motion.double() @ self.pose.double())

    def aimed(self, point: Float[Tensor, 3]) -> Camera:
        """The camera with its detector shifted in its plane, so that a point (3,), RAS mm, appears in the middle."""
        column, row = self.project(point.double()[None])[0][0].tolist()
        away = ((self.size[1] - 1) / 2 - column, (self.size[0] - 1) / 2 - row)
        return replace(self, principal=(self.center[0] + away[0], self.center[1] + away[1]))

    def resized(self, factor: float) -> Camera:
        """The same detector with pixels `factor` times as wide: what average pooling by `factor` gives.

        Where the size is no multiple of the factor, the last columns and rows are cut off.
        """
        rows, columns = (int(n / factor + 1e-9) for n in self.size)
        if not factor > 0 or min(rows, columns) < 1:
            raise RegistrationError(f"pixels {factor} times as wide leave none of {self.size}: use a smaller factor.")
        column, row = ((c + 0.5) / factor - 0.5 for c in self.center)
        spacing = (self.spacing[0] * factor, self.spacing[1] * factor)
        return Camera(self.distance, spacing, (rows, columns), self.pose, (column, row))

    @classmethod
    def from_detector(
        cls,
        source: Vector,
        middle: Vector,
        right: Vector,
        down: Vector,
        spacing: tuple[float, float],
        size: tuple[int, int],
    ) -> Camera:
        """A camera from the place of its parts, RAS mm.

        source, middle: (3,) of the source and of the image's middle.
        right, down: (3,) directions in which columns and rows run, perpendicular to each other; where they and the view
            from the source do not form a right-handed system, the columns get a negative pitch.
        spacing: (column, row) pitch in mm; size: (rows, columns).
        """
        source, middle, right, down = (torch.as_tensor(t, dtype=torch.float64) for t in (source, middle, right, down))
        x, y = right / right.norm(), down / down.norm()
        if not abs(float(x @ y)) < SKEW:
            degrees = math.degrees(math.acos(min(1.0, max(-1.0, float(x @ y)))))
            raise RegistrationError(
                f"the directions of columns and rows are {degrees:.2f} degrees apart, not perpendicular: correct them."
            )
        z = torch.linalg.cross(x, y)
        distance = ((middle - source) @ z).item()
        mirrored = distance < 0
        pose = torch.eye(4, dtype=torch.float64)
        pose[:3] = torch.stack([-x if mirrored else x, y, -z if mirrored else z, source], 1)
        offset = [((source - middle) @ axis / pitch).item() for axis, pitch in ((x, spacing[0]), (y, spacing[1]))]
        principal = ((size[1] - 1) / 2 + offset[0], (size[0] - 1) / 2 + offset[1])
        spacing = (-spacing[0] if mirrored else spacing[0], spacing[1])
        centered = max(map(abs, offset)) < 1e-6
        return cls(abs(distance), spacing, size, pose, None if centered else principal)
