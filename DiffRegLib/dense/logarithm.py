"""Any transform as an affine followed by a flow, so that it can be improved further and folds no more."""

from __future__ import annotations

from torch import Tensor

from DiffRegLib.dense.flow import flow
from DiffRegLib.dense.splines import Splines
from DiffRegLib.dense.thresholds import THRESHOLDS
from DiffRegLib.ops.axes import filter_axes
from DiffRegLib.transforms import Affine, Transform, fit_affine


def separated(transform: Transform, splines: Splines) -> tuple[Affine, Tensor]:
    """Affine A and coefficients of a velocity v with A(exp(v)(x)) close to transform(x) over the splines' box.

    The affine is the least-squares one; the velocity is found by fixed-point steps v <- v + (target - exp(v)). Where
    the transform folds or is rougher than the splines, the flow is what they can follow of it.
    """
    nodes = splines.nodes
    points = nodes.grid(splines.zeros().device).reshape(-1, 3)
    mapped = transform(points)
    affine = fit_affine(points, mapped)
    target = affine.inverse()(mapped)
    coefficients = best = splines.zeros()
    least = float("inf")
    for _ in range(THRESHOLDS.logarithm_steps):
        velocity = filter_axes(coefficients, splines.matrices(nodes))
        left = target - flow(velocity, nodes, points)
        error = float(left.norm(dim=1).mean())
        if error >= least:
            break
        best, least = coefficients, error
        coefficients = coefficients + splines.fit(left.T.unflatten(1, nodes.shape), nodes)
    return affine, best
