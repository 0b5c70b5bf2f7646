"""Segmentations and label maps: numbers by segment name, so that the same organ is the same label on both sides."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import slicer
import vtk

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml import arrays
from DiffRegLib.mrml.seen import check, name_of, world_matrix

MARGIN = 10.0
"""mm of empty voxels around the segments, so that a moved organ is not cut at the border of the grid."""


@dataclasses.dataclass(frozen=True)
class LabelMap:
    """A label map node outside the scene as seen, the label of each segment's name, and what to tell the person."""

    node: Any
    values: dict[str, int]
    notes: tuple[str, ...] = ()


def segment_names(segmentation: Any) -> list[str]:
    """The names of the segments in their order."""
    content = segmentation.GetSegmentation()
    return [content.GetSegment(i).GetName() for i in content.GetSegmentIDs()]


def matched_values(fixed: Any, moving: Any) -> tuple[dict[str, int], tuple[str, ...]]:
    """Segment name -> label value for two segmentations, with notes on segments that have no partner.

    Segments of the same name get the same value, first those that both have. Two segmentations of one segment each are
    partners whatever their names. Raises `RegistrationError` where no name occurs on both sides.
    """
    left, right = (list(dict.fromkeys(segment_names(node))) for node in (fixed, moving))
    both = [name for name in left if name in right]
    if not both and len(left) == len(right) == 1:
        pair = f"The segments {left[0]!r} and {right[0]!r} are taken for the same structure."
        return {left[0]: 1, right[0]: 1}, (pair,)
    if not both:
        raise RegistrationError(
            f"{name_of(fixed)} and {name_of(moving)} have no segment name in common: rename the segments that belong "
            "together."
        )
    lone = [name for name in (*left, *right) if name not in both]
    notes = (f"These segments are on one side only: {', '.join(lone)}.",) if lone else ()
    return {name: n + 1 for n, name in enumerate((*both, *lone))}, notes


def label_map(segmentation: Any, values: dict[str, int] | None = None) -> LabelMap:
    """The segments as one label map, as seen; `values` numbers them by name, without it 1, 2, ... in their order.

    Where segments overlap, the later one wins, and a note says so. Raises `RegistrationError` for a segmentation that
    is empty, has a segment without a number, or is under a non-linear transform.
    """
    check(segmentation)
    names = segment_names(segmentation)
    values = values or {name: n + 1 for n, name in enumerate(dict.fromkeys(names))}
    unnumbered = [name for name in names if name not in values]
    if unnumbered:
        raise RegistrationError(f"{name_of(segmentation)} has segments without a number: number {unnumbered[0]!r} too.")
    holder = _with_label_maps(segmentation)
    content = holder.GetSegmentation()
    merged = _merged(holder, [values[name] for name in names])
    data, affine = _padded(merged)
    node = arrays.volume_node(
        slicer.vtkMRMLLabelMapVolumeNode,
        segmentation.GetName(),
        arrays.image_data(data),
        world_matrix(segmentation) @ affine,
    )
    missing = [name for name in names if not (data == values[name]).any()]
    notes = (f"These segments are empty or hidden by later ones: {', '.join(missing)}.",) if missing else ()
    if content.GetNumberOfLayers() > 1 and _overlap(content, data):
        notes += (f"Segments of {name_of(segmentation)} overlap: where they do, the later one counts.",)
    return LabelMap(node, {name: values[name] for name in names}, notes)


def segmentation_from_labels(labels: Any, like: Any, values: dict[str, int], name: str) -> Any:
    """A segmentation outside the scene: the segments of `like`, their names and colors, with the voxels of `labels`."""
    node = slicer.vtkMRMLSegmentationNode()
    node.SetName(name)
    source = like.GetSegmentation()
    data, affine = arrays.voxels(labels.GetImageData()), arrays.ijk_to_ras(labels)
    for segment_id in source.GetSegmentIDs():
        original = source.GetSegment(segment_id)
        mask = (data == values[original.GetName()]).astype(np.uint8)
        image = slicer.vtkOrientedImageData()
        image.DeepCopy(arrays.image_data(mask))
        image.SetImageToWorldMatrix(arrays.array_to_matrix(affine))
        segment = slicer.vtkSegment()
        segment.SetName(original.GetName())
        segment.SetColor(original.GetColor())
        segment.AddRepresentation(_binary(), image)
        node.GetSegmentation().AddSegment(segment, segment_id)
    return node


def _binary() -> str:
    return slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()


def _with_label_maps(segmentation: Any) -> Any:
    """The node itself where it has label maps, else a copy outside the scene that is given them."""
    if segmentation.GetSegmentation().ContainsRepresentation(_binary()):
        return segmentation
    copy = slicer.vtkMRMLSegmentationNode()
    copy.SetName(segmentation.GetName())
    copy.GetSegmentation().DeepCopy(segmentation.GetSegmentation())
    with arrays.quiet():
        made = copy.GetSegmentation().CreateRepresentation(_binary())
    if not made:
        raise RegistrationError(f"{name_of(segmentation)} cannot be turned into a label map: check its segments.")
    return copy


def _merged(holder: Any, labels: list[int]) -> Any:
    ids, numbers = vtk.vtkStringArray(), vtk.vtkIntArray()
    for segment_id, label in zip(holder.GetSegmentation().GetSegmentIDs(), labels):
        ids.InsertNextValue(segment_id)
        numbers.InsertNextValue(label)
    merged = slicer.vtkOrientedImageData()
    extent = slicer.vtkSegmentation.EXTENT_UNION_OF_EFFECTIVE_SEGMENTS
    with arrays.quiet():
        holder.GenerateMergedLabelmapForAllSegments(merged, extent, None, ids, numbers)
    scalars = merged.GetPointData().GetScalars()
    if scalars is None or not scalars.GetNumberOfTuples() or not arrays.voxels(merged).any():
        raise RegistrationError(f"All segments of {name_of(holder)} are empty: draw or import one.")
    return merged


def _padded(merged: Any) -> tuple[np.ndarray, np.ndarray]:
    """(1, D, H, W) labels with a margin, and the affine of their first voxel."""
    matrix = vtk.vtkMatrix4x4()
    merged.GetImageToWorldMatrix(matrix)
    affine = arrays.matrix_to_array(matrix)
    border = np.ceil(MARGIN / np.linalg.norm(affine[:3, :3], axis=0)).astype(int)
    first = np.array(merged.GetExtent()[::2]) - border
    affine[:3, 3] += affine[:3, :3] @ first
    i, j, k = ((b, b) for b in border)
    return np.pad(arrays.voxels(merged).astype(np.int16), ((0, 0), k, j, i)), affine


def _overlap(content: Any, data: np.ndarray) -> bool:
    """Whether fewer voxels are labeled than the segments have together."""
    total = 0
    for segment_id in content.GetSegmentIDs():
        segment = content.GetSegment(segment_id)
        layer = segment.GetRepresentation(_binary())
        if layer.GetPointData().GetScalars() is not None:
            total += int((arrays.voxels(layer) == segment.GetLabelValue()).sum())
    return int((data > 0).sum()) < total
