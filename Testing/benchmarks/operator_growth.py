"""How the operators' time grows with rays, samples, voxels and points, one thread, as one picture."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from DiffRegLib.camera import Camera
from DiffRegLib.ops import splat
from DiffRegLib.radiographs.projection import Volume, project


def draw(path: Path) -> dict[str, float]:
    """Measures the four curves, saves their picture, and returns the exponent of each (1 is linear growth)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    torch.set_num_threads(1)
    figure, axes = pyplot.subplots(1, 4, figsize=(15, 3.6), constrained_layout=True)
    exponents = {}
    for axis, (name, curve) in zip(axes, CURVES.items(), strict=True):
        sizes, times = zip(*curve(), strict=True)
        exponents[name] = _exponent(sizes, times)
        axis.loglog(sizes, times, "o-")
        axis.loglog(sizes, [times[-1] * n / sizes[-1] for n in sizes], "k:", label="linear")
        axis.set(xlabel=name, ylabel="forward + gradients, ms", title=f"exponent {exponents[name]:.2f}")
        for direction in (axis.xaxis, axis.yaxis):
            direction.set_minor_formatter(ticker.NullFormatter())  # they would lie over each other
        axis.legend()
        axis.grid(alpha=0.3)
        print(f"time ~ ({name})^{exponents[name]:.2f}", flush=True)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
    return exponents


def _exponent(sizes, times) -> float:
    """Slope of log time against log size over the upper half of the sizes, where fixed costs no longer count."""
    half = len(sizes) // 2
    x, y = ([math.log(n) for n in row[half - 1 :]] for row in (sizes, times))
    return statistics.linear_regression(x, y).slope


def _time(work: Callable) -> float:
    work()
    spent = []
    for _ in range(7):
        started = time.thread_time()
        work()
        spent.append((time.thread_time() - started) * 1e3)
    return statistics.median(spent)


def _radiograph(n: int, pixels: int, samples: int) -> float:
    affine = torch.diag(torch.tensor([300 / n] * 3 + [1.0], dtype=torch.float64))
    affine[:3, 3] = -(n - 1) / 2 * 300 / n
    view = Camera.from_detector(
        [0, -620.0, 0], [0, 400.0, 0], [-1.0, 0, 0], [0, 0, -1.0], (370 / pixels,) * 2, (pixels,) * 2
    )
    volume, weights = Volume(torch.rand(1, n, n, n), affine), torch.rand(1, 1, pixels, pixels)
    pose = torch.eye(4, dtype=torch.float64, requires_grad=True)
    return _time(lambda: torch.autograd.grad(project(volume, pose, view, 300 / samples), pose, weights))


def _rays():
    return [(pixels**2, _radiograph(128, pixels, 200)) for pixels in (32, 64, 128, 256, 512)]


def _samples():
    return [(samples, _radiograph(128, 128, samples)) for samples in (50, 100, 200, 400, 800)]


def _voxels():
    return [(n**3, _radiograph(n, 128, 200)) for n in (32, 64, 128, 192, 256)]


def _points():
    weights = torch.rand(1, 1, 160, 160, 160)
    curve = []
    for count in (10_000, 30_000, 100_000, 300_000, 1_000_000, 2_000_000):
        points = (torch.rand(1, count, 3) * 1.9 - 0.95).requires_grad_()
        values = torch.rand(1, 1, count).requires_grad_()
        spent = _time(lambda p=points, v=values: torch.autograd.grad(splat(p, v, (160, 160, 160)), (p, v), weights))
        curve.append((count, spent))
    return curve


CURVES = {"rays": _rays, "samples a ray": _samples, "voxels (rays and samples fixed)": _voxels, "points": _points}
