"""Pose estimation with a trained network: it leads from far away, the gradient NCC of the images from there on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from DiffRegLib.camera import Camera
from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.methods.projective.network import (
    RADIUS,
    UNIT,
    SimilarityNetwork,
    pushed,
    standardized,
)
from DiffRegLib.methods.projective.views import View, views_of
from DiffRegLib.methods.projective.weights import read_weights
from DiffRegLib.ops.device import choose_device
from DiffRegLib.radiographs.radiograph import Radiograph
from DiffRegLib.radiographs.resolution import pooled

if TYPE_CHECKING:
    from DiffRegLib.methods.projective.clock import Watch
    from DiffRegLib.methods.projective.scene import Scene

FIRST = 0.3  # of `UNIT`: the first step along each direction
STEP = (4e-3, 0.7)  # of `UNIT`: the shortest step, at which the way has ended where all are as short, and the longest
GROWTH = (0.5, 1.2)  # of a step along a direction in which the gradient has turned, or has kept its sign
STEPS = 150


@dataclass(frozen=True)
class _Seen:
    xray: Tensor
    mask: Tensor
    camera: Camera


class LearnedSimilarity:
    """A trained network; `facts` tells how it was trained."""

    def __init__(self, network: SimilarityNetwork, facts: dict[str, Any], device: str = "auto") -> None:
        self.device = choose_device(device)
        self.network, self.facts = network.to(self.device), facts

    @classmethod
    def load(cls, path: str | os.PathLike, device: str = "auto") -> LearnedSimilarity:
        """Reads the weights of a file, or of a folder that `diffreg train` made; else RegistrationError."""
        return cls(*read_weights(path), device)

    def between(
        self,
        volume: Image,
        views: Sequence[View],
        segmentation: Tensor | None = None,
        polarity: float = 1.0,
    ) -> Comparison:
        """The similarity of one CT with X-rays of one C-arm as a function of the pose.

        volume: linear attenuation in 1/mm (1, D, H, W). segmentation: (1, D, H, W), not 0 in the organ, for a network
        that was trained with it. polarity: 1 where what absorbs more is brighter, else -1.
        Raises RegistrationError where the segmentation is missing.
        """
        if self.network.options.segmentation and segmentation is None:
            raise RegistrationError(
                "The network was trained with a segmentation of the CT: give one, or other weights."
            )
        return Comparison(self, volume, views, segmentation, polarity)

    def value_and_gradient(
        self, volume: Image, xray: Tensor, camera: Camera, pose: Tensor, segmentation: Tensor | None = None
    ) -> tuple[float, Tensor]:
        """The similarity of an X-ray (rows, columns), and its gradient (6,) to the pose (4,4), see `Comparison`."""
        return self.between(volume, views_of([Radiograph(xray, camera)]), segmentation).value_and_gradient(pose)


class Comparison:
    """The learned similarity of one CT with its X-rays; the CT has gone through the 3D network once for all poses."""

    def __init__(
        self,
        learned: LearnedSimilarity,
        volume: Image,
        views: Sequence[View],
        segmentation: Tensor | None,
        polarity: float,
    ) -> None:
        self.network, device = learned.network, learned.device
        options = self.network.options
        parts = [volume.data] if segmentation is None else [volume.data, (segmentation != 0).to(volume.data)]
        coarse = pooled(Image(torch.cat(parts), volume.affine), options.voxel).to(device)
        self.center = volume.center.double().to(device)
        with torch.no_grad():
            organ = coarse.data[1:] if segmentation is not None else None
            self.channels = self.network.channels(Image(coarse.data[:1], coarse.affine), organ)
        self._seen = [
            _Seen(
                standardized(polarity * view.image.to(device), mask := view.mask.to(device))[None, None],
                mask,
                view.camera,
            )
            for view in (view.shrunk(options.detector) for view in views)
        ]

    def value_and_gradient(self, pose: Tensor) -> tuple[float, Tensor]:
        """Mean over the X-rays at a pose (4,4), and its gradient (6,) float64.

        The gradient belongs to a turn in radians about the place of the volume's center and to a shift in mm, along the
        axes of the world, applied after the pose: that of `transforms.se3.geodesic` and `perturbed`.
        """
        value, gradient = self._evaluated(pose)
        return value, torch.cat((gradient[:3] * (RADIUS / UNIT), gradient[3:] / UNIT))

    @torch.no_grad()
    def approach(self, pose: Tensor, watch: Watch | None = None, level: int = 0) -> Approach:
        """Descends from a pose (4,4) until its steps are short along all directions, or time is up.

        The valley of the similarity is long along the beam, where a radiograph tells little, and a step in proportion
        to the gradient would end far up in it. So every direction of the camera's frame has a step of its own, of which
        the gradient tells the sign alone (Riedmiller and Braun, A direct adaptive method for faster backpropagation
        learning: the RPROP algorithm, ICNN 1993).
        """
        axes = torch.block_diag(*[self._seen[0].camera.pose.double()[:3, :3].to(self.center)] * 2)
        way = torch.zeros(6, dtype=torch.float64, device=self.center.device)
        rprop = torch.optim.Rprop([way], lr=FIRST, etas=GROWTH, step_sizes=STEP)
        pose = best = pose.double().to(self.center.device)
        losses: list[float] = []
        settled, lowest = False, float("inf")
        while len(losses) < STEPS and not settled:
            value, gradient = self._evaluated(pose)
            losses.append(value)
            if value < lowest:
                best, lowest = pose, value
            before, way.grad = way.clone(), axes.T @ gradient
            rprop.step()
            longest = float(rprop.state[way]["step_size"].max())
            settled = longest <= STEP[0]
            if watch is not None:
                watch.note(level, len(losses), value, longest, best)
                if watch.expired:
                    break
            pose = pushed(pose, axes @ (way - before), self.center)
        return Approach(best, tuple(losses), settled)

    def _evaluated(self, pose: Tensor) -> tuple[float, Tensor]:
        with torch.no_grad():
            parts = [
                self.network.slope(self.channels, pose[None], self.center, seen.camera, seen.xray, seen.mask)
                for seen in self._seen
            ]
        value = sum(part.values.item() for part in parts) / len(parts)
        return value, sum(part.slopes[0] for part in parts) / len(parts)


@dataclass(frozen=True)
class Approach:
    """The pose (4,4) of the smallest loss, all losses, and whether the steps became short before they ran out."""

    pose: Tensor
    losses: tuple[float, ...]
    settled: bool


@dataclass(frozen=True)
class Guide:
    """A network that leads to the pose, with the segmentation (1,D,H,W) of the CT for one that was trained with it."""

    learned: LearnedSimilarity
    segmentation: Tensor | None = None

    @classmethod
    def load(cls, path: str | os.PathLike, volume: Image, segmentation: Tensor | None, device: str = "auto") -> Guide:
        """Reads the weights; raises RegistrationError for other files, and where the segmentation is missing."""
        learned = LearnedSimilarity.load(path, device)
        shape = learned.network.options
        if not shape.segmentation and not shape.alone:
            return cls(learned)
        if segmentation is None:
            raise RegistrationError(
                f"{path} was trained with a segmentation of the CT: give one with {{mask}}.", option="mask", path=path
            )
        if segmentation.shape != volume.data.shape:
            raise RegistrationError(
                f"The segmentation has the shape {tuple(segmentation.shape)}: give that of the CT, "
                f"{tuple(volume.data.shape)}."
            )
        return cls(learned, segmentation.to(volume.device))

    def approach(self, scene: Scene, start: Tensor, watch: Watch, polarity: float = 1.0) -> Approach:
        """The network's part of the way from a start (4,4)."""
        shape, volume = self.learned.network.options, scene.volume
        if shape.alone:
            volume = Image(volume.data * (self.segmentation != 0).to(volume.data), volume.affine)
        organ = self.segmentation if shape.segmentation else None
        comparison = self.learned.between(volume, scene.views, organ, polarity)
        approach = comparison.approach(start, watch, shape.detector)
        return replace(approach, pose=approach.pose.to(start.device))


def descend_images(scene: Scene, pose: Tensor, watch: Watch, polarity: float = 1.0) -> Tensor:
    """Descends the gradient NCC from a pose (4,4) at each level of the scene, as Gao et al., MICCAI 2020, do.

    It takes the optimizer of the scene's options, or SGD where these name none that descends images.
    """
    from DiffRegLib.methods.projective.descent import descend

    options = scene.options
    if options.optimizer in ("gauss-newton", "none"):
        options = replace(options, optimizer="sgd")
    for width in scene.levels:
        if watch.expired:
            break
        problem = scene.problem(width, "gradient-ncc", polarity)
        pose = descend(problem, pose, options, "gradient-ncc", scene.half_extent, width, watch)
    return pose
