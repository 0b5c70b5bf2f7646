"""The options of what is projected and how X-rays are read. No torch here: the command line's help imports it."""

from __future__ import annotations

from dataclasses import dataclass

from DiffRegLib.options import option


@dataclass(frozen=True)
class VolumeOptions:
    """From a CT to what is projected."""

    water: float = option(0.02, "attenuation of water; a CT value h stands for water (1 + h/1000)", "1/mm", 1e-4, 1.0)
    bone_threshold: float | None = option(
        None, "project only what is above this, with a ramp of 50 HU on either side", "HU", -1000.0, 20000.0
    )
    labels: tuple[int, ...] = option((), "numbers of the mask to project alone; without, all but 0", low=0, high=65535)


@dataclass(frozen=True)
class ImagingOptions(VolumeOptions):
    """From a CT and X-rays to attenuation and line integrals."""

    line_integrals: bool = option(
        False, "the X-rays are line integrals of attenuation already, no grey values", advanced=False
    )
    frame: int = option(0, "which frame of files that hold a run of X-rays, from 1; 0 for files of one image", low=0)


@dataclass(frozen=True)
class CameraOptions:
    """A C-arm about the center of the CT, where no geometry file describes one."""

    size: int = option(256, "width and height of the image", "pixels", 8, 8192, False)
    field: float = option(373.76, "width of the detector", "mm", 1.0, 5000.0)
    distance: float = option(1020.0, "source to detector", "mm", 10.0, 10000.0)
    isocenter_distance: float = option(620.0, "source to the center of the CT", "mm", 5.0, 10000.0)
    primary_angle: float = option(
        0.0, "where the detector is: 0 anterior, 90 on the patient's left, -90 right", "degrees", -360.0, 360.0, False
    )
    secondary_angle: float = option(
        0.0, "tilt of the detector toward the head (positive) or the feet", "degrees", -180.0, 180.0, False
    )


@dataclass(frozen=True)
class CArmOptions:
    """One view of a C-arm as a person types it; 0 and nothing stand for what is not known yet, see `carm`."""

    distance: float = option(0.0, "source to detector", "mm", 0.0, 10000.0, False)
    isocenter_distance: float = option(
        0.0, "source to the isocenter, about which the C-arm turns", "mm", 0.0, 10000.0, False
    )
    pixel_width: float = option(0.0, "from one column to the next, on the detector", "mm", 0.0, 100.0, False)
    pixel_height: float = option(0.0, "from one row to the next, on the detector; 0: as wide", "mm", 0.0, 100.0)
    principal_column: float | None = option(
        None, "column at which the ray perpendicular to the detector arrives, the first is 0; none: the middle", "pixel"
    )
    principal_row: float | None = option(
        None, "row at which the ray perpendicular to the detector arrives, the first is 0; none: the middle", "pixel"
    )
    primary_angle: float = option(
        0.0, "where the detector is: 0 anterior, 90 on the patient's left, -90 right", "degrees", -360.0, 360.0, False
    )
    secondary_angle: float = option(
        0.0, "tilt of the detector toward the head (positive) or the feet", "degrees", -360.0, 360.0, False
    )
    image_angle: float = option(
        0.0, "turn of the image in its plane, clockwise as it is displayed", "degrees", -360.0, 360.0
    )
    mirrored: bool = option(False, "the image is displayed as a mirror would show it: left and right are exchanged")
    isocenter: tuple[float, ...] = option((), "R, A and S of the isocenter; none: the center of the CT", "mm")


NEEDED = {
    "distance": ("the distance from source to detector", "DistanceSourceToDetector (0018,1110)"),
    "isocenter_distance": ("the distance from source to isocenter", "DistanceSourceToPatient (0018,1111)"),
    "pixel_width": ("the width of a pixel", "ImagerPixelSpacing (0018,1164)"),
}
"""What of a view has to be known: what people call it, and the DICOM tag that says it."""
