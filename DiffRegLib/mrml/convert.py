"""Nodes and the library's tensors, as seen, in RAS mm; the one module of this room that imports torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.mrml import arrays
from DiffRegLib.mrml.seen import name_of, seen_volume
from DiffRegLib.mrml.segments import label_map
from DiffRegLib.mrml.transforms import Grid, Linear, Part, parts_of
from DiffRegLib.mrml.transforms import transform_node as node_of_parts
from DiffRegLib.transforms import Affine, BSpline, Composite, DisplacementField, Transform, VelocityField


def to_image(node: Any, values: dict[str, int] | None = None) -> Image:
    """A volume (its components as channels), a label map, or a segmentation as labels (`values` by segment name)."""
    volume = label_map(node, values).node if node.IsA("vtkMRMLSegmentationNode") else seen_volume(node)
    data = np.array(arrays.voxels(volume.GetImageData()), dtype=np.float32, order="C")
    try:
        return Image(torch.from_numpy(data), torch.from_numpy(arrays.ijk_to_ras(volume)))
    except RegistrationError as error:
        raise RegistrationError(f"{name_of(node)}: {error}") from None


def from_image(image: Image, name: str, labels: bool = False) -> Any:
    """A volume node outside any scene (several channels: a vector volume), or a label map of whole numbers."""
    data = image.data.detach().cpu().numpy()
    if labels:
        node_class, data = slicer.vtkMRMLLabelMapVolumeNode, np.rint(data).astype(np.int32)
    else:
        node_class = slicer.vtkMRMLScalarVolumeNode if image.channels == 1 else slicer.vtkMRMLVectorVolumeNode
    return arrays.volume_node(node_class, name, arrays.image_data(data), image.affine.numpy())


def from_points(points: torch.Tensor, name: str, labels: tuple[str, ...] = ()) -> Any:
    """A point list outside any scene from (N, 3) RAS mm."""
    node = slicer.vtkMRMLMarkupsFiducialNode()
    node.SetName(name)
    positions = points.detach().cpu().double().numpy()
    for n, position in enumerate(positions):
        node.AddControlPoint(*position, labels[n] if labels else str(n + 1))
    return node


def to_transform(node: Any, region: tuple[np.ndarray, np.ndarray] | None = None) -> Transform:
    """What a transform node and its parents do to a point of the world, *from parent*; see `transforms.parts_of`."""
    parts = [_transform(part) for part in parts_of(node, region)]
    return parts[0] if len(parts) == 1 else Composite(parts[::-1])


def from_transform(transform: Transform, name: str) -> Any:
    """A transform node outside any scene that holds a fixed-to-moving transform as its *from parent*."""
    return node_of_parts(_parts(transform), name)


def _transform(part: Part) -> Transform:
    if isinstance(part, Linear):
        return Affine(torch.from_numpy(part.matrix))
    data = torch.from_numpy(np.ascontiguousarray(part.vectors, dtype=np.float32))
    image = Image(data, torch.from_numpy(part.affine))
    return BSpline(image) if part.is_bspline else DisplacementField(image)


def _parts(transform: Transform) -> list[Part]:
    """The parts, the one that is applied first at the front."""
    if isinstance(transform, Composite):
        return [part for inner in reversed(transform.transforms) for part in _parts(inner)]
    if isinstance(transform, Affine):
        return [Linear(transform.matrix.detach().cpu().numpy())]
    if isinstance(transform, VelocityField):
        transform = transform.exponentiate()
    if not isinstance(transform, (DisplacementField, BSpline)):
        geometry = transform.default_geometry()
        if geometry is None:
            raise RegistrationError(
                f"A {type(transform).__name__} has no grid of its own: sample it with displacement(geometry) first."
            )
        transform = transform.displacement(geometry)
    vectors = transform.image.data.detach().cpu().numpy()
    return [Grid(vectors, transform.image.affine.numpy(), is_bspline=isinstance(transform, BSpline))]
