"""Where a network of supervoxels ends that looks once, twice and more often, on motions made of the scan that it knows.

    python -m Testing.studies.looks NETWORK [--kinds flow larger] [--seeds 1 2] [--looks 3] [--stiffness 0.003]

The motions are those of `Testing.studies.motions` and none of the training's or of the shared pairs; the contrast of
soft tissues is shifted at random, as in a training. Alone, without a finish on the images.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator

import torch

from DiffRegLib.image import Image
from DiffRegLib.methods.supervoxels.augmentation import TISSUES, toned
from DiffRegLib.methods.supervoxels.model import Model, read_model
from DiffRegLib.methods.supervoxels.options import SupervoxelOptions
from DiffRegLib.methods.supervoxels.pipeline import by_network, once_more, register
from Testing.studies.motions import KINDS, made
from Testing.studies.pairs import HEAD, Pair, load, worth

SET = "abdomen"
CONTRAST = 40.0  # HU, as in the training of abdomen-example


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", help="weights, or the folder of their training")
    parser.add_argument("--kinds", nargs="+", choices=tuple(KINDS), default=("flow", "larger"))
    parser.add_argument("--seeds", nargs="+", type=int, default=(1, 2))
    parser.add_argument("--looks", type=int, default=3)
    parser.add_argument("--stiffness", type=float, default=SupervoxelOptions().stiffness)
    given = parser.parse_args()
    model, options = read_model(given.network), SupervoxelOptions(stiffness=given.stiffness)
    print(f"| motion | seed | looks | {HEAD} |\n|{'---|' * 8}")
    for kind in given.kinds:
        for seed in given.seeds:
            pair = contrasted(made(load(SET), SET, kind, seed), seed)
            print(f"| {kind} | {seed} | before | {worth(pair, pair.start)} |", flush=True)
            for count, row in enumerate(rows(pair, model, options, given.looks), 1):
                print(f"| {kind} | {seed} | {count} | {row} |", flush=True)


def rows(pair: Pair, model: Model, options: SupervoxelOptions, looks: int) -> Iterator[str]:
    sides = by_network(pair.images, model, None, pair.paths)
    found = register(*pair.images, options, sides=sides)
    yield worth(pair, found.transform)
    for _ in range(looks - 1):
        found = once_more(found, pair.images, sides[0], model, options, pair.paths)
        yield worth(pair, found.transform)


def contrasted(pair: Pair, seed: int) -> Pair:
    """The pair with another contrast of its fixed scan."""
    generator = torch.Generator().manual_seed(seed + 50)
    shifts = torch.nn.functional.pad(CONTRAST * torch.randn(len(TISSUES) - 2, generator=generator), (1, 1))
    fixed, moving = pair.images
    return dataclasses.replace(pair, images=(Image(toned(fixed.data, shifts), fixed.affine), moving))


if __name__ == "__main__":
    main()
