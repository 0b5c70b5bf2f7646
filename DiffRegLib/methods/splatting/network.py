"""The learned registration of two clouds: a U-Net sees both as densities and says how they move towards each other.

M. P. Heinrich et al., Chasing clouds, ICCV 2023. A step is symmetric: the network sees the pair both ways round, and
half the difference of its two answers is a velocity that changes its sign when the clouds are swapped. Half of it
brings each cloud to the middle, where the next step sees them. Fixed to moving is then: the first half forward, the
second step, the first half again; backwards it is the same with all signs turned, which is the inverse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.splatting.density import gaussian_matrices, saturate
from DiffRegLib.methods.splatting.network_options import NetworkOptions
from DiffRegLib.methods.splatting.unet import DIVISOR, UNet
from DiffRegLib.ops import sample, splat
from DiffRegLib.ops.axes import filter_axes
from DiffRegLib.points import PointCloud

LARGEST = 0.25  # half widths of the frame that a step moves, at most
BLUR = 1.0  # voxels, of the densities that the network sees
MARGIN = 1.1  # half width of the frame over that of the clouds
SQUARINGS = 7
SATURATION = 0.3  # as `SplattingOptions.saturation`


@dataclass(frozen=True)
class Frame:
    """The cube in which the network works: center (3,) in RAS mm and half its width in mm."""

    center: Tensor
    half: float

    @classmethod
    def around(cls, *points: Tensor) -> Frame:
        """The cube that holds all of some (N, 3) points with a margin."""
        both = torch.cat(points)
        low, high = both.amin(0), both.amax(0)
        return cls((low + high) / 2, MARGIN * float((high - low).max()) / 2)

    def inside(self, points: Tensor) -> Tensor:
        """RAS mm to the frame's -1 to 1."""
        return (points - self.center.to(points)) / self.half

    def outside(self, points: Tensor) -> Tensor:
        """The frame's -1 to 1 to RAS mm."""
        return points * self.half + self.center.to(points)


def check_network(options: NetworkOptions) -> None:
    """Raises RegistrationError for a grid that cannot be halved and doubled again, or a smoothing that would shift."""
    if options.grid % DIVISOR:
        raise RegistrationError(
            f"{{grid}} is {options.grid}, no multiple of {DIVISOR}: choose {-(-options.grid // DIVISOR) * DIVISOR}.",
            option="grid",
        )
    if options.smoothing % 2 == 0:
        raise RegistrationError(
            f"{{smoothing}} is {options.smoothing}, an even number: choose {options.smoothing + 1}.", option="smoothing"
        )


class SplatNetwork(nn.Module):
    """Two clouds in, one velocity a step out; the seed of torch decides its first weights, with which nothing moves."""

    def __init__(self, options: NetworkOptions) -> None:
        super().__init__()
        check_network(options)
        self.options = options
        self.steps = nn.ModuleList(UNet(2 * options.channels, 3) for _ in range(options.steps))

    def forward(self, fixed: PointCloud, moving: PointCloud) -> Motion:
        """The motion of clouds in the frame, of as many channels as the network."""
        there, back, velocities = fixed.points, moving.points, []
        for number, network in enumerate(self.steps):
            seen = torch.cat([self._density(fixed.at(there)), self._density(moving.at(back))], 1)
            velocities.append(self._velocity(network, seen))
            if number + 1 < len(self.steps):
                there = shifted(exponential(velocities[-1] / 2), there)
                back = shifted(exponential(-velocities[-1] / 2), back)
        return Motion(tuple(velocities))

    def _velocity(self, network: nn.Module, seen: Tensor) -> Tensor:
        """(1, 3, m, m, m) in the frame's units of densities (1, 2 K, n, n, n), smoothed as a quadratic B-spline."""
        forward, backward = torch.tanh(network(torch.cat((seen, seen.roll(self.options.channels, 1)))))
        raw = F.avg_pool3d(LARGEST * (forward - backward)[None] / 2, self.options.pooling)
        return smoothed(raw, self.options.smoothing)

    def _density(self, cloud: PointCloud) -> Tensor:
        """(1, K, n, n, n): each channel's density, saturated; no gradient reaches the number that is half full."""
        n = self.options.grid
        gaussians = gaussian_matrices((n, n, n), BLUR, cloud.points)
        parts = []
        for channel in range(self.options.channels):
            chosen = cloud.select(cloud.channels == channel)
            density = splat(chosen.points[None], chosen.weights[None, None], (n, n, n))
            density = filter_axes(density[0, 0], gaussians)[None, None]
            with torch.no_grad():
                own = sample(density, chosen.points[None]) if len(chosen) else density.new_ones(1, 1, 1)
                half = SATURATION * own.median().clamp(min=1e-3)
            parts.append(saturate(density, half))
        return torch.cat(parts, 1)


@dataclass(frozen=True)
class Motion:
    """What the network found: velocities (1, 3, m, m, m) in the units of the frame, one a step."""

    velocities: tuple[Tensor, ...]

    def __call__(self, points: Tensor) -> Tensor:
        """Points (N, 3) in the frame, from fixed to moving."""
        halves = [exponential(v / 2) for v in self.velocities[:-1]]
        for half in halves:
            points = shifted(half, points)
        points = shifted(exponential(self.velocities[-1]), points)
        for half in reversed(halves):
            points = shifted(half, points)
        return points

    def inverse(self) -> Motion:
        """From moving to fixed."""
        return Motion(tuple(-v for v in self.velocities))

    def bending(self) -> Tensor:
        """Mean squared second differences of the velocities, per squared half width."""
        return sum(_bending(v) for v in self.velocities) / len(self.velocities)


def smoothed(field: Tensor, width: int) -> Tensor:
    """Average pooling of odd width, twice: coefficients become an approximating quadratic B-spline."""
    for _ in range(2):
        field = F.avg_pool3d(field, width, 1, width // 2)
    return field


def exponential(velocity: Tensor) -> Tensor:
    """Displacements (1, 3, m, m, m) after unit time, by scaling and squaring (Arsigny et al., MICCAI 2006)."""
    nodes = _nodes(velocity.shape[2:], velocity)
    field = velocity / 2**SQUARINGS
    for _ in range(SQUARINGS):
        at = nodes + field.flatten(2).transpose(1, 2)
        field = field + sample(field, _clamped(at, velocity)).view_as(field)
    return field


def shifted(field: Tensor, points: Tensor) -> Tensor:
    """(N, 3) points of the frame moved by displacements; beyond the outermost nodes, by those there."""
    return points + sample(field, _clamped(points[None], field))[0].T


def _clamped(points: Tensor, field: Tensor) -> Tensor:
    edge = 1 - 1 / torch.tensor(field.shape[:1:-1], dtype=points.dtype, device=points.device)
    return torch.minimum(torch.maximum(points, -edge), edge)


def _nodes(shape: Sequence[int], like: Tensor) -> Tensor:
    """(1, D H W, 3): centers of the voxels of the frame, (x, y, z) from -1 to 1."""
    axes = [(2 * torch.arange(n, dtype=like.dtype, device=like.device) + 1) / n - 1 for n in shape]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack((x, y, z), -1).reshape(1, -1, 3)


def _bending(velocity: Tensor) -> Tensor:
    step = 2 / velocity.shape[-1]
    return sum((velocity.diff(n=2, dim=axis) / step**2).square().mean() for axis in (2, 3, 4))
