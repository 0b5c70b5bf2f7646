"""What a registration will take, told before it starts. No torch here: panels import it."""

from __future__ import annotations

from dataclasses import dataclass

from DiffRegLib.methods.neural.options import NeuralOptions

POINT = 5e-6
"""CPU seconds that one point takes in one step, each way, with networks of the default size (AMD EPYC, one thread)."""
REGULARIZED = 8e-5
STEP = 4e-3
"""CPU seconds of a step of the smallest size."""
VOXEL, LEVEL_VOXELS = 3e-6, 1_500_000
"""CPU seconds of a voxel's features, and the most voxels that a level has."""
NODE, NODES = 4e-6, 1_000_000
"""CPU seconds of a node of the exported grid, each way, and the most that it has."""
TWO_THREADS = 1.7
"""By which two threads are faster than one."""
BASE, WORK, CODES = 420.0, 230.0, 3.5e-4
"""MiB: torch and compiled kernels; what a run takes for itself; what each sample adds."""


@dataclass(frozen=True)
class Expected:
    """seconds of the clock; memory in MiB of the whole process."""

    seconds: float
    memory: float


def expected(options: NeuralOptions, fixed: int, moving: int, spacing: float, threads: int = 2) -> Expected:
    """What a pair will take.

    fixed, moving: voxels of the images. spacing: of the fixed image, mm, the mean of its axes.
    """
    size = _weights(options) / _weights(NeuralOptions())
    steps = zip(options.iterations, options.samples)
    cpu = sum(n * (STEP + size * (2 * POINT * samples + REGULARIZED * options.regularized)) for n, samples in steps)
    for level in options.spacings:
        voxels = min(LEVEL_VOXELS, fixed * min(1.0, (spacing / level) ** 3))
        cpu += 2 * VOXEL * voxels
    cpu += 2 * NODE * min(NODES, fixed) * size
    if options.seconds:
        cpu = min(cpu, options.seconds * TWO_THREADS)
    memory = BASE + WORK + CODES * 2 * max(options.samples) + 4 * (fixed + moving) / 2**20
    return Expected(cpu / (TWO_THREADS if threads > 1 else 1.0), memory)


def _weights(options: NeuralOptions) -> int:
    """Products that one point takes in one network."""
    units, embedded = options.units, 2 * options.frequencies
    return units * (2 * embedded + 32 + 2 * options.layers * units)
