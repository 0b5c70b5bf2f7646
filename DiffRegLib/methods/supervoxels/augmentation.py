"""Random motion of training scans: the same seed moves a scan and its supervoxels alike."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

from DiffRegLib.methods.supervoxels.network import STRIDE
from DiffRegLib.methods.supervoxels.options import TrainingOptions

SQUARINGS = 5
SCALES = (1.0, 0.4)  # of the motion: a coarse one, and a finer one of less than half its width and strength


def augmented(
    scan: Tensor, layers: Tensor, spacing: float, options: TrainingOptions, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """A scan (1, D, H, W) in HU and its classes (L, D/2, H/2, W/2) after a random motion of both.

    layers: (L, D, H, W) on the grid of the scan, whose voxels are `spacing` mm wide. The classes are those of the
    voxels of the network's output, read where they lie before the motion.
    """
    shape = scan.shape[1:]
    place = places(shape, spacing, options, generator)
    moved = grid_sample(scan[None], place, padding_mode="border", align_corners=False)[0]
    moved = moved + options.noise * torch.randn(moved.shape, generator=generator)
    coarse = interpolate(place.movedim(-1, 1), [n // STRIDE for n in shape], mode="trilinear", align_corners=False)
    classes = grid_sample(layers[None].float(), coarse.movedim(1, -1), "nearest", "border", align_corners=False)
    return moved, classes[0].long()


def places(shape: Sequence[int], spacing: float, options: TrainingOptions, generator: torch.Generator) -> Tensor:
    """(1, D, H, W, 3) normalized: where in a scan of (D, H, W) voxels of `spacing` mm lies what a motion brings."""
    matrix = torch.eye(3, 4) + torch.randn(3, 4, generator=generator) * options.affine
    place = affine_grid(matrix[None], [1, 1, *shape], align_corners=False)
    return place + _motion(shape, spacing, options, generator) if options.warp else place


def _motion(shape: Sequence[int], spacing: float, options: TrainingOptions, generator: torch.Generator) -> Tensor:
    """(1, D, H, W, 3) normalized displacements: the flow of a random stationary velocity of several scales."""
    total = torch.zeros(1, 3, *shape)
    for scale in SCALES:
        nodes = [max(4, round(n * spacing / (scale * options.warp_scale))) for n in shape]
        velocity = torch.randn(1, 3, *nodes, generator=generator) * options.warp * scale
        total = total + interpolate(velocity, shape, mode="trilinear", align_corners=False)
    half = torch.tensor(shape[::-1], dtype=torch.float32).view(1, 3, 1, 1, 1) * spacing / 2
    coarse = interpolate(total / half, [max(2, n // 2) for n in shape], mode="trilinear", align_corners=False)
    flow = coarse / 2**SQUARINGS
    still = affine_grid(torch.eye(3, 4)[None], [1, 1, *coarse.shape[2:]], align_corners=False)
    for _ in range(SQUARINGS):
        flow = flow + grid_sample(flow, still + flow.movedim(1, -1), padding_mode="border", align_corners=False)
    return interpolate(flow, shape, mode="trilinear", align_corners=False).movedim(1, -1)
