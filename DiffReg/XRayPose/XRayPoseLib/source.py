"""What is projected: the CT, or a part of it, in the CT's own coordinates whatever transforms it is under."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml import arrays
from DiffRegLib.mrml.seen import kind_of, name_of, seen_volume, world_matrix
from DiffRegLib.mrml.segments import label_map, segment_names

MOST_KNOWN = 8  # label maps whose labels are remembered


def own_volume(node: Any) -> Any:
    """A volume outside the scene with the voxels of a node, under no transform; they are shared, not copied."""
    return arrays.volume_node(
        slicer.vtkMRMLScalarVolumeNode, node.GetName(), node.GetImageData(), arrays.ijk_to_ras(node)
    )


def part_names(part: Any) -> list[str]:
    """The segments of a segmentation, or the labels of a label map, as the panel lists them. Quick."""
    if part is None:
        return []
    if kind_of(part) == "segmentation":
        return list(dict.fromkeys(segment_names(part)))
    image = part.GetImageData()
    return list(_labels(image)) if image is not None else []


_known: dict[int, tuple[str, ...]] = {}  # labels of an image by its modification time, which no two images share


def _labels(image: Any) -> tuple[str, ...]:
    """The labels of an image, looked up once for each of its states."""
    changed = image.GetMTime()
    if changed not in _known:
        while len(_known) > MOST_KNOWN:
            _known.pop(next(iter(_known)))
        _known[changed] = tuple(str(int(v)) for v in np.unique(arrays.voxels(image)) if v != 0)
    return _known[changed]


def check_part(part: Any, name: str) -> None:
    """Raises RegistrationError where the segment or label that is to be projected is not there."""
    names = part_names(part)
    if not names:
        raise RegistrationError(
            _("{part} holds no segment or label: draw one, or project the whole CT.").format(part=name_of(part))
        )
    if name and name not in names:
        raise RegistrationError(
            _("{part} has no {name!r} any more: choose another segment or label.").format(part=name_of(part), name=name)
        )


def own_part(parameters: Any) -> tuple[Any, tuple[int, ...]]:
    """The part as a label map outside the scene in the CT's own coordinates, and the labels to project (all: none).

    Under no transform it is in the CT's own coordinates, else it is taken where it is seen beside the CT.
    Raises RegistrationError where it is empty or gone.
    """
    part, name = parameters.part, parameters.part_name
    check_part(part, name)
    if kind_of(part) == "segmentation":
        found = label_map(part)
        node, labels = found.node, (found.values[name],) if name else ()
    else:
        node, labels = seen_volume(part), (int(name),) if name else ()
    affine = arrays.ijk_to_ras(node)
    if part.GetParentTransformNode() is not None:
        affine = np.linalg.inv(world_matrix(parameters.ct)) @ affine
    own = arrays.volume_node(slicer.vtkMRMLLabelMapVolumeNode, part.GetName(), node.GetImageData(), affine)
    return own, labels


def attenuation_of(parameters: Any, imaging: Any) -> Any:
    """The library's image of what is projected, attenuation a mm; raises RegistrationError. Needs torch.

    imaging: `ImagingOptions`.
    """
    from DiffRegLib.mrml.convert import to_image
    from DiffRegLib.radiographs.attenuation import attenuation, check_hounsfield, keep_only

    ct = to_image(own_volume(parameters.ct))
    check_hounsfield(ct, name_of(parameters.ct))
    mask, labels = None, ()
    if parameters.part is not None:
        node, labels = own_part(parameters)
        mask = to_image(node)
    return attenuation(keep_only(ct, mask, labels, imaging.bone_threshold), imaging.water)
