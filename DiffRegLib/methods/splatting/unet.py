"""The U-Net of the learned registration: channels 8, 16, 32, 64, 64, 64 and strides 2, 2, 1, 2, 1.

Written out in torch, so that whoever registers with weights needs no other package: the layers, and the shapes of their
weights, are those of `monai.networks.nets.UNet` of MONAI 1.6.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

CHANNELS = (8, 16, 32, 64, 64, 64)
STRIDES = (2, 2, 1, 2, 1)
DIVISOR = 8  # the product of the strides: a grid has a multiple of it along each axis


class UNet(nn.Module):
    """(B, inputs, D, H, W) to (B, outputs, D, H, W), sizes multiples of 8; 0 before training."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        channels: tuple[int, ...] = CHANNELS,
        strides: tuple[int, ...] = STRIDES,
    ) -> None:
        super().__init__()
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        wide = (inputs, *channels)
        for n, stride in enumerate((*strides, 1)):
            self.down.append(_down(wide[n], wide[n + 1], stride))
        for n, stride in enumerate(strides):
            below = channels[n + 1] if n == len(strides) - 1 else channels[n]
            self.up.append(_up(channels[n] + below, outputs if n == 0 else channels[n - 1], stride, plain=n == 0))
        last = self.up[0][0]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for layer in self.down:
            x = layer(x)
            kept.append(x)
        x = kept.pop()
        for layer in reversed(self.up):
            x = layer(torch.cat((kept.pop(), x), 1))
        return x


def _down(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(inputs, outputs, 3, stride, 1), nn.InstanceNorm3d(outputs), nn.PReLU())


def _up(inputs: int, outputs: int, stride: int, plain: bool) -> nn.Sequential:
    conv = nn.ConvTranspose3d(inputs, outputs, 3, stride, 1, output_padding=stride - 1)
    return nn.Sequential(conv) if plain else nn.Sequential(conv, nn.InstanceNorm3d(outputs), nn.PReLU())
