"""The terms that are minimized: similarity at random points, regularization, codes and landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.methods.neural.features import FeatureVolume
from DiffRegLib.methods.neural.field import BACKWARD, FORWARD, NeuralField
from DiffRegLib.methods.neural.frame import Frame
from DiffRegLib.methods.neural.fused import BlockNetwork
from DiffRegLib.ops.backend import available
from DiffRegLib.transforms import Affine, Transform

LEVELS = 255.0
"""Of a feature, which is a byte."""


@dataclass(frozen=True, eq=False)
class Route:
    """From a point drawn in one image over the field into the other.

    before: from the drawn point to where the field is asked, None for the same place. after: from where the field leads
    to the other image, None for the same place. weights: of the channels' squared differences in the loss.
    """

    drawn: FeatureVolume
    read: FeatureVolume
    before: Transform | None
    after: Transform | None
    weights: tuple[float, ...] = (1.0,)

    def to(self, device: torch.device | str) -> Route:
        before, after = (None if way is None else way.to(device) for way in (self.before, self.after))
        return Route(self.drawn.to(device), self.read.to(device), before, after, self.weights)


class FeatureDifference:
    """Mean squared difference of the features at random points, of one direction."""

    def __init__(self, route: Route, frame: Frame) -> None:
        self.route, self._frame = route, frame
        self._weights = torch.tensor(route.weights, device=route.read.data.device) / LEVELS**2

    def learn(self, network: BlockNetwork, count: int, generator: torch.Generator, weight: float = 1.0) -> float:
        """Draws `count` points, adds the gradient of `weight` times the loss, and returns the loss."""
        start, target = self._draw(count, generator)
        total = 0.0

        def slope(moved: Tensor, low: int, high: int) -> Tensor:
            nonlocal total
            losses, slopes = self._compare(start[low:high], moved, target[low:high])
            total += float(losses.sum())
            return slopes * (weight / count)

        network.learn(self._frame.inward(start), slope)
        return total / count

    @torch.no_grad()
    def value(self, network: BlockNetwork | None, count: int, generator: torch.Generator) -> float:
        """The loss at `count` points; of a field that moves nothing without a network."""
        start, target = self._draw(count, generator)
        points = self._frame.inward(start)
        moved = torch.zeros_like(points) if network is None else network.values(points)
        return self._loss(start, moved, target)

    def _loss(self, start: Tensor, moved: Tensor, target: Tensor) -> float:
        return float(self._compare(start, moved, target)[0].mean())

    def _draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(count, 3) RAS mm where the field is asked, and the (count, C) features of the points drawn."""
        index, target = self.route.drawn.draw(count, generator)
        start = self.route.drawn.geometry.to_world(index)
        if self.route.before is not None:
            with torch.no_grad():
                start = self.route.before(start)
        return start, target

    def _compare(self, start: Tensor, moved: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """(n,) losses and their gradient (n, dimension) to the displacements."""
        to_voxel = torch.linalg.inv(self.route.read.geometry.affine)
        after = self.route.after
        if after is None or isinstance(after, Affine):
            matrix = to_voxel if after is None else to_voxel @ after.matrix
            places = _apply(matrix, start + self._frame.outward(moved))
            losses, slopes = compare(self.route.read.data, places, target, self._weights)
            return losses, slopes @ self._inward(matrix).to(slopes)
        with torch.enable_grad():
            at = moved.detach().requires_grad_()
            places = _apply(to_voxel, after(start + self._frame.outward(at)))
            losses, slopes = compare(self.route.read.data, places.detach(), target, self._weights)
            return losses, torch.autograd.grad(places, at, slopes)[0]

    def _inward(self, matrix: Tensor) -> Tensor:
        """(3, dimension) derivative of the voxel coordinates by the displacement in the frame."""
        return matrix[:3, :3] @ self._frame.axes * self._frame.radius


class SampleCorrelation(FeatureDifference):
    """1 - NCC of the intensities at all random points, of one direction: the similarity of NePhi.

    The points pass the network twice: the slope of a correlation at one point depends on all of them.
    """

    def learn(self, network: BlockNetwork, count: int, generator: torch.Generator, weight: float = 1.0) -> float:
        """As `FeatureDifference.learn`."""
        start, own = self._draw(count, generator)
        points = self._frame.inward(start)
        loss, slopes = self._correlate(start, network.values(points), own)
        network.learn(points, lambda moved, low, high: weight * slopes[low:high])
        return loss

    def _loss(self, start: Tensor, moved: Tensor, target: Tensor) -> float:
        return self._correlate(start, moved, target)[0]

    def _correlate(self, start: Tensor, moved: Tensor, own: Tensor) -> tuple[float, Tensor]:
        """1 - NCC, and its gradient (N, dimension) to the displacements."""
        shifted, slopes = self._compare(start, moved, torch.full((len(start), 1), -LEVELS, device=start.device))
        root = shifted.sqrt()  # 1 + the intensity read, as the target of the comparison is -1
        inside = root > 0
        gradient = slopes / (2 * root.clamp(min=1.0))[:, None]
        a, b = own[:, 0].float() / LEVELS, (root - 1) * inside
        a, b = _centered(a, inside), _centered(b, inside)
        energy = ((a @ a) * (b @ b)).sqrt().clamp(min=1e-12)
        correlation = (a @ b) / energy
        push = correlation * b / (b @ b).clamp(min=1e-12) - a / energy
        return 1 - float(correlation), gradient * (push * inside)[:, None]


def _centered(values: Tensor, inside: Tensor) -> Tensor:
    return (values - values[inside].mean()) * inside if bool(inside.any()) else values * 0


SIMILARITIES = {
    "mind": FeatureDifference,
    "lncc": FeatureDifference,
    "mixed": FeatureDifference,
    "ncc": SampleCorrelation,
}
"""By the name of the option."""


def _apply(matrix: Tensor, points: Tensor) -> Tensor:
    matrix = matrix.to(points)
    return torch.nn.functional.linear(points, matrix[:3, :3], matrix[:3, 3])


def compare(volume: Tensor, index: Tensor, target: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted squared differences (N,) of features, and their gradients (N, 3) to the voxel coordinates (i, j, k).

    volume: (D, H, W, C) uint8. index: (N, 3); beyond the outermost centers the nearest ones count, points beyond the
    outer faces are left out. target: (N, C). weights: (C,).
    """
    if volume.device.type != "cpu" or not available("cpu"):
        return compare_reference(volume, index, target, weights)
    from DiffRegLib.methods.neural import kernels

    losses, slopes = torch.empty(len(index)), torch.empty(len(index), 3)
    arrays = (volume, index.float().contiguous(), target, weights, losses, slopes)
    kernels.compare(*(array.numpy() for array in arrays))
    return losses, slopes


def compare_reference(volume: Tensor, index: Tensor, target: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """As `compare`, in plain torch on any device."""
    size = torch.tensor(volume.shape[2::-1], device=volume.device)
    with torch.enable_grad():
        at = index.detach().requires_grad_()
        inside = ((at >= -0.5) & (at <= size - 0.5)).all(-1)
        held = torch.minimum(at.clamp(min=0), size - 1)
        low = torch.minimum(held.detach().floor(), (size - 2).clamp(min=0)).long()
        part = held - low
        read = 0
        for corner in range(8):
            bits = torch.tensor([corner & 1, corner >> 1 & 1, corner >> 2], device=volume.device)
            i, j, k = torch.minimum(low + bits, size - 1).unbind(-1)
            weight = torch.where(bits.bool(), part, 1 - part).prod(-1, keepdim=True)
            read = read + weight * volume[k, j, i].to(at)
        losses = ((read - target.to(at)) ** 2 * weights).sum(-1) * inside
        return losses.detach(), torch.autograd.grad(losses.sum(), at)[0]


class Regularization:
    """Of the field's slopes, at random points of the fixed image's box, of both directions in turn."""

    def __init__(self, field: NeuralField, kind: str, count: int) -> None:
        self._field, self._count, self._direction = field, count, BACKWARD
        self._term = {"gradicon": self._inconsistency, "diffusion": self._slopes}[kind]

    def __call__(self, generator: torch.Generator, both: bool = False) -> Tensor:
        """The term, differentiable in the field's parameters; `both`: the mean of both directions at once."""
        half = self._field.frame.half.float()
        points = ((torch.rand(self._count, len(half), generator=generator) * 2 - 1) * half).to(self._field.device)
        if both:
            return (self._term(points, FORWARD) + self._term(points, BACKWARD)) / 2
        self._direction = 1 - self._direction
        return self._term(points, self._direction)

    def _inconsistency(self, points: Tensor, direction: int) -> Tensor:
        """Mean squared entry of d(back(there(x)) - x)/dx (L. Tian et al., GradICON, CVPR 2023, eq. 4)."""
        there, first = self._field.jacobian(points, direction)
        _, second = self._field.jacobian(there, 1 - direction)
        return ((second @ first - torch.eye(points.shape[1]).to(points)) ** 2).mean()

    def _slopes(self, points: Tensor, direction: int) -> Tensor:
        """Mean squared entry of du/dx."""
        _, jacobian = self._field.jacobian(points, direction)
        return ((jacobian - torch.eye(points.shape[1]).to(points)) ** 2).mean()
