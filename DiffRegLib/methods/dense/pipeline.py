"""`register`: two images in, a transform without folds out."""

from __future__ import annotations

import hashlib
import time

import torch
from torch import Tensor

from DiffRegLib import __version__
from DiffRegLib.dense.checks import check_images
from DiffRegLib.dense.export import transforms
from DiffRegLib.dense.options import DenseOptions
from DiffRegLib.dense.recipe import align, finest_voxel, levels
from DiffRegLib.dense.start import initial_transform
from DiffRegLib.dense.support import OUTSIDE, driven, reach
from DiffRegLib.image import Image
from DiffRegLib.methods.registration import Progress, Provenance, Registration, Support
from DiffRegLib.methods.watching import Watch
from DiffRegLib.ops.device import choose_device, device_name, peak_memory_mb
from DiffRegLib.options import to_dict, validate
from DiffRegLib.transforms import Transform


def register(
    fixed: Image,
    moving: Image,
    options: DenseOptions = DenseOptions(),  # noqa: B008  frozen
    initial: Transform | None = None,
    progress: Progress | None = None,
    landmarks: tuple[Tensor, Tensor] | None = None,
    masks: tuple[Image | None, Image | None] = (None, None),
) -> Registration:
    """Finds the smooth transform, without folds, under which the moving image looks like the fixed one.

    fixed, moving: (1, D, H, W) of one patient or two, of one modality or two.
    initial: transform fixed -> moving of any kind to start from, in place of `options.initialization`.
    progress: called with (fraction, message) every iteration, with the loss too (see `Progress`); cancels by raising.
    landmarks: (N, 3) pairs in RAS mm, which pull where `options.landmark_weight` is not 0.
    masks: above 0 where the fixed and the moving image count, on any grid; elsewhere nothing is looked at.

    Raises RegistrationError for images or options that cannot be used, before any long work.
    """
    begun = time.perf_counter()
    validate(options)
    start = initial if initial is not None else initial_transform(fixed, moving, options.initialization, landmarks)
    check_images(fixed, moving, start, masks)
    device = choose_device(options.device)
    on_device = [None if image is None else image.to(device) for image in (fixed, moving, *masks)]
    voxel = finest_voxel(fixed.geometry, options)
    watch = Watch(progress, levels(voxel, options), fixed)
    pairs = landmarks if options.landmark_weight else None
    with torch.no_grad():
        found = align(*on_device[:2], options, start.to(device), tuple(on_device[2:]), pairs, watch)
        watch.sampling()
        transform, inverse, residual = transforms(found, fixed, voxel)
        transform, inverse = transform.to("cpu"), inverse.to("cpu")
        support = Support(driven(fixed, moving, transform, masks, voxel), reach(voxel), OUTSIDE)
    watch.sampled()
    provenance = Provenance(
        method="dense",
        version=__version__,
        options=to_dict(options),
        seed=0,
        device=device_name(device),
        seconds=round(time.perf_counter() - begun, 3),
        peak_memory_mb=round(peak_memory_mb(device), 1),
        inputs={"fixed": _describe(fixed), "moving": _describe(moving)},
    )
    metrics = {"similarity": found.feature}
    return Registration(transform, inverse, tuple(watch.trace), provenance, residual, support, metrics)


def _describe(image: Image) -> dict[str, str | int]:
    digest = hashlib.sha256(image.data.detach().cpu().contiguous().numpy().tobytes())
    return {"voxels": image.data.numel(), "sha256": digest.hexdigest()}
