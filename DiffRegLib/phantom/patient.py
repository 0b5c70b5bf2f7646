"""The patient in inspiration and expiration: image, labels, vessels, surfaces and landmarks, with the exact motion."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.ops.threads import one_thread
from DiffRegLib.phantom.anatomy import BOX, Anatomy, Box, Tissue, lung
from DiffRegLib.phantom.breathing import BreathingMotion
from DiffRegLib.phantom.shapes import CHUNK
from DiffRegLib.phantom.surfaces import Surface, extract_surface
from DiffRegLib.points import PointCloud
from DiffRegLib.transforms import Transform

AIR = -1000.0
SURFACES = (2, 3, 4, 5, 6, 7, 8, 9)


@dataclasses.dataclass(frozen=True, eq=False)
class State:
    """The patient in one state of breathing; everything in RAS mm.

    `vessels`: points on the center lines of the vessels, each weighted by its radius in mm; channel labels are those of
    the lungs. `landmarks` (L, 3) float64: bifurcations, row i is the same one in both states. `surfaces` by label.
    """

    image: Image
    labels: Image
    vessels: PointCloud
    landmarks: Tensor
    surfaces: dict[int, Surface]


@dataclasses.dataclass(frozen=True, eq=False)
class Phantom:
    """`transform` maps a point of the fixed state (inspiration) to the moving one (expiration), exactly."""

    fixed: State
    moving: State
    transform: BreathingMotion

    @property
    def inverse(self) -> BreathingMotion:
        return self.transform.inverse()


def breathing_phantom(
    spacing: float = 3.0,
    seed: int = 0,
    amplitude: float = 15.0,
    noise: float = 0.0,
    landmarks: int = 100,
    vessel_pitch: float = 2.0,
) -> Phantom:
    """An analytic patient at two states of breathing.

    spacing: voxel size in mm. seed: decides the vessels, the noise and the landmarks. amplitude: mean motion of the
    lungs in mm. noise: standard deviation in HU, independent in both states. landmarks: how many bifurcations to
    report. vessel_pitch: distance in mm between the points of a vessel; both clouds are sampled independently and
    shuffled.
    Raises `RegistrationError` for a spacing outside 0.5 to 10 mm or an amplitude that folds the tissue.
    """
    if not 0.5 <= spacing <= 10:
        raise RegistrationError(f"A voxel size of {spacing} mm does not suit a patient: give 0.5 to 10 mm.")
    motion = BreathingMotion(amplitude)
    with one_thread():
        anatomy = Anatomy.grown(seed)
        surfaces = {label: extract_surface(anatomy.organ(label), max(spacing, 2.5)) for label in SURFACES}
    geometry = Geometry.around(torch.tensor(BOX), spacing)
    generator = torch.Generator().manual_seed(seed + 1)
    pairs = _landmarks(anatomy, landmarks, generator)
    states = []
    for to_state in (None, motion):
        image, labels = render(anatomy, geometry, to_state)
        noisy = image.data + noise * torch.randn(image.data.shape, generator=generator)
        states.append(
            State(
                Image(noisy, image.affine),
                labels,
                _vessel_cloud(anatomy, vessel_pitch, to_state, generator),
                to_state(pairs) if to_state else pairs,
                {k: s.moved(to_state) if to_state else s for k, s in surfaces.items()},
            )
        )
    return Phantom(states[0], states[1], motion)


def render(anatomy: Anatomy, geometry: Geometry, motion: Transform | None = None) -> tuple[Image, Image]:
    """HU image and label map (1, D, H, W) on a grid, of the patient at rest or moved.

    Every voxel is carried back by the inverse motion and the solids are evaluated there: nothing is interpolated.
    """
    edge = float(geometry.spacing.mean())
    tissues = anatomy.tissues()
    with one_thread():
        parts = [_paint(tissues, chunk, edge, motion) for chunk in geometry.grid().reshape(-1, 3).split(CHUNK)]
    images = [torch.cat(p).reshape(1, *geometry.shape) for p in zip(*parts, strict=True)]
    return Image(images[0], geometry.affine), Image(images[1], geometry.affine)


def _paint(tissues: list[Tissue], points: Tensor, edge: float, motion: Transform | None) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        points = motion.inverse()(points) if motion else points
        hounsfield = torch.full((len(points),), AIR)
        labels = torch.zeros(len(points))
        bounds = tuple(points.amin(0).tolist()), tuple(points.amax(0).tolist())
        for tissue in tissues:
            rows = _candidates(tissue, points, bounds, labels, edge)
            if not len(rows):
                continue
            distance = tissue.solid(points[rows], edge)
            cover = (0.5 - distance / edge).clamp(0, 1)
            hounsfield[rows] += cover * (tissue.hounsfield - hounsfield[rows])
            if tissue.label is not None:
                labels[rows[distance < 0]] = tissue.label
    return hounsfield, labels


def _candidates(tissue: Tissue, points: Tensor, bounds: Box, labels: Tensor, edge: float) -> Tensor:
    """Indices of the points where the tissue can be; `bounds` are the corners of the box around all points."""
    if tissue.within is not None:
        return (labels == tissue.within).nonzero()[:, 0]
    apart = [
        first > high + edge or last < low - edge for low, high, first, last in zip(*tissue.box, *bounds, strict=True)
    ]
    if any(apart):
        return torch.empty(0, dtype=torch.int64)
    low, high = (points.new_tensor(corner) for corner in tissue.box)
    return ((points > low - edge) & (points < high + edge)).all(-1).nonzero()[:, 0]


def _landmarks(anatomy: Anatomy, count: int, generator: torch.Generator) -> Tensor:
    forks = torch.cat(anatomy.forks)
    if not 1 <= count <= len(forks):
        raise RegistrationError(f"The phantom has {len(forks)} bifurcations: ask for 1 to {len(forks)} landmarks.")
    return forks[torch.randperm(len(forks), generator=generator)[:count].sort().values]


def _vessel_cloud(anatomy: Anatomy, pitch: float, motion: Transform | None, generator: torch.Generator) -> PointCloud:
    parts = []
    for side in (0, 1):
        phase = float(torch.rand(1, generator=generator))
        centers, radii, _ = anatomy.vessels[side].samples(pitch, phase)
        kept = lung(side)(centers) < -1.0
        parts.append((centers[kept], radii[kept], torch.full((int(kept.sum()),), 2 + side)))
    centers, radii, values = (torch.cat(p) for p in zip(*parts, strict=True))
    order = torch.randperm(len(centers), generator=generator)
    centers = motion(centers) if motion else centers
    return PointCloud.labeled(centers[order], values[order], radii[order])
