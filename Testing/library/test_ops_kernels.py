"""The compiled splat and sample kernels against the reference in double precision, and how a backend is chosen."""

import subprocess
import sys

import pytest
import torch

from DiffRegLib.ops import available, last_backend, sample, splat
from DiffRegLib.ops import backend as backends

needs_numba = pytest.mark.skipif(not available("cpu"), reason="numba is not installed: only the reference can run")
SHAPES = [(4, 5, 6), (1, 7, 9), (1, 1, 1), (33, 20, 3), (150, 300, 4)]


def scattered(shape, count=3000, batch=2, channels=3, seed=0):
    """Points up to two voxels beyond the grid, at least 0.01 voxel off the cell faces, where the slope jumps."""
    generator = torch.Generator().manual_seed(seed)
    size = torch.tensor(shape[::-1], dtype=torch.float64)
    cell = (torch.rand(batch, count, 3, generator=generator, dtype=torch.float64) * (size + 4) - 2.5).floor()
    voxel = cell + torch.rand(cell.shape, generator=generator, dtype=torch.float64) * 0.98 + 0.01
    points = 2 * (voxel + 0.5) / size - 1
    values = torch.randn(batch, channels, count, generator=generator, dtype=torch.float64)
    volume = torch.randn(batch, channels, *shape, generator=generator, dtype=torch.float64)
    return points, values, volume


def outcome(points, values, volume, backend):
    """Splat and sample, with the gradients to points, values and volume."""
    points, values, volume = (t.clone().requires_grad_() for t in (points, values, volume))
    grid, samples = splat(points, values, volume.shape[2:], backend), sample(volume, points, backend)
    splat_grads = torch.autograd.grad(grid, (points, values), volume.detach())
    sample_grads = torch.autograd.grad(samples, (volume, points), values.detach())
    return grid.detach(), samples.detach(), *splat_grads, *sample_grads


@needs_numba
@pytest.mark.parametrize("shape", SHAPES)
def test_the_cpu_kernels_agree_with_the_reference(shape):
    inputs = scattered(shape)
    fast = outcome(*(t.float() for t in inputs), "cpu")
    assert {last_backend(operator) for operator in ("splat", "sample", "gather")} == {"cpu"}
    for ours, exact in zip(fast, outcome(*inputs, "reference"), strict=True):
        rounding = 1e-6 * max(shape) * exact.abs().max().item()  # float32 coordinates of up to max(shape) voxels
        torch.testing.assert_close(ours.double(), exact, rtol=0, atol=rounding)


@needs_numba
def test_the_cpu_splat_is_the_adjoint_of_the_cpu_sample():
    points, values, volume = (t.float() for t in scattered((20, 21, 22)))
    left = (splat(points, values, (20, 21, 22), "cpu").double() * volume).sum()
    right = (sample(volume, points, "cpu").double() * values).sum()
    assert abs(left - right) <= 1e-5 * (values.norm() * sample(volume, points, "cpu").norm())


@needs_numba
def test_the_cpu_splat_conserves_the_values_of_points_inside():
    points, values, _ = (t.float() for t in scattered((20, 21, 22)))
    points = points.clamp(-0.9, 0.9)
    torch.testing.assert_close(
        splat(points, values, (20, 21, 22), "cpu").sum((2, 3, 4)), values.sum(2), rtol=0, atol=1e-3
    )


@needs_numba
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads_gives_the_same_bits(threads):
    inputs = [t.float() for t in scattered((40, 30, 20), count=100_000, batch=1, channels=1)]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        expected = outcome(*inputs, "cpu")
        torch.set_num_threads(threads)
        for _ in range(2):
            assert all(torch.equal(a, b) for a, b in zip(outcome(*inputs, "cpu"), expected, strict=True))
    finally:
        torch.set_num_threads(before)


@needs_numba
@pytest.mark.parametrize("far", [1e3, 1e30, float("inf"), float("-inf"), float("nan")])
def test_points_far_outside_read_and_write_zero(far):
    points = torch.zeros(1, 2, 3)
    points[:, 1] = far
    points[:, 0, 2] = far
    points.requires_grad_()
    grid = splat(points, torch.ones(1, 1, 2), (4, 4, 4), "cpu")
    samples = sample(torch.ones(1, 1, 4, 4, 4), points, "cpu")
    assert not grid.any() and not samples.any()
    (grid.sum() + samples.sum()).backward()
    assert not torch.nan_to_num(points.grad, nan=1.0).any()


@needs_numba
def test_an_empty_cloud():
    points, values = torch.zeros(2, 0, 3), torch.zeros(2, 3, 0)
    grid = splat(points, values, (4, 5, 6), "cpu")
    assert grid.shape == (2, 3, 4, 5, 6) and not grid.any()
    assert sample(grid, points, "cpu").shape == (2, 3, 0)


@needs_numba
@pytest.mark.parametrize("shape", [*SHAPES, (7, 3, 3), (8, 3, 3), (9, 3, 3)])
def test_a_grid_is_cleared_whatever_its_memory_held(shape):
    import numpy as np

    from DiffRegLib.ops.kernels.points_cpu import splat_into

    points, values, _ = (t.float()[0].numpy() for t in scattered(shape, count=5, batch=1))
    grid = np.full(3 * shape[0] * shape[1] * shape[2], np.nan, np.float32)
    splat_into(points, values, np.empty(5 * 7, np.int32), grid, shape)
    exact = splat(torch.from_numpy(points)[None].double(), torch.from_numpy(values)[None].double(), shape, "reference")
    torch.testing.assert_close(torch.from_numpy(grid).double(), exact.flatten(), rtol=0, atol=1e-4)


@needs_numba
def test_the_gradient_can_be_taken_twice_from_one_splat():
    points, values, volume = (t.float().requires_grad_() for t in scattered((9, 8, 7)))
    grid = splat(points, values, (9, 8, 7), "cpu")
    first, second = (torch.autograd.grad(grid, (points, values), volume.detach(), retain_graph=True) for _ in range(2))
    assert first[0].any() and all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@needs_numba
def test_views_that_are_not_contiguous_are_read_right():
    points, values, volume = (t.float() for t in scattered((6, 7, 8), count=50))
    turned = volume.transpose(2, 4).contiguous().transpose(2, 4)
    torch.testing.assert_close(sample(turned, points, "cpu"), sample(volume, points, "cpu"), rtol=0, atol=0)
    torch.testing.assert_close(
        splat(points, values[:1].expand(2, -1, -1), (6, 7, 8), "cpu")[0], splat(points, values, (6, 7, 8), "cpu")[0]
    )


@needs_numba
def test_the_second_derivative_falls_back_on_the_reference_and_is_right():
    points, values, _ = scattered((5, 6, 7), count=20, batch=1, channels=1)

    def curvature(points, values, backend):
        points, values = points.clone().requires_grad_(), values.clone().requires_grad_()
        energy = splat(points, values, (5, 6, 7), backend).square().sum()
        (force,) = torch.autograd.grad(energy, points, create_graph=True)
        return torch.autograd.grad(force.square().sum(), (points, values))

    expected = curvature(points, values, "reference")
    for ours, exact in zip(curvature(points.float(), values.float(), "cpu"), expected, strict=True):
        torch.testing.assert_close(ours.double(), exact, rtol=0, atol=1e-4 * exact.abs().max().item())


@needs_numba
def test_operators_with_the_cpu_kernels_obey_the_rules_of_torch_library():
    points, values, volume = (t.float().requires_grad_() for t in scattered((4, 5, 6), count=20))
    torch.library.opcheck(torch.ops.diffreg.sample, (volume, points, "cpu"))
    for keep in (True, False):
        torch.library.opcheck(torch.ops.diffreg.splat, (points, values, [4, 5, 6], keep, "cpu"))
        records = torch.ops.diffreg.splat(points, values, [4, 5, 6], keep, "cpu")[1]
        torch.library.opcheck(torch.ops.diffreg.gather, (volume, points, values, records, "cpu"))


def test_double_precision_runs_on_the_reference():
    sample(torch.zeros(1, 1, 2, 2, 2, dtype=torch.float64), torch.zeros(1, 1, 3, dtype=torch.float64))
    assert last_backend("sample") == "reference"


def test_without_numba_auto_falls_back_on_the_reference_and_cpu_says_so(monkeypatch):
    monkeypatch.setattr(backends, "_imports", lambda name: None)
    sample(torch.zeros(1, 1, 2, 2, 2), torch.zeros(1, 1, 3))
    assert last_backend("sample") == "reference"
    with pytest.raises(ValueError, match="cannot run here"):
        sample(torch.zeros(1, 1, 2, 2, 2), torch.zeros(1, 1, 3), "cpu")


@pytest.mark.parametrize(("backend", "message"), [("gpu", "choose one of"), ("cpu", "float32|cannot run")])
def test_a_backend_that_does_not_fit_is_named(backend, message):
    double = torch.zeros(1, 1, 3, dtype=torch.float64)
    with pytest.raises(ValueError, match=message):
        sample(torch.zeros(1, 1, 2, 2, 2), double, backend)


def test_importing_the_operators_does_not_import_numba():
    code = "import sys, DiffRegLib.ops; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@needs_numba
def test_kernels_run_after_a_fork_and_in_many_threads_at_once():
    code = """
import os, threading, torch
from DiffRegLib.ops import splat
torch.set_num_threads(2)
points, values = torch.rand(1, 60000, 3) - 0.5, torch.rand(1, 1, 60000)
expected = splat(points, values, (20, 20, 20), "cpu")
results = []
def work(): results.append(splat(points, values, (20, 20, 20), "cpu"))
workers = [threading.Thread(target=work) for _ in range(6)]
[w.start() for w in workers]; [w.join() for w in workers]
assert len(results) == 6 and all(torch.equal(r, expected) for r in results)
child = os.fork()
if not child:
    os._exit(0 if torch.equal(splat(points, values, (20, 20, 20), "cpu"), expected) else 1)
raise SystemExit(os.waitpid(child, 0)[1] != 0)
"""
    if sys.platform == "win32":
        pytest.skip("no fork on Windows")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@needs_numba
def test_a_read_only_installation_without_a_cache_still_compiles(tmp_path):
    code = """
import sys
from numba.core import caching
def nowhere(*args): raise RuntimeError("cannot cache function: no locator available")
caching.FunctionCache.__init__ = nowhere
import torch
from DiffRegLib.ops import last_backend, sample
value = sample(torch.ones(1, 1, 2, 2, 2), torch.zeros(1, 1, 3))
sys.exit(not (last_backend("sample") == "cpu" and value.item() == 1))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
