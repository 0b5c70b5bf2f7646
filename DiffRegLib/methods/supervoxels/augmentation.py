"""Random motion of training scans: the same seed moves a scan and its supervoxels alike."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

from DiffRegLib.methods.supervoxels.network import STRIDE
from DiffRegLib.methods.supervoxels.options import TrainingOptions
from DiffRegLib.radiographs.attenuation import AIR

SQUARINGS = 5
TISSUES = range(-150, 451, 50)  # HU, from below fat to bone: what takes up contrast, each tissue as much as it does
SCALES = (1.0, 0.4)  # of the motion: a coarse one, and a finer one of less than half its width and strength


def augmented(
    scan: Tensor, layers: Tensor, spacing: float, options: TrainingOptions, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """A scan (1, D, H, W) in HU and its classes (L, D/2, H/2, W/2) after a random motion of both.

    layers: (L, D, H, W) on the grid of the scan, whose voxels are `spacing` mm wide. The classes are those of the
    voxels of the network's output, read where they lie before the motion. Both are computed where the scan is; the
    generator is one of the CPU, so that a motion is the same on every device.
    """
    shape = scan.shape[1:]
    place = places(shape, spacing, options, generator, scan.device)
    moved = ended(appearance(read(scan, place), spacing, options, generator), spacing, options, generator)
    coarse = interpolate(place.movedim(-1, 1), [n // STRIDE for n in shape], mode="trilinear", align_corners=False)
    classes = grid_sample(layers[None].float(), coarse.movedim(1, -1), "nearest", "border", align_corners=False)
    return moved, classes[0].long()


def read(scan: Tensor, place: Tensor) -> Tensor:
    """(1, D, H, W): a scan of that shape read at (1, D, H, W, 3) normalized places."""
    return grid_sample(scan[None], place, padding_mode="border", align_corners=False)[0]


def appearance(scan: Tensor, spacing: float, options: TrainingOptions, generator: torch.Generator) -> Tensor:
    """A scan (1, D, H, W) in HU with other contrast, shades and noise, which comes from a generator where it is."""
    if options.contrast:
        shifts = options.contrast * torch.randn(len(TISSUES) - 2, generator=generator)
        scan = toned(scan, torch.nn.functional.pad(shifts, (1, 1)).to(scan))
    if options.shade:
        shades = _smooth(1, scan.shape[1:], spacing, options.warp_scale, generator, scan.device)[0]
        scan = scan + options.shade * shades * (scan > AIR / 2)
    own = torch.Generator(scan.device).manual_seed(int(torch.randint(2**31 - 1, (), generator=generator)))
    return scan + options.noise * torch.randn(scan.shape, generator=own, device=scan.device)


def toned(scan: Tensor, shifts: Tensor) -> Tensor:
    """A scan in HU after shifts (T,) in HU of the values of `TISSUES` and, linear in between, of those around them."""
    place = ((scan - TISSUES[0]) / TISSUES.step).clamp(0, len(TISSUES) - 1)
    below = place.long().clamp(max=len(TISSUES) - 2)
    return scan + torch.lerp(shifts[below], shifts[below + 1], place - below)


def ended(scan: Tensor, spacing: float, options: TrainingOptions, generator: torch.Generator) -> Tensor:
    """A scan (1, D, H, W) that ends at random faces and goes on as they are, see `Boxed.continued`."""
    for axis in range(1, 4) if options.faces else ():
        size = scan.shape[axis]
        most = min(options.faces / spacing, size / 3)
        low, high = (most * torch.rand(2, generator=generator)).int().tolist()
        within = torch.arange(size, device=scan.device).clamp(low, size - 1 - high)
        scan = scan.index_select(axis, within)
    return scan


def places(
    shape: Sequence[int],
    spacing: float,
    options: TrainingOptions,
    generator: torch.Generator,
    device: torch.device | None = None,
) -> Tensor:
    """(1, D, H, W, 3) normalized: where in a scan of (D, H, W) voxels of `spacing` mm lies what a motion brings."""
    matrix = torch.eye(3, 4) + torch.randn(3, 4, generator=generator) * options.affine
    place = affine_grid(matrix[None].to(device), [1, 1, *shape], align_corners=False)
    return place + _motion(shape, spacing, options, generator, place.device) if options.warp else place


def _motion(
    shape: Sequence[int], spacing: float, options: TrainingOptions, generator: torch.Generator, device: torch.device
) -> Tensor:
    """(1, D, H, W, 3) normalized displacements: the flow of a random stationary velocity of several scales."""
    total = torch.zeros(1, 3, *shape, device=device)
    for scale in SCALES:
        velocity = _smooth(3, shape, spacing, scale * options.warp_scale, generator, device)
        total = total + options.warp * scale * velocity
    half = torch.tensor(shape[::-1], dtype=torch.float32, device=device).view(1, 3, 1, 1, 1) * spacing / 2
    coarse = interpolate(total / half, [max(2, n // 2) for n in shape], mode="trilinear", align_corners=False)
    flow = coarse / 2**SQUARINGS
    still = affine_grid(torch.eye(3, 4, device=device)[None], [1, 1, *coarse.shape[2:]], align_corners=False)
    for _ in range(SQUARINGS):
        flow = flow + grid_sample(flow, still + flow.movedim(1, -1), padding_mode="border", align_corners=False)
    return interpolate(flow, shape, mode="trilinear", align_corners=False).movedim(1, -1)


def _smooth(
    channels: int,
    shape: Sequence[int],
    spacing: float,
    scale: float,
    generator: torch.Generator,
    device: torch.device,
) -> Tensor:
    """(1, C, D, H, W): random numbers N(0, 1) that lie `scale` mm apart, and what is linear between them."""
    nodes = [max(4, round(n * spacing / scale)) for n in shape]
    values = torch.randn(1, channels, *nodes, generator=generator).to(device)
    return interpolate(values, shape, mode="trilinear", align_corners=False)
