"""`register`: two scans in, a transform out, by the supervoxels of both."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib import __version__
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.methods.registration import Meter, Progress, Provenance, Registration, Support, TraceRow
from DiffRegLib.methods.supervoxels.densify import densified
from DiffRegLib.methods.supervoxels.layers import divide
from DiffRegLib.methods.supervoxels.matching import Codes, Pairs, compressed, key_points, match
from DiffRegLib.methods.supervoxels.model import Model, predict
from DiffRegLib.methods.supervoxels.options import PreparationOptions, SegmentationOptions, SupervoxelOptions
from DiffRegLib.methods.supervoxels.preparation import Boxed, body, boxed, halved, prepare
from DiffRegLib.ops.device import choose_device, device_name, peak_memory_mb
from DiffRegLib.options import to_dict, validate
from DiffRegLib.radiographs.attenuation import AIR, unpadded
from DiffRegLib.transforms import Affine, Transform

Align = Callable[[Boxed, Boxed], Transform]
"""From two scans in boxes to a transform from the first box to the second, RAS mm."""

WIDTHS = (5, 3)  # mean at half resolution of the channels at each level: from far, then near the border of a supervoxel
REACH = 20.0  # mm; 4096 key points in a trunk lie some 12 mm apart, further away nothing drives the field
COARSE = 8.0  # mm of the grid of distances to the key points


@dataclass(frozen=True, eq=False)
class Side:
    """A scan in the box, on the grid of the supervoxels: HU (1, D, H, W), its body, its classes (L, D, H, W)."""

    scan: Image
    body: Tensor
    layers: Tensor
    classes: int
    confidence: float = 1.0

    @property
    def map(self) -> Image:
        """The classes as an image with a channel a layer."""
        return Image(self.layers.float(), self.scan.affine)


def register(
    fixed: Image,
    moving: Image,
    options: SupervoxelOptions = SupervoxelOptions(),  # noqa: B008  frozen
    initial: Transform | None = None,
    progress: Progress | None = None,
    landmarks: tuple[Tensor, Tensor] | None = None,
    sides: tuple[Side, Side] | None = None,
) -> Registration:
    """Finds the transform under which the supervoxels of two scans (CT in HU) agree.

    initial: where `sides` were made with the moving scan already resampled through it, it is composed with the result.
    landmarks: fixed and moving (N, 3) RAS mm, a term of the loss with the weight `landmark_weight`.
    sides: both scans with their supervoxels, see `by_network` and `by_reference`; by default those of the moving
        scan, carried to the fixed one by an image-driven registration.

    Raises RegistrationError for scans or options that cannot be used.
    """
    start = time.perf_counter()
    validate(options)
    device = choose_device(options.device)
    meter = Meter(progress, len(WIDTHS) * options.iterations + 60)
    meter.step("Finding supervoxels.", 5)
    if sides is None:
        from DiffRegLib.methods.supervoxels.reference import align

        sides = by_reference((fixed, moving), None, align, initial, seed=options.seed)
    meter.step("Compressing the supervoxels.", 25)
    points, displacements, trace = _displaced(*sides, options, landmarks, initial, meter)
    meter.step("Fitting a thin plate.", 15)
    grid = sides[0].scan.geometry
    away = displacements.mean(0)  # of a scan in another frame: an inverse on one grid with it would reach over both
    found = Affine.translation(away) @ densified(points, displacements - away, grid)
    meter.step("Inverting the transform.", 15)
    backward = found.inverse(grid)
    transform: Transform = found if initial is None else initial @ found
    inverse: Transform = backward if initial is None else backward @ initial.inverse(grid)
    provenance = Provenance(
        method="supervoxel",
        version=__version__,
        options=to_dict(options),
        seed=options.seed,
        device=device_name(device),
        seconds=round(time.perf_counter() - start, 3),
        peak_memory_mb=round(peak_memory_mb(device), 1),
        inputs={},
    )
    support = _support(points, grid)
    confidence = {side: round(s.confidence, 4) for side, s in zip(("fixed", "moving"), sides)}
    return Registration(
        transform, inverse, tuple(trace), provenance, backward.residual, support, {"confidence": confidence}
    )


def by_network(
    scans: tuple[Image, Image], model: Model, initial: Transform | None, names: tuple[str, str], device: str = "auto"
) -> tuple[Side, Side]:
    """Both sides with the supervoxels that a network predicts; raises RegistrationError for a scan unlike its own.

    device: as in the options; the network goes there.
    """
    model.network.to(choose_device(device))
    fixed, moving = _both(scans, initial, model.preparation, names)
    return _predicted(fixed, model, names[0]), _predicted(moving, model, names[1])


def once_more(
    found: Registration,
    scans: tuple[Image, Image],
    fixed: Side,
    model: Model,
    options: SupervoxelOptions,
    names: tuple[str, str],
    progress: Progress | None = None,
    landmarks: tuple[Tensor, Tensor] | None = None,
) -> Registration:
    """A registration by a network, improved: the network sees the moving scan as the registration has left it.

    A network errs by where it sees something; the more alike two scans lie, the more alike it errs in both.
    fixed: with the supervoxels that the network found in it. The trace and the seconds go on.
    """
    begun = time.perf_counter()
    there = _there(scans[0], unpadded(scans[1]), found.transform, model.preparation, names[0])
    moving = _predicted(there, model, names[1])
    last = register(*scans, options, found.transform, progress, landmarks, (fixed, moving))
    levels = 1 + found.trace[-1].level
    rows = (dataclasses.replace(row, level=row.level + levels) for row in last.trace)
    seconds = round(found.provenance.seconds + time.perf_counter() - begun, 3)
    return dataclasses.replace(
        last,
        trace=(*found.trace, *rows),
        provenance=dataclasses.replace(last.provenance, seconds=seconds),
        inverse_residual_mm=max(found.inverse_residual_mm, last.inverse_residual_mm),
        metrics=found.metrics,
    )


def _predicted(one: Boxed, model: Model, name: str) -> Side:
    """A scan with the supervoxels that a network finds in it; raises RegistrationError where it is unlike its own."""
    inside = body(one.scan, name)
    prediction = predict(model.network, one.continued(), inside)
    model.check(prediction.confidence, name)
    return Side(one.scan, inside, prediction.layers, model.network.classes, prediction.confidence)


def by_reference(
    scans: tuple[Image, Image],
    reference: Image | None,
    align: Align,
    initial: Transform | None = None,
    preparation: PreparationOptions = PreparationOptions(),  # noqa: B008  frozen
    segmentation: SegmentationOptions = SegmentationOptions(),  # noqa: B008  frozen
    seed: int = 0,
    names: tuple[str, str] = ("the fixed scan", "the moving scan"),
) -> tuple[Side, Side]:
    """Both sides with the supervoxels of a reference, carried to them by registrations; without one, of the moving."""
    fixed, moving = _both(scans, initial, preparation, names)
    source = moving if reference is None else boxed(reference, preparation, "the reference")
    layers = divide(source.scan, segmentation, seed, names[1] if reference is None else "the reference")
    sides = []
    for one, name in zip((fixed, moving), names):
        carried = layers if one is source else carry(layers, source.scan, one.scan, align(one, source))
        sides.append(Side(one.scan, body(one.scan, name), carried, segmentation.classes))
    return sides[0], sides[1]


def carry(layers: Tensor, source: Image, target: Image, transform: Transform, seed: int = 0) -> Tensor:
    """(L, D, H, W) uint8 on the grid of `target`: the classes that points have where a transform leads in `source`.

    Every point is read within half a voxel of its place, at random. Read there itself, all borders would stay those of
    the voxels of `source`: up to half a voxel off, and all to the same side where tissue is shifted as a whole.
    """
    generator = torch.Generator().manual_seed(seed)
    axes = source.affine[:3, :3].T.float()

    def around(points: Tensor) -> Tensor:
        places = transform(points)
        return places + ((torch.rand(places.shape, generator=generator) - 0.5) @ axes).to(places)

    return Image(layers, source.affine).resample(target.geometry, around, "nearest", outside=0).data


def _both(
    scans: tuple[Image, Image], initial: Transform | None, options: PreparationOptions, names: tuple[str, str]
) -> tuple[Boxed, Boxed]:
    """Both scans on grids of supervoxels; with an initial transform, the moving one as it lies in the fixed box."""
    fixed, moving = (boxed(scan, options, name) for scan, name in zip(scans, names))
    return fixed, moving if initial is None else _there(scans[0], moving.image, initial, options, names[0])


def _there(fixed: Image, moving: Image, transform: Transform, options: PreparationOptions, name: str) -> Boxed:
    """The moving scan, without padding, where a transform leaves it, in the box of the fixed one of that name."""
    there = moving.resample(prepare(fixed, options, name), transform, outside=AIR)
    return Boxed(halved(there), moving, transform)


def _displaced(
    fixed: Side,
    moving: Side,
    options: SupervoxelOptions,
    landmarks: tuple[Tensor, Tensor] | None,
    initial: Transform | None,
    meter: Meter,
) -> tuple[Tensor, Tensor, list[TraceRow]]:
    """Key points (N, 3) RAS mm, their displacements in mm, and the course of the loss over both levels.

    They move on the device of the options; what comes back is on the CPU.
    """
    device = choose_device(options.device)
    points = key_points(fixed.body, fixed.scan.geometry, options.points, options.seed)
    pairs = None
    if landmarks is not None and options.landmark_weight:
        ends = landmarks[1] if initial is None else initial.inverse(fixed.scan.geometry)(landmarks[1])
        pairs = Pairs(landmarks[0].float().to(device), ends.float().to(device), options.landmark_weight)
        points = torch.cat((points, landmarks[0].float()))
    points = points.to(device)
    shift = (moving.scan.geometry.center - fixed.scan.geometry.center).to(points)
    displacements, trace = shift.expand_as(points).clone(), []
    for level, width in enumerate(WIDTHS):
        codes = [
            Codes(compressed(s.layers.to(device), s.classes, options.channels, options.seed, width), s.scan.geometry)
            for s in (fixed, moving)
        ]
        displacements, rows = match(*codes, points, displacements, options, meter, level, pairs)
        trace += rows
    return points.cpu(), displacements.cpu(), trace


def _support(points: Tensor, grid: Geometry) -> Support:
    from scipy.spatial import cKDTree

    coarse = grid.resized(COARSE)
    near = cKDTree(points.numpy()).query(coarse.grid().reshape(-1, 3).numpy())[0]
    distance = torch.from_numpy(near).float().reshape(1, *coarse.shape)
    return Support(Image(distance, coarse.affine), REACH, "a thin plate, which becomes affine with distance")
