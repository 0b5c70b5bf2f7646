"""Memory and time of the neural field against the size of the images, beside a field of voxels.

    python -m Testing.benchmarks.neural_memory [--sizes 96 128 192 256] [--voxels 96 128] [--samples 100000]

Each row is a process of its own: the peak of its resident memory above torch, the compiled kernels and both images.
The field of voxels is what NePhi's authors compare with: two displacements a voxel, optimized by gradient inverse
consistency of finite differences.
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
import time

STEPS = 2
"""Of each level; memory does not depend on it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="*", type=int, default=(96, 128, 192, 256))
    parser.add_argument("--voxels", nargs="*", type=int, default=(96, 128))
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--one", nargs=2, metavar=("KIND", "SIZE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(ROWS[given.one[0]](int(given.one[1]), given.samples))
        return
    print("| field | voxels | peak above images and torch [MiB] | CPU seconds a step | CPU seconds, whole run |")
    print("|---|---|---|---|---|")
    for kind, sizes in (("neural", given.sizes), ("voxels", given.voxels)):
        for size in sizes:
            command = [sys.executable, "-m", "Testing.benchmarks.neural_memory", "--one", kind, str(size)]
            done = subprocess.run([*command, "--samples", str(given.samples)], capture_output=True, text=True)
            print(
                done.stdout.strip() or f"| {kind} | {size}^3 | failed: {done.stderr.strip()[-100:]} | | |", flush=True
            )


def neural(size: int, samples: int) -> str:
    """A run of the quality "best" with `samples` points a step, cut short."""
    from DiffRegLib.methods.neural import PRESETS, register

    best = PRESETS["best"]
    levels = len(best.blurs)
    options = dataclasses.replace(best, iterations=(STEPS,) * levels, samples=(samples,) * levels)
    small = dataclasses.replace(options, iterations=(1,) * levels, samples=(1000,) * levels)
    register(*pair(32), small)  # compiles
    images = pair(size)
    base, cpu, stamps = resident(), time.process_time(), []
    clear_peak()
    register(*images, options, watch=lambda field: stamps.append(time.process_time()))
    cpu = time.process_time() - cpu
    step = min(after - before for before, after in zip(stamps, stamps[1:]))
    return f"| neural | {size}^3 | {peak() - base:.0f} | {step:.2f} | {cpu:.0f} |"


def voxels(size: int, samples: int) -> str:
    """Two displacements a voxel by Adam: squared differences both ways, gradient inverse consistency, every voxel."""
    import torch

    images = [image.data[None] for image in pair(size)]
    base = resident()
    clear_peak()
    fields = [torch.zeros(1, 3, size, size, size, requires_grad=True) for _ in range(2)]
    adam = torch.optim.Adam(fields, lr=1e-3)
    axis = torch.linspace(-1, 1, size)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    grid = torch.stack((x, y, z))[None]
    cpu = time.process_time()
    for _ in range(2):
        adam.zero_grad()
        loss = 0
        for first, second, still, moved in ((0, 1, *images), (1, 0, *images[::-1])):
            there = grid + fields[first]
            loss = loss + ((still - _read(moved, there)) ** 2).mean()
            error = fields[first] + _read(fields[second], there)
            loss = loss + sum((error.diff(dim=axis) ** 2).mean() for axis in (2, 3, 4)) * (size / 2) ** 2
        loss.backward()
        adam.step()
    cpu = time.process_time() - cpu
    return f"| voxels | {size}^3 | {peak() - base:.0f} | {cpu / 2:.2f} | |"


def _read(volume, points):
    import torch

    at = points.movedim(1, -1)
    return torch.nn.functional.grid_sample(volume, at, padding_mode="border", align_corners=True)


def pair(size: int):
    """Two smooth random volumes of 256 mm."""
    import torch

    from DiffRegLib.image import Image

    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, 1, 24, 24, 24, generator=generator)
    spacing = 256 / size
    affine = torch.diag(torch.tensor([spacing, spacing, spacing, 1.0], dtype=torch.float64))
    shape = (size,) * 3
    fixed = torch.nn.functional.interpolate(coarse, shape, mode="trilinear")[0]
    return Image(fixed, affine), Image(fixed.roll(max(1, size // 64), 1), affine)


def clear_peak() -> None:
    """Sets the peak of the resident memory to what is resident now; Linux."""
    import ctypes
    import gc

    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def resident() -> float:
    clear_peak()
    return _status("VmRSS:")


def peak() -> float:
    return _status("VmHWM:")


def _status(key: str) -> float:
    """MiB"""
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith(key)).split()[1]) / 1024


ROWS = {"neural": neural, "voxels": voxels}

if __name__ == "__main__":
    main()
