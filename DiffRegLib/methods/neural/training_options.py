"""The options of training neural registration. No torch here: the command line's help imports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from DiffRegLib.options import option


@dataclass(frozen=True)
class NeuralTrainingOptions:
    """What the training can be told; stored with the weights."""

    pairs: Literal["all", "listed"] = option(
        "all", "all ordered pairs of images are learned, or the first with the second, the third with the fourth ..."
    )
    moved: float = option(
        0.0, "share of the pairs that are one image and itself after a random smooth motion", low=0.0, high=1.0
    )
    motion: float = option(12.0, "standard deviation of that motion along each axis, times 0 to 1", "mm", 0.0, 100.0)
    smoothness: tuple[float, ...] = option(
        (20.0, 60.0), "least and greatest standard deviation of its Gaussian", "mm", 1.0, 500.0
    )
    iterations: int = option(2000, "number of steps", low=1, high=10**8, advanced=False)
    batch: int = option(4, "pairs a step", low=1, high=1024, advanced=False)
    similarity: Literal["ncc", "mixed", "mind", "lncc"] = option(
        "ncc", "what the images are compared by, see diffreg neural", advanced=False
    )
    regularization: Literal["gradicon", "diffusion"] = option("gradicon", "what keeps the fields regular")
    stiffness: float = option(10.0, "weight of the regularization", low=0.0, high=1e6, advanced=False)
    code_regularization: float = option(0.01, "weight of the length of the codes", low=0.0, high=1e3)
    blur: float = option(2.0, "blur of the images that are compared", "mm", 0.0, 100.0)
    spacing: float = option(3.0, "smallest voxel at which they are compared", "mm", 0.1, 100.0)
    samples: int = option(2000, "points that each pair compares, each way", low=16, high=1_000_000)
    regularized: int = option(64, "points at which the regularization is taken", low=10, high=10_000)
    width: int = option(64, "voxels of the longest side that the encoder sees", low=8, high=512)
    coarse: int = option(
        0,
        "steps for which a network of voxels at low resolution learns first; 0 for none of it",
        low=0,
    )
    coarse_width: int = option(32, "voxels of the longest side that the network of voxels sees", low=8, high=256)
    coarse_stiffness: float = option(
        1.5, "weight of its gradient inverse consistency, that of GradICON's experiments", low=0.0, high=1e6
    )
    units: int = option(64, "width of the networks' layers", low=8, high=1024)
    layers: int = option(2, "hidden layers of the networks", low=1, high=8)
    frequencies: int = option(64, "Fourier features of a point", low=4, high=1024)
    cycles: float = option(
        1.0, "standard deviation of their frequencies, in cycles over half the longest side", low=0.01, high=100.0
    )
    learning_rate: float = option(5e-4, "step of Adam", low=1e-6, high=1.0)
    seed: int = option(0, "seed of the networks, pairs and points", low=0, high=2**31 - 1)
