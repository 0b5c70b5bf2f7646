"""What a review looks at, read from a result folder or from files by their roles."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import open_file, read_image, read_transform, renumbered, split_key
from DiffRegLib.files.opening import Opened
from DiffRegLib.image import Image
from DiffRegLib.jobs.job import METRICS, Job, read_job
from DiffRegLib.jobs.result import SUPPORT
from DiffRegLib.methods.registration import TraceRow
from DiffRegLib.points import PointCloud
from DiffRegLib.points.listed import paired
from DiffRegLib.review.case import Case, Drivers, LabelPair, LandmarkPairs
from DiffRegLib.review.poses import PoseCase, PoseView
from DiffRegLib.transforms import Transform

SIDES = ("fixed", "moving")
THINGS = ("image", "labels", "surface", "points")
PLAIN = 12  # digits of a checksum that tell an input from others


def case_of_result(folder: str | Path, name: str, names: bool = False, extra: Mapping[str, str] | None = None) -> Case:
    """The case of a result folder: the inputs that its job names, where they still are.

    name: what the case is called. names: whether the names of files are told. extra: paths by role that the job does
    not have, or that replace its own. Raises RegistrationError where there is no result.
    """
    folder = Path(folder)
    job = read_job(folder)
    paths = {i.role: i.path for i in job.inputs if Path(split_key(i.path)[0]).exists()}
    missing = [i.role for i in job.inputs if i.role not in paths]
    facts = {**_origin(job, folder, names), **({"not found any more": ", ".join(missing)} if missing else {})}
    case = case_of_files(
        name,
        {**paths, "transform": str(folder / "transform.h5"), "inverse": str(folder / "inverse.h5"), **(extra or {})},
    )
    told = _support(folder)
    case = dataclasses.replace(case, driven_by=told) if told is not None else case
    return dataclasses.replace(case, provenance=facts, trace=_trace(folder), method=job.method)


def pose_of_result(folder: str | Path, name: str, names: bool = False) -> PoseCase:
    """The pose of a result folder with its X-rays; raises RegistrationError where its inputs are gone."""
    from DiffRegLib.jobs.inputs import open_inputs
    from DiffRegLib.jobs.run import job_options
    from DiffRegLib.methods import method
    from DiffRegLib.methods.projective.run import evidence

    folder = Path(folder)
    job, facts = read_job(folder), read_metrics(folder)
    chosen = method(job.method)
    pose = read_transform(folder / "transform.h5")
    views = evidence(open_inputs(job, chosen), job_options(job, chosen), pose)
    shown = [(dataclasses.replace(pair, name=f"X-ray {n}"), camera) for n, (pair, camera) in enumerate(views, 1)]
    center = pose(torch.tensor(facts["center_ras_mm"], dtype=torch.float64))
    kept = views if names else shown
    return PoseCase(
        name, tuple(PoseView(*view) for view in kept), center, facts, _trace(folder), _origin(job, folder, names)
    )


def is_pose(folder: str | Path) -> bool:
    """Whether a result folder holds a pose."""
    return "verdict" in read_metrics(Path(folder))


def case_of_files(name: str, paths: Mapping[str, str], repeats: tuple[str, ...] = (), names: bool = False) -> Case:
    """The case of a transform and what belongs to it.

    paths: `transform`, and where there are some `inverse`, `fixed`, `moving`, and `_landmarks`, `_labels` and `_mask`
    of both sides. repeats: transforms of perturbed repeats.
    """
    transform, inverse = _transforms(paths)
    things = {side: open_file(paths[side], THINGS) for side in SIDES if side in paths}
    labels = _labels(paths, things)
    fixed, moving = (_content(things.get(side), labels is not None) for side in SIDES)
    facts = {role.replace("_", " "): path for role, path in paths.items()} if names else {}
    return Case(
        name,
        transform,
        inverse,
        *_same_kind(fixed, moving),
        _landmarks(paths),
        labels,
        _drivers(paths),
        tuple(read_transform(path) for path in repeats),
        provenance=facts,
    )


def _transforms(paths: Mapping[str, str]) -> tuple[Transform, Transform | None]:
    opened = open_file(paths["transform"], ("transform",))
    inverse = opened.inverse
    if "inverse" in paths and Path(paths["inverse"]).exists():
        inverse = open_file(paths["inverse"], ("transform",)).content
    return opened.content, inverse


def _labels(paths: Mapping[str, str], things: Mapping[str, Opened]) -> LabelPair | None:
    """The label maps that were named, or both sides themselves where they are some."""
    given = [paths.get(f"{side}_labels") for side in SIDES]
    if given.count(None) == 1:
        raise RegistrationError("The labels of one side alone cannot be compared: give those of both sides.")
    if None not in given:
        opened = [open_file(path, ("labels",)) for path in given]
    elif len(things) == 2 and all(thing.kind == "labels" for thing in things.values()):
        opened = [things[side] for side in SIDES]
    else:
        return None
    if all(thing.segments for thing in opened):
        opened = list(renumbered(*opened))
    names = {segment.value: segment.name for thing in reversed(opened) for segment in thing.segments}
    return LabelPair(*(_one_layer(thing) for thing in opened), names)


def _one_layer(thing: Opened) -> Image:
    """The labels as one map; layers are laid over one another where none hides another."""
    image = thing.content
    if image.channels == 1:
        return image
    if int((image.data != 0).sum(0).max()) > 1:
        raise RegistrationError(
            f"{thing.path} has segments that overlap: export them as one label map, or review them one by one."
        )
    return Image(image.data.sum(0, keepdim=True).to(image.data.dtype), image.affine)


def _content(thing: Opened | None, labels_known: bool) -> Image | PointCloud | None:
    if thing is None or thing.kind == "labels":
        return None
    return thing.content if thing.kind == "image" else PointCloud.plain(thing.points())


def _same_kind(fixed: Any, moving: Any) -> tuple[Any, Any]:
    """Both sides, or only the fixed image where the other is of another kind: it still tells the frame."""
    return (fixed, moving) if isinstance(fixed, Image) == isinstance(moving, Image) else (fixed, None)


def _landmarks(paths: Mapping[str, str]) -> LandmarkPairs | None:
    given = [paths.get(f"{side}_landmarks") for side in SIDES]
    if given.count(None) == 1:
        raise RegistrationError("The landmarks of one side alone measure nothing: give those of both sides.")
    if None in given:
        return None
    first, second = (open_file(path, ("points",)).content for path in given)
    pairs = paired(first, second, tuple(given))
    return LandmarkPairs(pairs.fixed, pairs.moving, tuple(pairs.names))


def _drivers(paths: Mapping[str, str]) -> Drivers | None:
    if "fixed_mask" not in paths:
        return None
    return Drivers("the fixed mask", mask=open_file(paths["fixed_mask"], ("labels",)).content)


def _origin(job: Job, folder: Path, names: bool) -> dict[str, str]:
    """Method, versions, seed, seconds, options that were set, and checksums of the inputs; paths if `names`."""
    stored = json.loads((folder / "job.json").read_text(encoding="utf-8")).get("provenance", {})
    facts = {"method": job.method, "version": job.version, "seed": str(job.seed), "made": job.created}
    facts.update({key: _short(value) for key, value in stored.items() if not isinstance(value, (dict, list))})
    for group, values in job.options.items():
        facts[f"options, {group}"] = "; ".join(f"{key} {_short(value)}" for key, value in values.items())
    for entry in job.inputs:
        digest = (entry.sha256 or "")[:PLAIN]
        facts[f"input, {entry.role.replace('_', ' ')}"] = f"SHA-256 {digest}" + (f", {entry.path}" if names else "")
    return facts


def _short(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _support(folder: Path) -> Drivers | None:
    """What the method itself says drove its field."""
    if not (folder / SUPPORT).is_file():
        return None
    told = read_metrics(folder).get("support", {})
    return Drivers("the data that drove it", distance=read_image(folder / SUPPORT), reach=told.get("reach_mm"))


def _trace(folder: Path) -> tuple[TraceRow, ...]:
    known = {field.name for field in dataclasses.fields(TraceRow)}
    rows = read_metrics(folder).get("trace", ())
    return tuple(TraceRow(**{k: v for k, v in row.items() if k in known}) for row in rows)


def read_metrics(folder: Path) -> dict[str, Any]:
    """What metrics.json of a result says; nothing where it is missing or unreadable."""
    try:
        return json.loads((folder / METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
