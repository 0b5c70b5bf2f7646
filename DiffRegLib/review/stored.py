"""A review as files for other programs: its numbers as JSON, its maps and images as volumes, a pose's as pictures."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from DiffRegLib.files import write_image
from DiffRegLib.image import Image
from DiffRegLib.review.agreement import unregistered
from DiffRegLib.review.assess import Review
from DiffRegLib.review.pose_pictures import pose_pictures, with_ellipse
from DiffRegLib.review.poses import PoseReview

FACTS = "review.json"
MAPS = {
    "magnitude": "length of the displacement, mm",
    "determinant": "Jacobian determinant",
    "inverse_error": "inverse consistency, mm",
    "distance": "distance to what drove the field, mm",
    "similarity": "local correlation after registration",
    "spread": "standard deviation of repeats, mm",
    "marks": "1 where the field is an extrapolation, 2 where it is folded",
    "warped": "moving image on the fixed grid after registration",
    "start": "moving image on the fixed grid before registration",
}
"""The volumes, each NAME.nrrd on a grid in the fixed frame; those that a case does not have are not there."""


def write_review(review: Review, folder: Path) -> None:
    """Writes review.json and the volumes of `MAPS` into an existing folder."""
    for name, image in volumes(review).items():
        whole = "uint8" if name == "marks" else "float32"
        write_image(image, folder / f"{name}.nrrd", whole, compress=False)
    (folder / FACTS).write_text(json.dumps(facts(review), indent=1) + "\n", encoding="utf-8")


def write_pose_review(review: PoseReview, folder: Path) -> None:
    """Writes review.json and the pictures of every X-ray as PNG into an existing folder."""
    from PIL import Image as Picture

    shown = []
    for number, view in enumerate(review.case.views, 1):
        row = []
        for picture in pose_pictures(review, view):
            name = f"{picture.key}_{number}.png"
            Picture.fromarray(np.rint(255 * with_ellipse(picture).clip(0, 1)).astype(np.uint8)).save(folder / name)
            row.append({"key": picture.key, "title": picture.title, "file": name})
        affine = view.camera.detector_affine.tolist()  # from column, row, 0 of a picture to RAS mm
        shown.append({"name": view.pair.name, "affine": affine, "pictures": row})
    reason = review.case.facts.get("reason")
    found = {
        "light": review.light,
        "scores": [dataclasses.asdict(score) for score in review.scores],
        "findings": [{"kind": "pose", "light": review.light, "sentence": f"{_capital(reason)}."}] if reason else [],
        "trust": {"sentence": " ".join(f"{view['name']}: {view['pictures'][-1]['title']}." for view in shown)},
        "xrays": shown,
    }
    (folder / FACTS).write_text(json.dumps(finite(found), indent=1) + "\n", encoding="utf-8")


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def volumes(review: Review) -> dict[str, Image]:
    """The volumes by their names; where there is nothing to say they are 0, images have their least value."""
    maps, trust = review.maps, review.trust
    found = {"magnitude": maps.magnitude, "determinant": maps.determinant, "inverse_error": maps.inverse_error}
    found |= {"distance": trust.distance, "similarity": trust.similarity, "spread": trust.spread}
    found |= {"warped": review.warped}
    if review.case.images is not None:
        fixed, moving = review.case.images
        found["start"] = unregistered(moving, fixed)
        least = float(moving.data.min())
        for name in ("warped", "start"):
            found[name] = _filled(found[name], least)
    found = {name: _filled(image, 0.0) for name, image in found.items() if image is not None}
    return {**found, "marks": marks(review)}


def marks(review: Review) -> Image:
    """(1, D, H, W) uint8 on the grid of the determinant: 1 beyond the reach of what drove the field, 2 where folded."""
    grid = review.maps.geometry
    beyond = review.trust.distance.resample(grid, outside="border").data[0] > review.trust.reach
    data = beyond.to(torch.uint8)
    data[review.maps.folded] = 2
    return Image(data[None], grid.affine)


def _filled(image: Image, value: float) -> Image:
    return Image(image.data.nan_to_num(value), image.affine)


def facts(review: Review) -> dict[str, Any]:
    """What a program needs of a review, as JSON can hold it: numbers that are not finite are null."""
    found = {
        "light": review.light,
        "scores": [dataclasses.asdict(score) for score in review.scores],
        "findings": [dataclasses.asdict(finding) for finding in review.findings],
        "landmarks": _landmarks(review),
        "labels": [dataclasses.asdict(row) for row in review.labels],
        "volumes": [{**dataclasses.asdict(row), "percent": row.percent} for row in review.volumes],
        "regions": [
            {
                "center": region.center.tolist(),
                "deepest": region.deepest.tolist(),
                "voxels": region.voxels,
                "volume_ml": region.volume_ml,
                "least": region.least,
            }
            for region in review.regions
        ],
        "trust": {"sentence": review.trust.sentence(), "reach_mm": review.trust.reach, "share": review.trust.share},
        "seconds": review.seconds,
    }
    return finite(found)


def _landmarks(review: Review) -> list[dict[str, Any]]:
    if review.landmarks is None:
        return []
    rows = review.landmarks
    return [
        {
            "name": name,
            "fixed": rows.pairs.fixed[n].tolist(),
            "moving": rows.pairs.moving[n].tolist(),
            "before": float(rows.before[n]),
            "after": float(rows.after[n]),
            "light": review.limits.light("landmarks", float(rows.after[n])),
        }
        for n, name in enumerate(rows.pairs.names)
    ]


def finite(value: Any) -> Any:
    """As JSON can hold it: numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
