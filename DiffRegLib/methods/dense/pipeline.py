"""`register`: two images in, a transform without folds out."""

from __future__ import annotations

import hashlib
import time

import torch
from torch import Tensor

from DiffRegLib import __version__
from DiffRegLib.dense.checks import check_images
from DiffRegLib.dense.descent import Step
from DiffRegLib.dense.export import transforms
from DiffRegLib.dense.options import DenseOptions
from DiffRegLib.dense.recipe import Level, align, finest_voxel, levels
from DiffRegLib.dense.start import initial_transform
from DiffRegLib.dense.support import driven
from DiffRegLib.image import Image
from DiffRegLib.methods.registration import Meter, Progress, Provenance, Registration, Support, TraceRow
from DiffRegLib.ops.device import choose_device, peak_memory_mb
from DiffRegLib.options import to_dict, validate
from DiffRegLib.transforms import Transform

EXPORT = 10
"""Steps that sampling the fields counts for in the progress."""
REACH = 8.0
"""Voxels of the finest level from what has contrast up to which it drives the field: two neighborhoods."""


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
    landmarks: (N, 3) pairs in RAS mm, followed where `options.follow_landmarks` says so.
    masks: above 0 where the fixed and the moving image count, on any grid; elsewhere nothing is looked at.

    Raises RegistrationError for images or options that cannot be used, before any long work.
    """
    begun = time.perf_counter()
    validate(options)
    start = initial if initial is not None else initial_transform(fixed, moving, options.initialization, landmarks)
    check_images(fixed, moving, start, masks)
    device = choose_device(options.device)
    sides = fixed.to(device), moving.to(device)
    on_device = tuple(mask if mask is None else mask.to(device) for mask in masks)
    finest = finest_voxel(fixed.geometry, options)
    observer = _Observer(progress, levels(finest, options), float((fixed.size * fixed.spacing).prod()))
    with torch.no_grad():
        pairs = landmarks if options.follow_landmarks else None
        found = align(*sides, options, start.to(device), on_device, pairs, observer)
        observer.meter.step("Sampling the deformation.", observer.left)
        transform, inverse, residual = transforms(found, fixed, finest)
        observer.meter.step("The deformation is sampled.", EXPORT)
    return Registration(
        transform.to("cpu"),
        inverse.to("cpu"),
        tuple(observer.trace),
        Provenance(
            method="dense",
            version=__version__,
            options=to_dict(options),
            seed=0,
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            seconds=round(time.perf_counter() - begun, 3),
            peak_memory_mb=round(peak_memory_mb(device), 1),
            inputs={"fixed": _describe(fixed), "moving": _describe(moving)},
        ),
        residual,
        Support(driven(fixed, moving, transform.to("cpu"), masks, finest), REACH * finest, "is continued smoothly"),
        {"similarity": found.feature},
    )


class _Observer:
    """Turns the steps of the recipe into rows of the trace, with energies by volume, and into progress."""

    def __init__(self, progress: Progress | None, parts: tuple[Level, ...], volume: float) -> None:
        self._volume = volume
        self._before = [sum(p.iterations for p in parts[:n]) for n in range(len(parts) + 1)]
        self.meter = Meter(progress, self._before[-1] + EXPORT)
        self.trace: list[TraceRow] = []
        self._done = 0

    @property
    def left(self) -> int:
        """Steps that the recipe did not need."""
        return self._before[-1] - self._done

    def __call__(self, level: Level, number: int, step: Step) -> None:
        energies = step.similarity / self._volume, step.regularization / self._volume
        row = TraceRow(number, step.iteration, *energies, step.length, level.stage)
        self.trace.append(row)
        done = self._before[number] + step.iteration + 1
        self.meter.step(f"{level.stage.capitalize()} with voxels of {level.spacing:.3g} mm.", done - self._done, row)
        self._done = done


def _describe(image: Image) -> dict[str, str | int]:
    digest = hashlib.sha256(image.data.detach().cpu().contiguous().numpy().tobytes())
    return {"voxels": image.data.numel(), "sha256": digest.hexdigest()}
