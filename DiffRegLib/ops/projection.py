"""The projector and its adjoint as torch operators on rays in voxel coordinates.

With s the source, p a pixel's center, l = |p - s| in mm and f the trilinear interpolation of the volume, zero outside,

    I(p) = step sum_k f(s + alpha_k (p - s)),     alpha_k = (k + 1/2) step / l <= 1,     k = 0, 1, ...

the midpoint rule of the line integral along the ray (Gao et al., ProST, MICCAI 2020, sec. 2.1, with each ray clipped to
the volume). Samples are fixed to the source and the interpolated volume falls to zero within one voxel beyond its
outermost centers, so that no sample appears or vanishes with a jump when the pose changes: the sum is continuous,
and its gradient is the sum of the samples' gradients. Per pixel that needs six numbers,

    A = step sum_k grad f(x_k),     B = step sum_k alpha_k grad f(x_k),     dI/ds = A - B,     dI/dp = B,

which are accumulated in the same march as I. They are linear in the volume, which makes a loss on the pose gradient
differentiable to the volume by the same two kernels, `project` and its adjoint `backproject`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from DiffRegLib.ops import backend as backends
from DiffRegLib.ops.operator import operator
from DiffRegLib.ops.projection_reference import (
    backproject_reference,
    curve_reference,
    moments_reference,
    project_reference,
    steps_of,
)
from DiffRegLib.ops.rays import Rays

if TYPE_CHECKING:
    from jaxtyping import Float


def project(
    volume: Float[Tensor, "V C D H W"], rays: Rays, step: float, backend: str = "auto"
) -> Float[Tensor, "B C P"]:
    """Line integrals (B,C,P) of a volume (B or 1,C,D,H,W), differentiable to the volume and to the rays' frames.

    step: between two samples, mm. backend: "auto", "reference", "cpu" or "cuda".
    """
    slopes = rays.frames.requires_grad and torch.is_grad_enabled()
    return torch.ops.diffreg.project(volume, *rays, step, slopes, backend)[0]


def project_with_sums(
    volume: Float[Tensor, "V C D H W"], rays: Rays, step: float, backend: str = "auto"
) -> tuple[Float[Tensor, "B C P"], Float[Tensor, "B C P 6"]]:
    """Line integrals (B,C,P), and A and B of every ray (B,C,P,6) in voxels; both without a gradient of their own."""
    with torch.no_grad():
        return torch.ops.diffreg.project(volume, *rays, step, True, backend)


def project_with_slopes(
    volume: Float[Tensor, "V C D H W"], rays: Rays, step: float, backend: str = "auto"
) -> tuple[Float[Tensor, "B C P"], Float[Tensor, "B C P 6"]]:
    """As `project_with_sums`, both differentiable to the volume, and to nothing else."""
    fixed = rays._replace(frames=rays.frames.detach())
    return torch.ops.diffreg.project(volume, *fixed, step, True, backend)


def pull_back(
    grad: Float[Tensor, "B C P"], sums: Float[Tensor, "B C P 6"], rays: Rays, backend: str = "auto"
) -> Float[Tensor, "B 4 3"]:
    """The gradient to the rays' frames, from that to the line integrals; differentiable to it and to the sums."""
    return _pull_back(grad, sums, rays.pixels, rays.columns, backend)


@operator("diffreg::project")
def _project(
    volume: Tensor,
    frames: Tensor,
    detector: Tensor,
    pixels: Tensor,
    columns: int,
    step: float,
    slopes: bool,
    backend: str,
) -> tuple[Tensor, Tensor]:
    kernels = backends.kernels("project", backend, "projection", volume)
    if kernels is not None:
        return kernels.project(volume, frames, detector, pixels, columns, step, slopes)
    image, sums = project_reference(volume.to(_wide(volume)), frames, detector, pixels, columns, step)
    return image, sums.contiguous() if slopes else image.new_empty(0)


@operator("diffreg::backproject")
def _backproject(
    image: Tensor,
    slopes: Tensor,
    frames: Tensor,
    detector: Tensor,
    pixels: Tensor,
    columns: int,
    step: float,
    shape: list[int],
    backend: str,
) -> Tensor:
    kernels = backends.kernels("backproject", backend, "projection", image)
    if kernels is not None:
        return kernels.backproject(image, slopes, frames, detector, pixels, columns, step, shape)
    return backproject_reference(image, slopes, frames, detector, pixels, columns, step, shape)


@operator("diffreg::project_curve")
def _curve(
    volume: Tensor,
    along: Tensor,
    frames: Tensor,
    detector: Tensor,
    pixels: Tensor,
    columns: int,
    step: float,
    backend: str,
) -> Tensor:
    kernels = backends.kernels("project_curve", backend, "projection", volume, along)
    curve = curve_reference if kernels is None else kernels.curve
    return curve(volume.to(along.dtype), along, frames, detector, pixels, columns, step)


@operator("diffreg::project_moments")
def _moments(grad: Tensor, sums: Tensor, pixels: Tensor, columns: int, backend: str) -> Tensor:
    """Sums (B,3,6) over channels and pixels of grad (B,C,P) times sums (B,C,P,6) times one, column and row."""
    kernels = backends.kernels("project_moments", backend, "projection", grad, sums)
    return (moments_reference if kernels is None else kernels.moments)(grad, sums, pixels, columns)


@_project.register_fake
def _(volume, frames, detector, pixels, columns, step, slopes, backend):
    size = (len(frames), volume.shape[1], len(pixels))
    wide = _wide(volume)
    return volume.new_empty(size, dtype=wide), volume.new_empty((*size, 6) if slopes else (0,), dtype=wide)


@_backproject.register_fake
def _(image, slopes, frames, detector, pixels, columns, step, shape, backend):
    return image.new_empty(shape)


@_curve.register_fake
def _(volume, along, frames, detector, pixels, columns, step, backend):
    return torch.empty_like(along)


@_moments.register_fake
def _(grad, sums, pixels, columns, backend):
    return grad.new_empty(len(grad), 3, 6, dtype=torch.float64)


def _setup_project(ctx, inputs, output):
    volume, frames, detector, pixels, *rest = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(volume, frames, detector, pixels, output[1])
    ctx.columns, ctx.step, ctx.sloped, ctx.backend = rest


def _project_backward(ctx, grad_image, grad_sums):
    volume, frames, detector, pixels, sums = ctx.saved_tensors
    to_volume = to_frames = None
    grad_sums = grad_sums if ctx.sloped else None
    if grad_image is None and grad_sums is None:
        return (None,) * 8
    if ctx.needs_input_grad[0]:
        rays = (frames, detector, pixels, ctx.columns, ctx.step, list(volume.shape), ctx.backend)
        to_volume = torch.ops.diffreg.backproject(*_both(grad_image, grad_sums, sums), *rays).to(volume.dtype)
    if ctx.needs_input_grad[1]:
        if not ctx.sloped:
            sums = torch.ops.diffreg.project(
                volume, frames, detector, pixels, ctx.columns, ctx.step, True, ctx.backend
            )[1]
        if grad_image is not None:
            to_frames = _pull_back(grad_image, sums, pixels, ctx.columns, ctx.backend)
        if grad_sums is not None:
            curved = _bend(volume, grad_sums, frames, detector, pixels, ctx.columns, ctx.step, ctx.backend)
            to_frames = curved if to_frames is None else to_frames + curved
    return to_volume, to_frames, None, None, None, None, None, None


def _setup_backproject(ctx, inputs, output):
    image, sums, frames, detector, pixels, *rest = inputs
    ctx.save_for_backward(image, sums, frames, detector, pixels)
    ctx.columns, ctx.step, _, ctx.backend = rest


def _backproject_backward(ctx, grad):
    """`backproject` is linear in image and sums: what reaches them is the projection of the incoming volume."""
    image, sums, frames, detector, pixels = ctx.saved_tensors
    rays = (detector, pixels, ctx.columns, ctx.step)
    sloped = bool(sums.numel()) or ctx.needs_input_grad[2]
    to_image, to_sums = torch.ops.diffreg.project(grad, frames, *rays, sloped, ctx.backend)
    to_frames = None
    if ctx.needs_input_grad[2]:
        to_frames = _pull_back(image, to_sums, pixels, ctx.columns, ctx.backend)
        if sums.numel():
            to_frames = to_frames + _bend(grad, sums, frames, *rays, ctx.backend)
    return to_image, to_sums if sums.numel() else torch.zeros_like(sums), to_frames, *[None] * 6


def _setup_moments(ctx, inputs, output):
    ctx.save_for_backward(*inputs[:3])
    ctx.columns = inputs[3]


def _moments_backward(ctx, grad):
    weights, sums, pixels = ctx.saved_tensors
    field = (steps_of(pixels, ctx.columns, grad.dtype).T @ grad)[:, None].to(sums.dtype)  # (B,1,P,6)
    return (sums * field).sum(-1), weights[..., None] * field, None, None, None


_project.register_autograd(_project_backward, setup_context=_setup_project)
_backproject.register_autograd(_backproject_backward, setup_context=_setup_backproject)
_moments.register_autograd(_moments_backward, setup_context=_setup_moments)


def _wide(volume: Tensor) -> torch.dtype:
    """The type of sums over a volume: voxels of 16 bits are added up as float32."""
    return torch.float32 if volume.dtype in (torch.float16, torch.bfloat16) else volume.dtype


def _both(image: Tensor | None, sums: Tensor | None, like: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients to image and sums, where one of them may not have been asked for."""
    if sums is None:
        assert image is not None
        return image, like.new_empty(0)
    return sums.new_zeros(sums.shape[:-1]) if image is None else image, sums


def _pull_back(grad: Tensor, sums: Tensor, pixels: Tensor, columns: int, backend: str) -> Tensor:
    """Gradient (B,4,3) to source, first pixel, column step and row step, from A and B of every pixel."""
    moments = torch.ops.diffreg.project_moments(grad, sums, pixels, columns, backend)
    ends = moments[:, :, 3:]
    return torch.cat([moments[:, :1, :3] - ends[:, :1], ends], 1)


def _bend(
    volume: Tensor, along: Tensor, frames: Tensor, detector, pixels, columns: int, step: float, backend: str
) -> Tensor:
    """Gradient (B,4,3) to the frames of the sums weighted by `along`."""
    curved = torch.ops.diffreg.project_curve(volume, along, frames, detector, pixels, columns, step, backend)
    return _pull_back(torch.ones_like(curved[..., 0]), curved, pixels, columns, backend)
