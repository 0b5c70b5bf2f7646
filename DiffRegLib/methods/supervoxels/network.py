"""The network that says to which supervoxel of the reference each voxel of a scan belongs.

A 3D DeepLab (Chen et al., ECCV 2018) on a MobileNetV2 (Sandler et al., CVPR 2018) with one group of the head for each
layer of supervoxels, as in Heinrich, MIDL 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool3d, conv3d, interpolate
from torch.utils.checkpoint import checkpoint

UNIT = 500.0  # HU of one unit of the input
STRIDE = 2  # voxels of the input in one of the output
SKIP = 3  # blocks before the connection that passes the rest of the backbone by


@dataclass(frozen=True)
class Block:
    """One inverted residual: channels in, in the middle and out, and the stride of the middle."""

    ins: int
    mid: int
    out: int
    stride: int


BACKBONE = tuple(
    Block(*numbers)
    for numbers in zip(
        (1, 24, 24, 32, 48, 48, 48, 64),
        (64, 128, 192, 192, 256, 256, 256, 384),
        (24, 24, 32, 48, 48, 48, 64, 64),
        (2, 1, 1, 2, 1, 1, 1, 1),
    )
)
RATES = (2, 4, 8, 16)
KEPT = 1_000_000  # voxels of a batch up to which intermediate values are kept: some 1 KB a voxel
SHARE = 4  # the part of a GPU's memory that they may take is one of so many
PYRAMID = 128  # channels of each branch of the pyramid, and after it
WIDTH = 32  # channels of each group of the head
JOINED = 128  # channels that fill the matrix units of a GPU


class SupervoxelNetwork(nn.Module):
    """(B, 1, D, H, W) HU on the grid of the supervoxels to logits (B, L, K, D/2, H/2, W/2) of K classes in L layers."""

    def __init__(self, layers: int = 16, classes: int = 128) -> None:
        super().__init__()
        self.layers, self.classes = layers, classes
        self.fine = nn.Sequential(*[_inverted_residual(block) for block in BACKBONE[:SKIP]])
        self.coarse = nn.Sequential(*[_inverted_residual(block) for block in BACKBONE[SKIP:]])
        self.pyramid = Pyramid(BACKBONE[-1].out, PYRAMID)
        self.head = _head(PYRAMID + BACKBONE[SKIP - 1].out, layers, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, scans: Tensor) -> Tensor:
        return self.classify(self.features(scans))

    def features(self, scans: Tensor) -> Tensor:
        """(B, F, D/2, H/2, W/2): what the head sees; of large scans, training computes intermediate values twice."""
        fine = self._spared(self.fine, scans.clamp(-1000, 1000) / UNIT, scans)
        coarse = self._spared(self.pyramid, self._spared(self.coarse, fine, scans), scans)
        return torch.cat((fine, interpolate(coarse, size=fine.shape[2:], mode="nearest")), 1)

    def classify(self, features: Tensor) -> Tensor:
        """Logits (B, L, K, d, h, w) of a block of the features."""
        return self.head(features).unflatten(1, (self.layers, self.classes))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def _spared(self, part: nn.Module, values: Tensor, scans: Tensor) -> Tensor:
        if not (self.training and torch.is_grad_enabled()) or scans.numel() <= _kept(scans.device):
            return part(values)
        return checkpoint(part, values, use_reentrant=False)


def _kept(device: torch.device) -> int:
    """Voxels of a batch up to which a device keeps intermediate values."""
    if device.type != "cuda":
        return KEPT
    return max(KEPT, torch.cuda.get_device_properties(device).total_memory // (SHARE * 1000))


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: one point, four dilated neighborhoods and the mean of everything."""

    def __init__(self, ins: int, out: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList([_normalized(nn.Conv3d(ins, out, 1, bias=False))])
        for rate in RATES:
            self.branches.append(_normalized(nn.Conv3d(ins, out, 3, padding=rate, dilation=rate, bias=False)))
        self.whole = nn.Sequential(nn.Conv3d(ins, out, 1), nn.ReLU())
        self.project = nn.Sequential(
            *_normalized(nn.Conv3d((len(RATES) + 2) * out, out, 1, bias=False)), nn.Dropout(0.5)
        )

    def forward(self, values: Tensor) -> Tensor:
        mean = self.whole(adaptive_avg_pool3d(values, 1)).expand(-1, -1, *values.shape[2:])
        return self.project(torch.cat([branch(values) for branch in self.branches] + [mean], 1))


class _Residual(nn.Sequential):
    def forward(self, values: Tensor) -> Tensor:
        return values + super().forward(values)


def _inverted_residual(block: Block) -> nn.Sequential:
    """Widening, a neighborhood a channel, narrowing; the first block sees the neighborhood of the one channel."""
    first = block.ins == 1
    kernel, stride = (3, block.stride) if first else (1, 1)
    parts = (
        nn.Conv3d(block.ins, block.mid, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm3d(block.mid),
        nn.ReLU6(),
        nn.Conv3d(block.mid, block.mid, 3, 1 if first else block.stride, padding=1, bias=False, groups=block.mid),
        nn.BatchNorm3d(block.mid),
        nn.ReLU6(),
        nn.Conv3d(block.mid, block.out, 1, bias=False),
        nn.BatchNorm3d(block.out),
    )
    keeps = block.ins == block.out and block.stride == 1
    return _Residual(*parts) if keeps else nn.Sequential(*parts)


def _normalized(convolution: nn.Conv3d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm3d(convolution.out_channels), nn.ReLU())


class Groups(nn.Conv3d):
    """A convolution whose output channels see the input channels of their own group alone.

    GPUs have no fast one of groups of few channels in three dimensions: there several groups go as one, whose weights
    between them are zero.
    """

    def forward(self, values: Tensor) -> Tensor:
        return self.joined(values) if values.is_cuda else super().forward(values)

    def joined(self, values: Tensor) -> Tensor:
        """The same, `JOINED` channels at a time."""
        ins, outs = self.in_channels // self.groups, self.out_channels // self.groups
        many = max(n for n in range(1, self.groups + 1) if self.groups % n == 0 and (n == 1 or n * ins <= JOINED))
        own = torch.eye(many, device=values.device)[:, None, :, None, None, None, None]
        count = self.groups // many
        biases = [None] * count if self.bias is None else self.bias.split(many * outs)
        found = []
        for part, weights, bias in zip(values.split(many * ins, 1), self.weight.split(many * outs), biases):
            whole = (weights.unflatten(0, (many, outs))[:, :, None] * own).flatten(0, 1).flatten(1, 2)
            found.append(conv3d(part, whole, bias, padding=self.padding))
        return torch.cat(found, 1)


def _head(ins: int, layers: int, classes: int) -> nn.Sequential:
    width = WIDTH * layers
    return nn.Sequential(
        *_normalized(nn.Conv3d(ins, width, 1, bias=False)),
        *_normalized(Groups(width, width, 3, padding=1, groups=layers, bias=False)),
        Groups(width, classes * layers, 1, groups=layers),
    )
