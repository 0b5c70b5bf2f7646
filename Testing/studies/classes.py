"""How many voxels of a body a network of supervoxels names rightly, and what hides the others from it, as markdown.

    python -m Testing.studies.classes NETWORK [--sets abdomen abdomen-sibling] [--seed 5]

What is right comes from the reference registration, finished on the images (0.5 and 0.7 mm off): it carries the
division of the moving scan, from which the network learned, to the fixed one. seed: of that division.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from torch import Tensor

from DiffRegLib.image import Image
from DiffRegLib.methods.finish import finished
from DiffRegLib.methods.supervoxels.layers import divide
from DiffRegLib.methods.supervoxels.model import Model, predict, read_model
from DiffRegLib.methods.supervoxels.options import SegmentationOptions
from DiffRegLib.methods.supervoxels.pipeline import by_reference, carry, register
from DiffRegLib.methods.supervoxels.preparation import Boxed, body, boxed
from DiffRegLib.methods.supervoxels.reference import align
from Testing.studies.pairs import Pair, load

SETS = ("abdomen", "abdomen-sibling")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", help="weights, or the folder of their training")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--seed", type=int, default=5)
    given = parser.parse_args()
    model = read_model(given.network)
    print("| set | what the network sees | right [%] | in the upper fifth | confidence |\n|---|---|---|---|---|")
    for name in given.sets:
        for row in rows(load(name), model, given.seed):
            print(f"| {name} | {row} |", flush=True)


def rows(pair: Pair, model: Model, seed: int) -> Iterator[str]:
    """From what no network has seen at all to the fixed scan, each with one more of what tells it from the moving."""
    fixed, moving = (boxed(image, model.preparation) for image in pair.images)
    layers, inside = divide(moving.scan, SegmentationOptions(), seed), body(fixed.scan)
    motion = finished(register(*pair.images, sides=by_reference(pair.images, None, align)), pair.images).transform
    wanted = carry(layers, moving.scan, fixed.scan, motion)
    still = Image(layers, moving.scan.affine).resample(fixed.scan, mode="nearest").data
    yield f"nothing: as if nothing had moved | {_right(still, wanted, inside)} | "
    yield f"the moving scan as it lies | {_seen(model, moving.continued(), layers, body(moving.scan))}"
    moved = Boxed(fixed.scan, moving.image, motion)
    yield f"the moving scan moved as the fixed one | {_seen(model, moved.continued(), wanted, inside)}"
    within = Boxed(fixed.scan, pair.images[1].resample(pair.images[0], motion, outside="border"))
    yield f"and with the faces of the fixed one | {_seen(model, within.continued(), wanted, inside)}"
    yield f"the fixed scan: and with its contrast and noise | {_seen(model, fixed.continued(), wanted, inside)}"


def _seen(model: Model, scan: Image, wanted: Tensor, inside: Tensor) -> str:
    prediction = predict(model.network, scan, inside)
    return f"{_right(prediction.layers, wanted, inside)} | {prediction.confidence:.2f}"


def _right(layers: Tensor, wanted: Tensor, inside: Tensor) -> str:
    """Percent of the voxels of the body, and of those in its upper fifth."""
    agree = (layers == wanted).float().mean(0)
    top = inside.any(2).any(1).nonzero()[-1] * 4 // 5
    return f"{100 * agree[inside].mean():.1f} | {100 * agree[top:][inside[top:]].mean():.1f}"


if __name__ == "__main__":
    main()
