"""The CUDA kernels: compiled without a GPU, run by numba's simulator, and run in earnest where there is a GPU."""

import importlib.util
import os
import subprocess
import sys

import pytest
import torch

from DiffRegLib.camera import Camera
from DiffRegLib.ops import available, backend, last_backend, sample, splat
from DiffRegLib.radiographs.projection import Volume, project

needs_compiler = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed: nothing to compile with"
)
needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="numba is not installed")
needs_gpu = pytest.mark.skipif(not available("cuda"), reason="no CUDA device, or numba-cuda is not installed")

COMPILE = """
import sys, types as python
from numba import cuda, types as t
import numba.cuda.dispatcher as dispatcher
capability = divmod(int(sys.argv[1]), 10)
# functions that kernels call are compiled for the device at hand: name one, as there is none
dispatcher.get_current_device = lambda: python.SimpleNamespace(compute_capability=capability)
from DiffRegLib.ops.kernels import points_cuda as points, projection_cuda as projection
f, d, i, flag = t.float32, t.float64, t.int64, t.boolean
def array(kind, dimensions=1): return t.Array(kind, dimensions, "C")
rays = (flag, array(d, 3), array(d, 2), array(t.int32), i, d, i, i, i, i)
for voxel in (f, t.float16, t.int16):
    kernels = {
        points.splat_points: (array(f, 3), array(f), array(i), array(d), i, i, i, i),
        points.gather_points: (array(f, 3), array(f), array(voxel), flag, flag, array(f), array(f), i, i, i, i),
        projection.project_pixels: (array(voxel), flag, *rays, array(f), array(f), flag),
        projection.spread_pixels: (array(i), array(d), *rays, array(f), array(f), flag),
    }
    for kernel, signature in kernels.items():
        ptx, _ = cuda.compile_ptx(kernel.py_func, signature, cc=capability)
        assert f".target sm_{sys.argv[1]}" in ptx and f".entry" in ptx, kernel
        assert ".local" not in ptx or kernel.py_func.__name__ != "gather_points", "voxels spill to local memory"
"""

SIMULATE = """
import torch
from DiffRegLib.camera import Camera
from DiffRegLib.ops.kernels import launching, points_cuda as points, projection_cuda as projection
from DiffRegLib.ops.projection_reference import backproject_reference, project_reference
from DiffRegLib.ops.rays import tiled
from DiffRegLib.radiographs.projection import frames_of, detectors_of
from DiffRegLib.ops.reference import gather_reference, splat_reference

def launch(kernel, threads, rows, *arguments):
    arrays = [a.detach().contiguous().numpy() if isinstance(a, torch.Tensor) else a for a in arguments]
    kernel[(threads, rows), 1](*arrays)

points.launch = projection.launch = launch
projection.ray_of = projection.ray_of.py_func  # the simulator's arrays are foreign to compiled functions
torch.manual_seed(0)

def agree(ours, exact, tolerance=1e-5):
    torch.testing.assert_close(ours.double(), exact, rtol=0, atol=tolerance * exact.abs().max().item())

shape = (3, 4, 5)
cloud, values, volume = torch.rand(2, 12, 3) * 3 - 1.5, torch.randn(2, 2, 12), torch.randn(2, 2, *shape)
agree(points.splat(cloud, values, shape), splat_reference(cloud.double(), values.double(), shape))
exact = gather_reference(volume.double(), cloud.double(), values.double())
for ours, true in zip((*points.gather(volume, cloud, values), points.sample(volume, cloud)), (*exact, exact[0])):
    agree(ours, true)

view = Camera.from_detector([0, -90.0, 0], [0, 60.0, 0], [1.0, 0, 0], [0, 0, -1.0], (9.0, 8.0), (2, 3))
affine = torch.diag(torch.tensor([4.0, 5.0, 6.0, 1.0], dtype=torch.float64))
affine[:3, 3] = torch.tensor([-7.0, -8.0, -6.5])
poses = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
poses[1, :2, :2] = torch.tensor([[0.8, -0.6], [0.6, 0.8]])
rays = (frames_of(poses, affine, [view]), detectors_of([view] * 2, "cpu"), tiled(2, 3)[0], 3, 1.7)
image, sums = torch.randn(2, 2, 6), torch.randn(2, 2, 6, 6)
for batch in (volume, volume[:1]):
    exact = project_reference(batch.double(), *rays)
    for ours, true in zip(projection.project(batch, *rays, True), exact):
        agree(ours, true)
    agree(projection.project(batch, *rays, False)[0], exact[0])
    for slopes in (sums, torch.empty(0)):
        exact = backproject_reference(image.double(), slopes.double(), *rays, list(batch.shape))
        agree(projection.backproject(image, slopes, *rays, list(batch.shape)), exact)
"""


@needs_compiler
@pytest.mark.parametrize("capability", ["75", "80", "86", "90"])
def test_the_kernels_compile_to_ptx_without_a_gpu(capability):
    subprocess.run([sys.executable, "-c", COMPILE, capability], check=True, timeout=600)


@needs_numba
def test_the_kernels_agree_with_the_reference_in_the_simulator():
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    subprocess.run([sys.executable, "-c", SIMULATE], check=True, timeout=600, env=environment)


def test_without_a_gpu_cuda_says_so():
    if available("cuda"):
        pytest.skip("there is a GPU")
    with pytest.raises(ValueError, match="cannot run here"):
        sample(torch.zeros(1, 1, 2, 2, 2), torch.zeros(1, 1, 3), "cuda")


def test_kernels_that_do_not_run_leave_the_work_to_torch(monkeypatch):
    """As where numba-cuda is older than numpy: it imports, and fails when it compiles."""
    if available("cuda"):
        pytest.skip("they run here")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr(backend, "_imports", lambda name: sys)
    backend._kernels_run.cache_clear()
    with pytest.warns(UserWarning, match="do not run here"):
        assert not available("cuda")
    backend._kernels_run.cache_clear()


def on_gpu(seed=0):
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(2, 5000, 3, generator=generator) * 2.4 - 1.2
    values = torch.randn(2, 3, 5000, generator=generator)
    volume = torch.randn(2, 3, 20, 21, 22, generator=generator)
    return points.cuda(), values.cuda(), volume.cuda()


@needs_gpu
def test_points_on_the_gpu_agree_with_the_reference_and_repeat_bit_by_bit():
    points, values, volume = (t.requires_grad_() for t in on_gpu())

    def run(backend, *tensors):
        points, values, volume = tensors
        grid, samples = splat(points, values, (20, 21, 22), backend), sample(volume, points, backend)
        to_values, to_volume = torch.autograd.grad((grid, samples), (values, volume), (volume, values))
        return grid, samples, to_values, to_volume

    first, second = run("auto", points, values, volume), run("auto", points, values, volume)
    assert last_backend("splat") == last_backend("sample") == "cuda"
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    exact = run("reference", points.double(), values.double(), volume.double())
    for ours, true in zip(first, exact, strict=True):
        torch.testing.assert_close(ours.double(), true, rtol=0, atol=1e-4 * true.abs().max().item())


@needs_gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_projections_on_the_gpu_agree_with_the_reference(dtype):
    view = Camera.from_detector([0, -600.0, 0], [0, 400.0, 0], [1.0, 0, 0], [0, 0, -1.0], (2.0, 2.0), (31, 47))
    affine = torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0], dtype=torch.float64))
    affine[:3, 3] = torch.tensor([-21.0, -30.0, -38.0])
    volume = on_gpu()[2][:1].abs().to(dtype)
    weights = torch.randn(1, 3, 31, 47, device="cuda")

    def run(data, weights, backend):
        data, pose = data.clone().requires_grad_(), torch.eye(4, dtype=torch.float64, device="cuda").requires_grad_()
        image = project(Volume(data, affine), pose, view, 0.9, backend=backend)
        return image.detach(), *torch.autograd.grad(image, (pose, data), weights.to(image.dtype))

    ours = run(volume, weights, "auto")
    assert last_backend("project") == "cuda" and ours[0].dtype == torch.float32 and ours[2].dtype == dtype
    bits = {torch.float32: 2e-4, torch.float16: 1e-3, torch.bfloat16: 8e-3}[dtype]
    for fast, true in zip(ours, run(volume.double(), weights.double(), "reference"), strict=True):
        torch.testing.assert_close(fast.double(), true, rtol=0, atol=bits * true.abs().max().item())
