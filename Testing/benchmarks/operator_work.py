"""One measurement of one implementation in one process; `operators.py` starts it and reads the line of JSON.

It needs nothing but torch and the implementation that it measures, so that a peer can run in an environment of its own.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

SOURCE, DETECTOR, FIELD, EXTENT = 620.0, 400.0, 373.76, 298.5  # mm: distances from the middle, image and volume sizes
GRID = (160, 160, 160)


def ours_project(n: int, samples: int) -> tuple[Callable, Callable]:
    """Forward, and forward with the gradient to six pose parameters."""
    from DiffRegLib.camera import Camera
    from DiffRegLib.radiographs.projection import Volume, project

    affine = torch.diag(torch.tensor([EXTENT / n] * 3 + [1.0], dtype=torch.float64))
    affine[:3, 3] = -(n - 1) / 2 * EXTENT / n
    view = Camera.from_detector([0, -SOURCE, 0], [0, DETECTOR, 0], [-1.0, 0, 0], [0, 0, -1.0], (FIELD / n,) * 2, (n, n))
    chord = project(Volume(torch.ones(1, n, n, n), affine), torch.eye(4), view, EXTENT / samples).mean().item()
    volume, step = Volume(torch.rand(1, n, n, n), affine), chord / samples
    weights, generators = torch.rand(1, 1, n, n), _generators()
    parameters = torch.zeros(6, dtype=torch.float64, requires_grad=True)

    def forward():
        with torch.no_grad():
            return project(volume, torch.eye(4, dtype=torch.float64), view, step)

    def both():
        pose = torch.linalg.matrix_exp((parameters[:, None, None] * generators).sum(0))
        return torch.autograd.grad(project(volume, pose, view, step), parameters, weights)

    return forward, both


def _generators() -> torch.Tensor:
    """The six infinitesimal rotations and translations (6,4,4)."""
    moves = torch.zeros(6, 4, 4, dtype=torch.float64)
    for axis, (i, j) in enumerate(((1, 2), (2, 0), (0, 1))):
        moves[axis, j, i], moves[axis, i, j] = 1.0, -1.0
        moves[3 + axis, axis, 3] = 1.0
    return moves


def nanodrr_project(n: int, samples: int) -> tuple[Callable, Callable]:
    from nanodrr.camera import make_k_inv, make_rt_inv
    from nanodrr.data import Subject
    from nanodrr.drr import render

    subject = Subject.from_filepath(_volume_file(n))
    inverse = make_k_inv(SOURCE + DETECTOR, FIELD / n, FIELD / n, 0.0, 0.0, n, n)
    distance, weights = torch.tensor([SOURCE + DETECTOR]), torch.rand(1, 1, n, n)
    turn = torch.zeros(1, 3, requires_grad=True)
    shift = torch.tensor([[0.0, SOURCE, 0.0]], requires_grad=True)

    def image():
        pose = make_rt_inv(turn, shift, orientation="AP", isocenter=subject.isocenter)
        return render(subject, inverse, pose, distance, n, n, samples)

    return _without_gradient(image), lambda: torch.autograd.grad(image(), (turn, shift), weights)


def diffdrr_project(n: int, samples: int) -> tuple[Callable, Callable]:
    from diffdrr.data import read
    from diffdrr.drr import DRR

    subject = read(_volume_file(n), orientation="AP")
    drr = DRR(subject, sdd=SOURCE + DETECTOR, height=n, delx=FIELD / n, renderer="trilinear")
    turn = torch.zeros(1, 3, requires_grad=True)
    shift = torch.tensor([[0.0, SOURCE, 0.0]], requires_grad=True)
    weights = torch.rand(1, 1, n, n)

    def image():
        return drr(turn, shift, parameterization="euler_angles", convention="ZXY", n_points=samples)

    return _without_gradient(image), lambda: torch.autograd.grad(image(), (turn, shift), weights)


def _volume_file(n: int) -> str:
    """A volume of noise in HU, of the size and geometry that `ours_project` takes."""
    import nibabel
    import numpy as np

    path = Path(os.environ["BENCHMARK_CACHE"]) / f"noise{n}.nii.gz"
    if not path.is_file():
        affine = np.diag([EXTENT / n] * 3 + [1.0])
        affine[:3, 3] = -(n - 1) / 2 * EXTENT / n
        voxels = np.random.default_rng(0).integers(-1000, 1000, (n, n, n)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
    return str(path)


def ours_splat(count: int) -> tuple[Callable, Callable]:
    from DiffRegLib.ops import splat

    points, values, weights = _cloud(count)
    return _splat_pair(lambda p, v: splat(p[None], v[None, None], GRID), points, values, weights[None, None])


def divroc_splat(count: int) -> tuple[Callable, Callable]:
    """The paper's definition: minus the derivative, at a volume of zeros, of the loss of sampling it at the points."""
    from torch.autograd.functional import jacobian
    from torch.nn.functional import grid_sample

    class Splat(torch.autograd.Function):
        @staticmethod
        def forward(ctx, points, values):
            ctx.save_for_backward(points, values)
            grid, target = points.view(1, -1, 1, 1, 3), values.view(1, 1, -1, 1, 1)

            def loss(volume):
                return 0.5 * (grid_sample(volume, grid, align_corners=False) - target).square().sum()

            return -jacobian(loss, torch.zeros(1, 1, *GRID))[0, 0]

        @staticmethod
        def backward(ctx, grad):
            points, values = ctx.saved_tensors
            with torch.enable_grad():
                moving = points.detach().requires_grad_()
                read = grid_sample(grad[None, None], moving.view(1, -1, 1, 1, 3), align_corners=False).view(-1)
                (slope,) = torch.autograd.grad((read * values).sum(), moving)
            return slope, read.detach()

    return _splat_pair(Splat.apply, *_cloud(count))


def torch_splat(count: int) -> tuple[Callable, Callable]:
    """Eight corners stacked, added by one `index_add`."""
    corners = torch.tensor([[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)])
    side = GRID[0]

    def splat(points, values):
        voxel = (points + 1) * (side / 2) - 0.5
        low = voxel.detach().floor()
        upper = (voxel - low)[None]
        at = low.long()[None] + corners[:, None]
        share = torch.where(corners[:, None].bool(), upper, 1 - upper).prod(-1) * values
        share = share * ((at >= 0) & (at < side)).all(-1)
        x, y, z = at.clamp(0, side - 1).unbind(-1)
        return torch.zeros(side**3).index_add(0, ((z * side + y) * side + x).flatten(), share.flatten()).view(GRID)

    return _splat_pair(splat, *_cloud(count))


def machine_arithmetic(pieces: int) -> tuple[Callable, Callable]:
    """What two cores give at best: pieces of a loop that needs no memory, dealt to threads as the kernels' are."""
    from numba import njit

    @njit(nogil=True)
    def loop(number):
        for _ in range(250_000):
            number = number * 1.0000001 + 1e-9
        return number

    return _dealt(lambda piece: loop(float(piece)), pieces)


def machine_reading(pieces: int) -> tuple[Callable, Callable]:
    """What two cores give at best where memory decides: 128 MB are read four times in pieces, dealt likewise."""
    from numba import njit

    voxels = torch.ones(pieces, (128 << 18) // pieces).numpy()

    @njit(nogil=True, fastmath=True)
    def total(part):
        return part.sum()

    return _dealt(lambda piece: total(voxels[piece % pieces]), 4 * pieces)


def _dealt(loop: Callable, pieces: int) -> tuple[Callable, Callable]:
    from DiffRegLib.ops.threads import in_parallel

    def both():
        in_parallel(loop, range(pieces))

    return both, both


def _cloud(count: int):
    generator = torch.Generator().manual_seed(0)
    points = (torch.rand(count, 3, generator=generator) * 1.9 - 0.95).requires_grad_()
    values = torch.rand(count, generator=generator).requires_grad_()
    return points, values, torch.rand(GRID, generator=generator)


def _splat_pair(splat: Callable, points, values, weights) -> tuple[Callable, Callable]:
    image = _without_gradient(lambda: splat(points, values))
    return image, lambda: torch.autograd.grad(splat(points, values), (points, values), weights)


def _without_gradient(image: Callable) -> Callable:
    def forward():
        with torch.no_grad():
            return image()

    return forward


def measure(work: Callable, repeats: int) -> dict[str, float]:
    """Medians of wall and CPU ms over the repeats, their minimum, and MB of memory above what was held before."""
    for _ in range(2):
        work()
    gc.collect()
    before = _memory("VmRSS:")
    _reset_peak()
    wall, cpu = [], []
    for _ in range(repeats):
        started, used = time.perf_counter(), time.process_time()
        work()
        wall.append((time.perf_counter() - started) * 1e3)
        cpu.append((time.process_time() - used) * 1e3)
    figures = {"ms": statistics.median(wall), "least_ms": min(wall), "cpu_ms": statistics.median(cpu)}
    return {**figures, "mb": _memory("VmHWM:") - before}


def _memory(key: str) -> float:
    """A line of the process' status in MB; NaN on systems that have none."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))


def _reset_peak() -> None:
    if os.access("/proc/self/clear_refs", os.W_OK):
        Path("/proc/self/clear_refs").write_text("5")


WORK = {
    "ours": {"project": ours_project, "splat": ours_splat},
    "nanodrr": {"project": nanodrr_project},
    "diffdrr": {"project": diffdrr_project},
    "divroc": {"splat": divroc_splat},
    "index_add": {"splat": torch_splat},
    "machine": {"arithmetic": machine_arithmetic, "reading": machine_reading},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("implementation", choices=WORK)
    parser.add_argument("operator", choices=("project", "splat", "arithmetic", "reading"))
    parser.add_argument("sizes", type=int, nargs="+", help="volume and image side and samples; points; or pieces")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    forward, both = WORK[arguments.implementation][arguments.operator](*arguments.sizes)
    figures = {"forward": measure(forward, arguments.repeats), "both": measure(both, arguments.repeats)}
    print(json.dumps(figures))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    main()
