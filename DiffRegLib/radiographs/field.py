"""The part of a radiograph that the beam reached: without collimator blades and dead borders."""

from __future__ import annotations

import math

import numpy as np

FLAT = 2e-3  # of the range of values: a collimated region does not vary more
SMALLEST = 0.01  # of the image: a smaller flat region is no collimator
ROUND = 0.97  # of its convex hull, which the field of a collimator fills; the outline of a body does not
SHAPED = 0.85  # the same where the hull is a rectangle or an ellipse, as blades leave: dark anatomy may touch its edge
EXACT = 0.03  # by which the area of such a hull may differ from that of the figure
BORDER = 0.01  # of the width: blurred by the edge of a blade, or dead in many detectors


def field_of_view(values: np.ndarray) -> np.ndarray:
    """(rows, columns) bool of an X-ray's values: True where they show the patient.

    A collimator is flat, at the lowest or the highest value, touches the border, and leaves a convex field. Air beside
    a body is flat as well but leaves no convex field, and stays in.
    """
    from scipy import ndimage

    low, high = float(values.min()), float(values.max())
    field = np.ones(values.shape, dtype=bool)
    for extreme in (low, high):
        flat = np.abs(values - extreme) <= FLAT * (high - low)
        blades = _at_border(flat)
        if SMALLEST * values.size <= blades.sum() < values.size:
            opening = _convex_opening(field & ~blades)
            field = field if opening is None else opening
    margin = max(1, round(BORDER * max(values.shape)))
    return ndimage.binary_erosion(field, iterations=margin)


def _at_border(region: np.ndarray) -> np.ndarray:
    """The connected parts of a region that touch the border of the image."""
    from scipy import ndimage

    parts, _ = ndimage.label(region)
    touching = np.unique(np.concatenate((parts[0], parts[-1], parts[:, 0], parts[:, -1])))
    return np.isin(parts, touching[touching > 0])


def _convex_opening(rest: np.ndarray) -> np.ndarray | None:
    """The largest part of what is left, filled to its convex hull; None where it is far from convex."""
    from scipy import ndimage
    from skimage.morphology import convex_hull_image

    parts, count = ndimage.label(ndimage.binary_opening(rest, iterations=2))
    if not count:
        return None
    largest = parts == 1 + int(np.argmax(ndimage.sum_labels(rest, parts, range(1, count + 1))))
    hull = convex_hull_image(largest)
    return hull if largest.sum() >= (SHAPED if _is_aperture(hull) else ROUND) * hull.sum() else None


def _is_aperture(hull: np.ndarray) -> bool:
    """Whether a region is a rectangle along the image's axes or an ellipse, smaller than the image."""
    rows, columns = np.flatnonzero(hull.any(1)), np.flatnonzero(hull.any(0))
    box = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    shapes = (1.0, math.pi / 4)
    return box < hull.size and any(abs(hull.sum() / (share * box) - 1) < EXACT for share in shapes)
