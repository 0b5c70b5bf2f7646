"""What the CUDA kernels share: tensors as arrays, the launch, 16-bit voxels, and sums that do not depend on order.

Threads add to one voxel in no fixed order, and sums of floats depend on it. The kernels therefore add integers: each
share is scaled by a power of two, so that the sum of all of them just fits into 62 bits, and rounded. The result has
the same bits on every run, and its rounding (2**-62 of the sum of all magnitudes) is far below that of float32.
"""

from __future__ import annotations

import math
import threading
import warnings

import numpy as np
import torch
from numba import cuda
from torch import Tensor

from DiffRegLib.ops.kernels.cells import NOWHERE, corner, f32, flat_index, hat, i32, interpolate, is_inside, u64

THREADS = 128
ONE_AT_A_TIME = threading.Lock()  # numba-cuda 0.30 loads a kernel twice, and fails, where two threads launch it first

# small clouds and radiographs do not fill a GPU, and whoever registers them cannot change that
warnings.filterwarnings("ignore", "(?s).*Grid size .* will likely result in GPU under-utilization")


def compiled(function):
    """The kernel, compiled on first launch for the device at hand and cached where the package can be written."""
    try:
        return cuda.jit(cache=True)(function)
    except RuntimeError:
        return cuda.jit(function)


def launch(kernel, threads: int, rows: int, *arguments) -> None:
    """Runs `kernel` with `threads` x `rows` threads on torch's current stream; tensors pass as arrays, in place."""
    if threads == 0 or rows == 0:
        return
    device = next(a.device for a in arguments if isinstance(a, Tensor))
    with ONE_AT_A_TIME, torch.cuda.device(device):
        stream = cuda.external_stream(torch.cuda.current_stream(device).cuda_stream)
        arrays = [_array(a) if isinstance(a, Tensor) else a for a in arguments]
        kernel[(-(-threads // THREADS), rows), THREADS, stream](*arrays)


@cuda.jit
def _double(values):
    n = cuda.grid(1)
    if n < values.shape[0]:
        values[n] *= f32(2)


def try_out() -> None:
    """Compiles and runs a kernel; raises what the compiler or the driver raise where they do not fit each other."""
    values = torch.ones(3, device="cuda")
    launch(_double, 3, 1, values)
    if values.tolist() != [2.0] * 3:
        raise RuntimeError("a kernel ran and did not compute")


def _array(tensor: Tensor):
    tensor = tensor.detach().contiguous()
    return cuda.as_cuda_array(tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor)


def scale_for(values: Tensor, share: float | Tensor) -> Tensor:
    """The power of two (1,) float64 that scales to 62 bits what a voxel receives, at most `share` of every value."""
    bound = values.detach().abs().amax().double() * values.numel() * share
    return torch.where(bound > 0, torch.exp2(62 - torch.ceil(torch.log2(bound))), 1.0).reshape(1)


def unscaled(sums: Tensor, scale: Tensor) -> Tensor:
    """The float32 sums of shares that were added as integers."""
    return (sums.double() / scale).float()


@cuda.jit(device=True)
def widened(voxel, bf16):
    """The float32 value of a voxel of any type; `bf16` tells that it holds the bits of a bfloat16."""
    if bf16:
        return cuda.libdevice.int_as_float(i32(i32(voxel) << 16))
    return f32(voxel)


@cuda.jit(device=True)
def read_cell(flat, bf16, start, i, j, k, x, y, z, depth, height, width):
    """Value and voxel gradient at the fractions x, y, z of the cell (i,j,k), zero outside; flat[start] is voxel 0."""
    value = dx = dy = dz = f32(0)
    if is_inside(i, j, k, depth, height, width):
        a = start + flat_index(i, j, k, height, width)
        b, c, one = a + u64(width), a + u64(height * width), u64(1)
        d = c + u64(width)
        return interpolate(
            widened(flat[a], bf16), widened(flat[a + one], bf16),
            widened(flat[b], bf16), widened(flat[b + one], bf16),
            widened(flat[c], bf16), widened(flat[c + one], bf16),
            widened(flat[d], bf16), widened(flat[d + one], bf16), x, y, z,
        )  # fmt: skip
    for number in range(8):
        q = corner(number, i, j, k, depth, height, width)
        if q != NOWHERE:
            u, v, w, du, dv, dw = hat(number, x, y, z)
            voxel = widened(flat[start + q], bf16)
            value += voxel * u * v * w
            dx += voxel * du * v * w
            dy += voxel * u * dv * w
            dz += voxel * u * v * dw
    return value, dx, dy, dz


@cuda.jit(device=True)
def add_cell(sums, start, i, j, k, shares, depth, height, width):
    """Adds eight scaled shares to the voxels of the cell (i,j,k) that are in the grid."""
    for number in range(8):
        q = corner(number, i, j, k, depth, height, width)
        if q != NOWHERE:
            cuda.atomic.add(sums, start + q, np.int64(math.floor(shares[number] + f32(0.5))))
