"""A small CT and its X-ray whose pose is known, for the module's own test."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from DiffRegLib.radiographs.options import CArmOptions
from XRayPoseLib import carm

SIZE, VOXEL = 48, 4.0  # voxels along an axis, mm
TRUTH = (4.0, -3.0, 5.0, 6.0, 8.0, -5.0)  # degrees and mm about the middle
CARM = CArmOptions(distance=1000.0, isocenter_distance=650.0, pixel_width=2.5)
DETECTOR = (96, 96)


def choose(parameters: Any) -> np.ndarray:
    """Puts the CT and its X-ray into the scene and chooses them; returns the true pose (4,4)."""
    import torch

    from DiffRegLib.image import Image
    from DiffRegLib.radiographs.attenuation import attenuation
    from DiffRegLib.radiographs.carm import camera_of
    from DiffRegLib.radiographs.projection import project
    from DiffRegLib.transforms import rigid

    hounsfield = body()
    affine = np.diag([VOXEL, VOXEL, VOXEL, 1.0])
    affine[:3, 3] = -VOXEL * (SIZE - 1) / 2
    parameters.ct = slicer.util.addVolumeFromArray(hounsfield, ijkToRAS=affine, name="CT of a block")
    center = torch.from_numpy(carm.center_of(parameters.ct))
    truth = rigid(torch.tensor(TRUTH[:3]), torch.tensor(TRUTH[3:]), center).matrix
    image = Image(torch.from_numpy(hounsfield)[None].float(), torch.from_numpy(affine))
    xray = project(attenuation(image), truth, camera_of(CARM, DETECTOR, center))[0].numpy()
    parameters.xray_1 = slicer.util.addVolumeFromArray(xray, name="X-ray of a block")
    parameters.imaging_line_integrals = True
    carm.write(parameters, 1, CARM)
    return truth.numpy()


def body() -> np.ndarray:
    """(48,48,48) HU: an ellipsoid of water with a bone that has two holes, in no way symmetric."""
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, SIZE)] * 3, indexing="ij")
    values = np.where(x**2 / 0.75 + y**2 / 0.55 + z**2 / 0.7 < 1, 0.0, -1000.0)
    bone = (abs(x + 0.1) < 0.5) & (abs(y - 0.1) < 0.22) & (abs(z) < 0.55)
    for place, radius in (((0.15, 0.3), 0.16), ((-0.35, -0.25), 0.11)):
        bone &= (x - place[0]) ** 2 + (z - place[1]) ** 2 > radius**2
    return np.where(bone, 800.0, values).astype(np.float32)


def error_mm(parameters: Any, truth: np.ndarray) -> float:
    """The largest distance between the places of the corners of the block at the pose and at the truth."""
    from XRayPoseLib.pose import matrix_of

    ends = VOXEL * SIZE / 4 * np.array([-1.0, 1.0])
    corners = np.stack([c.ravel() for c in np.meshgrid(ends, ends, ends)] + [np.ones(8)])
    return float(np.linalg.norm(((matrix_of(parameters.pose) - truth) @ corners)[:3], axis=0).max())
