"""`register`: two point clouds in, a transform out."""

from __future__ import annotations

import hashlib
import time

import torch
from torch import Tensor

from DiffRegLib import __version__
from DiffRegLib.methods.registration import Meter, Progress, Provenance, Registration
from DiffRegLib.methods.splatting.attempt import Attempt, Start
from DiffRegLib.methods.splatting.checks import check_options, comparable
from DiffRegLib.methods.splatting.initialize import further_affines, initial_affine
from DiffRegLib.methods.splatting.optimize import FIT_ITERATIONS
from DiffRegLib.methods.splatting.options import SplattingOptions
from DiffRegLib.ops.device import choose_device, peak_memory_mb
from DiffRegLib.options import to_dict
from DiffRegLib.points import PointCloud
from DiffRegLib.transforms import Transform

ENOUGH = 0.75  # agreement with which no further start is tried
CHANCE = 0.33  # agreement below which the points have no counterparts, and the shape alone is registered


def register(
    fixed: PointCloud,
    moving: PointCloud,
    options: SplattingOptions = SplattingOptions(),  # noqa: B008  frozen
    initial: Transform | None = None,
    progress: Progress | None = None,
    landmarks: tuple[Tensor, Tensor] | None = None,
) -> Registration:
    """Finds the smooth transform that brings the fixed cloud onto the moving one (RAS mm).

    An affine is fitted first, then a stiff deformation; a search finds the displacements that gradients do not reach,
    and fine levels settle the points on their counterparts. Where the search finds that there are none, the stiff
    deformation is the result. Where it hardly agrees, as when a scan is cut, other starts are tried.

    fixed, moving: clouds; the channels whose labels both have are registered, each with its own density.
    options: see `SplattingOptions`; with its seed, the result is the same on the same device.
    initial: transform fixed -> moving to start from, in place of `options.initialization`.
    progress: called with (fraction, message) several times a second, with the loss too (see `Progress`); cancels by
        raising.
    landmarks: fixed and moving (N, 3) in RAS mm, row by row, read for the initialization "landmarks" alone.

    Raises RegistrationError for clouds or options that cannot be used, before any long work.
    """
    start = time.perf_counter()
    check_options(options)
    device = choose_device(options.device)
    clouds = comparable(fixed, moving)
    starts = _starts(clouds, options, initial, landmarks)
    attempt = _run(starts, [cloud.to(device) for cloud in clouds], options, progress)
    transform, inverse, residual = attempt.result()
    provenance = Provenance(
        method="splatting",
        version=__version__,
        options=to_dict(options),
        seed=options.seed,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        seconds=round(time.perf_counter() - start, 3),
        peak_memory_mb=round(peak_memory_mb(device), 1),
        inputs={"fixed": _describe(fixed), "moving": _describe(moving)},
    )
    return Registration(transform, inverse, tuple(attempt.trace), provenance, residual)


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
    return first + [Start(affine, affine=False) for affine in further_affines(*clouds)]


def _run(
    starts: list[Start], clouds: list[PointCloud], options: SplattingOptions, progress: Progress | None
) -> Attempt:
    """The attempt that agrees best, refined; the first, as its coarse levels left it, where none does."""
    steps = [Attempt.steps(options, start.affine) for start in starts]
    fine = len(options.fine_sigmas) * options.fine_iterations + (FIT_ITERATIONS if options.search else 0)
    meter = Meter(progress, sum(steps) + fine)
    first = best = Attempt(starts[0], *clouds, options, meter)
    for number, start in enumerate(starts[1:], 1):
        if best.agreement >= ENOUGH:
            meter.step("The first start agrees.", sum(steps[number:]))
            break
        attempt = Attempt(start, *clouds, options, meter)
        best = max(best, attempt, key=lambda a: a.agreement)
    if best.agreement < CHANCE:
        meter.step("The points have no counterparts: their shape alone is registered.", fine)
        return first
    best.refine()
    return best


def _describe(cloud: PointCloud) -> dict[str, str | int]:
    parts = (cloud.points, cloud.weights, cloud.values)
    digest = hashlib.sha256(b"".join(part.detach().cpu().contiguous().numpy().tobytes() for part in parts))
    return {"points": len(cloud), "sha256": digest.hexdigest()}
