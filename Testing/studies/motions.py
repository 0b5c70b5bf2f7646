"""The image-driven registration on motions that its recipe was not chosen on, as markdown.

    python -m Testing.studies.motions [--sets abdomen lung brain] [--kinds flow larger rough sliding] [--seeds 1 2]

The moving images are those of the shared data, the fixed ones are made here: fixed(x) = moving(x + u(x)) and noise. The
truth is u at points on the borders of the labels, whatever u is. A *flow* has the two scales of the siblings, *larger*
one goes twice as far; *rough* motion is no flow but an affine with a displacement of 12 mm wavelength scale; in
*sliding* motion the inside of the lungs, or of the abdomen, moves along what surrounds it, which stays.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from DiffRegLib.dense.flow import flow
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.methods.dense import register
from DiffRegLib.ops.axes import filter_axes, gaussian
from DiffRegLib.transforms import Affine, DisplacementField, Transform, rigid
from Testing.studies import peers
from Testing.studies.pairs import HEAD, Pair, load, worth

NODES = 6.0  # mm between the nodes of a motion
POINTS = 2000
SCALES = {"abdomen": (40.0, 13.0), "lung": (45.0, 12.0), "brain": (26.0, 10.0)}  # mm, as in the siblings
FARTHEST = {"abdomen": 24.0, "lung": 24.0, "brain": 11.0}  # mm
NOISE = {"abdomen": 15.0, "lung": 20.0, "brain": 3.0}
INSIDE = {"abdomen": tuple(range(1, 25)), "lung": (1, 2)}  # labels that slide along the rest
SLID = 15.0  # mm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=tuple(SCALES), default=tuple(SCALES))
    parser.add_argument("--kinds", nargs="+", choices=tuple(KINDS), default=tuple(KINDS))
    parser.add_argument("--seeds", nargs="+", type=int, default=(1, 2))
    parser.add_argument("--peers", nargs="*", choices=tuple(peers.PACKAGES), default=())
    given = parser.parse_args()
    print(f"| set | motion | seed | method | {HEAD} | CPU seconds |\n|{'---|' * 10}")
    for name in given.sets:
        for kind in given.kinds:
            if kind == "sliding" and name not in INSIDE:
                continue
            for seed in given.seeds:
                pair = made(load(name), name, kind, seed)
                print(f"| {name} | {kind} | {seed} | before | {worth(pair, pair.start)} | 0 |", flush=True)
                for method in ("dense", *given.peers):
                    begun = time.process_time()
                    found = METHODS[method](pair)
                    spent = time.process_time() - begun
                    print(f"| {name} | {kind} | {seed} | {method} | {worth(pair, found)} | {spent:.0f} |", flush=True)


def made(pair: Pair, name: str, kind: str, seed: int) -> Pair:
    """The pair of the moving image and of what a motion makes of it, with landmarks on the borders of the labels."""
    moving, labels = pair.images[1], pair.labels[1]
    generator = torch.Generator().manual_seed(seed)
    motion = KINDS[kind](moving, labels, name, generator)
    still = moving.resample(moving, motion, outside="border").data
    fixed = still + NOISE[name] * torch.randn(still.shape, generator=generator)
    carried = labels.resample(moving, motion, "nearest")
    points = borders(carried, generator)
    landmarks = points, motion(points)
    return Pair(name, (Image(fixed, moving.affine), moving), (carried, labels), landmarks, pair.start, pair.paths)


def borders(labels: Image, generator: torch.Generator) -> Tensor:
    """(N, 3) RAS mm: voxels of a label beside one of another value."""
    data = labels.data[0]
    beside = torch.zeros_like(data, dtype=torch.bool)
    for axis in range(3):
        beside |= (data != data.roll(1, axis)) & (data > 0)
    kji = beside[1:-1, 1:-1, 1:-1].nonzero() + 1
    chosen = kji[torch.randperm(len(kji), generator=generator)[:POINTS]]
    return labels.to_world(chosen.flip(1).double()).float()


def _random(grid: Geometry, scale: float, generator: torch.Generator) -> Tensor:
    """(3, D, H, W): smooth random vectors, the longest of length 1; scale: standard deviation of the blur in mm."""
    field = torch.randn(3, *grid.shape, generator=generator)
    field = filter_axes(field, [gaussian(n, scale / NODES, field) for n in grid.shape])
    return field / field.norm(dim=0).max()


def _flow(moving: Image, labels: Image, name: str, generator: torch.Generator, times: float = 1.0) -> Transform:
    """The flow of velocities of two scales, the finer one of a third of the length."""
    grid = moving.geometry.resized(NODES)
    coarse, fine = (_random(grid, scale, generator) for scale in SCALES[name])
    velocity = times * FARTHEST[name] * (0.75 * coarse + 0.25 * fine)
    points = grid.grid().reshape(-1, 3)
    moved = (flow(velocity, grid, points) - points).T.reshape(3, *grid.shape)
    return DisplacementField(Image(moved, grid.affine))


def _larger(moving: Image, labels: Image, name: str, generator: torch.Generator) -> Transform:
    return _flow(moving, labels, name, generator, 2.0)


def _rough(moving: Image, labels: Image, name: str, generator: torch.Generator) -> Transform:
    """Turned by up to some 6 degrees, stretched by 5 %, and displaced by up to 6 mm over 12 mm."""
    grid = moving.geometry.resized(NODES)
    turn = rigid(4 * torch.randn(3, generator=generator), 4 * torch.randn(3, generator=generator), moving.center)
    stretch = torch.eye(4, dtype=torch.float64)
    stretch[:3, :3] += 0.05 * torch.diag(torch.randn(3, generator=generator).double())
    stretch[:3, 3] = moving.center - stretch[:3, :3] @ moving.center
    field = DisplacementField(Image(6.0 * _random(grid, 12.0, generator), grid.affine))
    return turn @ Affine(stretch) @ field


def _sliding(moving: Image, labels: Image, name: str, generator: torch.Generator) -> Transform:
    """Along the axis of the body, by up to 15 mm inside; what surrounds it moves by a fifth of that."""
    grid = moving.geometry.resized(2.0)
    inside = torch.isin(labels.data, torch.tensor(INSIDE[name]).to(labels.data)).float()
    share = Image(inside, labels.affine).resample(grid).data[0]
    share = filter_axes(share, [gaussian(n, 1.5, share) for n in grid.shape])  # 3 mm: no image shows a sharper jump
    coarse = moving.geometry.resized(NODES)
    smooth = [Image(_random(coarse, 40.0, generator), coarse.affine).resample(grid).data for _ in range(2)]
    slid = 0.3 * smooth[0]
    slid[2] = 0.6 + 0.4 * smooth[0][2]
    return DisplacementField(Image(SLID * (share * slid + 0.2 * (1 - share) * smooth[1]), grid.affine))


def dense(pair: Pair) -> Transform:
    return register(*pair.images, initial=pair.start).transform


Motion = Callable[[Image, Image, str, torch.Generator], Transform]
KINDS: dict[str, Motion] = {"flow": _flow, "larger": _larger, "rough": _rough, "sliding": _sliding}
METHODS = {"dense": dense, "convexadam": peers.convexadam, "elastix": peers.elastix}


if __name__ == "__main__":
    main()
