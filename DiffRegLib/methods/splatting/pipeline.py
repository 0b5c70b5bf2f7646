"""`register`: two point clouds in, a transform out."""

from __future__ import annotations

import hashlib
import time

import torch
from torch import Tensor

from DiffRegLib import __version__
from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.memory import peak_memory_mb
from DiffRegLib.methods.registration import Meter, Progress, Provenance, Registration, TraceRow
from DiffRegLib.methods.splatting.deformation import Deformation
from DiffRegLib.methods.splatting.initialize import initial_affine
from DiffRegLib.methods.splatting.optimize import (
    FIT_ITERATIONS,
    Level,
    fit_deformation,
    optimize_affine,
    optimize_deformation,
)
from DiffRegLib.methods.splatting.options import SplattingOptions
from DiffRegLib.methods.splatting.search import COUPLING, SearchPass, search
from DiffRegLib.options import to_dict, validate
from DiffRegLib.points import PointCloud
from DiffRegLib.transforms import Composite, DisplacementField, Transform

FEWEST_POINTS = 10
SEARCHED_POINTS = 8000
FIT_STIFFNESS = 1.0


def register(
    fixed: PointCloud,
    moving: PointCloud,
    options: SplattingOptions = SplattingOptions(),  # noqa: B008  frozen
    initial: Transform | None = None,
    progress: Progress | None = None,
    fixed_landmarks: Tensor | None = None,
    moving_landmarks: Tensor | None = None,
) -> Registration:
    """Finds the smooth transform that brings the fixed cloud onto the moving one (RAS mm).

    An affine is fitted first, then a deformation at decreasing blur, with a search for displacements in between.

    fixed, moving: clouds; the channels whose labels both have are registered, each with its own density.
    options: see `SplattingOptions`; with its seed, the result is the same on the same device.
    initial: transform fixed -> moving to start from, in place of `options.initialization`.
    progress: called with (fraction, message) several times a second, with the loss too (see `Progress`); cancels by
        raising.
    fixed_landmarks, moving_landmarks: (N, 3) pairs in RAS mm, read for the initialization "landmarks" alone.

    Raises RegistrationError for clouds or options that cannot be used, before any long work.
    """
    start = time.perf_counter()
    check_options(options)
    device = choose_device(options.device)
    fixed_used, moving_used = comparable(fixed, moving)
    if initial is None:
        landmarks = check_landmarks(fixed_landmarks, moving_landmarks)
        initial = initial_affine(fixed_used, moving_used, options.initialization, landmarks)
    work = _Work(fixed_used.to(device), moving_used.to(device), options, initial, progress)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        transform, inverse = work.run()
    provenance = Provenance(
        method="splatting",
        version=__version__,
        options=to_dict(options),
        seed=options.seed,
        device=_name(device),
        seconds=round(time.perf_counter() - start, 3),
        peak_memory_mb=round(peak_memory_mb(device), 1),
        inputs={"fixed": _describe(fixed), "moving": _describe(moving)},
    )
    return Registration(transform, inverse, tuple(work.trace), provenance, float(inverse.residual))


def check_options(options: SplattingOptions) -> None:
    """Raises `RegistrationError` for values out of range and for schedules that do not fit together."""
    validate(options)
    if options.smoothing_kernel % 2 == 0:
        raise RegistrationError(f"--smoothing-kernel is {options.smoothing_kernel}: give an odd number.")
    lengths = {len(options.search_radius), len(options.search_sigma), len(options.search_patch)}
    if options.search and len(lengths) != 1:
        raise RegistrationError(
            "--search-radius, --search-sigma and --search-patch have different lengths: give one value a pass to each."
        )


def choose_device(name: str) -> torch.device:
    """Raises `RegistrationError` where a GPU is asked for that is not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise RegistrationError("--device is cuda, but torch finds no CUDA device here: choose auto or cpu.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def comparable(fixed: PointCloud, moving: PointCloud) -> tuple[PointCloud, PointCloud]:
    """Both clouds with the labels that they share; raises `RegistrationError` where they cannot be registered."""
    fixed.check("The fixed cloud")
    moving.check("The moving cloud")
    shared = tuple(label for label in fixed.labels if label in moving.labels)
    if not shared:
        raise RegistrationError(
            f"The fixed cloud has the labels {_list(fixed.labels)} and the moving cloud {_list(moving.labels)}: "
            "give clouds that share at least one label."
        )
    pair = fixed.with_labels(shared), moving.with_labels(shared)
    for cloud, name in zip(pair, ("fixed", "moving")):
        if len(cloud) < FEWEST_POINTS:
            raise RegistrationError(
                f"The {name} cloud has {len(cloud)} points of the labels that both clouds have: "
                f"a registration needs at least {FEWEST_POINTS}."
            )
    return pair


def check_landmarks(fixed: Tensor | None, moving: Tensor | None) -> tuple[Tensor, Tensor] | None:
    if fixed is None or moving is None:
        return None
    return torch.as_tensor(fixed), torch.as_tensor(moving)


class _Work:
    """One registration under way: both clouds on the device, the fixed one already moved by what was found so far."""

    def __init__(
        self,
        fixed: PointCloud,
        moving: PointCloud,
        options: SplattingOptions,
        initial: Transform,
        progress: Progress | None,
    ) -> None:
        self.options, self.moving, self.initial = options, moving, initial
        self.fixed = fixed.at(initial(fixed.points.cpu()).to(moving.points).detach())
        self.trace: list[TraceRow] = []
        passes = len(options.search_sigma) if options.search else 0
        self._meter = Meter(
            progress,
            len(options.affine_sigmas) * options.affine_iterations
            + len(options.coarse_sigmas) * options.coarse_iterations
            + len(options.fine_sigmas) * options.fine_iterations
            + passes * len(COUPLING)
            + (FIT_ITERATIONS if passes else 0),
        )
        self._levels = 0

    def run(self) -> tuple[Transform, Transform]:
        o = self.options
        for sigma in o.affine_sigmas:
            self._affine(sigma)
        both = torch.cat((self.fixed.points, self.moving.points))
        deformation = Deformation(both, o.control_spacing, o.smoothing_kernel, o.diffeomorphic or o.symmetric)
        for sigma in o.coarse_sigmas:
            self._deform(deformation, sigma, o.coarse_iterations)
        if o.search:
            self._search(deformation)
        for sigma in o.fine_sigmas:
            self._deform(deformation, sigma, o.fine_iterations)
        return self._result(deformation)

    def _affine(self, sigma: float) -> None:
        if not self.options.affine_iterations:
            return
        level = Level(self._levels, sigma, self.options.affine_iterations)
        step = optimize_affine(self.fixed, self.moving, level, self.options, self.trace, self._meter)
        self.initial = step @ self.initial
        self.fixed = self.fixed.at(step(self.fixed.points))
        self._levels += 1

    def _deform(self, deformation: Deformation, sigma: float, iterations: int) -> None:
        if iterations:
            level = Level(self._levels, sigma, iterations)
            optimize_deformation(deformation, self.fixed, self.moving, level, self.options, self.trace, self._meter)
            self._levels += 1

    def _search(self, deformation: Deformation) -> None:
        o = self.options
        chosen = torch.randperm(len(self.fixed))[:SEARCHED_POINTS].to(self.fixed.points.device)
        with torch.no_grad():
            start = self.fixed.select(chosen)
            moved = start.at(deformation.move(deformation.field(deformation.vectors()), start.points))
            for values in zip(o.search_radius, o.search_sigma, o.search_patch):
                nodes = moved.points[: o.search_nodes]
                found = search(moved, self.moving, nodes, SearchPass(*values), o.saturation, self._meter)
                moved = moved.at(moved.points + found.at(moved.points))
        fit_deformation(deformation, start.points, moved.points, FIT_STIFFNESS, self._meter)

    def _result(self, deformation: Deformation) -> tuple[Transform, Transform]:
        with torch.no_grad():
            vectors = deformation.vectors()
            field = deformation.field(vectors)
            if deformation.velocity:
                forward, backward = (deformation.transform(deformation.field(vectors, sign)) for sign in (1.0, -1.0))
                backward.residual = _round_trip(forward, backward)
            else:
                forward = deformation.transform(field)
                backward = forward.inverse()
        return Composite([forward, self.initial]), Composite([self.initial.inverse(), backward])


def _round_trip(forward: DisplacementField, backward: DisplacementField) -> float:
    """The largest |forward(backward(y)) - y| in mm over the nodes y of the grid."""
    y = forward.image.grid().reshape(-1, 3)
    back = backward(y)
    inside = forward.image.contains(back)
    return float((forward(back[inside]) - y[inside]).norm(dim=-1).max())


def _describe(cloud: PointCloud) -> dict[str, str | int]:
    parts = (cloud.points, cloud.weights, cloud.values)
    digest = hashlib.sha256(b"".join(part.detach().cpu().contiguous().numpy().tobytes() for part in parts))
    return {"points": len(cloud), "sha256": digest.hexdigest()}


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def _list(labels: tuple[int, ...]) -> str:
    return ", ".join(map(str, labels[:5])) + (", ..." if len(labels) > 5 else "")
