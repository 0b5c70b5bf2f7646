"""Search for displacements: where around a point does the density of the moving cloud look like that of the fixed one?

Gradients reach as far as the blur, a few millimeters where the pattern of the points is what tells. The search tries
all displacements of a window. For each of some nodes it sums, over the fixed points in a Gaussian neighborhood, the
band-passed density of the moving cloud at point + displacement; the best displacements are coupled by a smooth field
(alternating minimization as in Heinrich, Papiez, Schnabel, Handels: Non-parametric discrete registration with convex
optimisation, WBIR 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.methods.registration import Meter
from DiffRegLib.methods.splatting.density import DensityGrid, gaussian_matrices, half_density, saturate
from DiffRegLib.methods.splatting.similarity import shared_channels
from DiffRegLib.methods.splatting.thresholds import THRESHOLDS
from DiffRegLib.ops.axes import filter_axes
from DiffRegLib.points import PointCloud

COUPLING = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)  # standard deviations of the score that 20 mm off the smooth field cost
COUPLING_LENGTH = 20.0  # mm
BACKGROUND = 4.0  # blurs; the local mean that the band-pass takes away
NEIGHBORHOOD = 1.25  # patches; how far a node's displacement counts for its neighbors
CHUNK = 1000  # fixed points whose windows are read at a time


@dataclass(frozen=True)
class SearchPass:
    """One pass: largest displacement, blur (also the step of the window) and neighborhood, all in mm."""

    radius: float
    sigma: float
    patch: float


@dataclass(frozen=True)
class Found:
    """Displacements (M, 3) in mm at nodes (M, 3).

    agreement: the share of nodes whose own best displacement lies within 1.5 blurs of the coupled one.
    """

    nodes: Tensor
    displacements: Tensor
    agreement: float
    reach: float

    def at(self, points: Tensor) -> Tensor:
        """(N, 3) mm: the displacements, interpolated by a local affine fit."""
        return local_affine(self.nodes, self.displacements, points, self.reach)


def search(
    fixed: PointCloud, moving: PointCloud, nodes: Tensor, step: SearchPass, saturation: float, meter: Meter
) -> Found:
    """Looks for the displacement of each of the (M, 3) nodes, fixed -> moving, starting from zero."""
    scores, offsets = _scores(fixed, moving, nodes, step, saturation, meter)
    cost_unit = float(scores.std(1).mean()) / COUPLING_LENGTH**2
    reach = NEIGHBORHOOD * step.patch
    alone = offsets[scores.argmax(1)]
    field = torch.zeros_like(nodes)
    for coupling in COUPLING:
        best = (scores - coupling * cost_unit * torch.cdist(field, offsets) ** 2).argmax(1)
        field = local_affine(nodes, offsets[best], nodes, reach)
        meter.step("Searching displacements.")
    agreement = ((alone - field).norm(dim=1) < THRESHOLDS.agreement * step.sigma).float().mean()
    return Found(nodes, field, float(agreement), reach)


def _scores(
    fixed: PointCloud, moving: PointCloud, nodes: Tensor, step: SearchPass, saturation: float, meter: Meter
) -> tuple[Tensor, Tensor]:
    """(M, K) mean score of each displacement around each node, and the (K, 3) displacements in mm."""
    reach = max(1, round(step.radius / step.sigma))
    axis = torch.arange(-reach, reach + 1, device=nodes.device) * step.sigma
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    offsets = torch.stack((x, y, z), -1).reshape(-1, 3)
    total = torch.zeros(len(nodes), len(offsets), device=nodes.device)
    mass = torch.full((len(nodes), 1), 1e-6, device=nodes.device)
    for index, other in shared_channels(fixed, moving):
        read = _window_reader(moving.select(other), fixed.points[index], step, reach, saturation)
        for part in index.split(CHUNK):
            near = torch.exp(-(torch.cdist(nodes, fixed.points[part]) ** 2) / (2 * step.patch**2))
            near = torch.where(near > 0.04, near, 0) * fixed.weights[part]
            total += near @ read(fixed.points[part])
            mass += near.sum(1, keepdim=True)
            meter.step("Searching displacements.", 0)
    return total / mass, offsets


def _window_reader(cloud: PointCloud, around: Tensor, step: SearchPass, reach: int, saturation: float):
    """A function that gives the (N, K) band-passed densities of a cloud in the windows around points (N, 3).

    around: (M, 3), whose box holds all of these points.
    """
    grid = DensityGrid(torch.cat((cloud.points, around)), step.sigma, step.sigma)
    density = grid.density(cloud.points, cloud.weights)
    volume = saturate(density, half_density(grid, density, cloud.points, saturation))
    background = gaussian_matrices(volume.shape, BACKGROUND * grid.sigma / grid.voxel, volume)
    unit = (2 * torch.pi) ** 1.5 * (BACKGROUND * grid.sigma / grid.voxel) ** 3
    volume = volume - filter_axes(volume, background) / unit
    width = 2 * reach + 1
    padded = torch.nn.functional.pad(volume, (reach,) * 6)
    windows = padded.unfold(0, width, 1).unfold(1, width, 1).unfold(2, width, 1)
    last = grid.geometry.size.long().to(volume.device) - 1

    def read(at: Tensor) -> Tensor:
        index = torch.minimum(grid.geometry.to_voxel(at).round().long().clamp(min=0), last)
        return windows[index[:, 2], index[:, 1], index[:, 0]].reshape(len(at), -1)

    return read


def local_affine(nodes: Tensor, values: Tensor, points: Tensor, reach: float) -> Tensor:
    """(N, 3): at each point the affine function that fits the nodes' values best, nodes weighted by a Gaussian."""
    weights = torch.exp(-(torch.cdist(points, nodes) ** 2) / (2 * reach**2))
    total = weights.sum(1, keepdim=True) + 1e-9
    mean, mean_value = weights @ nodes / total, weights @ values / total

    def moment(a: Tensor) -> Tensor:
        return (weights @ (nodes[:, :, None] * a[:, None, :]).reshape(-1, 9) / total).view(-1, 3, 3)

    spread = moment(nodes) - mean[:, :, None] * mean[:, None, :]
    joint = moment(values) - mean[:, :, None] * mean_value[:, None, :]
    slope = torch.linalg.solve(spread + 0.1 * reach**2 * torch.eye(3, device=nodes.device), joint)
    return mean_value + ((points - mean)[:, None, :] @ slope)[:, 0]
