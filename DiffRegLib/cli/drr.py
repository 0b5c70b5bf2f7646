"""`diffreg drr CT -o IMAGE`: radiographs of a CT: one view, a list of poses, or a movie of a rotation."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from DiffRegLib.cli.inputs import check_file
from DiffRegLib.cli.pose import start_of
from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.kinds import check_input
from DiffRegLib.options import add_arguments as add_options
from DiffRegLib.options import from_arguments
from DiffRegLib.radiographs.options import CameraOptions, VolumeOptions

if TYPE_CHECKING:
    from torch import Tensor

    from DiffRegLib.camera import Camera
    from DiffRegLib.image import Image


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this verb, those of the options dataclasses among them."""
    parser.description = (
        "Render radiographs of a CT. IMAGE is a .png (bone bright), a .gif (movie), a folder (no extension: one .png a "
        "frame), or a .nii.gz .nrrd .mha .tif with the line integrals themselves."
    )
    parser.add_argument("ct", metavar="CT", help="CT in HU (.nii.gz .nrrd .mha, DICOM folder)")
    parser.add_argument("-o", "--out", metavar="IMAGE", required=True, help="file or folder to write")
    parser.add_argument("--overwrite", action="store_true", help="replace IMAGE once the new one is there")
    parser.add_argument("--bone-dark", action="store_true", help="gray values as on a fluoroscope, bone dark")
    group = parser.add_argument_group("poses")
    text = (
        "pose of the CT: a .tfm, or rx ry rz tx ty tz, degrees and mm about its center (default: that of the geometry)"
    )
    group.add_argument("--pose", metavar="POSE", nargs="+", default=[], help=text)
    group.add_argument("--poses", metavar="FILE", help="a frame for each line of a .csv: rx,ry,rz,tx,ty,tz")
    text = "a movie of so many frames, while the C-arm turns once about the long axis of the patient"
    group.add_argument("--rotation", metavar="FRAMES", type=int, help=text)
    group = parser.add_argument_group("geometry")
    group.add_argument(
        "--geometry", metavar="FILE", help="JSON with the place of source and detector; goes over the view"
    )
    text = "write the geometry of the (first) view, for `diffreg pose --geometry`"
    group.add_argument("--write-geometry", metavar="FILE", help=text)
    group.add_argument("--mask", metavar="FILE", help="label map of what to project alone, see --labels")
    add_options(parser, CameraOptions, "view, where no geometry is given")
    add_options(parser, VolumeOptions, "from the CT to line integrals")


def run(given: argparse.Namespace) -> int:
    """Writes the radiographs."""
    view, volume = from_arguments(CameraOptions, given), from_arguments(VolumeOptions, given)
    ct = check_input(given.ct, ("image",), "the CT")
    mask = check_input(given.mask, ("image",), "--mask") if given.mask else None
    start = start_of(given.pose)
    if given.geometry:
        check_file(given.geometry, "the geometry")
    if given.poses:
        check_file(given.poses, "the poses")
    if sum(map(bool, (given.pose, given.poses, given.rotation is not None))) > 1:
        raise RegistrationError("--pose, --poses and --rotation are three ways to choose frames: give one of them.")
    if given.rotation is not None and not 2 <= given.rotation <= 3600:
        raise RegistrationError(f"--rotation is {given.rotation}: give 2 to 3600 frames.")
    target, geometry = (Path(os.path.abspath(p)) if p else None for p in (given.out, given.write_geometry))
    for path in filter(None, (target, geometry)):
        if os.path.lexists(path) and not given.overwrite:
            raise RegistrationError(f"{path} exists: choose another name, or replace it with --overwrite.")
    _render(given, ct, mask, start, view, volume, target, geometry)
    return 0


def _render(given, ct_path, mask, start, view: CameraOptions, volume: VolumeOptions, target: Path, geometry) -> None:
    from DiffRegLib.cli.workspace import put, workspace
    from DiffRegLib.files import read_image
    from DiffRegLib.methods.projective.start import read_ct, view_camera
    from DiffRegLib.radiographs.attenuation import attenuation, body_points
    from DiffRegLib.review.frames import check_name, write_frames

    ct = read_ct(read_image(ct_path), ct_path, read_image(mask) if mask else None, volume)
    camera, placed = view_camera(given.geometry, view, ct.center)
    poses, cameras = _frames(given, start, ct, camera, placed)
    check_name(target, len(poses))
    _check_seen(poses[0], cameras[0], body_points(ct))
    images = _line_integrals(attenuation(ct, volume.water), poses, cameras)
    with workspace(target) as space:
        made = space / target.name
        write_frames(made, images, camera.spacing, given.bone_dark)
        put(made, target, space)
    if geometry is not None:
        _write_geometry(geometry, cameras[0], ct)
    count = "a radiograph" if len(poses) == 1 else f"{len(poses)} radiographs"
    print(f"Wrote {target}, {count} of {camera.size[1]} x {camera.size[0]} pixels.")


def _frames(given, start, ct: Image, camera: Camera, placed: Tensor | None) -> tuple[list[Tensor], list[Camera]]:
    """A pose (4,4) and a camera for each frame."""
    import torch

    from DiffRegLib.camera import turned
    from DiffRegLib.methods.projective.start import checked_rigid, pose_of, read_rigid, read_rows

    still = torch.eye(4, dtype=torch.float64)
    if placed is not None:
        still = checked_rigid(placed, given.geometry).matrix
    if isinstance(start, str):
        still = read_rigid(start).matrix
    elif start is not None:
        still = pose_of(start, ct).matrix
    if given.poses:
        poses = [pose_of(row, ct).matrix for row in read_rows(given.poses, 6, "rx, ry, rz, tx, ty, tz").tolist()]
        return poses, [camera] * len(poses)
    if given.rotation:
        angles = [(360.0 * n / given.rotation, 0.0) for n in range(given.rotation)]
        return [still] * len(angles), [turned(camera, ct.center, angle) for angle in angles]
    return [still], [camera]


def _check_seen(pose: Tensor, camera: Camera, points: Tensor) -> None:
    from DiffRegLib.camera import check_view
    from DiffRegLib.transforms import Affine

    check_view(camera, Affine(pose)(points), "the radiograph")


def _line_integrals(volume: Image, poses: list[Tensor], cameras: list[Camera]):
    """(F, rows, columns) float32 array."""
    import numpy as np

    from DiffRegLib.radiographs.projection import project

    return np.stack([project(volume, pose, camera)[0, 0].numpy() for pose, camera in zip(poses, cameras)])


def _write_geometry(path: Path, camera: Camera, ct: Image) -> None:
    from DiffRegLib.camera import write_geometry
    from DiffRegLib.cli.workspace import put, workspace

    with workspace(path) as space:
        write_geometry(space / path.name, [camera], ct.center)
        put(space / path.name, path, space)
    print(f"Wrote {path}.")
