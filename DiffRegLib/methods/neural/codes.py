"""What a field is conditioned on: one code for the pair, and a map of codes that is read where a point is."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from DiffRegLib import ops


class Codes(nn.Module):
    """`shared` (G,), and `local` (C, d, h, w), linear between its nodes; d is 1 in two dimensions.

    The outermost nodes lie on the faces of the box |p| <= half; beyond it the codes are those of the face.
    """

    def __init__(self, shared: Tensor, local: Tensor, half: Tensor) -> None:
        super().__init__()
        self.shared, self.local = nn.Parameter(shared), nn.Parameter(local)
        self.register_buffer("extent", half.float())

    @classmethod
    def drawn(
        cls, shape: tuple[int, ...], channels: tuple[int, int], half: Tensor, generator: torch.Generator
    ) -> Codes:
        """Random codes of unit length on average; shape: nodes (d, h, w); channels: of the shared and the local one."""
        shared = torch.randn(channels[0], generator=generator) / max(1, channels[0]) ** 0.5
        local = torch.randn(channels[1], *shape, generator=generator) / max(1, channels[1]) ** 0.5
        return cls(shared, local, half)

    def forward(self, points: Tensor) -> Tensor:
        """(1 + T, N, C) local codes, and their derivatives, at the stack (1 + T, N, dimension) of points."""
        if len(points) == 1:
            return ops.sample(self.local[None], self._normalized(points[0])[None]).transpose(1, 2)
        return self._with_derivatives(points)

    def penalty(self) -> Tensor:
        """Mean length of the codes, the regularization of NePhi."""
        return self.shared.norm() + self.local.norm(dim=0).mean()

    @property
    def nodes(self) -> Tensor:
        """Number of nodes along x, y (and z)."""
        return torch.tensor(self.local.shape[:0:-1][: len(self.extent)], device=self.local.device)

    def _normalized(self, points: Tensor) -> Tensor:
        """(N, 3) in torch's normalized coordinates of the map, which ends at its outermost nodes."""
        nodes = self.nodes.to(points)
        at = (points / self.extent.to(points)).clamp(-1, 1) * ((nodes - 1) / nodes)
        return torch.nn.functional.pad(at, (0, 3 - at.shape[-1]))

    def _with_derivatives(self, points: Tensor) -> Tensor:
        """As `forward` by the corners of each cell; differentiable in codes and points."""
        nodes, half = self.nodes.to(points), self.extent.to(points)
        raw = (points[0] / half + 1) * (nodes - 1) / 2
        inside = ((raw >= 0) & (raw <= nodes - 1)).to(points)
        at = torch.minimum(raw.clamp(min=0), nodes - 1)
        low = torch.minimum(at.detach().floor(), (nodes - 2).clamp(min=0))
        weights = torch.stack((1 - (at - low), at - low))
        steps = points[1:] * inside * (nodes - 1) / (2 * half)
        rows = self.local.flatten(1).T
        strides = torch.tensor([1, self.local.shape[3], self.local.shape[3] * self.local.shape[2]])[: len(half)]
        total = 0
        for corner in itertools.product((0, 1), repeat=len(half)):
            place = torch.minimum(low.long() + torch.tensor(corner, device=low.device), self.nodes - 1)
            factors = [weights[bit, :, axis] for axis, bit in enumerate(corner)]
            code = rows[(place * strides.to(place)).sum(-1)]
            total = total + _weights(factors, corner, steps)[..., None] * code
        return total


def _weights(factors: list[Tensor], corner: tuple[int, ...], steps: Tensor) -> Tensor:
    """(1 + T, N): the product of a corner's weights along the axes, and its derivatives."""
    value = torch.stack(factors).prod(0)
    slopes = 0
    for axis, bit in enumerate(corner):
        others = [factor for n, factor in enumerate(factors) if n != axis]
        slopes = slopes + (1 if bit else -1) * torch.stack(others).prod(0) * steps[..., axis]
    return torch.cat((value[None], slopes))
