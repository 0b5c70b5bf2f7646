"""The options of training the learned similarity. No torch here: the command line's help imports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from DiffRegLib.options import option


@dataclass(frozen=True)
class OrganOptions:
    """What of the segmentation counts."""

    labels: tuple[int, ...] = option((), "numbers in the segmentation that count; without, all but 0", low=0)


@dataclass(frozen=True)
class NetworkOptions:
    """The shape of the network and of what it looks at; stored with the weights."""

    voxel: float = option(2.5, "the CT is averaged to voxels of at most this width", "mm", 0.05, 100.0)
    detector: int = option(128, "radiographs are averaged to at most this width", "pixels", 8, 1024)
    segmentation: bool = option(False, "the segmentation is a second input; then pose estimation needs it as well")
    alone: bool = option(
        False, "the network sees the segmented organ alone, as pose estimation with a mask does; X-rays show everything"
    )
    features: int = option(4, "channels of the volume that are projected", low=1, high=64)
    width: int = option(16, "channels inside the 3D network", low=1, high=256)
    blocks: int = option(3, "residual blocks of the 3D network", low=0, high=64)
    encoder_width: int = option(
        16, "channels of the encoders at half the resolution, doubled at each further stage", low=1, high=256
    )
    stages: int = option(3, "times that the encoders halve the resolution", low=1, high=6)
    embedding: int = option(32, "channels of the embeddings that are compared", low=1, high=1024)


@dataclass(frozen=True)
class TrainingOptions:
    """How the network is trained: poses, simulated X-rays, descent."""

    iterations: int = option(20000, "number of steps", low=1, high=10**8, advanced=False)
    batch: int = option(2, "pairs of poses a step", low=1, high=1024, advanced=False)
    optimizer: Literal["adamw", "sgd"] = option("adamw", "how the weights follow the gradient")
    learning_rate: float = option(1e-4, "the lowest of a cycle", low=1e-9, high=10.0)
    peak: float = option(10.0, "highest learning rate of a cycle over the lowest", low=1.0, high=1000.0)
    cycle: int = option(200, "period in which the learning rate rises and falls linearly", "steps", 2, 10**7)
    momentum: float = option(0.9, "of sgd", low=0.0, high=0.999)
    weight_decay: float = option(1e-4, "pull of the weights toward 0", low=0.0, high=1.0)
    clip: float = option(1.0, "longest gradient of the weights", low=1e-6, high=1e6)
    norm_weight: float = option(
        0.1, "weight of the lengths of the pose gradients in the loss, beside their directions", low=0.0, high=100.0
    )
    value_weight: float = option(
        0.5, "weight of the similarity's own difference from half the squared distance of poses", low=0.0, high=100.0
    )
    target_rotation: float = option(
        15.0, "standard deviation of the pose of a simulated X-ray about each axis", "degrees", 0.0, 90.0
    )
    target_translation: float = option(20.0, "the same along each axis", "mm", 0.0, 500.0)
    start_rotation: float = option(
        20.0,
        "standard deviation of the start from the X-ray's pose about each axis, times 0 to 1, drawn anew each time",
        "degrees",
        0.1,
        90.0,
    )
    start_translation: float = option(30.0, "the same along each axis", "mm", 0.1, 500.0)
    augmentation: float = option(
        1.0,
        "0: X-rays are line integrals of the CT; 1: tissues, grey scale and noise vary; 2: twice as much",
        "",
        0.0,
        2.0,
    )
    occlusion: float = option(
        0.5, "share of the steps whose X-rays are collimated, and of the X-rays that show instruments", "", 0.0, 1.0
    )
    seed: int = option(0, "seed of weights, poses and X-rays", low=0, high=2**31 - 1)
