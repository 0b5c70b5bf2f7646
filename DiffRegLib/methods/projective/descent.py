"""Descent by the gradient of an image similarity: SGD with momentum, Adam, L-BFGS, and CMA-ES without gradients.

ProST's recipe is SGD with momentum 0.9 under a cyclic learning rate on the gradient NCC, ended when the standard
deviation of the last 10 losses is small (Gao et al., MICCAI 2020, sec. 2.3 and 3).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.methods.projective.clock import Watch
from DiffRegLib.methods.projective.gauss_newton import Problem
from DiffRegLib.methods.projective.motion import RADIUS, moved
from DiffRegLib.methods.projective.options import PoseOptions
from DiffRegLib.methods.projective.schedule import cyclic_rate, deviation
from DiffRegLib.radiographs.projection import project
from DiffRegLib.similarity import gradient_ncc, ncc, negative_mse, patch_ncc

PEAK = 3.0  # of the cyclic learning rate over its base
MEASURES: dict[str, Callable[..., Tensor]] = {
    "ncc": ncc,
    "local-ncc": ncc,
    "gradient-ncc": gradient_ncc,
    "patch-ncc": patch_ncc,
    "mse": negative_mse,
}


class Loss:
    """Minus the mean similarity over the cameras of poses exp(step) pose around one pose; differentiable to step."""

    def __init__(self, problem: Problem, pose: Tensor, kind: str, patches: tuple[int, ...]) -> None:
        self.problem, self.pose, self.generators = problem, pose, problem.generators(pose)
        self._patches = {"sizes": patches} if kind == "patch-ncc" else {}
        self._measure = MEASURES[kind]
        self._targets = [(match.target, match) for match in problem.matches]

    def __call__(self, step: Tensor) -> Tensor:
        """(B,) of steps (B,6) in mm, see `motion`."""
        poses = moved(self.pose, self.generators, step)
        return sum(
            self._compare(match, target, self._render(camera, poses))
            for camera, (target, match) in zip(self.problem.renderer.cameras, self._targets)
        ) / -len(self._targets)

    def _render(self, camera, poses: Tensor) -> Tensor:
        renderer = self.problem.renderer
        return project(renderer.volume, poses, camera, renderer.step)[:, 0]

    def _compare(self, match, target: Tensor, images: Tensor) -> Tensor:
        return self._measure(match.features(images), target, match.mask, **self._patches)


def descend(
    problem: Problem, pose: Tensor, options: PoseOptions, kind: str, half_extent: float, level: int, watch: Watch
) -> Tensor:
    """Descends at one level from a pose (4,4) with `options.optimizer` and returns the pose of the smallest loss.

    kind: the similarity; half_extent: of the volume, mm, the unit of shifts; level: width of the detector.
    """
    loss = Loss(problem, pose, kind, options.patches)
    if options.optimizer == "cma":
        best = _evolve(loss, options, level, watch)
    else:
        best = _follow(loss, options, level, watch, half_extent)
    return moved(pose, loss.generators, best)


def _follow(loss: Loss, options: PoseOptions, level: int, watch: Watch, extent: float) -> Tensor:
    """Gradient descent on radians and on shifts in half extents of the volume, the units of the paper's rates."""
    unit = torch.tensor([RADIUS] * 3 + [extent] * 3, dtype=torch.float64, device=loss.pose.device)
    parameters = torch.zeros(6, dtype=torch.float64, device=loss.pose.device, requires_grad=True)
    optimizer = _optimizer(parameters, options)
    losses, best, lowest = [], parameters.detach().clone(), math.inf

    def evaluate() -> Tensor:
        optimizer.zero_grad()
        value = loss((parameters * unit)[None])[0]
        value.backward()
        return value

    for iteration in range(1, options.descent_iterations + 1):
        for group in optimizer.param_groups:
            group["lr"] = rate = _rate(options, iteration)
        before = parameters.detach().clone()
        value = optimizer.step(evaluate).item()
        losses.append(value)
        if value < lowest:
            best, lowest = before, value
        watch.note(level, iteration, value, rate, moved(loss.pose, loss.generators, best * unit))
        if watch.expired or deviation(losses) < options.tolerance:
            break
    return best * unit


def _optimizer(parameters: Tensor, options: PoseOptions) -> torch.optim.Optimizer:
    if options.optimizer == "sgd":
        return torch.optim.SGD([parameters], options.learning_rate, momentum=options.momentum)
    if options.optimizer == "adam":
        return torch.optim.Adam([parameters], options.learning_rate)
    return torch.optim.LBFGS([parameters], options.learning_rate, max_iter=4, line_search_fn="strong_wolfe")


def _rate(options: PoseOptions, iteration: int) -> float:
    """The rate rises and falls linearly within a cycle, for SGD alone; L-BFGS finds its own step."""
    if options.optimizer == "lbfgs":
        return 1.0
    if options.optimizer != "sgd" or not options.cycle:
        return options.learning_rate
    return cyclic_rate(options.learning_rate, PEAK, iteration, options.cycle)


def _evolve(loss: Loss, options: PoseOptions, level: int, watch: Watch) -> Tensor:
    """CMA-ES (Hansen & Ostermeier, Evolutionary Computation 2001) on the six numbers in mm; never worse than 0."""
    try:
        import cma
    except ImportError:
        raise RegistrationError("The optimizer cma needs the package cma: install it, or choose another.") from None
    quiet = {"seed": options.seed + 1, "verbose": -9, "tolfun": options.tolerance * 0.1, "tolx": 1e-3}
    strategy = cma.CMAEvolutionStrategy([0.0] * 6, options.spread, quiet)
    best = torch.zeros(6, dtype=torch.float64, device=loss.pose.device)
    with torch.no_grad():
        lowest = float(loss(best[None]))
    for generation in range(1, options.descent_iterations + 1):
        population = strategy.ask()
        with torch.no_grad():
            values = loss(torch.from_numpy(np.stack(population)).to(loss.pose.device)).tolist()
        strategy.tell(population, values)
        if strategy.result.fbest < lowest:
            best, lowest = best.new_tensor(strategy.result.xbest), strategy.result.fbest
        watch.note(level, generation, lowest, strategy.sigma, moved(loss.pose, loss.generators, best))
        if watch.expired or strategy.stop():
            break
    return best
