"""What a field is conditioned on: one code for the pair, and a map of codes that is read where a point is."""

from __future__ import annotations

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
            return ops.sample(self.local[None], self.normalized(points[0])[None]).transpose(1, 2)
        return self._with_derivatives(points)

    def penalty(self) -> Tensor:
        """Mean length of the codes, the regularization of NePhi."""
        return self.shared.norm() + self.local.norm(dim=0).mean()

    @property
    def nodes(self) -> Tensor:
        """Number of nodes along x, y (and z)."""
        return torch.tensor(self.local.shape[:0:-1][: len(self.extent)], device=self.local.device)

    def normalized(self, points: Tensor) -> Tensor:
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
        steps = points[1:] * inside * (nodes - 1) / (2 * half)
        corners = torch.cartesian_prod(*[torch.tensor([0, 1], device=low.device)] * len(half))
        places = torch.minimum(low.long()[:, None] + corners, self.nodes - 1)
        width, height = self.local.shape[3], self.local.shape[2]
        flat = (places * torch.tensor([1, width, width * height], device=low.device)[: len(half)]).sum(-1)
        read = torch.nn.functional.embedding(flat, self.local.flatten(1).T)
        return torch.einsum("tnk,nkc->tnc", _weights(at - low, corners, steps), read)


def _weights(part: Tensor, corners: Tensor, steps: Tensor) -> Tensor:
    """(1 + T, N, K): the weights of the K corners of each cell, and their derivatives.

    part: (N, D) fractions of a cell. corners: (K, D) of 0 and 1. steps: (T, N, D) derivatives of the fractions.
    """
    signs = 2 * corners - 1
    factors = (1 - corners) + signs * part[:, None]
    value, slopes = factors.prod(-1), 0
    for axis in range(part.shape[1]):
        others = torch.cat((factors[..., :axis], factors[..., axis + 1 :]), -1).prod(-1)
        slopes = slopes + signs[:, axis] * others * steps[..., axis, None]
    return torch.cat((value[None], slopes))
