"""DICOM volumes: the slices of a series at the places that they state, or a sentence that names the slice at fault."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.stored import Stored
from DiffRegLib.geometry import LPS, Geometry
from DiffRegLib.image import Image

TURNED = 1e-3
"""Largest difference of the direction cosines of two slices that still lie in parallel."""
UNEVEN = 0.05
"""Share of the spacing by which a slice may be off its place in a regular stack: positions are rounded."""
HOLE = 1.5
"""Times the usual gap of its neighborhood from which a gap is a hole, where slices are missing."""
AROUND = 2
"""Gaps on either side that make the neighborhood: three gaps of another size in a row are a spacing of their own."""
SAME_PLACE = 0.01
"""Share of the spacing below which two slices lie at the same place."""
HEAD = ("SOPInstanceUID", "SeriesInstanceUID", "SeriesDescription", "ImagePositionPatient", "ImageOrientationPatient")
HEAD += ("PixelSpacing", "Rows", "Columns", "NumberOfFrames", "Modality", "PerFrameFunctionalGroupsSequence")
HEAD += ("SharedFunctionalGroupsSequence",)


@dataclass(frozen=True, eq=False)
class Slice:
    """One slice: file and frame, center of its first pixel, directions (LPS mm), pitch between rows and columns."""

    file: Path
    frame: int
    identity: str
    position: np.ndarray
    directions: np.ndarray
    pitch: tuple[float, float]
    size: tuple[int, int]

    @property
    def normal(self) -> np.ndarray:
        return np.cross(*self.directions)

    @property
    def name(self) -> str:
        return self.file.name + (f", frame {self.frame + 1}" if self.frame else "")


def is_dicom(path: Path) -> bool:
    """Whether a file has the mark of DICOM."""
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def is_volume(path: Path) -> bool:
    """Whether a DICOM file is a slice, or holds slices, that say where in the patient they lie."""
    head = _head(path)
    if head is None:
        return False
    frames = head.get("PerFrameFunctionalGroupsSequence")
    return "PlanePositionSequence" in frames[0] if frames else "ImagePositionPatient" in head


def read(path: Path) -> Stored:
    """The volume of a folder with one series, or of one file with many frames.

    Slices are put where they say they are, whatever the names and the order of their files; a stack whose spacing
    changes is resampled to the finest one, slices of a tilted gantry in their planes to a grid with right angles.
    Raises `RegistrationError` for several series, slices that are missing, doubled, turned, or of unequal size.
    """
    slices, notes = _slices(path)
    ordered, heights, step = _checked(slices, path)
    data, step, more = _evenly(_pixels(ordered), heights, step)
    affine = np.eye(4)
    first = ordered[0]
    affine[:3, 0], affine[:3, 1] = first.directions[0] * first.pitch[1], first.directions[1] * first.pitch[0]
    affine[:3, 2], affine[:3, 3] = step, first.position
    leaning = np.linalg.norm(step - first.normal * (step @ first.normal)) * (len(data) - 1)
    if leaning < UNEVEN * min(first.pitch):
        return Stored(data[None], LPS @ torch.from_numpy(affine), notes=(*notes, *more))
    return _upright(data, affine, first.normal, (*notes, *more))


def _slices(path: Path) -> tuple[list[Slice], tuple[str, ...]]:
    """All slices of the one series at a path; the same slice in two files counts once, and a note says so."""
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    heads = [(file, head) for file in files if (head := _head(file)) is not None]
    series = Counter(str(head.get("SeriesInstanceUID", "")) for _, head in heads)
    if len(series) != 1:
        names = {str(h.get("SeriesInstanceUID", "")): str(h.get("SeriesDescription", "")) for _, h in heads}
        listed = ", ".join(f"{names[uid] or 'without a name'} ({count})" for uid, count in series.items())
        found = f"{len(series)} DICOM series: {listed}" if series else "no DICOM series"
        raise RegistrationError(f"{path} holds {found}: give a folder with exactly one.", path=path)
    found: dict[str, Slice] = {}
    for file, head in heads:
        for one in _of_file(file, head):
            found.setdefault(one.identity, one)
    doubled = sum(int(head.get("NumberOfFrames", 1) or 1) for _, head in heads) - len(found)
    notes = (f"{path} holds {doubled} slices twice: each counts once.",) if doubled else ()
    return list(found.values()), notes


def _head(file: Path) -> Any | None:
    """The head of a DICOM image, or None for any other file."""
    import pydicom

    try:
        head = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(HEAD))
    except (pydicom.errors.InvalidDicomError, OSError, ValueError, AttributeError):
        return None
    return head if "Rows" in head else None


def _of_file(file: Path, head: Any) -> list[Slice]:
    """The slices of a file: one, or a frame each, whose places stand in the functional groups."""
    frames = head.get("PerFrameFunctionalGroupsSequence")
    if str(head.get("Modality", "")) == "SEG":
        raise RegistrationError(f"{file} is a DICOM segmentation: convert it to .seg.nrrd.", path=file)
    if not frames:
        return [_slice(file, 0, head, [head])]
    shared = list(head.get("SharedFunctionalGroupsSequence", []))
    return [_slice(file, n, head, [_flat(frame), *map(_flat, shared)]) for n, frame in enumerate(frames)]


def _flat(groups: Any) -> Any:
    """What the functional groups of a frame say of its plane, as one set of tags."""
    import pydicom

    found = pydicom.Dataset()
    for name in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence"):
        for item in groups.get(name, []):
            found.update(item)
    return found


def _slice(file: Path, frame: int, head: Any, places: Sequence[Any]) -> Slice:
    def stated(name: str) -> list[float]:
        value = next((tags[name].value for tags in places if name in tags and tags[name].value), None)
        if value is None:
            raise RegistrationError(
                f"{file} does not say where its slice lies ({name} is missing): leave it out.", path=file
            )
        return [float(v) for v in value]

    directions = np.array(stated("ImageOrientationPatient")).reshape(2, 3)
    position, pitch = np.array(stated("ImagePositionPatient")), stated("PixelSpacing")
    identity = f"{head.get('SOPInstanceUID', file)} {frame}"
    return Slice(file, frame, identity, position, directions, (pitch[0], pitch[1]), (int(head.Rows), int(head.Columns)))


def _checked(slices: list[Slice], path: Path) -> tuple[list[Slice], np.ndarray, np.ndarray]:
    """The slices from the lowest; their heights (D,) over it, mm; the way (3,) of the stack a mm of height, LPS."""
    if len(slices) < 2:
        raise RegistrationError(f"{path} is a single slice: give the folder of its series.", path=path)
    normal = slices[0].normal
    ordered = sorted(slices, key=lambda one: float(one.position @ normal))
    usual = Counter((one.size, one.pitch) for one in ordered).most_common(1)[0][0]
    middle = ordered[len(ordered) // 2]
    for one in ordered:
        if np.abs(one.directions - middle.directions).max() > TURNED:
            raise _at_fault(path, one, "is turned against the others", "leave it out")
        if (one.size, one.pitch) != usual:
            raise _at_fault(path, one, "has another size or pixel spacing than the others", "leave it out")
    places = np.array([one.position for one in ordered])
    heights = (places - places[0]) @ normal
    gaps = np.diff(heights)
    for n, (gap, around) in enumerate(zip(gaps, _usual(gaps))):
        if gap < SAME_PLACE * max(around, 1e-3):
            pair = f"lies at the same place as {ordered[n + 1].name} and is another image"
            raise _at_fault(path, ordered[n], pair, "give one phase or one reconstruction")
        if gap > HOLE * around:
            raise _hole(path, ordered[n], ordered[n + 1], gap, around)
    way = (places[-1] - places[0]) / heights[-1]
    off = np.linalg.norm(places - places[0] - heights[:, None] * way, axis=1)
    if off.max() > UNEVEN * max(float(np.median(gaps)), min(ordered[0].pitch)):
        worst = ordered[int(off.argmax())]
        raise _at_fault(path, worst, f"is {off.max():.1f} mm off the line of the others", "leave it out")
    return ordered, heights, way


def _usual(gaps: np.ndarray) -> list[float]:
    """The usual gap in the neighborhood of each."""
    return [float(np.median(gaps[max(n - AROUND, 0) : n + AROUND + 1])) for n in range(len(gaps))]


def _evenly(data: np.ndarray, heights: np.ndarray, way: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Slices (D, H, W) at equal distances, linear between those that were taken; the step (3,) between them, LPS mm."""
    gaps = np.diff(heights)
    step = float(heights[-1] / len(gaps))
    if np.abs(heights - step * np.arange(len(heights))).max() <= UNEVEN * step:
        return data, step * way, ()
    count = round(heights[-1] / min(_usual(gaps))) + 1
    wanted = np.linspace(0, heights[-1], count)
    below = np.clip(np.searchsorted(heights, wanted, side="right") - 1, 0, len(gaps) - 1)
    shares = (wanted - heights[below]) / gaps[below]
    even = np.empty((count, *data.shape[1:]), data.dtype)
    for target, n, share in zip(even, below, shares):
        between = (1 - share) * data[n] + share * data[n + 1]
        target[...] = np.rint(between) if np.issubdtype(data.dtype, np.integer) else between
    note = (
        f"The slices lie {gaps.min():.4g} to {gaps.max():.4g} mm apart: they were resampled to "
        f"{wanted[1]:.4g} mm, linearly between those that were taken."
    )
    return even, wanted[1] * way, (note,)


def _at_fault(path: Path, one: Slice, what: str, remedy: str) -> RegistrationError:
    return RegistrationError(f"The slice {one.name} of {path} {what}: {remedy}.", path=path)


def _hole(path: Path, before: Slice, after: Slice, gap: float, spacing: float) -> RegistrationError:
    lost = round(gap / spacing) - 1
    if lost >= 1 and abs(gap - (lost + 1) * spacing) <= UNEVEN * spacing * (lost + 1):
        slices = "a slice is" if lost == 1 else f"{lost} slices are"
        return RegistrationError(
            f"{path} is incomplete, {slices} missing between {before.name} and {after.name}: copy the whole series.",
            path=path,
        )
    return RegistrationError(
        f"{path} has a hole of {gap:.4g} mm from {before.name} to {after.name}, its slices are {spacing:.4g} mm apart "
        "around it: copy the whole series, or give one part of it.",
        path=path,
    )


def _pixels(ordered: list[Slice]) -> np.ndarray:
    """(D, H, W) of the slices in their order, rescaled as their files say."""
    import SimpleITK as sitk

    files = list(dict.fromkeys(one.file for one in ordered))
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        if len(files) == 1:
            data = sitk.GetArrayFromImage(sitk.ReadImage(str(files[0])))
            return data[[one.frame for one in ordered]]
        return sitk.GetArrayFromImage(sitk.ReadImage([str(file) for file in files]))
    except RuntimeError:
        raise RegistrationError(
            f"{files[0].parent} cannot be read: a file of the series is truncated, damaged or compressed unusually.",
            path=files[0].parent,
        ) from None


def _upright(data: np.ndarray, affine: np.ndarray, normal: np.ndarray, notes: tuple[str, ...]) -> Stored:
    """Slices of a tilted gantry on a grid with right angles, whose planes are theirs: each is shifted in its plane."""
    sheared = LPS @ torch.from_numpy(affine)
    depth, height, width = data.shape
    step = affine[:3, 2]
    straight = affine.copy()
    straight[:3, 2] = normal * (step @ normal)
    shift = np.linalg.solve(affine[:3, :2].T @ affine[:3, :2], affine[:3, :2].T @ (step - straight[:3, 2])) * (
        depth - 1
    )
    low, high = np.floor(np.minimum(shift, 0)), np.ceil(np.maximum(shift, 0))
    straight[:3, 3] = affine[:3, 3] + affine[:3, :2] @ low
    size = (depth, height + int(high[1] - low[1]), width + int(high[0] - low[0]))
    image = Image(torch.from_numpy(np.ascontiguousarray(data[None], dtype=np.float32)), sheared)
    grid = Geometry(size, LPS @ torch.from_numpy(straight))
    moved = image.resample(grid, outside=float(image.data.min())).data.numpy()
    whole = np.issubdtype(data.dtype, np.integer)
    degrees = math.degrees(math.acos(min(1.0, abs(step @ normal) / np.linalg.norm(step))))
    note = f"The gantry was tilted by {degrees:.1f} degrees: the slices were resampled to a grid with right angles."
    return Stored(np.rint(moved).astype(data.dtype) if whole else moved, grid.affine, notes=(*notes, note))
