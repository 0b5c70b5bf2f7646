"""Triangles and Circles, the synthetic set of NePhi: Dice and folds, as markdown.

    python -m Testing.studies.triangles [--pairs 6] [--ratios 0.1 1 10] [--hollow] [--train STEPS [--coarse STEPS]]

From nothing, with gradient inverse consistency and with diffusion, over the weight of the regularization; with
`--train` a model is trained on other shapes first, and its prediction and what follows from it are measured too.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

import torch

from DiffRegLib.image import Image
from DiffRegLib.methods.neural import NeuralOptions, register
from DiffRegLib.methods.neural.export import extruded
from DiffRegLib.methods.neural.model import Model
from DiffRegLib.methods.neural.prepare import Pair
from DiffRegLib.methods.neural.training import FieldLearner
from DiffRegLib.methods.neural.training_options import NeuralTrainingOptions
from DiffRegLib.phantom.triangles import triangles_and_circles
from DiffRegLib.training.options import RunOptions
from DiffRegLib.training.trainer import train
from DiffRegLib.transforms.folds import least_determinant

SHAPES = NeuralOptions(
    similarity="ncc",
    blurs=(4.0, 1.0),
    spacings=(3.0, 1.0),
    iterations=(150, 250),
    samples=(1500, 1500),
    regularized=64,
    code_spacing=8.0,
    learning_rate=3e-3,
)
"""Pixels are 1 mm, the side is 128 mm."""
HEAD = "| from | regularization | weight | Dice before | Dice | folded [%] | CPU s a pair |"
SOLID = 0.5
"""Grey value from which a pixel belongs to the shape."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--ratios", nargs="+", type=float, default=(0.1, 1.0, 10.0))
    parser.add_argument("--hollow", action="store_true")
    parser.add_argument("--train", type=int, default=0, help="steps of a model, 0 for none")
    parser.add_argument("--images", type=int, default=1000, help="shapes that the model is trained on")
    parser.add_argument("--coarse", type=int, default=0, help="of these steps, those of the network of voxels before")
    given = parser.parse_args()
    images = triangles_and_circles(2 * given.pairs, given.hollow, seed=1)
    pairs = list(zip(images[::2], images[1::2]))
    print(f"{HEAD}\n|{'---|' * 7}")
    for kind in ("gradicon", "diffusion"):
        for ratio in given.ratios:
            options = dataclasses.replace(SHAPES, regularization=kind, stiffness=ratio)
            print(line("nothing", kind, ratio, [measure(*pair, options) for pair in pairs]), flush=True)
    if given.train:
        learned(given, pairs)


def learned(given: argparse.Namespace, pairs: list[tuple[Image, Image]]) -> None:
    """Trains, then measures the prediction and what instance optimization makes of it."""
    options = NeuralTrainingOptions(
        iterations=given.train, coarse=given.coarse, stiffness=1.0, samples=1000, learning_rate=1e-3, blur=1.0
    )
    begin = time.process_time()

    def told(fraction: float, message: str, iteration: int = 0, loss: float = 0.0, **details: object) -> None:
        if iteration % 50 == 0:
            print(f"    step {iteration}: {loss:.4f}, {time.process_time() - begin:.0f} CPU s", flush=True)

    learner = FieldLearner(triangles_and_circles(given.images, given.hollow, seed=0), options)
    with tempfile.TemporaryDirectory() as folder:
        train(learner, RunOptions(device="cpu"), Path(folder), {}, progress=told)
    model = learner.model.eval()
    none = dataclasses.replace(SHAPES, iterations=(0, 0))
    short = dataclasses.replace(SHAPES, iterations=(0, 50), stiffness=1.0, learning_rate=1e-3)
    for name, chosen in (("prediction", none), ("50 steps from it", short)):
        rows = [measure(*pair, chosen, model) for pair in pairs]
        print(line(name, "gradicon", options.stiffness, rows), flush=True)
    fresh = dataclasses.replace(SHAPES, iterations=(0, 50), stiffness=1.0)
    print(line("50 steps from nothing", "gradicon", 1.0, [measure(*pair, fresh) for pair in pairs]), flush=True)


def measure(fixed: Image, moving: Image, options: NeuralOptions, model: Model | None = None) -> tuple[float, ...]:
    """Dice before and after, percent of folded pixels of the field itself, CPU seconds."""
    begin, pair = time.process_time(), Pair(fixed, moving)
    if model is not None:
        pair = model.started(pair)
    field = None if model is None else model.field(pair)
    result = register(fixed, moving, options, initial=pair.initial, field=field)
    seconds = time.process_time() - begin
    moved = moving.resample(fixed, result.transform, outside="border")
    assert least_determinant(extruded(result.transform.displacement(fixed).image)).min() > 0
    return dice(fixed, moving), dice(fixed, moved), result.metrics["field_folded_percent"], seconds


def dice(first: Image, second: Image) -> float:
    a, b = first.data > SOLID, second.data > SOLID
    return float(2 * (a & b).sum() / (a.sum() + b.sum()).clamp(min=1))


def line(start: str, kind: str, ratio: float, rows: list[tuple[float, ...]]) -> str:
    before, after, folded, seconds = torch.tensor(rows).mean(0).tolist()
    return f"| {start} | {kind} | {ratio:g} | {before:.3f} | {after:.3f} | {folded:.4f} | {seconds:.1f} |"


if __name__ == "__main__":
    main()
