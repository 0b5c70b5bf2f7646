"""The options of the learned registration of clouds and of its training. No torch here: help texts import it."""

from __future__ import annotations

from dataclasses import dataclass

from DiffRegLib.options import option


@dataclass(frozen=True)
class NetworkOptions:
    """The shape of the network and of what it looks at; stored with the weights."""

    grid: int = option(64, "voxels along each side of the cube in which both are seen", low=16, high=256)
    channels: int = option(1, "labels that are told apart, each by a density of its own", low=1, high=64)
    steps: int = option(2, "times that the network looks, each time from half way between", low=1, high=4)
    pooling: int = option(2, "voxels that become one control point", low=1, high=8)
    smoothing: int = option(3, "width of the average pooling that smooths twice, odd", "control points", 1, 15)


@dataclass(frozen=True)
class SplattingTrainingOptions:
    """What the network learns from, and how."""

    iterations: int = option(4000, "number of steps", low=1, high=10**8, advanced=False)
    batch: int = option(2, "pairs a step", low=1, high=1024, advanced=False)
    trees: int = option(
        32, "random vessel trees that are moved at random, beside the clouds that are given", low=0, high=10_000
    )
    moved_points: int = option(6000, "points of a cloud that is moved at random", low=100, high=1_000_000)
    shared: float = option(0.5, "share of its points that both sides keep, at least", low=0.1, high=1.0)
    jitter: float = option(0.5, "noise of the points along each axis", "mm", 0.0, 20.0)
    motion: float = option(
        12.0, "standard deviation of the smooth motion along each axis, times 0 to 1", "mm", 0.0, 100.0
    )
    smoothness: tuple[float, ...] = option(
        (20.0, 60.0), "least and greatest standard deviation of its Gaussian", "mm", 5.0, 500.0
    )
    turn: float = option(
        5.0,
        "standard deviation of the turn about each axis, before the clouds' moments are matched",
        "degrees",
        0.0,
        90.0,
    )
    stretch: float = option(0.1, "standard deviation of the stretch along each axis", "", 0.0, 0.5)
    blur: float = option(5.0, "blur of the densities that are compared where no motion is known", "mm", 0.5, 100.0)
    stiffness: float = option(0.02, "weight of the bending of the velocities", low=0.0, high=1e6)
    learning_rate: float = option(1e-3, "step of Adam at the beginning; it falls to a hundredth", low=1e-7, high=1.0)
    clip: float = option(1.0, "longest gradient of the weights", low=1e-6, high=1e6)
    seed: int = option(0, "seed of weights, clouds and motions", low=0, high=2**31 - 1)
