"""What nobody turns: the numbers of the recipe, each with its origin."""

from __future__ import annotations

from dataclasses import dataclass

from DiffRegLib.options import threshold


@dataclass(frozen=True)
class Thresholds:
    """Of the recipe of forward splatting; agreement is that of `Attempt`."""

    enough: float = threshold(
        0.75,
        "agreement from which no further start is tried",
        "Testing/studies/agreement.py: 0.97 to 1.00 where whole scans correspond, 0.23 to 0.72 where one is cut",
    )
    chance: float = threshold(
        0.33,
        "agreement below which the points have no counterparts, and the shape alone is registered",
        "Testing/studies/agreement.py: 0.19 to 0.23 between patients, 0.66 and more within one",
    )
    agreement: float = threshold(
        1.5,
        "largest distance, in steps of the window, at which a node found alone what it found with its neighbors",
        "theory: neighbors in the window are 1 and 1.41 steps away, those across a corner 1.73",
    )
    fewest_points: int = threshold(
        10, "points that a cloud needs", "theory: 4 determine an affine; more than twice that"
    )
    fewest_for_affine: int = threshold(
        8, "landmarks from which an affine is fitted, else a rigid motion", "theory: 4 determine an affine; twice that"
    )
    end: float = threshold(
        0.02,
        "share of the points beyond what counts as the end of a cloud",
        "choice: stray points that a cloud may have",
    )
    guided_sigmas: tuple[float, ...] = threshold(
        (20.0, 14.0, 10.0),
        "mm, blur of the levels where shape and landmarks are all there is",
        "lung_breathing p00, 110: of 14 schedules the one with the least error at other landmarks",
    )
    many_labels: int = threshold(
        16,
        "labels from which the steps of the preset label-maps are enough, where no other number is asked for",
        "choice: 61 labels ended at 1.6 mm with them, as with ten times as many; with few, steps are cheap",
    )
    searched_points: int = threshold(8000, "fixed points that vote for displacements", "memory: 8000 x 3375 windows")
    fit_stiffness: float = threshold(
        1.0, "weight of the bending energy where the grid is fitted to displacements found", "a mm of misfit, a unit"
    )
    reach: float = threshold(
        0.5,
        "distance up to which a point drives the field, in widths of the smoothing kernel",
        "theory: pooled twice, the basis function of the grid has fallen to half of its peak there",
    )
    adaptation_rate: float = threshold(
        1e-3, "step of Adam on the weights of the network", "choice: that of its training"
    )
    adaptation_sigmas: tuple[float, float] = threshold(
        (5.0, 3.0), "mm, blur at the first and at the last step of the adaptation", "choice: from the training's on"
    )
    adaptation_stiffness: float = threshold(
        0.02, "weight of the bending of the velocities in the adaptation", "choice: that of the training"
    )
    fade: float = threshold(
        3.0,
        "length over which a field fades, in reaches",
        "theory: 1.5 u / length < 1 keeps a displacement u of 24 mm free of folds",
    )


THRESHOLDS = Thresholds()
