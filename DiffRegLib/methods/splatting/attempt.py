"""One attempt at a registration: from a start over the affine and the coarse levels to the displacements found."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.methods.registration import Meter, TraceRow
from DiffRegLib.methods.splatting.deformation import Deformation
from DiffRegLib.methods.splatting.optimize import Level, fit_deformation, optimize_affine, optimize_deformation
from DiffRegLib.methods.splatting.options import SplattingOptions
from DiffRegLib.methods.splatting.search import COUPLING, SearchPass, search
from DiffRegLib.points import PointCloud
from DiffRegLib.transforms import Transform

SEARCHED_POINTS = 8000
FIT_STIFFNESS = 1.0


@dataclass(frozen=True)
class Start:
    """A transform fixed -> moving to begin with, and whether an affine shall be fitted from there."""

    transform: Transform
    affine: bool = True


class Attempt:
    """Both clouds in moving space, the deformation between them, and what it took.

    agreement: the share of nodes at which the search found alone what it found together with its neighbors: near 1
    where the clouds have counterparts, below 0.3 where they have none; 1 where nothing is searched.
    """

    def __init__(
        self, start: Start, fixed: PointCloud, moving: PointCloud, options: SplattingOptions, meter: Meter
    ) -> None:
        self.options, self.moving, self.initial, self._meter = options, moving, start.transform, meter
        self.fixed = fixed.at(start.transform(fixed.points.cpu()).to(moving.points).detach())
        self.trace: list[TraceRow] = []
        self.agreement = 1.0
        self._levels = 0
        self._found: tuple[Tensor, Tensor] | None = None
        if start.affine and options.affine_iterations:
            for sigma in options.affine_sigmas:
                self._affine(sigma)
        both = torch.cat((self.fixed.points, moving.points))
        velocity = options.diffeomorphic or options.symmetric
        self.deformation = Deformation(both, options.control_spacing, options.smoothing_kernel, velocity)
        for sigma in options.coarse_sigmas:
            self._deform(sigma, options.coarse_iterations, options.coarse_stiffness)
        if options.search:
            self._search()

    @staticmethod
    def steps(options: SplattingOptions, affine: bool) -> int:
        """How many steps an attempt reports."""
        passes = len(options.search_sigma) if options.search else 0
        steps = len(options.coarse_sigmas) * options.coarse_iterations + passes * len(COUPLING)
        return steps + (len(options.affine_sigmas) * options.affine_iterations if affine else 0)

    def refine(self) -> None:
        """Takes over the displacements found and goes through the fine levels."""
        if self._found is not None:
            fit_deformation(self.deformation, *self._found, FIT_STIFFNESS, self._meter)
        for sigma in self.options.fine_sigmas:
            self._deform(sigma, self.options.fine_iterations, self.options.stiffness)

    def result(self) -> tuple[Transform, Transform, float]:
        """Transform, inverse, and the largest |transform(inverse(y)) - y| in mm."""
        forward, backward = self.deformation.transforms()
        return forward @ self.initial, self.initial.inverse() @ backward, backward.residual

    def _affine(self, sigma: float) -> None:
        level = Level(self._levels, sigma, self.options.affine_iterations)
        step = optimize_affine(self.fixed, self.moving, level, self.options, self.trace, self._meter)
        self.initial = step @ self.initial
        self.fixed = self.fixed.at(step(self.fixed.points))
        self._levels += 1

    def _deform(self, sigma: float, iterations: int, stiffness: float) -> None:
        if iterations:
            level = Level(self._levels, sigma, iterations, stiffness)
            optimize_deformation(
                self.deformation, self.fixed, self.moving, level, self.options, self.trace, self._meter
            )
            self._levels += 1

    @torch.no_grad()
    def _search(self) -> None:
        o = self.options
        generator = torch.Generator().manual_seed(o.seed)
        chosen = torch.randperm(len(self.fixed), generator=generator)[:SEARCHED_POINTS].to(self.fixed.points.device)
        start = self.fixed.select(chosen)
        moved = start.at(self.deformation.move(self.deformation.field(self.deformation.vectors()), start.points))
        for values in zip(o.search_radius, o.search_sigma, o.search_patch):
            nodes = moved.points[: o.search_nodes]
            found = search(moved, self.moving, nodes, SearchPass(*values), o.saturation, self._meter)
            moved = moved.at(moved.points + found.at(moved.points))
        self.agreement, self._found = found.agreement, (start.points, moved.points)
