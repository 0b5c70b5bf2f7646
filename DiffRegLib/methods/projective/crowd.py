"""Many poses at once: compared with the radiographs and refined side by side, where a single pose would cost as much.

Neighborhoods are normalized as in `match`, under weights that fall with the part of a ray that the CT does not know. A
pose that sees less of the CT has therefore less weight, and that counts: its evidence is the logarithm of the
likelihood ratio between two images that correlate by r over a part n of the field and two that have nothing in common,
-n/2 log(1 - r^2) for Gaussian images, per pixel of the field. Leaving pixels out makes it smaller unless they disagree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from DiffRegLib.methods.projective.level import Level
from DiffRegLib.methods.projective.match import FLOOR, equalized
from DiffRegLib.methods.projective.motion import RADIUS
from DiffRegLib.methods.projective.prior import Prior

DAMPING, MOST_DAMPING = 1e-2, 1e3
LONGEST = 25.0  # mm; a step is cut to this length


@dataclass(frozen=True)
class Agreement:
    """Correlation r and the part n of the field that is known, both (B,V) for poses and views.

    unlikely: (B,), by which the evidence is lowered, see `prior`.
    """

    correlation: Tensor
    known: Tensor
    unlikely: Tensor

    @property
    def evidence(self) -> Tensor:
        """(B,): the sum over the views, whichever sign their correlation has."""
        return self.of(self.correlation.sign())

    def of(self, signs: Tensor) -> Tensor:
        """(B,): evidence for polarities (B,V) or (V,); 0 where a correlation has another sign."""
        return evidence(self.correlation * signs.to(self.correlation), self.known).sum(-1) - self.unlikely


class Crowd:
    """Compares and refines poses (B,4,4) at one level.

    sigma: standard deviation of a neighborhood in pixels; outlier: difference from which a pixel counts less, in local
    standard deviations; center: (3,) of the volume, about which poses turn; prior: where poses are to be expected.
    """

    def __init__(self, level: Level, center: Tensor, sigma: float, outlier: float, prior: Prior | None = None) -> None:
        self.level, self.center, self.prior = level, center, prior
        self.axes = level.views[0].camera.pose.double()[:3, :3].to(center.device)
        self._sides = [_Side(view.image, view.mask, sigma, outlier) for view in level.views]

    def agreement(self, poses: Tensor) -> Agreement:
        images = self.level.renderer.images(poses)
        known = self.level.known(poses, images)
        pairs = [side.agreement(image, part) for side, image, part in zip(self._sides, images, known)]
        correlation, part = (torch.stack(values, -1) for values in zip(*pairs))
        unlikely = poses.new_zeros(len(poses)) if self.prior is None else self.prior.unlikely(poses)
        return Agreement(correlation, part, unlikely.to(correlation))

    def refined(self, poses: Tensor, signs: Tensor, steps: int, tolerance: float = 0.05) -> Tensor:
        """Levenberg-Marquardt from poses (B,4,4) under polarities (B,V); each keeps its best."""
        poses, generators = poses.clone(), self.generators(poses)
        cost, gradient, curvature = self._normal(poses, generators, signs)
        damping = torch.full_like(cost, DAMPING)
        active = torch.arange(len(poses), device=poses.device)
        for _ in range(steps):
            step = _damped(gradient[active], curvature[active], damping[active])
            tried = _moved(poses[active], generators[active], step)
            onward = self.generators(tried)
            trial = self._normal(tried, onward, signs[active])
            better = trial[0] < cost[active]
            into = active[better]
            poses[into], generators[into] = tried[better], onward[better]
            cost[into], gradient[into], curvature[into] = (part[better] for part in trial)
            damping[active] = torch.where(better, (damping[active] / 5).clamp(min=1e-6), damping[active] * 5)
            ended = (better & (step.norm(dim=1) < tolerance)) | (damping[active] > MOST_DAMPING)
            active = active[~ended]
            if not len(active):
                break
        return poses

    def generators(self, poses: Tensor) -> Tensor:
        """(B,6,4,4): `motion.twists` of each pose about the volume's center."""
        center = poses[:, :3, :3] @ self.center + poses[:, :3, 3]
        generators = poses.new_zeros(len(poses), 6, 4, 4)
        for k in range(3):
            x, y, z = self.axes[:, k].tolist()
            turn = poses.new_tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]]) / RADIUS
            generators[:, k, :3, :3] = turn
            generators[:, k, :3, 3] = -center @ turn.T
            generators[:, 3 + k, :3, 3] = self.axes[:, k]
        return generators

    def _normal(self, poses: Tensor, generators: Tensor, signs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cost (B,), gradient (B,6) and curvature (B,6,6) of all views together."""
        rendered = self.level.renderer.with_jacobian(poses, generators)
        known = self.level.known(poses, [image for image, _ in rendered])
        parts = [
            side.normal(image, slopes, part, sign)
            for side, (image, slopes), part, sign in zip(self._sides, rendered, known, signs.T)
        ]
        if self.prior is not None:
            parts.append(self.prior.normal(poses))
        return tuple(sum(values) for values in zip(*parts))


def evidence(correlation: Tensor, known: Tensor) -> Tensor:
    """Of a correlation over a part of the field, see above; 0 for one that is negative."""
    return -0.5 * known * torch.log1p(-(correlation.clamp(0, 0.999) ** 2))


class Neighborhoods:
    """Local normalization as in `similarity.local`, of images (B,H,W) that have weights of their own each."""

    def __init__(self, size: tuple[int, int], sigma: float, like: Tensor) -> None:
        self._rows, self._columns = (_gaussian(n, sigma).to(like) for n in size)

    def mass(self, weight: Tensor) -> Tensor:
        return self._blur(weight).clamp(min=1e-3)

    def mean(self, values: Tensor, weight: Tensor, mass: Tensor) -> Tensor:
        return self._blur(values * weight) / mass

    def normalized(
        self, images: Tensor, weight: Tensor, mass: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The normalized images, their difference from the local mean, local deviation and what divided it."""
        mass = self.mass(weight) if mass is None else mass
        detail = images - self.mean(images, weight, mass)
        energy = (weight * detail**2).sum((1, 2), keepdim=True) / weight.sum((1, 2), keepdim=True).clamp(min=1)
        local = (self.mean(detail**2, weight, mass) + 1e-12).sqrt()
        deviation = local + FLOOR * energy.sqrt() + 1e-9
        return detail / deviation, detail, local, deviation

    def _blur(self, values: Tensor) -> Tensor:
        return self._rows @ values @ self._columns


class _Side:
    """One radiograph against many images of one size."""

    def __init__(self, image: Tensor, mask: Tensor, sigma: float, outlier: float) -> None:
        self.mask, self.outlier = mask.float(), outlier
        self.target = equalized(image, mask) - 0.5
        self.near = Neighborhoods(image.shape, sigma, image)

    def agreement(self, images: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        weight = self.mask * known
        mass = self.near.mass(weight)
        first, second = (self.near.normalized(image, weight, mass)[0] for image in (images, self.target))
        product = (weight * first * second).sum((1, 2))
        norm = ((weight * first**2).sum((1, 2)) * (weight * second**2).sum((1, 2)) + 1e-12).sqrt()
        return product / norm, weight.sum((1, 2)) / self.mask.sum()

    def normal(self, images: Tensor, slopes: Tensor, known: Tensor, sign: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cauchy's loss, less what unrelated images have, so that a pixel that is not known counts as unrelated."""
        weight = self.mask * known
        mass = self.near.mass(weight)
        values, detail, local, deviation = self.near.normalized(images, weight, mass)
        target = sign[:, None, None] * self.near.normalized(self.target, weight, mass)[0]
        slopes = slopes - self.near.mean(slopes, weight[:, None], mass[:, None])
        swing = self.near.mean(detail[:, None] * slopes, weight[:, None], mass[:, None])
        slopes = (slopes - (values / local)[:, None] * swing) / deviation[:, None]
        difference = target - values
        ratio = (difference / self.outlier) ** 2
        energy = (weight * (values**2 + target**2)).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1e-6)
        unrelated = torch.log1p(energy / self.outlier**2)[:, None, None]
        cost = self.outlier**2 * (weight * (torch.log1p(ratio) - unrelated)).sum((1, 2)) / self.mask.sum()
        share = (weight / (1 + ratio) / self.mask.sum()).flatten(1)
        weighted = slopes.flatten(2) * share[:, None]
        gradient = (weighted @ difference.flatten(1)[:, :, None])[..., 0]
        return cost.double(), gradient.double(), (weighted @ slopes.flatten(2).mT).double()


def _gaussian(size: int, sigma: float) -> Tensor:
    """(size, size): the matrix that blurs by a Gaussian; for images this small quicker than a convolution."""
    place = torch.arange(size, dtype=torch.float64)
    return torch.exp(-((place[:, None] - place) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))


def _damped(gradient: Tensor, curvature: Tensor, damping: Tensor) -> Tensor:
    diagonal = curvature.diagonal(dim1=1, dim2=2)
    floor = 1e-9 * diagonal.amax(1, keepdim=True) + 1e-30  # a view that sees nothing of the volume has no curvature
    step = torch.linalg.solve(curvature + torch.diag_embed(damping[:, None] * diagonal + floor), gradient)
    return step * (LONGEST / step.norm(dim=1, keepdim=True).clamp(min=LONGEST))


def _moved(poses: Tensor, generators: Tensor, steps: Tensor) -> Tensor:
    return torch.matrix_exp(torch.einsum("bk,bkij->bij", steps, generators)) @ poses
