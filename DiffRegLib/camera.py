"""The pinhole that takes a radiograph."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError


@dataclass(frozen=True)
class Camera:
    """Intrinsics and placement of an X-ray source with its flat detector.

    distance: source to detector, mm.
    spacing: (column, row) pitch of the pixels, mm; a negative pitch is a detector that is read out mirrored.
    size: (rows, columns) of the image.
    pose: (4,4) rigid float64, camera to world in RAS mm; the source is at the camera's origin and looks along +z, the
        columns run along +x and the rows along +y.
    principal: (column, row) in pixels where the optical axis meets the detector; None is the middle of the image.
    """

    distance: float
    spacing: tuple[float, float]
    size: tuple[int, int]
    pose: Tensor
    principal: tuple[float, float] | None = None

    def __post_init__(self):
        if not self.distance > 0:
            raise RegistrationError(f"distance from source to detector is {self.distance}: give a positive one in mm.")
        if 0 in self.spacing or min(self.size) < 1:
            raise RegistrationError(f"detector of {self.size} pixels of {self.spacing} mm: give sizes other than zero.")
        rotation = self.pose[:3, :3].double()
        if self.pose.shape != (4, 4) or not torch.allclose(rotation @ rotation.T, torch.eye(3).to(rotation), atol=1e-4):
            raise RegistrationError(
                "pose of the camera is not a (4, 4) rigid matrix: give rotation and translation only."
            )

    @property
    def center(self) -> tuple[float, float]:
        """The principal point (column, row) in pixels."""
        return self.principal or ((self.size[1] - 1) / 2, (self.size[0] - 1) / 2)

    @classmethod
    def from_detector(cls, source: Tensor, middle: Tensor, right: Tensor, down: Tensor, spacing, size) -> Camera:
        """A camera whose axis meets the detector in its middle.

        source, middle: (3,) of the source and of the image's middle, RAS mm.
        right, down: (3,) directions in which columns and rows run, perpendicular to the axis; where they and the axis
            do not form a right-handed system, the columns get a negative pitch.
        spacing: (column, row) pitch in mm; size: (rows, columns).
        """
        source, middle, right, down = (torch.as_tensor(t, dtype=torch.float64) for t in (source, middle, right, down))
        axis = middle - source
        distance = axis.norm().item()
        x, y, z = right / right.norm(), down / down.norm(), axis / distance
        mirrored = torch.linalg.cross(x, y) @ z < 0
        pose = torch.eye(4, dtype=torch.float64)
        pose[:3] = torch.stack([-x if mirrored else x, y, z, source], 1)
        return cls(distance, (-spacing[0] if mirrored else spacing[0], spacing[1]), tuple(size), pose)
