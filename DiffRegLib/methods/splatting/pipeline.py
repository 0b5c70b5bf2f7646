"""`register`: two point clouds in, a transform out."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace

import torch
from torch import Tensor

from DiffRegLib import __version__
from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.methods.registration import Meter, Progress, Provenance, Registration, Support
from DiffRegLib.methods.splatting.checks import check_options, comparable
from DiffRegLib.methods.splatting.deformation import Deformation, faded_transforms
from DiffRegLib.methods.splatting.initialize import further_affines, initial_affine
from DiffRegLib.methods.splatting.leading import lead
from DiffRegLib.methods.splatting.network import SplatNetwork
from DiffRegLib.methods.splatting.options import PRESETS, SplattingOptions
from DiffRegLib.methods.splatting.recipe import Attempt, Searched, Start, attempt, coarse_steps, fine_steps, refine
from DiffRegLib.methods.splatting.thresholds import THRESHOLDS
from DiffRegLib.ops.device import choose_device, device_name, peak_memory_mb
from DiffRegLib.options import to_dict
from DiffRegLib.points import PointCloud
from DiffRegLib.points.nearest import distance_map
from DiffRegLib.transforms import Transform

MAP = 4.0  # mm, voxels of the map of support
MARGIN = 50.0  # mm around the points that it shows
STEPS = ("affine_iterations", "coarse_iterations", "fine_iterations")


def register(
    fixed: PointCloud,
    moving: PointCloud,
    options: SplattingOptions = SplattingOptions(),  # noqa: B008  frozen
    initial: Transform | None = None,
    progress: Progress | None = None,
    landmarks: tuple[Tensor, Tensor] | None = None,
    network: SplatNetwork | None = None,
) -> Registration:
    """Finds the smooth transform that brings the fixed cloud onto the moving one (RAS mm).

    An affine is fitted first, then a stiff deformation; a search finds the displacements that gradients do not reach,
    and fine levels settle the points on their counterparts. Where the search finds that there are none, the stiff
    deformation is the result. Where it hardly agrees, as when a scan is cut, other starts are tried.

    fixed, moving: clouds; the channels whose labels both have are registered, each with its own density.
    options: see `SplattingOptions`, and `for_labels` for clouds of many labels. With its seed, the result is the same
        on the same device.
    initial: transform fixed -> moving to start from, in place of `options.initialization`.
    progress: called with (fraction, message) several times a second, with the loss too (see `Progress`); cancels by
        raising.
    landmarks: fixed and moving (N, 3) in RAS mm, row by row, read for the initialization "landmarks", and as a term of
        the loss where `options.landmark_weight` is not 0.
    network: leads in place of affine, coarse levels and search; the fine levels follow where there are any.

    Raises RegistrationError for clouds or options that cannot be used, before any long work.
    """
    start = time.perf_counter()
    check_options(options)
    device = choose_device(options.device)
    clouds = comparable(fixed, moving)
    options = for_labels(options, len(clouds[0].labels))
    starts = _starts(clouds, options, initial, landmarks)
    on_device = [cloud.to(device) for cloud in clouds]
    if network is not None:
        found = _led(network, starts[0], on_device, options, progress)
    else:
        found = _run(starts, on_device, options, progress, landmarks)
    transform, inverse, residual = _transforms(found, on_device[1], options)
    provenance = Provenance(
        method="splatting",
        version=__version__,
        options=to_dict(options),
        seed=options.seed,
        device=device_name(device),
        seconds=round(time.perf_counter() - start, 3),
        peak_memory_mb=round(peak_memory_mb(device), 1),
        inputs={"fixed": _describe(fixed), "moving": _describe(moving)},
    )
    support = _support(clouds[0].points, options)
    return Registration(transform, inverse, found.trace, provenance, residual, support, clouds=(fixed, moving))


def for_labels(options: SplattingOptions, labels: int) -> SplattingOptions:
    """The options with fewer steps where many labels tell what belongs together; a number that is asked for stays."""
    if labels < THRESHOLDS.many_labels:
        return options
    usual, few = SplattingOptions(), PRESETS["label-maps"]
    unasked = [name for name in STEPS if getattr(options, name) == getattr(usual, name)]
    return replace(options, **{name: getattr(few, name) for name in unasked})


def _starts(
    clouds: tuple[PointCloud, PointCloud],
    options: SplattingOptions,
    initial: Transform | None,
    landmarks: tuple[Tensor, Tensor] | None,
) -> list[Start]:
    if initial is not None:
        return [Start(initial)]
    first = [Start(initial_affine(*clouds, options.initialization, landmarks))]
    if options.initialization != "moments" or not options.search:
        return first
    return first + [Start(affine, False, n) for n, affine in enumerate(further_affines(*clouds), 2)]


def _run(
    starts: list[Start],
    clouds: list[PointCloud],
    options: SplattingOptions,
    progress: Progress | None,
    landmarks: tuple[Tensor, Tensor] | None,
) -> Attempt:
    """The attempt that agrees best, refined; the first, as its coarse levels left it, where none does."""
    steps = [coarse_steps(options, start) for start in starts]
    fine = fine_steps(options)
    meter = Meter(progress, sum(steps) + fine)
    first = best = attempt(starts[0], *clouds, options, meter, landmarks)
    for number, start in enumerate(starts[1:], 1):
        if best.agreement >= THRESHOLDS.enough:
            meter.step("The first start agrees.", sum(steps[number:]))
            break
        best = max(best, attempt(start, *clouds, options, meter, landmarks), key=lambda a: a.agreement)
    if best.agreement < THRESHOLDS.chance and landmarks is not None and options.landmark_weight:
        meter.step("The points have no counterparts: their shape and the landmarks are registered.", 0)
        guided = replace(options, search=False, coarse_sigmas=THRESHOLDS.guided_sigmas)
        return attempt(replace(starts[0], affine=False), *clouds, guided, meter, landmarks)
    if best.agreement < THRESHOLDS.chance:
        meter.step("The points have no counterparts: their shape alone is registered.", fine)
        return first
    return refine(best, clouds[1], options, meter)


def _led(
    network: SplatNetwork, start: Start, clouds: list[PointCloud], options: SplattingOptions, progress: Progress | None
) -> Attempt:
    """Where the network leads from a start, and from there through the fine levels."""
    follow = bool(options.fine_sigmas and options.fine_iterations)
    if options.outside == "fade" and not follow:
        raise RegistrationError(
            "{outside} fades what the fine levels find: give {fine_iterations}, or let the field go on.",
            option=("outside", "fine_iterations"),
        )
    meter = Meter(progress, options.adaptation + 1 + (fine_steps(replace(options, search=True)) if follow else 0))
    fixed, moving = clouds
    fixed = fixed.at(start.transform(fixed.points.cpu()).to(moving.points).detach())
    led = lead(network, fixed, moving, options, meter)
    searched = Searched(fixed.points, led.moved(fixed.points), 1.0)
    found = Attempt(start, start.transform, fixed, led, searched, led.trace, 1)
    if not follow:
        return found
    both = torch.cat((fixed.points, moving.points))
    velocity = options.diffeomorphic or options.symmetric
    deformation = Deformation(both, options.control_spacing, options.smoothing_kernel, velocity)
    return refine(replace(found, deformation=deformation), moving, options, meter)


def _transforms(found: Attempt, moving: PointCloud, options: SplattingOptions) -> tuple[Transform, Transform, float]:
    """Transform, inverse, and the largest |transform(inverse(y)) - y| in mm."""
    if options.outside == "fade":
        both, reach = torch.cat((found.fixed.points, moving.points)), _reach(options)
        forward, backward = faded_transforms(found.deformation, both, options, reach, THRESHOLDS.fade * reach)
    else:
        forward, backward = found.deformation.transforms()
    return forward @ found.initial, found.initial.inverse() @ backward, backward.residual


def _reach(options: SplattingOptions) -> float:
    return THRESHOLDS.reach * options.smoothing_kernel * options.control_spacing


def _support(points: Tensor, options: SplattingOptions) -> Support:
    """Around the (N, 3) points of the fixed cloud."""
    reach = _reach(options)
    ends = f"fades to the affine within {THRESHOLDS.fade * reach:.0f} mm"
    outside = ends if options.outside == "fade" else "goes on smoothly, as an extrapolation"
    return Support(distance_map(points.cpu(), Geometry.around(points, MAP, MARGIN)), reach, outside)


def _describe(cloud: PointCloud) -> dict[str, str | int]:
    parts = (cloud.points, cloud.weights, cloud.values)
    digest = hashlib.sha256(b"".join(part.detach().cpu().contiguous().numpy().tobytes() for part in parts))
    return {"points": len(cloud), "sha256": digest.hexdigest()}
