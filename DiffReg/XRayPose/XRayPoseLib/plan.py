"""From the nodes that the panel names to the files of a pose estimation, and from its result to nodes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml.export import Exported, export
from DiffRegLib.mrml.panel.option_parameters import read_options
from XRayPoseLib import carm
from XRayPoseLib.parameters import GROUPS, LABELS, METHOD, xrays
from XRayPoseLib.source import own_part, own_volume


class PosePlan:
    """See `DiffRegLib.mrml.panel.run.Plan`. Holds the inputs as they were when the button was pressed.

    search: whether the pose is sought from many starts. matrix: (4,4) from which the work begins.
    arrived: called with the final pose (4,4) before the settings of the result are stored.
    """

    method = METHOD.name
    labels = LABELS

    def __init__(
        self, parameters: Any, search: bool, matrix: np.ndarray, arrived: Callable[[np.ndarray], None]
    ) -> None:
        """Raises `RegistrationError` for options that cannot be."""
        self._parameters, self._matrix, self._arrived = parameters, matrix, arrived
        self._ct, self._xrays = parameters.ct, xrays(parameters)
        options = read_options(parameters, GROUPS)
        options["pose"]["search"] = search
        self._part = own_part(parameters) if parameters.part is not None else None
        if self._part is not None:
            options["imaging"]["labels"] = list(self._part[1])
        self.options: Mapping[str, Mapping[str, Any]] = options

    def export(self, folder: Path) -> Generator[None, None, Sequence[Exported]]:
        """Writes one input after the other."""
        import torch

        from DiffRegLib.camera import write_geometry
        from DiffRegLib.transforms import Affine, write_transform

        exported = [self._as(self._ct, export(own_volume(self._ct), folder, "ct"))]
        yield
        if self._part is not None:
            exported.append(self._as(self._parameters.part, export(self._part[0], folder, "mask")))
            yield
        for place, (_number, node) in enumerate(self._xrays, 1):
            exported.append(self._xray(node, folder, f"xray_{place}"))
            yield
        center = torch.from_numpy(carm.center_of(self._ct))
        geometry, start = folder / "geometry.json", folder / "start.tfm"
        write_geometry(geometry, carm.cameras(self._parameters), center)
        write_transform(Affine(torch.from_numpy(self._matrix)), start)
        exported.append(Exported("geometry", geometry, "", _("the C-arm")))
        exported.append(Exported("start", start, "", _("the start pose")))
        return exported

    def bring(self, result: Path, exported: Sequence[Exported]) -> Generator[None, None, None]:
        """Reads everything outside the scene, then moves the CT and adds the radiographs."""
        facts = _read(result / "metrics.json")
        matrix = np.array(facts["end"]["matrix"])
        yield
        radiographs = {}
        for place, (number, node) in enumerate(self._xrays, 1):
            radiographs[number] = _load(result / f"drr_{place}.nrrd", node)
            yield
        facts.pop("trace", None)
        self._arrived(matrix)
        with slicer.util.NodeModify(self._parameters.parameterNode):
            for number, (values, affine, node) in radiographs.items():
                self._place(number, values, affine, node)
            self._parameters.measures = json.dumps(facts)

    def _place(self, number: int, data: Any, affine: Any, xray: Any) -> None:
        """The radiograph as a volume of the scene, in place of the one before."""
        name = f"drr_{number}"
        node = self._parameters.getValue(name)
        if node is None or node.GetScene() is None:
            node = slicer.mrmlScene.AddNewNodeByClass(
                "vtkMRMLScalarVolumeNode", _("DRR for {xray}").format(xray=xray.GetName())
            )
        node.SetAndObserveImageData(data)
        node.SetIJKToRASMatrix(affine)
        if node.GetDisplayNode() is None:
            node.CreateDefaultDisplayNodes()
        self._parameters.setValue(name, node)

    @staticmethod
    def _as(node: Any, exported: Exported) -> Exported:
        """The same file under the node that it was made from."""
        return dataclasses.replace(exported, node_id=node.GetID(), name=node.GetName())

    @staticmethod
    def _xray(node: Any, folder: Path, role: str) -> Exported:
        """Writes the pixels as they are."""
        import SimpleITK as sitk

        from DiffRegLib.mrml.xray.nodes import xray_of

        xray = xray_of(node)
        image = sitk.GetImageFromArray(xray.values)
        path = folder / f"{role}.nrrd"
        try:
            sitk.WriteImage(image, str(path))
        except RuntimeError:
            raise RegistrationError(
                _("{name} cannot be written to {path}: check the disk space.").format(name=xray.name, path=path)
            ) from None
        return Exported(role, path, node.GetID(), node.GetName())


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RegistrationError(_("The result of the registration is incomplete: start it again.")) from None


def _load(path: Path, xray: Any) -> tuple[Any, Any, Any]:
    """Image data, voxel-to-RAS matrix and the X-ray of a radiograph that the worker wrote."""
    import vtk

    from DiffRegLib.mrml import arrays

    node = slicer.vtkMRMLScalarVolumeNode()
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    storage.SetSingleFile(True)  # or drr_1 and drr_2 are taken for the slices of one volume
    with arrays.quiet():
        done = path.is_file() and storage.ReadData(node)
    if not done:
        raise RegistrationError(_("The result of the registration is incomplete: start it again."))
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return node.GetImageData(), matrix, xray
