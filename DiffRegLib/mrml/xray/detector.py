"""Where a detector is in the scene, as the matrices that volume and slice nodes want. RAS mm."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from DiffRegLib.camera import Camera
from DiffRegLib.mrml import arrays


def corners(camera: Camera) -> np.ndarray:
    """(4,3) RAS mm: the outer corners of the pixels at the upper left, upper right, lower right and lower left."""
    rows, columns = camera.size
    places = [(-0.5, -0.5), (columns - 0.5, -0.5), (columns - 0.5, rows - 0.5), (-0.5, rows - 0.5)]
    return camera.detector_points(torch.tensor(places, dtype=torch.float64)).numpy()


def slice_to_ras(camera: Camera) -> np.ndarray:
    """(4,4) float64 of a slice view that shows the image upright: x along the rows, y up, the middle in its origin."""
    upper_left, upper_right, lower_right, lower_left = corners(camera)
    matrix = np.eye(4)
    across, up = upper_right - upper_left, upper_left - lower_left
    matrix[:3, 0], matrix[:3, 1] = across / np.linalg.norm(across), up / np.linalg.norm(up)
    matrix[:3, 2] = np.cross(matrix[:3, 0], matrix[:3, 1])
    matrix[:3, 3] = (upper_left + lower_right) / 2
    return matrix


def seen_pixel(camera: Camera, ras: Any) -> np.ndarray:
    """(2,) column and row at which a point (3,) in RAS mm is seen; points on the detector are where they are."""
    return camera.project(torch.as_tensor(np.asarray(ras), dtype=torch.float64))[0].numpy()


def show_detector(slice_node: Any, camera: Camera) -> None:
    """Turns a slice node to the detector and fits the image into its view."""
    changing = slice_node.StartModify()
    slice_node.GetSliceToRAS().DeepCopy(arrays.array_to_matrix(slice_to_ras(camera)))
    slice_node.UpdateMatrices()
    width, height = (n * abs(s) for n, s in zip(camera.size[::-1], camera.spacing))
    across, down, depth = slice_node.GetDimensions()
    zoom = max(width / max(across, 1), height / max(down, 1)) * 1.02
    slice_node.SetFieldOfView(zoom * across, zoom * down, max(depth, 1))
    slice_node.SetXYZOrigin(0, 0, 0)
    slice_node.EndModify(changing)
