"""The options of supervoxel registration. No torch here: panels and the command line's help import it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from DiffRegLib.options import landmark_weight, option


@dataclass(frozen=True)
class PreparationOptions:
    """The common box in which scans are compared."""

    spacing: float = option(2.0, "voxel size of the common box", "mm", 0.5, 10.0)
    box: tuple[int, ...] = option(
        (192, 160, 256), "size of the common box along right, anterior and superior", "voxels", 16, 1024
    )


@dataclass(frozen=True)
class SegmentationOptions:
    """How the reference is divided into overlapping supervoxels."""

    layers: int = option(16, "divisions of the reference, each of a randomly turned and stretched copy", low=1, high=64)
    classes: int = option(128, "supervoxels of a layer, the background among them", low=8, high=256)
    segments: int = option(208, "supervoxels that SLIC is asked for, before the smallest are merged", low=8, high=2048)
    compactness: float = option(1.5, "weight of distance against 500 HU of difference", low=1e-3, high=1e3)
    size_factor: float = option(0.85, "smallest supervoxel of SLIC as a part of the mean", low=0.0, high=1.0)
    variation: float = option(0.05, "standard deviation of the entries of the random affine maps", low=0.0, high=0.2)
    margin: float = option(60.0, "how far around the body supervoxels reach", "mm", 0.0, 500.0)


@dataclass(frozen=True)
class SupervoxelOptions:
    """What `register` can be told of the alignment of two scans by their supervoxels."""

    finish: bool = option(
        True, "finish on the images: what is smaller than a supervoxel, and what lies beyond the body", advanced=False
    )
    points: int = option(4096, "key points in the foreground of the fixed scan", low=32, high=20000, advanced=False)
    stiffness: float = option(
        0.003, "weight of the differences between neighboring displacements", low=1e-4, high=1e3, advanced=False
    )
    passes: int = option(
        0,
        "times that a network looks, each at the moving scan as it was left; 0: twice, once where the images finish",
        low=0,
        high=10,
    )
    iterations: int = option(100, "steps of Adam", low=1, high=10000)
    learning_rate: float = option(0.05, "step of Adam, in half extents of the box", low=1e-5, high=1.0)
    neighbors: int = option(8, "neighbors of a key point whose displacements are compared", low=1, high=64)
    landmark_weight: float = landmark_weight()
    channels: int = option(16, "channels into which the classes of a layer are compressed", low=2, high=256)
    seed: int = option(0, "seed of the supervoxels, the key points and the compression", low=0, high=2**31 - 1)
    device: Literal["auto", "cpu", "cuda"] = option("auto", "where to compute; auto takes a GPU where there is one")


@dataclass(frozen=True)
class ReferenceOptions:
    """Where the registrations of the reference with the other scans come from."""

    deeds: str = option(
        "", "folder with what deeds wrote for each scan NAME: NAME_matrix.txt and NAME_displacements.dat"
    )


@dataclass(frozen=True)
class TrainingOptions:
    """How the network is trained; the defaults are the paper's but for blocks, which a CPU needs, and faces."""

    iterations: int = option(2000, "number of steps", low=1, high=10**8, advanced=False)
    batch: int = option(4, "scans a step", low=1, high=64, advanced=False)
    learning_rate: float = option(0.004, "of Adam", low=1e-7, high=1.0)
    affine: float = option(
        0.07, "standard deviation of the entries of the random affine maps of each scan", low=0.0, high=0.5
    )
    warp: float = option(
        0.0,
        "standard deviation of a random smooth motion of each scan; with the reference alone, more than 0 is needed",
        "mm",
        0.0,
        50.0,
    )
    warp_scale: float = option(40.0, "distance over which that motion varies", "mm", 5.0, 200.0)
    shade: float = option(
        0.0,
        "standard deviation of random shades of each scan, which vary over the same distance, as tissue takes up "
        "contrast",
        "HU",
        0.0,
        500.0,
    )
    contrast: float = option(
        0.0,
        "standard deviation of random shifts of soft tissues, each by its own density, as between phases of contrast",
        "HU",
        0.0,
        500.0,
    )
    noise: float = option(15.0, "standard deviation of the noise of each scan", "HU", 0.0, 500.0)
    faces: float = option(
        60.0,
        "how far inside of the box each scan may end, at random: where scans end is no anatomy",
        "mm",
        0.0,
        500.0,
    )
    block: int = option(
        10,
        "width of the eight random blocks of each scan that the head sees, 0 the whole scan",
        "output voxels",
        0,
        512,
    )
    settled: bool = option(
        False,
        "normalize by the means that the network to start with has settled on, not by those of each step: for small "
        "batches and few steps",
    )
    seed: int = option(0, "seed of weights, layers and motion", low=0, high=2**31 - 1)
