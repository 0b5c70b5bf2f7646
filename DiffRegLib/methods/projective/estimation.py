"""The pose of a CT against one or more radiographs."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import platform
from collections.abc import Sequence

import torch
from torch import Tensor

import DiffRegLib
from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import RIGID, rigid_error
from DiffRegLib.image import Image
from DiffRegLib.methods.projective.clock import Watch
from DiffRegLib.methods.projective.learned import Guide
from DiffRegLib.methods.projective.motion import turn_degrees
from DiffRegLib.methods.projective.options import PoseOptions
from DiffRegLib.methods.projective.recipe import Estimate, estimate
from DiffRegLib.methods.projective.result import PoseRegistration
from DiffRegLib.methods.projective.scene import Scene
from DiffRegLib.methods.projective.uncertainty import uncertainty
from DiffRegLib.methods.projective.verdict import judge
from DiffRegLib.methods.projective.views import views_of
from DiffRegLib.methods.registration import Progress, Provenance
from DiffRegLib.ops.device import choose_device, peak_memory_mb
from DiffRegLib.ops.threads import one_thread
from DiffRegLib.options import to_dict, validate
from DiffRegLib.radiographs.attenuation import attenuation, check_hounsfield
from DiffRegLib.radiographs.radiograph import Radiograph
from DiffRegLib.radiographs.renderer import Renderer
from DiffRegLib.transforms import Affine

SMALLEST = 0.01  # of a picture: 160 pixels of the finest level that is 128 wide, fewer than fix six numbers reliably
SHADOW = 0.1  # line integral of 5 mm of water
DENSE = 1.0  # a mm; no tissue or metal attenuates X-rays by more, and no CT in HU stays below


def register(
    ct: Image,
    xrays: Sequence[Radiograph],
    options: PoseOptions | None = None,
    initial: Affine | None = None,
    progress: Progress | None = None,
    segmentation: Tensor | None = None,
) -> PoseRegistration:
    """Estimates where the CT lies in the world of the cameras.

    ct: (1,D,H,W) in HU, or linear attenuation a mm.
    xrays: one or more of the same moment, with cameras in one common world (their relation is known and kept).
    initial: rigid, CT world to world of the cameras, RAS mm; the identity by default.
    segmentation: (1,D,H,W), not 0 in the organ, for a network that was trained with it.
    Raises RegistrationError for input that cannot be registered, before any long work.
    """
    options = validate(options or PoseOptions())
    _check_options(options)
    watch = Watch(options.time_limit, progress)
    device = choose_device(options.device)
    guide = Guide.load(options.network, ct, segmentation, options.device) if options.network else None
    volume = _attenuating(ct).to(device)
    views = tuple(dataclasses.replace(v, image=v.image.to(device), mask=v.mask.to(device)) for v in views_of(xrays))
    scene = Scene(volume, views, options)
    start = _rigid(initial).to(device)
    _check_beam(scene, start)
    watch.report(0.0, "Preparing the resolutions.", start)
    with one_thread():
        found = estimate(scene, start, watch, guide)
        return _result(start, found, watch, ct)


def _result(start: Tensor, found: Estimate, watch: Watch, ct: Image) -> PoseRegistration:
    scene, pose = found.scene, found.best.pose
    uncertain = uncertainty(found.problem, pose, found.appearance == "different", found.doubt)
    judged = judge(found.best.score, found.standing, uncertain, watch.expired)
    change = pose @ torch.linalg.inv(start)
    shift = ((pose - start)[:3, :3] @ scene.center + (pose - start)[:3, 3]).tolist()
    watch.report(1.0, f"The pose is {judged.verdict}.", pose)
    found_pose = Affine(pose.cpu())
    return PoseRegistration(
        transform=found_pose,
        inverse=found_pose.inverse(),
        start=Affine(start.cpu()),
        rotation_degrees=turn_degrees(change),
        translation_mm=tuple(shift),
        uncertainty=uncertain,
        similarity=found.best.score,
        appearance=found.appearance,
        polarity=_in_words(scene, found.best.polarity),
        verdict=judged.verdict,
        reason=judged.reason,
        remedy=judged.remedy,
        standing=found.standing,
        cameras=tuple(view.camera for view in scene.views),
        trace=tuple(watch.rows),
        provenance=_provenance(scene, watch, ct),
    )


def _in_words(scene: Scene, polarity: float | tuple[float, ...]) -> str:
    """Whether what absorbs more is brighter in the file (positive), or darker; one word where all views agree."""
    pairs = zip(scene.signs(polarity), scene.views)
    words = ["positive" if sign * view.sign > 0 else "negative" for sign, view in pairs]
    return words[0] if len(set(words)) == 1 else ", ".join(words)


def _check_options(options: PoseOptions) -> None:
    if options.optimizer == "gauss-newton" and options.similarity == "patch-ncc":
        raise RegistrationError(
            "{similarity} patch-ncc has no residuals for {optimizer} gauss-newton: choose local-ncc, or adam or cma.",
            option=("similarity", "optimizer"),
        )
    if options.network and options.similarity not in ("auto", "gradient-ncc"):
        raise RegistrationError(
            f"{{network}} is followed by gradient-ncc, not by {options.similarity}: leave {{similarity}} at auto.",
            option=("network", "similarity"),
        )


def _attenuating(ct: Image) -> Image:
    if ct.channels != 1:
        raise RegistrationError(f"The CT has {ct.channels} values a voxel: give an image with one.")
    if not bool(ct.data.isfinite().all()):
        raise RegistrationError("The CT has voxels that are NaN or infinite: replace them by numbers.")
    low, high = float(ct.data.min()), float(ct.data.max())
    if low >= 0 and 0 < high <= DENSE:
        return ct
    check_hounsfield(ct, "The CT")
    return attenuation(ct)


def _rigid(initial: Affine | None) -> Tensor:
    if initial is None:
        return torch.eye(4, dtype=torch.float64)
    if rigid_error(initial.matrix) > RIGID:
        raise RegistrationError("The start pose is not rigid: give a rotation and a translation only.")
    return initial.matrix.double().cpu()


def _check_beam(scene: Scene, start: Tensor) -> None:
    """Every camera has to have the volume before it, to see some of it at the start, and enough of it anywhere."""
    center = start[:3, :3] @ scene.center + start[:3, 3]
    renderer = scene.level(scene.search_level).renderer
    for number, (camera, image) in enumerate(zip(renderer.cameras, renderer.images(start)), 1):
        inward = torch.linalg.inv(camera.pose.double()) @ torch.cat([center.cpu(), torch.ones(1).double()])
        if inward[2] <= 0:
            raise RegistrationError(
                f"The CT lies behind the source of X-ray {number} at the start pose: correct the start or the geometry."
            )
        if not bool((image > 0).any()):
            raise RegistrationError(
                f"The CT lies outside the beam of X-ray {number} at the start pose: correct the start or the geometry."
            )
        shadow = _shadow(renderer.seen_by(camera.aimed(center.cpu())), start)
        if shadow < SMALLEST:
            raise RegistrationError(
                f"Wherever the CT lies in X-ray {number}, it fills {100 * shadow:.1f} % of the picture: give a CT of "
                "what the picture shows, and check that distances and voxels are in mm."
            )


def _shadow(renderer: Renderer, pose: Tensor) -> float:
    """The part of the picture that the body in the CT fills where its center lies in the middle."""
    return float((renderer.images(pose)[0] > SHADOW).float().mean())


def _provenance(scene: Scene, watch: Watch, ct: Image) -> Provenance:
    device = scene.volume.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    inputs = {"ct": _described(ct.data)}
    inputs |= {f"xray {k}": _described(view.image) for k, view in enumerate(scene.views, 1)}
    return Provenance(
        method="projective",
        version=DiffRegLib.__version__,
        options=to_dict(scene.options),
        seed=scene.options.seed,
        device=f"{device.type} ({name})",
        seconds=round(watch.seconds, 3),
        peak_memory_mb=peak_memory_mb(device),
        inputs=inputs,
    )


def _described(data: Tensor) -> dict[str, object]:
    digest = hashlib.sha256(data.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
    return {"sha256": digest, "voxels": math.prod(data.shape)}
