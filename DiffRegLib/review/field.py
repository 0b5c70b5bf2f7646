"""What a transform does at the voxels of a grid: displacement, volume change, folds, agreement with its inverse."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry, Lattice
from DiffRegLib.image import Image
from DiffRegLib.transforms import BSpline, Composite, DisplacementField, Transform

SLAB = 1 << 19
"""Voxels analyzed at a time: bounds the memory."""
MOST_VOXELS = 1 << 27
"""Voxels of a map; a finer grid is coarsened."""
SPLINE_STEPS = 3
"""Voxels between two controls of a cubic spline."""


@dataclasses.dataclass(frozen=True, eq=False)
class FieldMaps:
    """Maps of a transform over a grid in the fixed frame, each (1, D, H, W) float32.

    magnitude: length of the displacement, mm. determinant: of the Jacobian, by central differences over one voxel
    either way, one-sided at the border; 1 keeps the volume, what is not positive is folded. inverse_error:
    |inverse(T(x)) - x| in mm, or None without an inverse; NaN where T(x) lies beyond the grid of the inverse.
    """

    magnitude: Image
    determinant: Image
    inverse_error: Image | None = None

    @property
    def geometry(self) -> Geometry:
        return self.magnitude.geometry

    @property
    def folded(self) -> Tensor:
        """(D, H, W) bool"""
        return self.determinant.data[0] <= 0


def analyze(transform: Transform, geometry: Lattice, inverse: Transform | None = None) -> FieldMaps:
    """The maps of a transform (fixed -> moving, RAS mm) on a grid in the fixed frame, a slab at a time.

    Raises RegistrationError where the grid is flat: a Jacobian needs two voxels along each axis.
    """
    if min(geometry.shape) < 2:
        raise RegistrationError(
            f"The Jacobian needs two voxels along each axis, not {geometry.shape}: use a finer grid."
        )
    depth, height, width = geometry.shape
    maps = [torch.empty(1, depth, height, width) for _ in range(3 if inverse is not None else 2)]
    at_once = max(1, SLAB // (height * width))
    with torch.no_grad():
        for first in range(0, depth, at_once):
            last = min(depth, first + at_once)
            low, high = max(0, first - 1), min(depth, last + 1)
            shift = _shift(transform, geometry, low, high)
            inner = shift[:, first - low : last - low]
            maps[0][0, first:last] = inner.square().sum(0).sqrt_()
            maps[1][0, first:last] = _determinant(_padded(shift, low == first, high == last), geometry.affine)
            if inverse is not None:
                maps[2][0, first:last] = _round_trip(inverse, _slices(geometry, first, last), inner.movedim(0, -1))
    return FieldMaps(*(Image(data, geometry.affine) for data in maps))


def own_grid(transform: Transform, like: Lattice) -> Geometry:
    """A grid over the box of `like` on which nothing of a transform is missed.

    It is `like` itself, or the nodes of the finest field in the transform where these are denser: between them it is
    linear. Where that would have more than 2^27 voxels it is coarser.
    """
    geometry = Geometry(like.shape, like.affine)
    fields = [part.image for part in _parts(transform) if isinstance(part, DisplacementField)]
    splines = [part.image for part in _parts(transform) if isinstance(part, BSpline)]
    finest = min(fields, key=lambda image: float(image.spacing.min()), default=None)
    if finest is not None and float(finest.spacing.min()) < 0.999 * float(like.spacing.min()):
        geometry = finest.geometry.covering(like.corners())
    elif splines:
        spacing = min(float(image.spacing.min()) / SPLINE_STEPS for image in splines)
        geometry = geometry.resized(spacing) if spacing < 0.999 * float(like.spacing.min()) else geometry
    voxels = float(geometry.size.prod())
    volume = voxels * float(geometry.spacing.prod())
    return geometry if voxels <= MOST_VOXELS else geometry.resized((volume / MOST_VOXELS) ** (1 / 3))


def _parts(transform: Transform) -> tuple[Transform, ...]:
    return transform.transforms if isinstance(transform, Composite) else (transform,)


def _shift(transform: Transform, geometry: Lattice, low: int, high: int) -> Tensor:
    """(3, high - low, H, W) float32 mm: the displacement of some slices, as it is stored where the grids agree."""
    if isinstance(transform, DisplacementField) and same_grid(transform.image, geometry):
        return transform.image.data[:, low:high].float()
    points = _slices(geometry, low, high)
    return (transform(points) - points).float().movedim(-1, 0)


def same_grid(a: Lattice, b: Lattice) -> bool:
    """Whether two grids have the same voxels, to a thousandth of a millimeter."""
    return a.shape == b.shape and bool((a.corners() - b.corners()).abs().max() < 1e-3)


def _slices(geometry: Lattice, low: int, high: int) -> Tensor:
    """(high - low, H, W, 3) float64 RAS mm of the voxel centers of some slices; float32 would blur differences."""
    _, height, width = geometry.shape
    k, j, i = torch.meshgrid(torch.arange(low, high), torch.arange(height), torch.arange(width), indexing="ij")
    return geometry.to_world(torch.stack((i, j, k), -1).double())


def _padded(shift: Tensor, at_start: bool, at_end: bool) -> Tensor:
    """Displacements (3, K, H, W) with a slice more, extrapolated linearly, at either end of the grid."""
    parts = [2 * shift[:, :1] - shift[:, 1:2]] if at_start else []
    parts.append(shift)
    return torch.cat([*parts, 2 * shift[:, -1:] - shift[:, -2:-1]] if at_end else parts, 1)


def _determinant(shift: Tensor, affine: Tensor) -> Tensor:
    """(K - 2, H, W): det(1 + du/dx) of displacements (3, K, H, W) in mm, from differences along the voxel axes."""
    step = affine[:3, :3]
    rows = []
    for axis, component in enumerate(shift):
        inner = component[1:-1]
        slopes = (_slope(inner, 2), _slope(inner, 1), (component[2:] - component[:-2]).div_(2))
        rows.append([slope.add_(float(step[axis, n])) for n, slope in enumerate(slopes)])
    (a, b, c), (d, e, f), (g, h, i) = rows
    determinant = a * (e * i).addcmul_(f, h, value=-1)
    determinant.addcmul_(b, (d * i).addcmul_(f, g, value=-1), value=-1)
    determinant.addcmul_(c, (d * h).addcmul_(e, g, value=-1))
    return determinant.div_(float(torch.linalg.det(step)))


def _slope(values: Tensor, axis: int) -> Tensor:
    """Central differences over one step either way, one-sided at the ends."""
    slope = torch.empty_like(values)
    n = values.shape[axis]
    slope.narrow(axis, 1, n - 2).copy_((values.narrow(axis, 2, n - 2) - values.narrow(axis, 0, n - 2)) / 2)
    for end, ahead, behind in ((0, 1, 0), (n - 1, n - 1, n - 2)):
        slope.narrow(axis, end, 1).copy_(values.narrow(axis, ahead, 1) - values.narrow(axis, behind, 1))
    return slope


def _round_trip(inverse: Transform, x: Tensor, shift: Tensor) -> Tensor:
    """|inverse(x + shift) - x| in mm; NaN where x + shift lies beyond the grid on which the inverse is known."""
    y = x + shift
    error = (inverse(y) - x).norm(dim=-1).float()
    own = inverse.default_geometry()
    return error if own is None else torch.where(own.contains(y), error, torch.nan)
