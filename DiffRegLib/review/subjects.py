"""The two things that an overview compares, whatever they are: images, label maps or clouds."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.image import Image
from DiffRegLib.review.views import Box, View, box_with_best_cuts
from DiffRegLib.transforms import Affine, Transform

FIXED, MOVING = np.array([0.10, 0.55, 1.0]), np.array([0.90, 0.45, 0.0])
"""Azure and orange: they add up to white, so that agreement is gray, and the color-blind see the difference."""

DOT = 1.3
"""Radius in mm of the dot that stands for a point."""

IDENTITY = Affine(torch.eye(4, dtype=torch.float64))


@dataclasses.dataclass(frozen=True, eq=False)
class ImagePair:
    """Two images of intensities; both are shown in the fixed frame, the moving one through the transform."""

    fixed: Image
    moving: Image
    windows: tuple[tuple[float, float], tuple[float, float]]

    @classmethod
    def of(cls, fixed: Image, moving: Image) -> ImagePair:
        return cls(fixed, moving, _windows(fixed, moving))

    def box(self, transform: Transform) -> Box:
        points, change = _coarse_change(self.fixed, self.moving)
        return box_with_best_cuts(*_corners(self.fixed), points, change)

    def grays(self, box: Box, view: View, transform: Transform) -> tuple[np.ndarray, np.ndarray]:
        """(rows, columns) in [0, 1]: the fixed image on a plane, and the moving one through the transform."""
        plane = box.plane(view)
        return _gray(self.fixed, plane, self.windows[0]), _gray(self.moving, transform(plane), self.windows[1])

    def colors(self, box: Box, view: View, transform: Transform) -> np.ndarray:
        """(rows, columns, 3) in [0, 1]: the blend of both on one plane."""
        fixed, moving = self.grays(box, view, transform)
        return fixed[..., None] * FIXED + moving[..., None] * MOVING

    def backdrop(self, box: Box, view: View) -> np.ndarray:
        """(rows, columns): the moving image alone, dark."""
        return 0.5 * _gray(self.moving, box.plane(view), self.windows[1])


@dataclasses.dataclass(frozen=True, eq=False)
class LabelPair:
    """Two label maps, shown as outlines in the fixed frame over the fixed labels in dark gray."""

    fixed: Image
    moving: Image

    def box(self, transform: Transform) -> Box:
        points, change = _coarse_change(self.fixed, self.moving, labels=True)
        return box_with_best_cuts(*_corners(self.fixed), points, change)

    def colors(self, box: Box, view: View, transform: Transform) -> np.ndarray:
        """(rows, columns, 3) in [0, 1]"""
        plane = box.plane(view, pixels=480)
        fixed = _labels(self.fixed, plane)
        moving = _labels(self.moving, transform(plane))
        outlines = _outline(fixed)[..., None] * FIXED + _outline(moving)[..., None] * MOVING
        return np.where(outlines.max(-1, keepdims=True) > 0, outlines, 0.22 * (fixed > 0)[..., None])

    def backdrop(self, box: Box, view: View) -> np.ndarray:
        """(rows, columns): where the moving map has labels, dark."""
        return 0.3 * (_labels(self.moving, box.plane(view)) > 0)


@dataclasses.dataclass(frozen=True, eq=False)
class CloudPair:
    """Two clouds (N, 3) and (M, 3), RAS mm, shown in slabs in the moving frame: fixed points where they come to lie."""

    fixed: Tensor
    moving: Tensor

    def box(self, transform: Transform) -> Box:
        moved = transform(self.fixed)
        everything = torch.cat((self.fixed, self.moving, moved))
        low, high = everything.amin(0), everything.amax(0)
        margin = 0.04 * (high - low).max()
        return box_with_best_cuts(low - margin, high + margin, self.moving, torch.ones(len(self.moving)))

    def colors(self, box: Box, view: View, transform: Transform) -> np.ndarray:
        """(rows, columns, 3) in [0, 1]: the points of a slab, projected; dots that coincide are white."""
        fixed, moving = (self._dots(box, view, cloud)[..., None] for cloud in (transform(self.fixed), self.moving))
        return fixed * FIXED + moving * MOVING

    def backdrop(self, box: Box, view: View) -> np.ndarray:
        """(rows, columns): the moving points of a slab, dark."""
        return 0.5 * self._dots(box, view, self.moving)

    def _dots(self, box: Box, view: View, cloud: Tensor, pixels: int = 640) -> np.ndarray:
        """(rows, columns) in [0, 1]: a soft dot of DOT mm for every point of the slab."""
        cloud = cloud[box.slab(view, self.thickness(box, view)).holds(cloud)]
        left, right, bottom, top = box.extent(view)
        pitch = max(left - right, top - bottom) / pixels
        rows, columns = round((top - bottom) / pitch), round((left - right) / pitch)
        canvas = torch.zeros(rows, columns)
        column = ((left - cloud[:, view.across]) / pitch).long().clamp(0, columns - 1)
        row = ((cloud[:, view.up] - bottom) / pitch).long().clamp(0, rows - 1)
        canvas[row, column] = 1
        reach = max(1, round(DOT / pitch))
        offset = torch.arange(-reach, reach + 1)
        disk = (reach + 0.5 - (offset[:, None] ** 2 + offset**2).float().sqrt()).clamp(0, 1)
        return (
            torch.nn.functional.conv2d(canvas[None, None], disk[None, None], padding=reach)[0, 0].clamp(max=1).numpy()
        )

    @staticmethod
    def thickness(box: Box, view: View) -> float:
        """Thickness of a slab in mm: an eighth of the box."""
        return float(box.size[view.normal]) / 8


Pair = ImagePair | LabelPair | CloudPair


def pair_of(fixed: Any, moving: Any, labels: bool = False) -> Pair:
    """Two `Image`s (label maps if `labels`), or two clouds: `PointCloud`s or tensors (N, 3), in any mixture."""
    if isinstance(fixed, Image) != isinstance(moving, Image):
        raise TypeError("An overview compares two images or two clouds, not one of each.")
    if isinstance(fixed, Image):
        images = fixed.to("cpu"), moving.to("cpu")
        return LabelPair(*images) if labels else ImagePair.of(*images)
    return CloudPair(*(getattr(cloud, "points", cloud).detach().float().cpu() for cloud in (fixed, moving)))


def _corners(image: Image) -> tuple[Tensor, Tensor]:
    corners = image.corners()
    return corners.amin(0), corners.amax(0)


def _coarse_change(fixed: Image, moving: Image, labels: bool = False) -> tuple[Tensor, Tensor]:
    """Points (N, 3) of a coarse grid and how much both images differ there, before registration."""
    grid = fixed.geometry.resized(max(5.0, float(fixed.size.max() * fixed.spacing.max()) / 64)).grid().reshape(-1, 3)
    mode = "nearest" if labels else "linear"
    a, b = (image.sample(grid, mode, outside="border")[0] for image in (fixed, moving))
    return grid, (a != b).float() if labels else (a - b).abs()


def _windows(fixed: Image, moving: Image) -> tuple[tuple[float, float], tuple[float, float]]:
    """Black and white of each image: their own 1st and 99.5th percentiles, the same for both where these agree."""
    own = [_percentiles(image) for image in (fixed, moving)]
    low, high = min(w[0] for w in own), max(w[1] for w in own)
    shared = min(w[1] for w in own) - max(w[0] for w in own)
    return ((low, high), (low, high)) if shared > 0.6 * (high - low) else (own[0], own[1])


def _percentiles(image: Image) -> tuple[float, float]:
    values = image.data[0].flatten()
    values = values[:: max(1, len(values) // 200_000)]
    low, high = (float(values.quantile(q)) for q in (0.01, 0.995))
    return low, max(high, low + 1e-6)


def _gray(image: Image, points: Tensor, window: tuple[float, float]) -> np.ndarray:
    values = image.sample(points.float(), outside=window[0])[0]
    return ((values - window[0]) / (window[1] - window[0])).clamp(0, 1).detach().numpy()


def _labels(image: Image, points: Tensor) -> np.ndarray:
    return image.sample(points.float(), mode="nearest")[0].detach().numpy()


def _outline(labels: np.ndarray) -> np.ndarray:
    """Pixels on either side of a border between labels."""
    edge = np.zeros(labels.shape, dtype=bool)
    across, up = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= up
    edge[:-1] |= up
    return edge


def show(axes: Any, colors: np.ndarray, box: Box, view: View) -> None:
    """Puts what a pair looks like, (rows, columns) or (rows, columns, 3), on axes in mm."""
    colors = np.repeat(colors[..., None], 3, -1) if colors.ndim == 2 else colors
    axes.imshow(np.clip(colors, 0, 1), origin="lower", extent=box.extent(view), interpolation="nearest")
