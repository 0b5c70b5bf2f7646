"""What points or supervoxels have found, finished on the images that they were taken from.

Between and beyond points a field is an extrapolation; the images show what lies there.
"""

from __future__ import annotations

import dataclasses
import time

import torch
from torch import Tensor

from DiffRegLib.dense.export import transforms
from DiffRegLib.dense.keeping import again, better_points, held
from DiffRegLib.dense.landmarks import Landmarks
from DiffRegLib.dense.options import DenseOptions
from DiffRegLib.dense.recipe import align, finest_voxel, levels
from DiffRegLib.dense.support import OUTSIDE, driven, reach
from DiffRegLib.dense.thresholds import THRESHOLDS
from DiffRegLib.image import Image
from DiffRegLib.methods.registration import Progress, Registration, Support
from DiffRegLib.methods.watching import Watch
from DiffRegLib.ops.device import choose_device, peak_memory_mb, release_freed

OPTIONS = DenseOptions(affine=False, coarsest=4)
"""The affine and the largest motions are known."""


def finished(
    registration: Registration,
    images: tuple[Image, Image],
    device: str = "auto",
    progress: Progress | None = None,
    landmarks: tuple[Tensor, Tensor] | None = None,
    landmark_weight: float = 0.0,
    points: Tensor | None = None,
) -> Registration:
    """A registration, improved until the images of the fixed and the moving side look alike.

    images: (1, D, H, W) each. landmarks: (N, 3) pairs in RAS mm, which pull where they have a weight, as they did in
    the method. points: (N, 3) RAS mm of the fixed side that the registration has found; where the images agree better
    around them as it had left them, they hold. Its support is where the images show something; its trace goes on.
    """
    begun = time.perf_counter()
    fixed, moving = images
    options = dataclasses.replace(OPTIONS, landmark_weight=landmark_weight)
    pairs = landmarks if landmark_weight else None
    voxel = finest_voxel(fixed.geometry, options)
    last = max((row.level for row in registration.trace), default=-1)
    parts = (*levels(voxel, options), *([again(options, voxel)] if points is not None else []))
    watch = Watch(progress, parts, fixed, last + 1)
    on = choose_device(device)
    with torch.no_grad():
        start = registration.transform.to(on)
        sides = fixed.to(on), moving.to(on)
        found = align(*sides, options, start, landmarks=pairs, observe=watch)
        kept = None if points is None else better_points(*sides, points.float().to(on), start, found)
        if kept is not None:
            found = held(*sides, options, found, _all(kept, pairs, landmark_weight), watch)
        watch.sampling()
        release_freed()
        transform, inverse, residual = transforms(found, fixed, voxel)
        transform, inverse = transform.to("cpu"), inverse.to("cpu")
        support = Support(driven(fixed, moving, transform, (None, None), voxel), reach(voxel), OUTSIDE)
    watch.sampled()
    provenance = dataclasses.replace(
        registration.provenance,
        seconds=round(registration.provenance.seconds + time.perf_counter() - begun, 3),
        peak_memory_mb=round(peak_memory_mb(on), 1),
    )
    return dataclasses.replace(
        registration,
        transform=transform,
        inverse=inverse,
        trace=(*registration.trace, *watch.trace),
        provenance=provenance,
        inverse_residual_mm=residual,
        support=support,
    )


def _all(kept: tuple[Tensor, Tensor], landmarks: tuple[Tensor, Tensor] | None, weight: float) -> Landmarks:
    """Points that were kept, each with little weight, and landmarks with theirs."""
    weights = torch.full((len(kept[0]),), THRESHOLDS.point_weight).to(kept[0])
    if landmarks is None:
        return Landmarks(*kept, weights)
    fixed, moving = (torch.cat((a, b.to(a))) for a, b in zip(kept, landmarks))
    return Landmarks(fixed, moving, torch.cat((weights, weights.new_full((len(landmarks[0]),), weight))))
