"""What nobody turns: the numbers of image-driven registration, each with its origin."""

from __future__ import annotations

from dataclasses import dataclass

from DiffRegLib.options import threshold


@dataclass(frozen=True)
class Thresholds:
    """Of the recipe and of its Gauss-Newton steps."""

    window: tuple[float, float] = threshold(
        (0.02, 0.98),
        "quantiles of an image between which its contrast is counted",
        "choice: metal and noise lie beyond",
    )
    clip: float = threshold(
        0.5, "how far beyond them values count, as a fraction of their distance", "choice: bone is kept, metal cut"
    )
    floor: float = threshold(
        0.03,
        "standard deviation below which a neighborhood is flat, in units of that distance",
        "estimate: 30 HU in a CT of the trunk, whose noise is 10 to 25 HU; no other value was tried in a study",
    )
    neighborhood: float = threshold(
        4.0,
        "standard deviation of the neighborhoods of local correlation, in voxels",
        "choice on the sets of Testing/studies/dense.py; no table of other values was kept",
    )
    least_variance_mind: float = threshold(1e-4, "residual variance that is not undercut", "estimate: equal images")
    least_variance_lncc: float = threshold(
        3e-2,
        "residual variance that is not undercut: images without noise are not believed to a thousandth",
        "0.05 to 0.12 remain at the finest level of Testing/studies/dense.py; in a made-up uniform body 1e-3 let the "
        "roundings of interpolation draw at it until it lay 2 mm off",
    )
    freedom_mind: float = threshold(
        3.0,
        "degrees of freedom of self-similarity's residuals: fewer trust outliers less",
        "Testing/studies/README.md: 0.75 mm on abdomen_sibling_warp, 0.96 with a normal distribution",
    )
    freedom_lncc: float = threshold(
        25.0,
        "the same for local correlation, whose outliers may be vessels not yet aligned as well as gas and lesions",
        "Testing/studies/README.md: 0.62 mm at vessels of the phantom with a normal distribution, 0.75 with 25, 1.31 "
        "with 3, which in turn leave gas and lesions alone",
    )
    scale_steps: int = threshold(3, "fixed-point steps of the residuals' scale", "estimate: 1 % of it")
    flat: float = threshold(
        1e-3, "how far the least self-similarity is from 1 where there is something to see", "rounding"
    )
    empty: float = threshold(1e-3, "share of a voxel in a mask below which nothing is known of it", "rounding")
    inside: float = threshold(0.5, "share of a voxel in a mask from which on it counts", "half")
    eroded: float = threshold(
        0.7, "share of a mask that its erosion may take away; the border of a thinner one counts, too", "thin masks"
    )
    alike: float = threshold(
        0.3,
        "local correlation, as self-similarity has aligned them, above which images are of one kind",
        "0.75 to 0.97 for one kind in the sets of Testing/studies/dense.py, below 0.1 for an inverted contrast in the "
        "tests; no other pair of modalities was tried",
    )
    coarse_control: float = threshold(
        2.0, "least spacing of control points at the coarse levels, in their voxels", "two residuals a coefficient"
    )
    medium_control: float = threshold(
        3.0, "the same at the level before the details", "choice: between the two beside it"
    )
    coarse_stiffness: float = threshold(
        10.0,
        "stiffness of the coarse levels, in that of the details",
        "Testing/studies/README.md: 0.78 mm on abdomen_sibling_warp, 0.86 with 1, both with 3 degrees of freedom",
    )
    medium_stiffness: float = threshold(3.0, "stiffness of the level before the details, in theirs", "choice: half way")
    worse: float = threshold(
        0.01, "growth of the mean squared residual that is no failure", "of normalized values, whose variance is 1"
    )
    shortest: float = threshold(
        0.02, "mean step, in voxels of the level, that is the last", "estimate: 1 % of the error"
    )
    smallest_part: float = threshold(
        0.125, "part of a step below which no shorter one is tried", "choice: three halvings"
    )
    slack: float = threshold(1e-4, "relative growth of the energy that is put down to rounding", "float32 sums")
    solved: float = threshold(0.1, "relative residual at which the normal equations are left", "inexact Newton")
    most_solves: int = threshold(30, "steps of conjugate gradients", "inexact Newton")
    spread: float = threshold(
        0.3,
        "how a voxel's matrix weighs on a coefficient, in the preconditioner",
        "between 0.11 for what is alone and 1 for what all coefficients have in common",
    )
    ridge: float = threshold(1e-3, "share added to the diagonal of the affine's normal equations", "flat images")
    logarithm_steps: int = threshold(15, "steps that turn a transform into a flow", "0.05 mm for motions of 25 mm")
    landmark_volume: float = threshold(
        30_000.0,
        "mm^3 of images that a landmark of weight 1 weighs",
        "test_landmarks_pull: of equal images that say otherwise a landmark 5 mm off is left 1 mm off; 1000 left 4 mm",
    )
    point_weight: float = threshold(
        0.01,
        "weight of a point of many, such as a cloud's, in that of a landmark: the errors of neighbors go together",
        "Testing/studies/README.md: 0.26 mm at vessels of the phantom, 0.28 with 0.1, 0.32 with 1, 0.38 without",
    )
    patch: float = threshold(
        2.0, "mm around a point in which images are compared at their own resolution", "choice: the width of a vessel"
    )
    reach: float = threshold(
        2.0, "neighborhoods from what has contrast up to which it drives the field", "theory: a Gaussian ends there"
    )
    coarse_map: float = threshold(3.0, "voxels of the finest level in one of the map of support", "a few ms")
    seen: float = threshold(0.25, "share of a neighborhood's variance above the floor that is a datum", "half of it")
    fewest_for_affine: int = threshold(8, "landmarks that start an affine; with fewer a rigid motion", "overfitting")
    fewest_voxels: int = threshold(8, "voxels that an image has along every axis", "one control spacing")


THRESHOLDS = Thresholds()
