"""Random smooth motion without folds, for trainings that make their own pairs."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from DiffRegLib.dense.flow import flow
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.ops.axes import filter_axes, gaussian

NODES = 10.0  # mm between the nodes of a random velocity, at most a sixtieth of the extent apart
FEWEST = 12  # nodes along the longest side


def random_velocity(
    points: Tensor, size: float, smoothness: tuple[float, ...], draws: torch.Generator
) -> tuple[Tensor, Geometry]:
    """A velocity (3, D, H, W) in mm a unit of time on a grid around (N, 3) points in RAS mm, constant beyond.

    size: standard deviation along each axis, mm, times a random 0 to 1. smoothness: least and greatest standard
    deviation in mm of the Gaussian that white noise is smoothed by, drawn evenly in its logarithm.
    """
    spacing = min(NODES, float((points.amax(0) - points.amin(0)).max()) / FEWEST)
    lattice = Geometry.around(points, spacing, margin=2 * spacing)
    low, high = math.log(min(smoothness)), math.log(max(smoothness))
    width = math.exp(low + (high - low) * float(torch.rand((), generator=draws))) / spacing
    noise = torch.randn(3, *lattice.shape, generator=draws)
    smooth = filter_axes(noise, [gaussian(n, width, noise) for n in lattice.shape])
    return smooth * (size * float(torch.rand((), generator=draws)) / smooth.std()), lattice


def flowed(points: Tensor, size: float, smoothness: tuple[float, ...], draws: torch.Generator) -> Tensor:
    """(N, 3) points after unit time in such a velocity."""
    velocity, lattice = random_velocity(points, size, smoothness, draws)
    return flow(velocity, lattice, points)


def moved_image(image: Image, size: float, smoothness: tuple[float, ...], draws: torch.Generator) -> Image:
    """What an image shows after such a motion: fixed(x) = image(flow(x)), on its own grid."""
    velocity, lattice = random_velocity(image.corners().float(), size, smoothness, draws)
    if image.shape[0] == 1:  # one slice moves within itself
        velocity[2] = 0
    at = flow(velocity, lattice, image.grid().reshape(-1, 3)).reshape(*image.shape, 3)
    return Image(image.sample(at, outside="border"), image.affine)
