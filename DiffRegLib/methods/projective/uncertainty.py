"""How far the pose may be off, from the curvature of the cost and the differences that remain.

Remaining differences are structures, not noise: neighboring pixels err together. Least squares alone would count every
pixel as a witness of its own and promise a hundredth of a millimeter. Here a whole block of pixels is one witness
(Liang & Zeger, Biometrika 1986, the sandwich estimator with clusters): with g_b the gradient of block b and H the
curvature, the covariance is H^-1 (sum_b g_b g_b^T) H^-1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from DiffRegLib.methods.projective.gauss_newton import Problem, normal_of
from DiffRegLib.methods.projective.motion import RADIUS
from DiffRegLib.methods.projective.result import Uncertainty

BLOCKS = 10  # blocks of pixels along each side of an image
FOREIGN = 4.5  # tissue that has moved errs together over the whole image: with it 80 % of the errors along the ray of
# simulated X-rays of five anatomies lie within one deviation, 94 % within two (`Testing.studies.simulated`)


def uncertainty(problem: Problem, pose: Tensor, foreign: bool = False, doubt: Tensor | None = None) -> Uncertainty:
    """At an optimum (4,4); infinite in directions that the radiographs do not show.

    foreign: whether the radiographs show more than line integrals of the CT.
    doubt: (6,6) covariance from what the residuals do not show: cameras that are not known.
    """
    views = problem.linearize(pose, problem.generators(pose))
    normal = normal_of(views)
    curvature = normal.curvature
    meat = sum(_scatter(view.pull, match.mask.shape) for view, match in zip(views, problem.matches))
    inverse = torch.linalg.pinv(curvature, hermitian=True, rtol=1e-10)
    covariance = inverse @ meat @ inverse * (FOREIGN**2 if foreign else 1)
    covariance = (covariance if doubt is None else covariance + doubt).cpu()
    lost = 1 - (inverse @ curvature).diagonal().cpu()  # 1 where a direction has no curvature
    variance = torch.where(lost > 0.5, torch.inf, covariance.diagonal())
    deviation = variance.clamp(min=0).sqrt()
    turns = torch.rad2deg(deviation[:3] / RADIUS)
    return Uncertainty(
        tuple(turns.tolist()),
        tuple(deviation[3:5].tolist()),
        deviation[5].item(),
        _of_points(variance, problem),
        _of_points((inverse @ normal.gradient).cpu() ** 2, problem),
        covariance,
    )


def _scatter(pull: Tensor, shape: tuple[int, int]) -> Tensor:
    """(6,6): sum over blocks of the outer product of the block's gradient; pull: (6, pixels)."""
    (rows, columns), count = shape, pull.shape[1]
    repeats = count // (rows * columns)
    if repeats * rows * columns != count:  # derivatives of valid pixels only
        rows, columns = rows - 2, columns - 2
        repeats = count // (rows * columns)
    row = torch.arange(rows) * BLOCKS // rows
    column = torch.arange(columns) * BLOCKS // columns
    block = (row[:, None] * BLOCKS + column).flatten().repeat(repeats).to(pull.device)
    gradients = torch.zeros(6, BLOCKS**2, device=pull.device).index_add_(1, block, pull).double()
    return gradients @ gradients.T


def _of_points(variance: Tensor, problem: Problem) -> float:
    """Root mean square over a ball as wide as half the volume: turns about an axis move by the distance from it."""
    extent = problem.renderer.volume.geometry.spacing.double() * torch.tensor(problem.renderer.volume.shape[::-1])
    radius = extent.mean().item() / 4
    lever = 2 / 5 * radius**2 / RADIUS**2  # mean squared distance from an axis through a ball, in units of 100 mm
    return float((variance[:3].sum() * lever + variance[3:].sum()).sqrt())
