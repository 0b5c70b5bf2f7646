"""`register`: two images in, a neural field and its transforms out."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from DiffRegLib import __version__
from DiffRegLib.geometry import Lattice
from DiffRegLib.image import Image
from DiffRegLib.methods.neural.checks import check_options, check_pair
from DiffRegLib.methods.neural.export import Exported, export
from DiffRegLib.methods.neural.field import NeuralField
from DiffRegLib.methods.neural.network import Size
from DiffRegLib.methods.neural.optimize import InstanceOptimization
from DiffRegLib.methods.neural.options import NeuralOptions
from DiffRegLib.methods.neural.prepare import Pair, chosen_similarity
from DiffRegLib.methods.neural.support import driven
from DiffRegLib.methods.registration import Meter, Progress, Provenance, Registration, TraceRow
from DiffRegLib.ops.device import choose_device, device_name, peak_memory_mb
from DiffRegLib.options import to_dict
from DiffRegLib.transforms import Affine, Composite, Transform

EXPORT = 0.04
"""Share of the progress that the export takes."""


def register(
    fixed: Image,
    moving: Image,
    options: NeuralOptions = NeuralOptions(),  # noqa: B008  frozen
    initial: Transform | None = None,
    progress: Progress | None = None,
    landmarks: tuple[Tensor, Tensor] | None = None,
    masks: tuple[Image | None, Image | None] = (None, None),
    field: NeuralField | None = None,
    watch: Callable[[NeuralField], None] | None = None,
) -> Registration:
    """Finds the neural field that brings the fixed onto the moving image (RAS mm).

    fixed, moving: images of one channel; of one slice each for a registration in their plane.
    options: see `NeuralOptions`; with its seed, the result is the same on the same device.
    initial: transform fixed -> moving that follows the field, T = initial after field, of any kind.
    progress: called with (fraction, message) after every step, with the loss too (see `Progress`); cancels by raising.
    landmarks: (N, 3) pairs in RAS mm, a term of the loss where the options give it a weight.
    masks: label maps of both sides, not 0 where points are drawn; on any grid.
    field: to start from, for instance one that was saved; a new one, which moves nothing, by default.
    watch: called with the field after each step.

    Raises RegistrationError for images or options that cannot be used, before any long work.
    """
    start = time.perf_counter()
    check_options(options)
    check_pair(fixed, moving, masks, initial)
    device = choose_device(options.device)
    back = None if initial is None else _inverse(initial, fixed)
    pair = Pair(fixed, moving, *masks, initial, back)
    asked, (similarity, note) = options, chosen_similarity(options.similarity, pair)
    options = dataclasses.replace(options, similarity=similarity)
    field = (field or new_field(fixed, options)).to(device)
    steps = sum(options.iterations)
    meter = Meter(progress, steps + max(1, round(EXPORT * steps)))
    if note:
        meter.step(note, 0)
    optimization = InstanceOptimization(field, pair, options, landmarks, watch)
    trace = optimization.run(meter)
    start_loss, loss = optimization.judge()
    notes = [note] if note else []
    if loss > start_loss and not options.landmark_weight:
        field.clear()
        notes.append("The field found is less alike than the start: the start is the result.")
    field.eval().to("cpu")  # what follows is short, and needs the memory of both images
    meter.step("Sampling the field on the grid of the fixed image.", 0)
    with torch.no_grad():
        exported = export(field)
    meter.step("The field is sampled.", steps)
    provenance = _provenance(asked, fixed, moving, device, time.perf_counter() - start)
    facts = {"similarity": similarity, "notes": notes, "dissimilarity": [start_loss, loss]}
    return _registration(exported, pair, trace, provenance, facts)


def new_field(fixed: Lattice, options: NeuralOptions) -> NeuralField:
    """The field of the options on an image's box, which moves nothing yet."""
    size = Size(options.units, options.layers, options.frequencies, options.cycles)
    extent = fixed.size * fixed.spacing
    nodes = torch.ceil(extent / options.code_spacing).long() + 1
    shape = [int(n) for n in nodes.flip(0)]
    return NeuralField(fixed, size, (1, *shape[1:]) if fixed.shape[0] == 1 else tuple(shape), options.seed)


def _provenance(
    options: NeuralOptions, fixed: Image, moving: Image, device: torch.device, seconds: float
) -> Provenance:
    return Provenance(
        method="neural",
        version=__version__,
        options=to_dict(options),
        seed=options.seed,
        device=device_name(device),
        seconds=round(seconds, 3),
        peak_memory_mb=round(peak_memory_mb(device), 1),
        inputs={"fixed": _describe(fixed), "moving": _describe(moving)},
    )


def _registration(
    exported: Exported, pair: Pair, trace: tuple[TraceRow, ...], provenance: Provenance, facts: dict[str, Any]
) -> Registration:
    transform, inverse = exported.forward, exported.backward
    if pair.initial is not None:
        transform, inverse = Composite((pair.initial, transform)), Composite((inverse, pair.back))
    metrics = {
        **facts,
        "field_folded_percent": 100 * exported.folded,
        "field_inconsistency_mm": exported.inconsistency,
    }
    support = driven(pair, transform, provenance.options["code_spacing"] / 2)
    return Registration(transform, inverse, trace, provenance, exported.residual, support, metrics)


def _inverse(initial: Transform, fixed: Image) -> Transform:
    return initial.inverse() if isinstance(initial, Affine) else initial.inverse(initial.default_geometry() or fixed)


def _describe(image: Image) -> dict[str, str | int]:
    digest = hashlib.sha256(image.data.detach().cpu().contiguous().numpy())  # read in place, not copied
    digest.update(image.affine.numpy())
    return {"voxels": image.data[0].numel(), "sha256": digest.hexdigest()}
