"""`diffreg info FILE...`: what a file is, in the units that registration counts in."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from DiffRegLib.cli.metrics import show_result
from DiffRegLib.cli.show import facts
from DiffRegLib.cli.xray_facts import xray_facts
from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.kinds import Kind, kind_of

if TYPE_CHECKING:
    from torch import Tensor

    from DiffRegLib.files import Opened
    from DiffRegLib.image import Image
    from DiffRegLib.transforms import Transform

Facts = list[tuple[str, str]]
MOST_SHOWN = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this verb."""
    text = "image, label map, DICOM folder, X-ray, surface, cloud, landmarks, transform or result folder"
    parser.add_argument("files", metavar="FILE", nargs="+", help=text)


def run(given: argparse.Namespace) -> int:
    """Prints what each file is."""
    describe = {
        "image": _image,
        "surface": _surface,
        "points": _points,
        "transform": _transform_file,
        "result": _result,
        "xray": xray_facts,
    }
    for path in given.files:
        kind = _kind(path)
        if kind not in describe:
            raise RegistrationError(f"{path} is a file of {kind}: it is read where it is given.")
        facts(path, describe[kind](path))
        if kind == "result":
            show_result(Path(path))
    return 0


def _kind(path: str) -> Kind:
    """The kind of a file; of DICOM files the content decides: slices with a place, or X-rays."""
    from DiffRegLib.files.series import is_dicom, is_volume

    try:
        kind = kind_of(path)
    except RegistrationError:
        if not Path(path).is_file() or not is_dicom(Path(path)):
            raise
        kind = "xray"
    return "image" if kind == "xray" and is_dicom(Path(path)) and is_volume(Path(path)) else kind


def _image(path: str) -> Facts:
    from DiffRegLib.files import open_file

    opened = open_file(path, ("image", "labels"))
    image = opened.content
    shared = _geometry(image)
    if image.channels == 3:
        length = image.data.norm(dim=0)
        vectors = f"length {float(length.mean()):.4g} mm on average, at most {float(length.max()):.4g} mm"
        return [("kind", "image of vectors, such as a displacement field"), *shared, ("vectors", vectors)]
    told = [("note", note) for note in (opened.guess, *opened.notes) if note]
    if opened.kind == "labels":
        kind = "segmentation" if opened.segments else "label map"
        return [("kind", kind), *shared, *(_segments(opened) if opened.segments else _labels(image)), *told]
    channels = [("channels", str(image.channels))] if image.channels > 1 else []
    return [
        ("kind", "CT in HU" if opened.hounsfield else "image"),
        *shared,
        *channels,
        ("range", f"{float(image.data.min()):.6g} to {float(image.data.max()):.6g}"),
        *told,
    ]


def _geometry(image: Image) -> Facts:
    size = image.size.long().tolist()
    corners = image.corners()
    turned = (image.affine[:3, :3].abs() > 1e-4 * image.spacing).sum() > 3
    return [
        ("voxels", " x ".join(map(str, size))),
        ("spacing", " x ".join(f"{s:.4g}" for s in image.spacing.tolist()) + " mm"),
        ("extent", _box(corners)),
        ("axes", _axes(image) + (", oblique" if turned else "")),
    ]


def _axes(image: Image) -> str:
    """The direction in the patient that each voxel axis runs to, such as `R A S`."""
    letters = ("LR", "PA", "IS")
    columns = (image.affine[:3, :3] / image.spacing).T
    names = []
    for column in columns:
        world = int(column.abs().argmax())
        names.append(letters[world][int(column[world] > 0)])
    return " ".join(names)


def _box(points: Tensor) -> str:
    """Limits in RAS mm and the size of the box."""
    low, high = points.amin(0).tolist(), points.amax(0).tolist()
    limits = ", ".join(f"{axis} {a:.1f} to {b:.1f}" for axis, a, b in zip("RAS", low, high))
    return f"{limits} mm ({' x '.join(f'{b - a:.1f}' for a, b in zip(low, high))} mm)"


def _labels(image: Image) -> Facts:
    import torch

    values, counts = torch.unique(image.data, return_counts=True)
    volume = float(image.spacing.prod()) / 1000
    found = [(int(v), float(n) * volume) for v, n in zip(values.tolist(), counts.tolist()) if v > 0]
    rows = [(f"label {value}", f"{milliliters:.4g} ml") for value, milliliters in found[:MOST_SHOWN]]
    rest = [("", f"and {len(found) - MOST_SHOWN} more labels")] if len(found) > MOST_SHOWN else []
    return [("labels", str(len(found)) if found else "none: the map is empty"), *rows, *rest]


def _segments(opened: Opened) -> Facts:
    volume = float(opened.content.spacing.prod()) / 1000
    rows = []
    for segment in opened.segments[:MOST_SHOWN]:
        voxels = int((opened.content.data[segment.layer] == segment.value).sum())
        layer = f", layer {segment.layer}" if opened.content.channels > 1 else ""
        rows.append((segment.name, f"{voxels * volume:.4g} ml, label {segment.value}{layer}"))
    more = len(opened.segments) - MOST_SHOWN
    rest = [("", f"and {more} more segments")] if more > 0 else []
    return [("segments", str(len(opened.segments))), *rows, *rest]


def _surface(path: str) -> Facts:
    import torch

    from DiffRegLib.files import read_polydata
    from DiffRegLib.points.polydata import triangles, vertices

    mesh = read_polydata(path)
    points = torch.from_numpy(vertices(mesh))
    faces = torch.from_numpy(triangles(mesh))
    a, b, c = (points[faces[:, i]] for i in range(3))
    area = float(torch.linalg.cross(b - a, c - a).norm(dim=-1).sum()) / 200
    return [
        ("kind", "surface" if len(faces) else "points in a surface file"),
        ("vertices", str(len(points))),
        ("triangles", f"{len(faces)}, {area:.5g} cm2"),
        ("extent", _box(points)),
        *_doubts(path, points),
    ]


def _points(path: str) -> Facts:
    from DiffRegLib.files import open_file

    if path.lower().endswith(".npz"):
        return _archive(path)
    listed = open_file(path, ("points",)).content
    cloud = listed.cloud()
    many = [(f"label {label}", f"{int((cloud.channels == c).sum())} points") for c, label in enumerate(cloud.labels)]
    skipped = len(listed) - len(cloud)
    more = f" and {len(listed.names) - MOST_SHOWN} more" if len(listed.names) > MOST_SHOWN else ""
    names = [("names", ", ".join(listed.names[:MOST_SHOWN]) + more)] if any(listed.names) else []
    return [
        ("kind", "landmarks" if names or path.lower().endswith((".mrk.json", ".fcsv")) else "cloud"),
        ("points", f"{len(cloud)}" + (f", {skipped} more were not placed" if skipped else "")),
        *(many[:MOST_SHOWN] if len(many) > 1 else []),
        *names,
        ("extent", _box(cloud.points)),
        *_doubts(path, cloud.points),
    ]


def _archive(path: str) -> Facts:
    import zipfile

    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as archive:
            rows = [(name, f"{archive[name].dtype} {archive[name].shape}") for name in archive.files]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise RegistrationError(f"{path} cannot be read as .npz: it is truncated or damaged.") from error
    return [("kind", f"archive; name one array as {path}:{rows[0][0] if rows else 'key'}"), *rows]


def _doubts(path: str, points: Tensor) -> Facts:
    """What a registration would refuse."""
    from DiffRegLib.points import PointCloud

    try:
        PointCloud.plain(points).check(path)
    except RegistrationError as error:
        return [("warning", str(error))]
    return []


def _transform_file(path: str) -> Facts:
    from DiffRegLib.files import read_transform

    return [("kind", "transform, fixed -> moving"), *_transform(read_transform(path))]


def _transform(transform: Transform) -> Facts:
    from DiffRegLib.transforms import Affine, Composite

    if isinstance(transform, Composite):
        parts = [fact for part in transform.transforms for fact in _transform(part)]
        return [("parts", f"{len(transform.transforms)}, the last one is applied first"), *parts]
    if isinstance(transform, Affine):
        rows = ["  ".join(f"{v:10.4f}" for v in row) for row in transform.matrix[:3].tolist()]
        return [("affine", rows[0]), ("", rows[1]), ("", rows[2])]
    image = transform.image
    name = type(transform).__name__
    length = float(image.data.norm(dim=0).max())
    return [(name, f"vectors up to {length:.4g} mm"), *_geometry(image)]


def _result(path: str) -> Facts:
    from DiffRegLib.jobs import read_job
    from DiffRegLib.methods import methods

    job = read_job(path)
    inputs = [(i.role.replace("_", " "), i.path) for i in job.inputs]
    kind = f"{job.method} registration of {job.created}, diffreg {job.version}"
    known = next((m for m in methods() if m.name == job.method), None)
    return [("kind", kind), *([("method", f"{known.title}: {known.summary}")] if known else []), *inputs]
