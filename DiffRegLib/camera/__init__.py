"""Cameras: a pinhole in the patient's world, and where one comes from (calibration, C-arm, DICOM, files)."""

from DiffRegLib.camera.carm import AP, LATERAL, c_arm, check_view, check_views, misplaced, relation, turned
from DiffRegLib.camera.dicom import from_dicom
from DiffRegLib.camera.files import Placement, read_geometry, write_geometry
from DiffRegLib.camera.matrices import from_projection_matrix
from DiffRegLib.camera.pinhole import Camera
from DiffRegLib.camera.table import table_moves

__all__ = [
    "AP",
    "LATERAL",
    "Camera",
    "Placement",
    "c_arm",
    "check_view",
    "check_views",
    "from_dicom",
    "from_projection_matrix",
    "misplaced",
    "read_geometry",
    "relation",
    "table_moves",
    "turned",
    "write_geometry",
]
