"""The options of the neural field and their presets. No torch here: panels and the command line's help import it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from DiffRegLib.options import landmark_weight, option

PREVIEW = "preview.npz"
"""File of a preview: `data` (D, H, W) float32 and `affine` (4, 4), voxel index to RAS mm."""


@dataclass(frozen=True)
class NeuralOptions:
    """What `register` can be told; lengths in mm, schedules from coarse to fine."""

    similarity: Literal["auto", "mixed", "mind", "lncc", "ncc"] = option(
        "auto",
        "what the images are compared by: patterns of neighborhoods (mind, any modalities), locally normalized "
        "intensities (lncc), both (mixed), correlation of intensities over all samples (ncc); auto takes mixed where "
        "the grey values correlate, else mind",
        advanced=False,
    )
    regularization: Literal["gradicon", "diffusion"] = option(
        "gradicon", "what keeps the field regular: gradient inverse consistency, or small slopes", advanced=False
    )
    stiffness: float = option(
        5.0, "weight of the regularization: higher is smoother", low=0.0, high=1e6, advanced=False
    )
    blurs: tuple[float, ...] = option((6.0, 3.0, 1.0), "blur of the images, level by level", "mm", 0.0, 100.0)
    spacings: tuple[float, ...] = option((6.0, 4.0, 2.0), "smallest voxel of each level", "mm", 0.1, 100.0)
    iterations: tuple[int, ...] = option((150, 150, 400), "steps of each level", "", 0, 100_000)
    samples: tuple[int, ...] = option((2048, 4096, 4096), "points that each step compares, each way", "", 16, 1_000_000)
    regularized: int = option(128, "points at which the regularization is taken", low=10, high=10_000)
    learning_rate: float = option(2e-3, "step of Adam at the start", low=1e-6, high=1.0)
    last_rate: float = option(0.2, "share of the learning rate that is left at the end", low=1e-4, high=1.0)
    units: int = option(64, "width of the networks' layers", low=8, high=1024)
    layers: int = option(2, "hidden layers of the networks", low=1, high=8)
    frequencies: int = option(64, "Fourier features of a point", low=4, high=1024)
    cycles: float = option(
        1.0, "standard deviation of their frequencies, in cycles over half the longest side", low=0.01, high=100.0
    )
    code_spacing: float = option(25.0, "distance of the nodes of the map of local codes", "mm", 1.0, 1000.0)
    code_regularization: float = option(0.01, "weight of the length of the codes", low=0.0, high=1e3)
    landmark_weight: float = landmark_weight()
    seconds: float = option(0.0, "stop after so long, 0 for no limit", "s", 0.0, 1e6)
    plateau: int = option(0, "end a level after so many steps without gain, 0 for never", low=0, high=100_000)
    preview: bool = option(True, "write the moved image now and then while it is optimized, for a panel that shows it")
    save_field: bool = option(False, "keep the field itself, which can be sampled at any resolution", advanced=False)
    seed: int = option(0, "seed of the networks and of the points", low=0, high=2**31 - 1)
    device: Literal["auto", "cpu", "cuda"] = option("auto", "where to compute; auto takes a GPU where there is one")


PRESETS: dict[str, NeuralOptions] = {
    "balanced": NeuralOptions(),
    "fast": dataclasses.replace(NeuralOptions(), iterations=(100, 100, 200), samples=(2048, 2048, 2048)),
    "best": dataclasses.replace(NeuralOptions(), iterations=(150, 150, 900)),
    "finish": dataclasses.replace(
        NeuralOptions(),
        blurs=(2.0, 1.0),
        spacings=(3.0, 2.0),
        iterations=(50, 100),
        samples=(2048, 2048),
        learning_rate=5e-4,
    ),
}
"""Options by how long one may wait, the first are the defaults; "finish" goes on from the result of another method."""
