"""Whether a volume node can be an X-ray; without torch, for panels."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml.seen import name_of


def check_xray(node: Any) -> None:
    """Raises RegistrationError where a volume is no X-ray: colored, several slices, empty. Quick."""
    image = node.GetImageData()
    if image is None or not image.GetNumberOfPoints() or image.GetPointData().GetScalars() is None:
        raise RegistrationError(
            _("{name} holds no pixels: load it again or choose another X-ray.").format(name=name_of(node))
        )
    if image.GetNumberOfScalarComponents() > 1:
        raise RegistrationError(
            _("{name} is a color image: convert it to shades of gray, or give the original X-ray.").format(
                name=name_of(node)
            )
        )
    size = image.GetDimensions()
    if size[2] != 1 or min(size[:2]) < 8:
        shape = " x ".join(map(str, size))
        raise RegistrationError(
            _(
                "{name} is an image of {shape} pixels: an X-ray is a single 2D image, one node a view (where files "
                "with like names were read as one, load each with the option Single File)."
            ).format(name=name_of(node), shape=shape)
        )


def size_of(node: Any) -> tuple[int, int]:
    """(rows, columns) of a volume that `check_xray` lets pass."""
    columns, rows, _slices = node.GetImageData().GetDimensions()
    return rows, columns


UIDS = "DICOM.instanceUIDs"
"""The attribute in which Slicer's DICOM plugins keep the instances that a volume was loaded from."""


def has_dicom(node: Any) -> bool:
    """Whether an X-ray came from a DICOM file. Quick."""
    storage = node.GetStorageNode()
    name = (storage.GetFileName() or "") if storage is not None else ""
    return bool(node.GetAttribute(UIDS)) or name.lower().endswith((".dcm", ".dicom", ".ima"))
