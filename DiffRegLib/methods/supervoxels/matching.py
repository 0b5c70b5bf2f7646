"""From the supervoxels of two scans to the displacements of key points between them.

Every class of every layer is a channel that both scans have; classes are compressed into fewer channels by a random
grouping, smoothed at half resolution, and key points of the fixed scan move by Adam to where the moving scan's
channels are theirs, each held back by its neighbors (Heinrich, MIDL 2021, section 2.3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.geometry import Geometry
from DiffRegLib.methods.registration import Meter, TraceRow
from DiffRegLib.methods.supervoxels.options import SupervoxelOptions
from DiffRegLib.ops import sample
from DiffRegLib.points.sampling import farthest_points


def key_points(foreground: Tensor, grid: Geometry, count: int, seed: int) -> Tensor:
    """(N, 3) RAS mm: voxels of the foreground (D, H, W), far from each other, `count` at most."""
    kji = foreground[::2, ::2, ::2].nonzero() * 2
    voxels = grid.to_world(kji.flip(1).float())
    return voxels[farthest_points(voxels, min(count, len(voxels)), seed)]


def compressed(layers: Tensor, classes: int, channels: int, seed: int, width: int = 5) -> Tensor:
    """(L * channels, D/2, H/2, W/2): the share of each group of classes in blocks of eight voxels, then a mean.

    layers: (L, D, H, W) integers below `classes`, of even sizes. width: of the mean in blocks, odd.
    Classes that follow each other are in different groups, and which share a group differs from layer to layer, by the
    seed alone: two scans are compressed alike.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = [n // 2 for n in layers.shape[1:]]
    count = math.prod(shape)
    blocks = torch.arange(count, device=layers.device).view(shape)
    for axis in range(3):
        blocks = blocks.repeat_interleave(2, axis)
    shares = []
    for layer in layers[:, : 2 * shape[0], : 2 * shape[1], : 2 * shape[2]]:
        orders = [torch.randperm(channels, generator=generator) for _ in range(-(-classes // channels))]
        groups = torch.cat(orders)[:classes].to(layer.device)[layer.long()]
        counts = torch.bincount((groups * count + blocks).flatten(), minlength=channels * count)
        shares += [_mean(share, width) for share in counts.view(channels, *shape).float() / 8]
    return torch.stack(shares)


def _mean(share: Tensor, width: int) -> Tensor:
    """(d, h, w): of a cube around each block, which is 0 beyond; one channel at a time, while it is in the caches."""
    for axis in range(3):
        total, size = share.clone(), share.shape[axis]
        for offset in range(1, min(width // 2, size - 1) + 1):
            total.narrow(axis, offset, size - offset).add_(share.narrow(axis, 0, size - offset))
            total.narrow(axis, 0, size - offset).add_(share.narrow(axis, offset, size - offset))
        share = total.div_(width)
    return share


@dataclass(frozen=True)
class Codes:
    """A scan as its supervoxels: compressed classes (C, d, h, w), and the grid whose box they fill."""

    channels: Tensor
    grid: Geometry

    def at(self, points: Tensor) -> Tensor:
        """(C, N) at points (N, 3) in RAS mm."""
        return sample(self.channels[None], self.grid.normalize(points)[None])[0]


@dataclass(frozen=True)
class Pairs:
    """Landmarks (N, 3) RAS mm of both scans, and the weight of their mean squared distance in units of 10 mm."""

    fixed: Tensor
    moving: Tensor
    weight: float


def match(
    fixed: Codes,
    moving: Codes,
    points: Tensor,
    start: Tensor,
    options: SupervoxelOptions,
    meter: Meter,
    level: int = 0,
    pairs: Pairs | None = None,
) -> tuple[Tensor, list[TraceRow]]:
    """(N, 3) displacements in mm of key points (N, 3) RAS mm of the fixed scan, and the course of the loss.

    start: (N, 3) mm. pairs: of which the fixed points are the last of `points`. The weight of the differences between
    neighbors and the rate are those of displacements in half extents of the box, as in the paper.
    """
    unit = float((fixed.grid.size * fixed.grid.spacing).mean()) / 2
    wanted = fixed.at(points)
    first, second = neighbor_pairs(points, options.neighbors)
    flow = (start / unit).requires_grad_()
    optimizer = torch.optim.Adam([flow], lr=options.learning_rate)
    highest = options.learning_rate / 2**level
    trace = []
    for iteration in range(options.iterations):
        rate = highest * (1 - iteration / options.iterations)
        optimizer.param_groups[0]["lr"] = rate
        similarity = ((moving.at(points + flow * unit) - wanted) ** 2).mean()
        if pairs is not None:
            similarity = similarity + pairs.weight * _apart(pairs, flow * unit)
        differences = (flow[first] - flow[second]).square().sum() / len(points)
        regularization = options.stiffness * differences
        optimizer.zero_grad()
        (similarity + regularization).backward()
        optimizer.step()
        row = TraceRow(level, iteration, similarity.item(), regularization.item(), rate, f"level {level + 1}")
        meter.step("Moving the key points.", 1, row)
        trace.append(row)
    return flow.detach() * unit, trace


def _apart(pairs: Pairs, displacements: Tensor) -> Tensor:
    moved = pairs.fixed + displacements[-len(pairs.fixed) :]
    return ((moved - pairs.moving) / 10).square().sum(1).mean()


def neighbor_pairs(points: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Two index lists: every pair of which one is among the `count` nearest of the other, both ways round."""
    from scipy.spatial import cKDTree

    count = min(count, len(points) - 1)
    near = torch.from_numpy(cKDTree(points.cpu().numpy()).query(points.cpu().numpy(), count + 1)[1][:, 1:]).long()
    own = torch.arange(len(points))[:, None].expand_as(near)
    pairs = torch.stack((own, near)).reshape(2, -1)
    both = torch.cat((pairs, pairs.flip(0)), 1).unique(dim=1)
    return both[0].to(points.device), both[1].to(points.device)
