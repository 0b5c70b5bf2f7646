"""Nodes to files for a job: what is seen, in RAS mm of the world, by Slicer's own storage nodes and without torch."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml import arrays
from DiffRegLib.mrml.seen import (
    VOXELS,
    check,
    defined_points,
    name_of,
    note,
    seen_mesh,
    seen_points,
    seen_volume,
    world_matrix,
)
from DiffRegLib.mrml.segments import label_map
from DiffRegLib.mrml.transforms import seen_transform

SKEW = 1e-3
"""Largest cosine between two axes of a volume that still counts as a right angle."""


@dataclasses.dataclass(frozen=True)
class Exported:
    """A node that became the input `role` of a job.

    values: segment name -> label, of a segmentation. notes: sentences that the panel shows. labels: whether the voxels
    are labels; None where there are no voxels.
    """

    role: str
    path: Path
    node_id: str
    name: str
    notes: tuple[str, ...] = ()
    values: dict[str, int] = dataclasses.field(default_factory=dict)
    labels: bool | None = None


def export(node: Any, folder: str | Path, role: str, values: dict[str, int] | None = None) -> Exported:
    """Writes a volume, label map or segmentation (`.nrrd`), a model (`.vtp`) or markups (`.mrk.json`) into `folder`.

    The file is named after the role. values: label of each segment by name. The node is not changed. Raises
    `RegistrationError` that names the node where it is empty, cannot be taken where it is seen, or cannot be written.
    """
    kind = check_input(node)
    found: tuple[str, ...] = (note(node),) if note(node) else ()
    target = Path(os.path.abspath(folder)) / role
    if kind == "segmentation":
        labels = label_map(node, values)
        path = _write(labels.node, _volume_storage(), f"{target}.nrrd", node)
        return Exported(role, path, node.GetID(), node.GetName(), (*found, *labels.notes), labels.values, True)
    if kind in VOXELS:
        path = _write(seen_volume(node), _volume_storage(), f"{target}.nrrd", node)
        return Exported(role, path, node.GetID(), node.GetName(), found, labels=kind == "labels")
    if kind == "model":
        model = slicer.vtkMRMLModelNode()
        model.SetAndObservePolyData(seen_mesh(node))
        path = _write(model, slicer.vtkMRMLModelStorageNode(), f"{target}.vtp", node)
        return Exported(role, path, node.GetID(), node.GetName(), found)
    markups = _with_gaps(node)
    path = _write(markups, slicer.vtkMRMLMarkupsJsonStorageNode(), f"{target}.mrk.json", node)
    return Exported(role, path, node.GetID(), node.GetName(), found)


def _with_gaps(node: Any) -> Any:
    """All control points as seen, those that were not placed as such: two lists are paired by their order too."""
    markups, places = slicer.vtkMRMLMarkupsFiducialNode(), dict(zip(defined_points(node), seen_points(node).positions))
    for n in range(node.GetNumberOfControlPoints()):
        index = markups.AddControlPoint(*places.get(n, (0.0, 0.0, 0.0)), node.GetNthControlPointLabel(n))
        if n not in places:
            markups.UnsetNthControlPointPosition(index)
    return markups


def check_input(node: Any) -> str:
    """The kind of an input, or the `RegistrationError` that `export` would raise. Quick, fit for every change of it."""
    kind = check(node)
    if kind == "transform":
        raise RegistrationError(f"{name_of(node)} is a transform: choose a volume, segmentation, model or markups.")
    if kind in ("volume", "labels"):
        components = node.GetImageData().GetNumberOfScalarComponents()
        if components != 1:
            raise RegistrationError(
                f"{name_of(node)} has {components} values a voxel: choose a volume with one, or split its components."
            )
        axes = (world_matrix(node) @ arrays.ijk_to_ras(node))[:3, :3]
        axes = axes / np.linalg.norm(axes, axis=0)
        if np.abs(axes.T @ axes - np.eye(3)).max() > SKEW:
            raise RegistrationError(
                f"{name_of(node)} has axes that are not at right angles, which NIfTI files cannot hold: resample it "
                "with the module Resample Scalar/Vector/DWI Volume."
            )
    return kind


def export_transform(transform: Any, around: Any, folder: str | Path, role: str) -> Exported:
    """Writes a transform node, with what stands above it, as the file of a role (`.h5`), fixed to moving.

    What has no closed form in this direction is sampled over the place of the node `around`.
    """
    node = seen_transform(transform, region(around))
    path = _write(node, slicer.vtkMRMLTransformStorageNode(), f"{Path(os.path.abspath(folder)) / role}.h5", transform)
    return Exported(role, path, transform.GetID(), transform.GetName())


def export_initial(transform: Any, fixed: Any, moving: Any, folder: str | Path) -> Exported:
    """Writes the transform that brings the moving node near the fixed one, as the file of the role `initial` (`.h5`).

    It is the node as it would act on the moving node if that were put under it. What has no closed form in this
    direction is sampled over the place of the fixed node. Raises `RegistrationError` where the moving node, which is
    taken where it is seen, is under that transform already.
    """
    parent = moving.GetParentTransformNode()
    if parent is not None and (parent is transform or parent.IsTransformNodeMyParent(transform)):
        raise RegistrationError(
            f"{name_of(moving)} is already under {name_of(transform)} and is taken where it is seen: choose no initial "
            "transform, or take it out of that transform."
        )
    return export_transform(transform, fixed, folder, "initial")


def region(node: Any, margin: float = 20.0) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest corner, RAS mm, of a box around a node where it is seen."""
    bounds = np.zeros(6)
    node.GetRASBounds(bounds)
    return bounds[::2] - margin, bounds[1::2] + margin


def in_node_names(sentence: str, exported: Iterable[Exported]) -> str:
    """A sentence about a job's files as one about the nodes that they were made from."""
    for item in sorted(exported, key=lambda e: -len(str(e.path))):
        sentence = sentence.replace(str(item.path), f'"{item.name}"')
    return sentence


def _volume_storage() -> Any:
    """Uncompressed: compressing a CT would hold the window up for seconds."""
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetUseCompression(0)
    return storage


def _write(node: Any, storage: Any, path: str, original: Any) -> Path:
    storage.SetFileName(path)
    with arrays.quiet():
        written = storage.WriteData(node)
    if not written or not Path(path).is_file():
        raise RegistrationError(
            f"{name_of(original)} cannot be written to {path}: check the folder, its permissions and the disk space."
        )
    return Path(path)
