"""Results into the scene: read and checked first, outside the scene, and added only when everything is there."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml import arrays
from DiffRegLib.mrml.seen import defined_points, kind_of, moved_mesh, name_of, seen_mesh, seen_points
from DiffRegLib.mrml.segments import segmentation_from_labels
from DiffRegLib.mrml.transforms import interpolate_linearly, linear_node


@dataclasses.dataclass(frozen=True)
class Output:
    """A result outside the scene.

    node: what was read or computed. into: the scene's node that takes its content, or None for a new one. like: the
    node whose colors, window and level a new one takes over.
    """

    node: Any
    into: Any = None
    like: Any = None


def read_transform(path: str | Path, name: str) -> Any:
    """A transform file (`.h5`, `.tfm`, ...) as a node outside the scene: what maps fixed to moving, *from parent*.

    A vtkMRMLLinearTransformNode where it is linear. Raises `RegistrationError` that names the file.
    """
    node = slicer.vtkMRMLTransformNode()
    _read(node, slicer.vtkMRMLTransformStorageNode(), path)
    if node.IsLinear():
        matrix = vtk.vtkMatrix4x4()
        node.GetMatrixTransformFromParent(matrix)
        return linear_node(arrays.matrix_to_array(matrix), name)
    interpolate_linearly(node)
    node.SetName(name)
    return node


def read_volume(path: str | Path, name: str, labels: bool = False) -> Any:
    """An image file as a volume or label map outside the scene; raises `RegistrationError` that names the file."""
    node = slicer.vtkMRMLLabelMapVolumeNode() if labels else slicer.vtkMRMLScalarVolumeNode()
    _read(node, slicer.vtkMRMLVolumeArchetypeStorageNode(), path)
    if node.GetImageData() is None or not node.GetImageData().GetNumberOfPoints():
        raise RegistrationError(f"{path} holds no voxels: run the registration again.")
    node.SetName(name)
    return node


def read_warped(path: str | Path, moving: Any, name: str, values: dict[str, int] | None = None) -> Any:
    """The warped image of a job as what the moving node is: volume, label map, or segmentation with its segments.

    values: the labels with which the segmentation was exported.
    """
    kind = kind_of(moving)
    node = read_volume(path, name, labels=kind != "volume")
    return segmentation_from_labels(node, moving, values or {}, name) if kind == "segmentation" else node


def carry(node: Any, inverse: Any, name: str) -> Any:
    """A model or markups of the moving side, as seen, in the fixed frame: a copy outside the scene.

    inverse: the result's inverse transform node, which maps moving points to fixed ones *from parent*. Whatever belongs
    to the node (the arrays of a mesh, the labels and the kind of a curve) comes along.
    """
    kind = kind_of(node)
    push = inverse.GetTransformFromParent()
    if kind == "model":
        copy = slicer.vtkMRMLModelNode()
        copy.SetAndObservePolyData(moved_mesh(seen_mesh(node), push))
    elif kind == "markups":
        positions = arrays.map_points(push, seen_points(node).positions)
        copy = getattr(slicer, node.GetClassName())()
        copy.CopyContent(node)
        for index, position in zip(defined_points(node), positions):
            copy.SetNthControlPointPosition(index, *position)
    else:
        raise RegistrationError(f"{name_of(node)} holds no points to carry through: choose a model or markups.")
    copy.SetName(name)
    return copy


def check_output(node: Any, kind: str, linear: bool = False) -> None:
    """Raises `RegistrationError` where an existing node cannot take a result of that kind (see `seen.Kind`)."""
    if kind_of(node) != kind:
        raise RegistrationError(f"{name_of(node)} cannot take the result, a {kind}: choose or create another output.")
    if kind == "transform" and not linear and node.IsA("vtkMRMLLinearTransformNode"):
        raise RegistrationError(
            f"{name_of(node)} can hold linear transforms only, which the result is not: choose or create another one."
        )


def add(scene: Any, outputs: dict[str, Output]) -> dict[str, Any]:
    """Brings results into the scene: all of them, or, where one cannot be taken, none. Role -> node of the scene.

    Nodes that took a result over lie in the world afterwards, under no transform.
    """
    for output in outputs.values():
        if output.into is not None:
            linear = output.node.IsA("vtkMRMLTransformNode") and bool(output.node.IsLinear())
            check_output(output.into, kind_of(output.node), linear)
    added: list[Any] = []
    placed: dict[str, Any] = {}
    try:  # not as a batch: the slice views would not see a transform that is added in one
        for role, output in outputs.items():
            if output.into is None:
                placed[role] = scene.AddNode(output.node)
                added.append(output.node)
                _dress(output.node, output.like)
        for role, output in outputs.items():
            if output.into is not None:
                _take_over(output.into, output.node)
                placed[role] = output.into
    except Exception:
        for node in reversed(added):
            scene.RemoveNode(node)
        raise
    return {role: placed[role] for role in outputs}


def _read(node: Any, storage: Any, path: str | Path) -> None:
    if not Path(path).is_file():
        raise RegistrationError(f"{path} is missing: the registration did not finish, run it again.")
    storage.SetFileName(str(path))
    with arrays.quiet():
        done = storage.ReadData(node)
    if not done:
        raise RegistrationError(f"{path} cannot be read, it is damaged or truncated: run the registration again.")


def _take_over(target: Any, source: Any) -> None:
    """Replaces the content of a scene's node; its name, display and references stay."""
    changing = target.StartModify()
    try:
        kind = kind_of(source)
        if kind == "transform":
            target.SetAndObserveTransformFromParent(source.GetTransformFromParent())
        elif kind == "model":
            target.SetAndObservePolyData(source.GetPolyData())
        elif kind == "markups":
            target.RemoveAllControlPoints()
            for index in defined_points(source):
                position = np.zeros(3)
                source.GetNthControlPointPosition(index, position)
                target.AddControlPoint(*position, source.GetNthControlPointLabel(index))
        elif kind == "segmentation":
            target.GetSegmentation().DeepCopy(source.GetSegmentation())
        else:
            target.SetAndObserveImageData(source.GetImageData())
            target.SetIJKToRASMatrix(arrays.array_to_matrix(arrays.ijk_to_ras(source)))
        if kind != "transform" or target.GetParentTransformNode() is not None:
            target.SetAndObserveTransformNodeID(None)
    finally:
        target.EndModify(changing)


def _dress(node: Any, like: Any) -> None:
    """Display nodes for a new node; window, level, colors and opacity of `like` where it is of the same kind."""
    node.CreateDefaultDisplayNodes()
    display, model = node.GetDisplayNode(), like.GetDisplayNode() if like is not None else None
    if display is None or model is None or display.GetClassName() != model.GetClassName():
        return
    if node.IsA("vtkMRMLSegmentationNode"):
        return
    display.CopyContent(model)
    if model.GetColorNodeID():
        display.SetAndObserveColorNodeID(model.GetColorNodeID())
