"""The options of pose estimation. No torch here: panels and the command line's help import it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from DiffRegLib.options import option


@dataclass(frozen=True)
class StartOptions:
    """Where the work begins, where neither a file nor landmarks say it."""

    pose: tuple[float, ...] = option(
        (), "six numbers rx ry rz tx ty tz, degrees and mm about the center of the CT; none: the start of the geometry"
    )


@dataclass(frozen=True)
class PoseOptions:
    """What `register` can be told; schedules from coarse to fine."""

    network: str = option(
        "",
        "weights of a learned similarity, a folder that diffreg train made, or a known name: it leads, followed by "
        "gradient-ncc on line integrals, else by the search where its end is not believed",
    )
    search: bool = option(
        True, "look for the pose from many random starts; without, only descend from the given start", advanced=False
    )
    search_rotation: float = option(
        20.0,
        "how far the true pose may be from the start: standard deviation about each axis",
        "degrees",
        0.0,
        90.0,
        False,
    )
    search_translation: float = option(
        30.0, "how far the true pose may be from the start: standard deviation along each axis", "mm", 0.0, 500.0, False
    )
    appearance: Literal["auto", "same", "different"] = option(
        "auto",
        "same: the radiograph shows line integrals of this CT up to brightness and contrast; different: grey scale, "
        "soft tissue or instruments differ; auto: tries the first and judges by the match",
        advanced=False,
    )
    polarity: Literal["auto", "positive", "negative"] = option(
        "auto",
        "of the X-rays as they are shown; positive: what absorbs more (bone) is brighter; negative: darker; auto: as "
        "the files state it, or whichever matches better",
        advanced=False,
    )
    relation_rotation: float = option(
        0.0,
        "several X-rays: how far their relation may be off, standard deviation about each axis; 0: it is known",
        "degrees",
        0.0,
        30.0,
        False,
    )
    relation_translation: float = option(
        0.0,
        "several X-rays: how far their relation may be off, standard deviation along each axis; 0: it is known",
        "mm",
        0.0,
        100.0,
        False,
    )
    optimizer: Literal["gauss-newton", "sgd", "adam", "lbfgs", "cma", "none"] = option(
        "gauss-newton", "how the pose is refined at each level; none stops after the search"
    )
    similarity: Literal["auto", "ncc", "gradient-ncc", "local-ncc", "patch-ncc", "mse"] = option(
        "auto",
        "what is maximized; auto: ncc where the appearance is the same, else local-ncc, of which gauss-newton takes "
        "the likelihood; patch-ncc: not with gauss-newton",
    )
    levels: tuple[int, ...] = option(
        (64, 128), "width of the detector at each level after the search", "pixels", 8, 4096
    )
    iterations: int = option(12, "largest number of steps of gauss-newton at each level", low=1, high=10000)
    descent_iterations: int = option(
        400, "largest number of steps of the other optimizers at each level; cma: of generations", low=1, high=100000
    )
    learning_rate: float = option(
        0.002, "of sgd, adam and lbfgs, for radians and for half extents of the CT", low=1e-8, high=10.0
    )
    momentum: float = option(0.9, "of sgd", low=0.0, high=0.999)
    cycle: int = option(
        100,
        "period over which the learning rate of sgd goes from its value to three times that and back, 0 keeps it",
        "steps",
        0,
        100000,
    )
    spread: float = option(5.0, "standard deviation of the first generation of cma", "mm", 0.01, 200.0)
    tolerance: float = option(
        1e-6, "descent ends a level when the standard deviation of its last 10 losses is below this", low=0.0, high=1.0
    )
    starts: int = option(300, "random poses in each round of the search", low=8, high=100000)
    refined: int = option(8, "best poses of each round that are refined at the coarsest level", low=1, high=1000)
    rounds: int = option(8, "largest number of rounds of the search", low=1, high=1000)
    search_level: int = option(32, "width of the detector in the search", "pixels", 8, 512)
    bone: float = option(
        150.0,
        "appearance different: tissue up to this may have moved; where it shows, a pixel counts less",
        "HU",
        -1000,
        3000,
    )
    window: float = option(
        0.01, "local-ncc: standard deviation of a neighborhood as a fraction of the image's width", low=0.003, high=1.0
    )
    patches: tuple[int, ...] = option((5, 11), "patch-ncc: widths of the patches", "pixels", 3, 512)
    outlier: float = option(
        2.0,
        "in the search: difference, in local standard deviations, from which a pixel counts less",
        low=0.01,
        high=1e6,
    )
    thin: float = option(
        0.4,
        "appearance different: rays that the CT attenuates less than this part of the median are left out",
        low=0.0,
        high=1.0,
    )
    time_limit: float = option(
        0.0,
        "the work ends with what it has found after this time, which makes the result depend on the machine; 0: none",
        "s",
        0.0,
        1e6,
    )
    seed: int = option(0, "seed of the random starts", low=0, high=2**31 - 1)
    device: Literal["auto", "cpu", "cuda"] = option("auto", "where to compute; auto takes a GPU where there is one")
