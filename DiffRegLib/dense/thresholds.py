"""What nobody turns: the numbers of image-driven registration, each with its origin."""

from __future__ import annotations

from dataclasses import dataclass

from DiffRegLib.options import threshold


@dataclass(frozen=True)
class Thresholds:
    """Of the recipe and of its Gauss-Newton steps."""

    window: tuple[float, float] = threshold(
        (0.02, 0.98), "quantiles of an image between which its contrast is counted", "leaves metal and air pockets out"
    )
    clip: float = threshold(
        0.5, "how far beyond them values count, as a fraction of their distance", "bone is kept, metal is cut"
    )
    floor: float = threshold(
        0.03,
        "standard deviation below which a neighborhood is flat, in units of that distance",
        "30 HU in a CT of the trunk, whose noise is 10 to 25 HU",
    )
    neighborhood: float = threshold(
        4.0, "standard deviation of the neighborhoods of local correlation, in voxels", "Testing/studies/dense.py"
    )
    least_variance_mind: float = threshold(1e-4, "residual variance that is not undercut", "equal images")
    least_variance_lncc: float = threshold(
        3e-2,
        "residual variance that is not undercut: images without noise are not believed to a thousandth",
        "0.05 to 0.12 remain at the finest level of Testing/studies/dense.py; in a made-up uniform body 1e-3 let the "
        "roundings of interpolation draw at it until it lay 2 mm off",
    )
    freedom_mind: float = threshold(
        3.0, "degrees of freedom of self-similarity's residuals: fewer trust outliers less", "Testing/studies/dense.py"
    )
    freedom_lncc: float = threshold(
        25.0,
        "the same for local correlation, whose outliers may be vessels not yet aligned as well as gas and lesions",
        "Testing/studies/dense.py: vessels of the phantom and bubbles of abdomen_sibling_warp",
    )
    scale_steps: int = threshold(3, "fixed-point steps of the residuals' scale", "1 % of it")
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
        "Testing/studies/dense.py: 0.75 to 0.97 for one kind, below 0.1 for an inverted contrast",
    )
    coarse_control: float = threshold(
        2.0, "least spacing of control points at the coarse levels, in their voxels", "two residuals a coefficient"
    )
    medium_control: float = threshold(3.0, "the same at the level before the details", "Testing/studies/dense.py")
    coarse_stiffness: float = threshold(
        10.0, "stiffness of the coarse levels, in that of the details", "Testing/studies/dense.py; graduated convexity"
    )
    medium_stiffness: float = threshold(3.0, "stiffness of the level before the details, in theirs", "half way")
    worse: float = threshold(
        0.01, "growth of the mean squared residual that is no failure", "of normalized values, whose variance is 1"
    )
    shortest: float = threshold(0.02, "mean step, in voxels of the level, below which a level ends", "1 % of the error")
    smallest_part: float = threshold(0.125, "part of a step below which no shorter one is tried", "three halvings")
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
    reach: float = threshold(
        2.0, "neighborhoods from what has contrast up to which it drives the field", "theory: a Gaussian ends there"
    )
    coarse_map: float = threshold(3.0, "voxels of the finest level in one of the map of support", "a few ms")
    seen: float = threshold(0.25, "share of a neighborhood's variance above the floor that is a datum", "half of it")
    fewest_for_affine: int = threshold(8, "landmarks that start an affine; with fewer a rigid motion", "overfitting")
    fewest_voxels: int = threshold(8, "voxels that an image has along every axis", "one control spacing")


THRESHOLDS = Thresholds()
