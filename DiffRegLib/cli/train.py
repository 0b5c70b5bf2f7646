"""`diffreg train projective CT LABELS -o OUT`: trains the learned similarity of pose estimation on one CT."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DiffRegLib.cli.pose import check_file
from DiffRegLib.errors import RegistrationError
from DiffRegLib.files.kinds import check_input
from DiffRegLib.methods.projective.training_options import NETWORK, NetworkOptions, TrainingOptions
from DiffRegLib.options import add_arguments as add_options
from DiffRegLib.options import from_arguments, from_dict
from DiffRegLib.radiographs.options import CameraOptions

if TYPE_CHECKING:
    from torch import Tensor

    from DiffRegLib.camera import Camera
    from DiffRegLib.image import Image
    from DiffRegLib.methods.projective.training import Trainer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this verb, those of the options dataclasses among them."""
    parser.description = (
        "Train the learned similarity of pose estimation on simulated X-rays of one CT. OUT is a folder with "
        "checkpoints (checkpoint.safetensors, trace.csv) and in the end network.safetensors. Ctrl-C keeps the last "
        "checkpoint."
    )
    parser.add_argument("method", metavar="METHOD", choices=("projective",), help="what is trained: projective")
    parser.add_argument("ct", metavar="CT", help="CT in HU (.nii.gz .nrrd .mha, DICOM folder)")
    parser.add_argument("organs", metavar="LABELS", help="its segmentation, any grid: the tissue to look at, as bone")
    parser.add_argument("-o", "--out", metavar="OUT", required=True, help="folder to make, or to go on with")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in OUT, with its options")
    parser.add_argument("--labels", metavar="INT", type=int, nargs="+", default=[], help="numbers in LABELS that count")
    parser.add_argument("--geometry", metavar="FILE", help="JSON with the place of the C-arm; goes over the view")
    add_options(parser, TrainingOptions, "training")
    add_options(parser, NetworkOptions, "network")
    add_options(parser, CameraOptions, "view, where no geometry is given")


def run(given: argparse.Namespace) -> int:
    """Trains, shows the loss, and prints where the weights are."""
    ct, organs = check_input(given.ct, ("image",), "the CT"), check_input(given.organs, ("image",), "LABELS")
    if given.geometry:
        check_file(given.geometry, "the geometry")
    view, target = from_arguments(CameraOptions, given), Path(os.path.abspath(given.out))
    if not given.resume and os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise RegistrationError(f"{target} exists: choose another name, or go on from its checkpoint with --resume.")
    from DiffRegLib.cli.training_folder import CANCELED, ended_at_once, leave_nothing, training_folder

    with ended_at_once(leave_nothing):
        trainer = _trainer(given, _read(ct, organs, given.labels), _camera(given.geometry, view), target)
    done = len(trainer.trace)
    if done >= trainer.options.iterations and (target / NETWORK).is_file():
        print(f"{target} has been trained for {done} steps already; nothing was run.")
        return 0
    try:
        with training_folder(target):
            _train(trainer, target, {"ct": Path(ct).name, "labels": given.labels})
    except KeyboardInterrupt:
        return CANCELED
    last = trainer.trace[-min(100, len(trainer.trace)) :]
    mean = sum(step.loss for step in last) / len(last)
    print(f"Wrote {target}, mean loss of the last {len(last)} of {len(trainer.trace)} steps {mean:.4g}.")
    return 0


def _trainer(given: argparse.Namespace, data: tuple[Image, Tensor], camera, target: Path) -> Trainer:
    from DiffRegLib.methods.projective.training import CHECKPOINT, Trainer
    from DiffRegLib.methods.projective.weights import read_tensors

    shape = training = None
    if given.resume:
        _, content = read_tensors(target / CHECKPOINT)
        shape = from_dict(NetworkOptions, content.get("network", {}))
        training = from_dict(TrainingOptions, content.get("training", {}))
    shape, training = from_arguments(NetworkOptions, given, shape), from_arguments(TrainingOptions, given, training)
    trainer = Trainer(*data, *camera(data[0]), shape, training)
    if given.resume:
        trainer.resume(target)
    return trainer


def _train(trainer: Trainer, target: Path, facts: dict[str, Any]) -> None:
    from DiffRegLib.cli.show import progress_display
    from DiffRegLib.jobs import Event
    from DiffRegLib.methods.projective.training import train

    begin = time.monotonic()
    with progress_display() as show:

        def progress(fraction: float, message: str, **details: Any) -> None:
            show(Event(time.monotonic() - begin, fraction, message, **details))

        train(trainer, target, facts, progress)


def _read(ct_path: str, organs_path: str, labels: list[int]) -> tuple[Image, Tensor]:
    """Attenuation of the CT and, on its grid, where the chosen labels are."""
    from DiffRegLib.files import read_image
    from DiffRegLib.radiographs.attenuation import AIR, attenuation, check_hounsfield, keep_only

    ct = read_image(ct_path)
    check_hounsfield(ct, ct_path)
    solid = type(ct)(ct.data * 0 + 1, ct.affine)
    return attenuation(ct), (keep_only(solid, read_image(organs_path), labels).data > AIR).float()


def _camera(path: str | None, view: CameraOptions):
    """From a CT to the camera and the pose of the CT (4,4) about which X-rays are taken."""

    def of(ct: Image) -> tuple[Camera, Tensor]:
        import torch

        from DiffRegLib.camera import c_arm, read_geometry

        still = torch.eye(4, dtype=torch.float64)
        if path:
            placement = read_geometry(path, [(view.size, view.size)])[0]
            return placement.camera, still if placement.pose is None else placement.pose
        pitch, angles = view.field / view.size, (view.primary_angle, view.secondary_angle)
        size = (view.size, view.size)
        return c_arm(ct.center, view.distance, view.isocenter_distance, (pitch, pitch), size, angles), still

    return of
