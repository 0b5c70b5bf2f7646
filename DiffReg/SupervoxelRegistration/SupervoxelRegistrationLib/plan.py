"""What a run brings into the scene beside transform and warped scan: the supervoxels of both scans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml import arrays
from DiffRegLib.mrml.pair.plan import SIDES, PairPlan

TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # SimpleITK's world is LPS


class SupervoxelPlan(PairPlan):
    """A pair's plan with `supervoxels_fixed.nii.gz` and `supervoxels_moving.nii.gz` of the result as volumes."""

    def special(self, result: Path) -> dict[str, Any]:
        names = {side: self._nodes[side].GetName() for side in SIDES}
        return {
            f"layers_{side}": read_layers(
                result / f"supervoxels_{side}.nii.gz", _("{name} supervoxels").format(name=names[side])
            )
            for side in SIDES
        }


def read_layers(path: Path, name: str) -> Any:
    """A label map of several layers as a volume of as many components, outside the scene.

    Raises `RegistrationError` that names the file.
    """
    import SimpleITK as sitk

    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        raise RegistrationError(_("{path} cannot be read: press Apply again.").format(path=path)) from None
    data = np.moveaxis(np.atleast_3d(sitk.GetArrayFromImage(image)).reshape(*image.GetSize()[::-1], -1), -1, 0)
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return arrays.volume_node(slicer.vtkMRMLVectorVolumeNode, name, arrays.image_data(data), TO_RAS @ affine)
