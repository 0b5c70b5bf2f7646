"""Accuracy of the image-driven registration on the shared data beside its peers, as markdown.

    python -m Testing.studies.dense [--sets abdomen lung brain abdomen-sibling ...] [--methods dense convexadam elastix]

Landmarks and labels are read to measure, never to register. Every set runs with one recipe, the default. The peers run
where `convexadam` and `itk-elastix` are installed. Seconds are those of all cores together (CPU).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.files.opening import open_file
from DiffRegLib.image import Image
from DiffRegLib.methods.dense import register
from DiffRegLib.review.metrics import dice, folding, mean_dice
from DiffRegLib.transforms import Affine, DisplacementField, Transform

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Pair:
    """Two images, their label maps, and landmarks (N, 3) RAS mm where their motion is known."""

    name: str
    images: tuple[Image, Image]
    labels: tuple[Image, Image]
    landmarks: tuple[Tensor, Tensor] | None
    start: Transform


SETS = {
    "abdomen": ("abdomen_known_warp/fixed_ct", "abdomen_known_warp/fixed_seg", "abdomen_ct/ct", "abdomen_ct/seg"),
    "abdomen-sibling": (
        "abdomen_sibling_warp/fixed",
        "abdomen_sibling_warp/fixed_seg",
        "abdomen_ct/ct",
        "abdomen_ct/seg",
    ),
    "lung": tuple(f"lung_ct_known_warp/{n}" for n in ("fixed_ct", "fixed_seg", "moving_ct", "moving_seg")),
    "lung-sibling": (
        "lung_sibling_warp/fixed",
        "lung_sibling_warp/fixed_seg",
        "lung_ct_known_warp/moving_ct",
        "lung_ct_known_warp/moving_seg",
    ),
    "brain": tuple(f"brain_mr/{n}_2mm" for n in ("fixed_t1", "fixed_seg", "moving_t1", "moving_seg")),
    "brain-sibling": (
        "brain_sibling_warp/fixed",
        "brain_sibling_warp/fixed_seg",
        "brain_mr/moving_t1_2mm",
        "brain_mr/moving_seg_2mm",
    ),
    "interpatient": ("interpatient_ct/fixed_image", "interpatient_ct/fixed_seg", "abdomen_ct/ct", "abdomen_ct/seg"),
}
"""Fixed image and labels, moving image and labels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=tuple(SETS), default=tuple(SETS))
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=tuple(METHODS))
    given = parser.parse_args()
    data = Path(os.environ.get("DIFFREG_DATA", ROOT.parent / "shared" / "data"))
    print(
        "| set | method | landmark error, mean [mm] | largest | Dice | folded [%] | least determinant | CPU seconds |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in given.sets:
        pair = load(data, name)
        print(line(pair, "before", pair.start, 0.0), flush=True)
        for method in given.methods:
            package, run = METHODS[method]
            if package and importlib.util.find_spec(package) is None:
                continue
            begun = time.process_time()
            transform = run(pair)
            print(line(pair, method, transform, time.process_time() - begun), flush=True)


def load(data: Path, name: str) -> Pair:
    """A set of the shared data; labels that both patients of `interpatient` have get the same numbers."""
    things = [open_file(data / f"{path}.nii.gz", labels=path.endswith(("seg", "seg_2mm"))) for path in SETS[name]]
    fixed, fixed_labels, moving, moving_labels = (thing.content for thing in things)
    if name == "interpatient":
        pair = json.loads((data / "interpatient_ct" / "pair.json").read_text())
        start = Affine(torch.tensor(pair["init_fixed_to_moving"], dtype=torch.float64))
        labels = [
            merged(image, [value[side] for value in pair["shared_labels"].values()])
            for image, side in ((fixed_labels, "fixed"), (moving_labels, "moving"))
        ]
        return Pair(name, (fixed, moving), tuple(labels), None, start)
    points = np.load(data / Path(SETS[name][0]).parent / "landmarks.npz")
    landmarks = torch.tensor(points["fixed"]), torch.tensor(points["moving"])
    return Pair(name, (fixed, moving), (fixed_labels, moving_labels), landmarks, Affine.identity())


def merged(image: Image, groups: list[list[int]]) -> Image:
    """Label n for every voxel that has one of the values of group n, from 1."""
    data = torch.zeros_like(image.data)
    for number, values in enumerate(groups, 1):
        data[torch.isin(image.data, torch.tensor(values).to(image.data))] = number
    return Image(data, image.affine)


def line(pair: Pair, method: str, transform: Transform, seconds: float) -> str:
    fixed, moving = pair.labels
    overlap = mean_dice(dice(fixed, moving.resample(fixed, transform, mode="nearest")))
    folds = folding(transform, pair.images[0].geometry)
    error = "- | -"
    if pair.landmarks is not None:
        apart = (transform(pair.landmarks[0]) - pair.landmarks[1]).norm(dim=1)
        error = f"{float(apart.mean()):.2f} | {float(apart.max()):.1f}"
    measured = f"{overlap:.3f} | {folds.percent:.3f} | {folds.minimum:.2f}"
    return f"| {pair.name} | {method} | {error} | {measured} | {seconds:.0f} |"


def dense(pair: Pair) -> Transform:
    return register(*pair.images, initial=pair.start).transform


def convexadam(pair: Pair) -> Transform:
    """With its defaults, on the grid of the fixed image."""
    from convexAdam.convex_adam_MIND import convex_adam_pt

    fixed = pair.images[0]
    moving = pair.images[1].resample(fixed, pair.start, outside="border")
    found = convex_adam_pt(fixed.data[0], moving.data[0], device=torch.device("cpu"))
    voxels = torch.as_tensor(np.asarray(found), dtype=torch.float32).movedim(-1, 0).flip(0)
    return started(pair, torch.einsum("rx,xdhw->rdhw", fixed.affine[:3, :3].float(), voxels))


def elastix(pair: Pair) -> Transform:
    """B-splines with its defaults, on the grid of the fixed image."""
    import itk

    fixed = pair.images[0]
    moving = pair.images[1].resample(fixed, pair.start, outside="border")

    def converted(image: Image):
        made = itk.image_from_array(np.ascontiguousarray(image.data[0].numpy()))
        made.SetSpacing(image.spacing.tolist())
        return made

    parameters = itk.ParameterObject.New()
    parameters.AddParameterMap(parameters.GetDefaultParameterMap("bspline"))
    target = converted(moving)
    _, result = itk.elastix_registration_method(
        converted(fixed), target, parameter_object=parameters, log_to_console=False
    )
    field = np.asarray(itk.array_from_image(itk.transformix_deformation_field(target, result)))
    along = torch.as_tensor(field).movedim(-1, 0) / fixed.spacing.float()[:, None, None, None]
    return started(pair, torch.einsum("rx,xdhw->rdhw", fixed.affine[:3, :3].float(), along))


def started(pair: Pair, field: Tensor) -> Transform:
    """The start after a displacement (3, D, H, W) in RAS mm on the fixed grid."""
    return pair.start @ DisplacementField(Image(field.contiguous(), pair.images[0].affine))


METHODS: dict[str, tuple[str, Callable[[Pair], Transform]]] = {
    "dense": ("", dense),
    "convexadam": ("convexAdam", convexadam),
    "elastix": ("itk", elastix),
}


if __name__ == "__main__":
    main()
