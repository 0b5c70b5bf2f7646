"""A volume node of one slice as the content of an X-ray: its pixels, and the DICOM tags that tell how it was taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from DiffRegLib.camera import table
from DiffRegLib.camera.dicom import TAGS
from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml import arrays
from DiffRegLib.mrml.seen import name_of
from DiffRegLib.mrml.xray.seen import UIDS, check_xray
from DiffRegLib.radiographs.xray import XRay, read_xray


def xray_of(node: Any) -> XRay:
    """The content of an X-ray's node; row 0 is what its file has first, at the top.

    Without DICOM tags: those of the grey scale are about what is stored, which Slicer has rescaled and inverted.
    Raises RegistrationError as `check_xray` does, and for pixels that are constant or not numbers.
    """
    check_xray(node)
    values = np.array(arrays.voxels(node.GetImageData())[0, 0], dtype=np.float32)
    name = name_of(node)
    if not np.isfinite(values).all():
        raise RegistrationError(_("{name} has pixels that are no numbers: replace them.").format(name=name))
    if np.ptp(values) <= 0:
        raise RegistrationError(
            _("{name} is constant ({value:g}): give another image.").format(name=name, value=values.flat[0])
        )
    return XRay(values, name)


def dicom_tags(node: Any) -> dict[str, str]:
    """The DICOM tags that tell how an X-ray was taken, "gggg|eeee" -> value, as far as they are known.

    From Slicer's DICOM database where the node came through it, else from the file that it was loaded from.
    """
    wanted = (*TAGS.values(), *table.TAGS)
    database, uids = getattr(slicer, "dicomDatabase", None), (node.GetAttribute(UIDS) or "").split()
    if database is not None and uids:
        found = {tag: database.instanceValue(uids[0], tag.replace("|", ",")) for tag in wanted}
        return {tag: value for tag, value in found.items() if value}
    storage = node.GetStorageNode()
    path = storage.GetFileName() if storage is not None else None
    try:
        return {tag: value for tag, value in read_xray(path).tags.items() if tag in wanted} if path else {}
    except RegistrationError:
        return {}  # the file has moved, or is no 2D image: what is in the scene is what counts
