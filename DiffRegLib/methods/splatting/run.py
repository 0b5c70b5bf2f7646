"""Forward splatting from opened files: the clouds of both sides, then their registration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import boxes_overlap
from DiffRegLib.image import Image
from DiffRegLib.methods.finish import finished
from DiffRegLib.methods.registration import Part, Progress, Registration
from DiffRegLib.methods.splatting.pipeline import register
from DiffRegLib.methods.splatting.weights import read_network
from DiffRegLib.ops.device import release_freed
from DiffRegLib.ops.threads import side_by_side
from DiffRegLib.points.extract import cloud_of, options_of_pair

if TYPE_CHECKING:
    from DiffRegLib.points import PointCloud

PLACED = ("center", "landmarks")  # starts that bring together what lies apart, for whom the user decided
CLOUDS, SPLATTED = 0.2, 0.5  # of the progress, where the clouds are found, and where the images are looked at
SIDES = ("fixed", "moving")


def run(inputs: Mapping[str, Any], options: Mapping[str, Any], folder: Path, progress: Progress) -> Registration:
    """Registers the clouds of both sides; see `DiffRegLib.methods.method.Method`."""
    splatting = options["splatting"]
    initial = inputs.get("initial")
    if initial is not None or splatting.initialization not in PLACED:
        _check_overlap(inputs["fixed"], inputs["moving"], initial)
    images = splatting.finish and all(inputs[side].kind == "image" for side in SIDES)
    extraction = options_of_pair(*(inputs[side].content for side in SIDES), options["clouds"])
    progress(CLOUDS * 0.1, "Finding the points of both sides.")
    clouds = side_by_side(lambda side: _cloud(inputs, side, extraction, splatting.seed), SIDES)
    release_freed()
    progress(CLOUDS, f"Registering {len(clouds[0])} with {len(clouds[1])} points.")
    given = [inputs.get(f"{side}_landmarks") for side in SIDES]
    landmarks = tuple(side.points() for side in given) if all(given) else None
    registration = register(
        *clouds,
        splatting,
        initial=initial.content if initial is not None else None,
        progress=Part(progress, CLOUDS, SPLATTED if images else 1.0),
        landmarks=landmarks,
        network=read_network(inputs["network"].path) if "network" in inputs else None,
    )
    if not images:
        return registration
    pair = tuple(inputs[side].content for side in SIDES)
    part = Part(progress, SPLATTED, 1.0)
    return finished(registration, pair, splatting.device, part, landmarks, splatting.landmark_weight, clouds[0].points)


def _cloud(inputs: Mapping[str, Any], side: str, options: Any, seed: int) -> PointCloud:
    given, mask = inputs[side], inputs.get(f"{side}_mask")
    return cloud_of(given.content, options, mask.content if mask is not None else None, seed, given.path)


def _check_overlap(fixed: Any, moving: Any, initial: Any) -> None:
    """Raises `RegistrationError` where two images have nothing in common in space."""
    sides = fixed.content, moving.content
    move = initial.content if initial is not None else None
    if not all(isinstance(side, Image) for side in sides) or boxes_overlap(*sides, move):
        return
    where = "even after the initial transform" if initial is not None else "in RAS mm"
    raise RegistrationError(
        f"{fixed.path} and {moving.path} do not overlap {where}: check their geometry, or bring them together with an "
        "initial transform or an initialization by center or landmarks.",
        option="initialization",
    )
