"""`splat` and `sample`: values from points into a grid and back, as torch operators with closed-form gradients.

With x = ((p + 1) n - 1) / 2 the voxel coordinate of a normalized point p along an axis of n voxels, and the hat
function h(t) = max(0, 1 - |t|), the weight of voxel i at a point is w_i(p) = h(x - i) h(y - j) h(z - k), and

    sample(V, p)    = sum_i w_i(p) V_i                  splat(p, v)_i = sum_p w_i(p) v_p

Each is the transpose of the other in its linear argument (Heinrich et al., DiVRoC, ICCV 2023, eq. 2 states it as the
negative derivative of a sampling loss). Their gradients need one more operator, `gather`, which reads the eight
corners once for both the sample and the weighted spatial derivative:

    dL/dv = sample(dL/dgrid, p)       dL/dV = splat(p, dL/dsample)       dL/dp = sum_c weight_c grad sample_c(p)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from DiffRegLib.ops import backend as backends
from DiffRegLib.ops.operator import operator
from DiffRegLib.ops.reference import gather_reference, sample_reference, splat_reference

if TYPE_CHECKING:
    from jaxtyping import Float


def sample(
    volume: Float[Tensor, "B C D H W"], points: Float[Tensor, "B N 3"], backend: str = "auto"
) -> Float[Tensor, "B C N"]:
    """Trilinear values of a volume at points, zero outside it.

    volume: (B,C,D,H,W) floating tensor.
    points: (B,N,3) normalized (x,y,z) in [-1,1] with `align_corners=False`; x runs along W. Beyond the outermost voxel
        centers the values fall linearly to zero within one voxel; points farther out, infinite or NaN, read zero.
    backend: "auto", "reference", "cpu" or "cuda".

    Returns (B,C,N). Differentiable to volume and points, twice. Raises ValueError for shapes that do not fit.
    """
    _check(points, volume, "volume", 5)
    return torch.ops.diffreg.sample(volume, points, backend)


def splat(
    points: Float[Tensor, "B N 3"],
    values: Float[Tensor, "B C N"],
    shape: tuple[int, int, int],
    backend: str = "auto",
) -> Float[Tensor, "B C D H W"]:
    """Adds each point's values to the eight voxels around it with trilinear weights: the adjoint of `sample`.

    points: (B,N,3) as in `sample`; the share of a point that falls on voxels outside the grid is lost.
    values: (B,C,N) floating tensor.
    shape: (D,H,W) voxels of the grid.
    backend: "auto", "reference", "cpu" or "cuda".

    Returns (B,C,D,H,W). Differentiable to points and values, twice. Raises ValueError for shapes that do not fit.
    On the CPU, points that want a gradient are kept in sorted order until it is taken: 16 + 4 C bytes a point.
    """
    _check(points, values, "values", 3)
    if values.shape[2] != points.shape[1]:
        raise ValueError(f"values of {values.shape[2]} points for {points.shape[1]} points: give one value a point.")
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"shape is {tuple(shape)}: give three positive numbers of voxels (D, H, W).")
    keep = points.requires_grad and torch.is_grad_enabled() and backends.choose(backend, values, points) == "cpu"
    return torch.ops.diffreg.splat(points, values, [int(n) for n in shape], keep, backend)[0]


def _check(points: Tensor, other: Tensor, name: str, dimensions: int) -> None:
    if points.ndim != 3 or points.shape[-1] != 3:
        raise ValueError(f"points have the shape {tuple(points.shape)}: give (B, N, 3).")
    if other.ndim != dimensions or other.shape[0] != points.shape[0]:
        raise ValueError(f"{name} of shape {tuple(other.shape)} does not fit points of shape {tuple(points.shape)}.")
    if not (points.is_floating_point() and other.is_floating_point()):
        raise ValueError(f"points are {points.dtype} and {name} {other.dtype}: give floating-point tensors.")


@operator("diffreg::sample")
def _sample(volume: Tensor, points: Tensor, backend: str) -> Tensor:
    kernels = backends.kernels("sample", backend, "points", volume, points)
    return sample_reference(volume, points) if kernels is None else kernels.sample(volume, points)


@operator("diffreg::splat")
def _splat(points: Tensor, values: Tensor, shape: list[int], keep: bool, backend: str) -> tuple[Tensor, Tensor]:
    """The grid, and if kept (by the CPU kernels alone) the sorted points (B,N*(4+C)), to spare `gather` the sorting."""
    kernels = backends.kernels("splat", backend, "points", values, points)
    size = shape[0], shape[1], shape[2]
    if keep and kernels is not None:
        return kernels.splat_sorted(points, values, size)
    grid = (splat_reference if kernels is None else kernels.splat)(points, values, size)
    return grid, _nothing_kept(values)


@operator("diffreg::gather")
def _gather(volume: Tensor, points: Tensor, weights: Tensor, records: Tensor, backend: str) -> tuple[Tensor, Tensor]:
    """Samples, and the gradient to the points of their weighted sum; records: what `splat` kept of them, or empty."""
    kernels = backends.kernels("gather", backend, "points", volume, points, weights)
    if records.numel() and kernels is not None:
        return kernels.gather_sorted(volume, records)
    return (gather_reference if kernels is None else kernels.gather)(volume, points, weights)


def _nothing_kept(like: Tensor) -> Tensor:
    return like.new_empty(0, dtype=torch.int32)


@_sample.register_fake
def _(volume, points, backend):
    return volume.new_empty(volume.shape[0], volume.shape[1], points.shape[1])


@_splat.register_fake
def _(points, values, shape, keep, backend):
    batch, channels, count = values.shape
    kept = values.new_empty(batch, count * (4 + channels), dtype=torch.int32) if keep else _nothing_kept(values)
    return values.new_empty(batch, channels, *shape), kept


@_gather.register_fake
def _(volume, points, weights, records, backend):
    return volume.new_empty(volume.shape[0], volume.shape[1], points.shape[1]), torch.empty_like(points)


def _sample_backward(ctx, grad):
    volume, points = ctx.saved_tensors
    to_volume = to_points = None
    if ctx.needs_input_grad[0]:
        to_volume = torch.ops.diffreg.splat(points, grad, list(volume.shape[2:]), False, ctx.backend)[0]
    if ctx.needs_input_grad[1]:
        to_points = torch.ops.diffreg.gather(volume, points, grad, _nothing_kept(grad), ctx.backend)[1]
    return to_volume, to_points, None


def _splat_backward(ctx, grad, _):
    points, values, records = ctx.saved_tensors
    if grad is None:
        return (None,) * 5
    if not ctx.needs_input_grad[0]:
        return None, torch.ops.diffreg.sample(grad, points, ctx.backend), None, None, None
    to_values, to_points = torch.ops.diffreg.gather(grad, points, values, records, ctx.backend)
    return to_points, to_values if ctx.needs_input_grad[1] else None, None, None, None


def _gather_backward(ctx, grad_sampled, grad_slope):
    """The second derivative, for which the reference stands in on every backend."""
    with torch.enable_grad():
        inputs = [t if t.requires_grad else t.detach().requires_grad_() for t in ctx.saved_tensors]
        outputs = gather_reference(*inputs)
        grads = torch.autograd.grad(outputs, inputs, (grad_sampled, grad_slope), create_graph=True)
    return *grads, None, None


def _save(count):
    def setup(ctx, inputs, output):
        ctx.save_for_backward(*inputs[:count])
        ctx.backend = inputs[-1]

    return setup


def _save_splat(ctx, inputs, output):
    ctx.set_materialize_grads(False)  # zeros as large as what is kept, for an output that has no gradient
    ctx.save_for_backward(*inputs[:2], output[1])
    ctx.backend = inputs[-1]


_sample.register_autograd(_sample_backward, setup_context=_save(2))
_splat.register_autograd(_splat_backward, setup_context=_save_splat)
_gather.register_autograd(_gather_backward, setup_context=_save(3))
