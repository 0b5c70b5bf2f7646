"""A spline of compact support through pairs of points: it moves what is near them and nothing beyond its reach."""

from __future__ import annotations

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.transforms.base import Transform
from DiffRegLib.transforms.grids import DisplacementField

STEEPEST = 2.109375
"""The largest slope of the kernel times its reach, at a quarter of the reach: 20 s (1 - s)^3."""
STEPS = 20
"""Nodes from a center to the end of its reach, where the spline is sampled."""
MOST_NODES = 1 << 23
COINCIDE = 0.1  # mm below which two centers are one


class CompactSpline(Transform):
    """x -> x + sum_i w_i phi(|x - c_i| / R), phi(s) = (1 - s)^4 (4 s + 1) below the reach R, 0 beyond it.

    Wendland's function, twice differentiable; for landmarks: Fornefett, Rohr, Stiehl, Radial basis functions with
    compact support for elastic registration of medical images, Image and Vision Computing 2001.
    """

    def __init__(self, centers: Tensor, weights: Tensor, reach: float) -> None:
        """centers, weights: (N, 3) float64, RAS mm and mm; reach in mm."""
        self.centers, self.weights, self.reach = centers.double(), weights.double(), float(reach)

    @classmethod
    def through(cls, sources: Tensor, targets: Tensor, reach: float) -> CompactSpline:
        """The spline that takes each of (N, 3) sources to its target, RAS mm."""
        if not reach > 0:
            raise RegistrationError(f"The reach is {reach:g} mm: give one above 0.")
        sources, targets = sources.double(), targets.double()
        distances = torch.cdist(sources, sources) + torch.eye(len(sources)) * 1e9
        if len(sources) > 1 and float(distances.min()) < COINCIDE:
            raise RegistrationError("Two of the points lie in the same place: remove one of them.")
        weights = torch.linalg.solve(_kernel(torch.cdist(sources, sources) / reach), targets - sources)
        return cls(sources, weights, reach)

    def __call__(self, points: Tensor) -> Tensor:
        flat = points.reshape(-1, 3)
        scaled = torch.cdist(flat, self.centers.to(flat), compute_mode="donot_use_mm_for_euclid_dist") / self.reach
        return points + (_kernel(scaled) @ self.weights.to(flat)).reshape(points.shape)

    def jacobian(self, points: Tensor) -> Tensor:
        """(..., 3, 3) in closed form."""
        x = points.reshape(-1, 3)
        offset = x[:, None] - self.centers.to(x)
        slope = -20 * (1 - offset.norm(dim=-1) / self.reach).clamp(min=0) ** 3 / self.reach**2
        moved = torch.einsum("nk,kr,nkc->nrc", slope, self.weights.to(x), offset)
        return (moved + torch.eye(3, dtype=x.dtype)).reshape(*points.shape, 3)

    def to(self, device: torch.device | str) -> CompactSpline:
        return CompactSpline(self.centers.to(device), self.weights.to(device), self.reach)

    def default_geometry(self) -> Geometry:
        """A grid that holds all that the spline moves, so fine that linear interpolation keeps it."""
        box = self.centers.amax(0) - self.centers.amin(0) + 2 * self.reach
        spacing = max(self.reach / STEPS, (float(box.prod()) / MOST_NODES) ** (1 / 3))
        return Geometry.around(self.centers, spacing, self.reach + spacing)

    def sampled(self, geometry: Geometry) -> DisplacementField:
        """The displacement on a grid whose axes are R, A and S, around each center alone."""
        field = torch.zeros(3, *geometry.shape)
        spacing, origin = geometry.spacing, geometry.affine[:3, 3]
        for center, weight in zip(self.centers, self.weights):
            first = torch.ceil((center - self.reach - origin) / spacing).clamp(min=0).long().tolist()
            last = torch.floor((center + self.reach - origin) / spacing).long().tolist()
            ranges = [torch.arange(a, min(b + 1, n)) for a, b, n in zip(first, last, geometry.shape[::-1])]
            x, y, z = (r * spacing[axis] + origin[axis] - center[axis] for axis, r in enumerate(ranges))
            distance = (z[:, None, None] ** 2 + y[:, None] ** 2 + x**2).sqrt().float()
            bump = _kernel(distance / self.reach)
            window = tuple(slice(int(r[0]), int(r[-1]) + 1) for r in reversed(ranges))
            field[(slice(None), *window)] += weight.float()[:, None, None, None] * bump
        return DisplacementField(Image(field, geometry.affine))

    def least_determinant(self) -> float:
        """The smallest Jacobian determinant, looked for around every center."""
        axis = torch.linspace(-1, 1, 17, dtype=torch.float64) * self.reach
        offsets = torch.cartesian_prod(axis, axis, axis)
        offsets = offsets[offsets.norm(dim=1) <= self.reach]
        fine = offsets / 4  # the steepest place lies at a quarter of the reach
        least = [torch.linalg.det(self.jacobian(c + torch.cat((offsets, fine)))).min() for c in self.centers]
        return float(torch.stack(least).min())


def _kernel(scaled: Tensor) -> Tensor:
    return (1 - scaled).clamp(min=0) ** 4 * (4 * scaled + 1)
