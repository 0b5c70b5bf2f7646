"""Options of the phantom, for the command line."""

from __future__ import annotations

import dataclasses

from DiffRegLib.options import option


@dataclasses.dataclass(frozen=True)
class PhantomOptions:
    """What kind of patient to make."""

    spacing: float = option(2.0, "voxel size", unit="mm", low=0.5, high=10, advanced=False)
    amplitude: float = option(15.0, "mean motion of the lung between both states", unit="mm", low=0, high=25)
    noise: float = option(15.0, "standard deviation of the noise", unit="HU", low=0, high=500)
    landmarks: int = option(100, "bifurcations to write as landmarks", low=1, high=500)
    seed: int = option(0, "seed of vessels, noise and landmarks", low=0)
