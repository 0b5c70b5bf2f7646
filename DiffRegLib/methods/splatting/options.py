"""The options of forward splatting and their presets. No torch here: panels and the command line's help import it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from DiffRegLib.options import landmark_weight, option


@dataclass(frozen=True)
class SplattingOptions:
    """What `register` can be told; lengths in mm, schedules from coarse to fine."""

    initialization: Literal["moments", "center", "landmarks", "none"] = option(
        "moments",
        "start: match mean and spread of the clouds, their centers, the landmarks, or nothing",
        advanced=False,
    )
    stiffness: float = option(
        15.0, "weight of the bending energy: higher is smoother", low=1e-3, high=1e6, advanced=False
    )
    diffeomorphic: bool = option(False, "move along a velocity field, which cannot fold", advanced=False)
    symmetric: bool = option(
        False,
        "compare both ways along one velocity field, so that swapping the clouds swaps the result",
        advanced=False,
    )
    loss: Literal["l2", "l1"] = option("l2", "how densities are compared: squared or absolute difference")
    saturation: float = option(
        0.3, "density at which a voxel is half full, as a fraction of the median at the points", low=1e-3, high=100.0
    )
    affine_sigmas: tuple[float, ...] = option((20.0, 12.0), "blur of the levels that fit an affine", "mm", 0.5, 200.0)
    affine_iterations: int = option(40, "steps at each affine level, 0 skips them", low=0, high=10000)
    coarse_sigmas: tuple[float, ...] = option((12.0,), "blur of the levels before the search", "mm", 0.5, 200.0)
    coarse_stiffness: float = option(
        1000.0, "weight of the bending energy at these levels, where shape alone tells", low=1e-3, high=1e8
    )
    coarse_iterations: int = option(100, "steps at each coarse level, 0 skips them", low=0, high=10000)
    search: bool = option(
        True, "look for the displacement under which the densities around a point match best", advanced=False
    )
    search_radius: tuple[float, ...] = option((21.0, 15.0, 11.0), "largest displacement of each pass", "mm", 1.0, 60.0)
    search_sigma: tuple[float, ...] = option((3.0, 3.0, 2.2), "blur and step of each pass", "mm", 1.0, 30.0)
    search_patch: tuple[float, ...] = option(
        (20.0, 15.0, 12.0), "standard deviation of the neighborhood that each pass compares", "mm", 1.0, 200.0
    )
    search_nodes: int = option(600, "points for which a displacement is searched", low=20, high=10000)
    fine_sigmas: tuple[float, ...] = option((3.0, 2.2, 1.6), "blur of the levels after the search", "mm", 0.3, 200.0)
    fine_iterations: int = option(50, "steps at each fine level, 0 skips them", low=0, high=10000)
    learning_rate: float = option(0.5, "step of Adam at the start of a level", "mm", 1e-4, 20.0)
    control_spacing: float = option(8.0, "spacing of the grid of displacements", "mm", 1.0, 100.0)
    smoothing_kernel: int = option(
        3, "width of the average pooling that smooths the grid twice, odd", "control points", 1, 31
    )
    voxel: float = option(2.5, "smallest voxel of a density", "mm", 0.3, 20.0)
    outside: Literal["extrapolate", "fade"] = option(
        "extrapolate", "the field far from all points: goes on smoothly, or fades to the affine", advanced=False
    )
    finish: bool = option(
        True, "finish on the images, where two were given: what lies between and beyond the points", advanced=False
    )
    adaptation: int = option(
        30, "steps in which a network adapts itself to the pair, 0 takes it as it is", low=0, high=10000, advanced=False
    )
    landmark_weight: float = landmark_weight()
    seed: int = option(0, "seed of the choice of points", low=0, high=2**31 - 1)
    device: Literal["auto", "cpu", "cuda"] = option("auto", "where to compute; auto takes a GPU where there is one")


PRESETS: dict[str, SplattingOptions] = {
    "lung-vessels": SplattingOptions(),
    "organ-surfaces": SplattingOptions(search=False, stiffness=30.0),
    "generic-points": SplattingOptions(stiffness=20.0),
    "label-maps": SplattingOptions(affine_iterations=4, coarse_iterations=10, fine_iterations=5),
}
"""Options for a purpose, by name; the first are the defaults. Where many labels name what belongs together, few steps
are enough."""
