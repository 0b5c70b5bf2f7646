"""The patient in full inspiration: where every organ is, in RAS mm, and how much it attenuates, in HU."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.phantom.shapes import Ellipsoid, EllipticCylinder, Tubes, soft_maximum
from DiffRegLib.phantom.vessels import grow_tree

Box = tuple[tuple[float, ...], tuple[float, ...]]

LABELS = {
    1: "body",
    2: "lung_right",
    3: "lung_left",
    4: "heart",
    5: "liver",
    6: "spleen",
    7: "stomach",
    8: "kidney_right",
    9: "kidney_left",
    10: "aorta",
    11: "spine",
    12: "ribs",
}
"""Name of every value of the label map; 0 is air around the patient and in the trachea."""

BOX = ((-178.0, -122.0, -208.0), (178.0, 122.0, 192.0))
"""Corners of the scanned box in RAS mm."""

SKIN = EllipticCylinder((0, 0), (166, 110))
MUSCLE = EllipticCylinder((0, -1), (153, 97))
CAVITY = EllipticCylinder((0, 2), (138, 86))
LUNGS = (Ellipsoid((70, -2, -22), (60, 80, 170), tilt=-6), Ellipsoid((-70, -2, -22), (58, 78, 166), tilt=6))
DOMES = (Ellipsoid((66, 2, -132), (82, 88, 92)), Ellipsoid((-66, 2, -136), (80, 86, 84)))
HEART = Ellipsoid((-24, 30, -34), (50, 40, 50), tilt=-28)
SPLEEN = Ellipsoid((-98, -36, -118), (28, 32, 44), tilt=-12)
STOMACH = Ellipsoid((-58, 28, -104), (42, 34, 40), tilt=18)
KIDNEYS = (Ellipsoid((56, -44, -164), (25, 21, 36)), Ellipsoid((-56, -46, -154), (24, 20, 37)))
BOWEL = (
    Ellipsoid((-20, 45, -178), (46, 24, 18)),
    Ellipsoid((-88, 30, -182), (24, 30, 24)),
    Ellipsoid((45, 52, -196), (52, 20, 16)),
    Ellipsoid((106, 10, -196), (20, 26, 18)),
)
BELOW_DIAPHRAGM = ((-150.0, -90.0, -math.inf), (150.0, 90.0, -35.0))
SPINE_BOX = ((-20.0, -115.0, -math.inf), (20.0, -40.0, math.inf))
HILA = ((26.0, -8.0, 6.0), (-26.0, -8.0, 14.0))


@dataclasses.dataclass(frozen=True)
class Tissue:
    """One step of painting: a solid (points (N, 3), edge in mm -> distance (N,) in mm), its HU and its label, if any.

    `box` bounds the solid in RAS mm; `within` confines it to voxels that already carry this label.
    """

    solid: Callable[[Tensor, float], Tensor]
    hounsfield: float
    label: int | None = None
    box: Box = ((-math.inf,) * 3, (math.inf,) * 3)
    within: int | None = None


@dataclasses.dataclass(frozen=True)
class Anatomy:
    """All that `render` needs: the vessels of both lungs and the bifurcations, which depend on the seed."""

    vessels: tuple[Tubes, Tubes]
    forks: tuple[Tensor, Tensor]
    ribs: Tubes
    cartilage: Tubes
    trachea: Tubes
    aorta: Tubes

    @classmethod
    def grown(cls, seed: int, terminals: int = 450) -> Anatomy:
        """The patient of this seed: vessels differ, organs do not. `terminals`: ends of the tree of each lung."""
        generator = torch.Generator().manual_seed(seed)
        trees = [_tree(side, terminals, generator) for side in (0, 1)]
        return cls((trees[0][0], trees[1][0]), (trees[0][1], trees[1][1]), _ribs(), _cartilage(), _trachea(), _aorta())

    def tissues(self) -> list[Tissue]:
        """Every tissue in the order of painting: a later one covers an earlier one."""
        return [
            Tissue(_plain(SKIN), -105, 1),
            Tissue(_plain(MUSCLE), 55, 1),
            Tissue(_plain(abdomen), -95, 1, BELOW_DIAPHRAGM),
            Tissue(_plain(mediastinum), -60, 1, ((-50, -80, -80), (50, 80, 160))),
            *[_organ(b, 35, 1) for b in BOWEL],
            *[Tissue(_plain(lung(side)), -850, 2 + side, LUNGS[side].box) for side in (0, 1)],
            *[Tissue(self.vessels[side].distance, 40, within=2 + side) for side in (0, 1)],
            _organ(HEART, 45, 4),
            Tissue(_plain(liver), 62, 5, BELOW_DIAPHRAGM),
            _organ(SPLEEN, 50, 6),
            _organ(STOMACH, 25, 7),
            Tissue(_plain(_gas), -980, None, STOMACH.box),
            *[_organ(k, 35, 8 + side) for side, k in enumerate(KIDNEYS)],
            Tissue(self.aorta.distance, 50, 10, self.aorta.box),
            Tissue(_plain(vertebrae), 260, 11, SPINE_BOX),
            Tissue(_plain(_discs), 90, 11, SPINE_BOX),
            Tissue(_plain(_canal), 25, 11, SPINE_BOX),
            Tissue(self.cartilage.distance, 130, 12, self.cartilage.box),
            Tissue(self.ribs.distance, 720, 12, self.ribs.box),
            Tissue(self._marrow, 320, within=12),
            Tissue(self.trachea.distance, -990, 0, self.trachea.box),
        ]

    def organ(self, label: int) -> Tissue:
        """The organ that a label names, before later tissues cover it."""
        found = [tissue for tissue in self.tissues() if tissue.label == label]
        if not found:
            raise RegistrationError(f"The phantom has no label {label}: choose one of {', '.join(map(str, LABELS))}.")
        return found[0]

    def _marrow(self, points: Tensor, edge: float) -> Tensor:
        return self.ribs.distance(points, edge + 2.0) + 2.0


def _organ(solid: Ellipsoid, hounsfield: float, label: int) -> Tissue:
    return Tissue(_plain(solid), hounsfield, label, solid.box)


def _plain(solid: Callable[[Tensor], Tensor]) -> Callable[[Tensor, float], Tensor]:
    return lambda points, edge: solid(points)


def lung(side: int) -> Callable[[Tensor], Tensor]:
    """The right (0) or left (1) lung: an ellipsoid without diaphragm, heart, mediastinum and spine."""

    def solid(points: Tensor) -> Tensor:
        x, y, z = points.unbind(-1)
        result = LUNGS[side](points)
        inner = 13 + 9 * torch.exp(-(((z - 8) / 30) ** 2) - ((y + 8) / 30) ** 2)
        limits = [
            3.0 - _domes(points),
            3.0 - HEART(points),
            4.0 - vertebrae(points),
            inner - x if side == 0 else inner + x,
            CAVITY(points) + 3.0,
        ]
        for limit in limits:
            result = soft_maximum(result, limit, 7.0)
        return result

    return solid


def _domes(points: Tensor) -> Tensor:
    return torch.minimum(DOMES[0].extended_below(points), DOMES[1].extended_below(points))


def abdomen(points: Tensor) -> Tensor:
    """The peritoneal cavity below the diaphragm."""
    return soft_maximum(_domes(points) + 3.0, CAVITY(points) + 4.0, 10.0)


def mediastinum(points: Tensor) -> Tensor:
    """Fat between the lungs, above the diaphragm."""
    column = EllipticCylinder((0, 0), (46, 74))(points)
    return torch.maximum(torch.maximum(column, -_domes(points)), points[..., 2] - 150)


def liver(points: Tensor) -> Tensor:
    """Under the right dome, its lower edge rising towards the left lobe, hollow where the right kidney lies."""
    x, y, z = points.unbind(-1)
    lower = -150 + 0.62 * (70 - x) - 0.15 * y
    result = soft_maximum(abdomen(points) + 3.0, (lower - z) * 0.84, 16.0)
    for limit in (-(x + 62) * 0.9, 6.0 - KIDNEYS[0](points), 6.0 - STOMACH(points), 20.0 - vertebrae(points)):
        result = soft_maximum(result, limit, 8.0)
    return result


def _gas(points: Tensor) -> Tensor:
    """The bubble in the stomach: gas rises to the front of a patient who lies on the back."""
    return torch.maximum(STOMACH(points) + 4.0, 42.0 - points[..., 1])


def _spine_center(z: Tensor) -> Tensor:
    return -68.0 + 10.0 * torch.cos((z + 60) / 130)


def _spine_frame(points: Tensor) -> Tensor:
    x, y, z = points.unbind(-1)
    return torch.stack((x, y - _spine_center(z), z), -1)


def vertebrae(points: Tensor) -> Tensor:
    """Vertebral bodies with discs, the arch around the canal and the spinous processes."""
    local = _spine_frame(points)
    body = EllipticCylinder((0, 0), (18, 15))(local)
    arch = EllipticCylinder((0, -20), (13, 11))(local)
    height = _within_vertebra(points)
    process = torch.maximum(EllipticCylinder((0, -34), (3.5, 11))(local), height - 2)
    return torch.minimum(torch.minimum(body, arch), process)


def _within_vertebra(points: Tensor) -> Tensor:
    """Signed distance in mm along S to the next end plate: negative within a vertebra, positive within a disc."""
    z = points[..., 2]
    return (z - 27 * torch.round(z / 27)).abs() - 10.5


def _discs(points: Tensor) -> Tensor:
    body = EllipticCylinder((0, 0), (18, 15))(_spine_frame(points))
    return torch.maximum(body, -_within_vertebra(points))


def _canal(points: Tensor) -> Tensor:
    return EllipticCylinder((0, -21), (8, 7))(_spine_frame(points))


def _rib_path(side: int, number: int, first: float, last: float) -> Tensor:
    """Center line (N, 3) of a rib between two angles in degrees, 0 at the spine and 180 at the sternum."""
    angle = torch.deg2rad(torch.linspace(first, last, 40, dtype=torch.float64))
    z = 138 - 25.0 * number - 0.5 * (46 + 4 * number) * (1 - torch.cos(angle))
    width = (1 - ((z + 60).clamp(min=0) / 235) ** 2).sqrt()
    x = (1 if side == 0 else -1) * 144 * width * torch.sin(angle) ** 0.8
    return torch.stack((x, -91 * torch.cos(angle) * (0.5 + 0.5 * width), z), -1)


def _ribs() -> Tubes:
    paths = [_rib_path(s, n, 14, 128 if n < 8 else 105) for s in (0, 1) for n in range(1, 11)]
    return Tubes.joined([Tubes.along(p, 5.2) for p in paths])


def _cartilage() -> Tubes:
    paths = [_rib_path(s, n, 128, 172) for s in (0, 1) for n in range(1, 8)]
    z = torch.linspace(80, -75, 40, dtype=torch.float64)
    sternum = [torch.stack((torch.full_like(z, x), 84 - 0.06 * z.clamp(min=0), z), -1) for x in (-9.0, 0.0, 9.0)]
    return Tubes.joined([Tubes.along(p, 5.0) for p in paths] + [Tubes.along(p, 6.5) for p in sternum])


def _trachea() -> Tubes:
    z = torch.linspace(200, 42, 30, dtype=torch.float64)
    stem = torch.stack((torch.zeros_like(z), -18 + 0.06 * (z - 42), z), -1)
    bronchi = [torch.stack((stem[-1], torch.tensor(h, dtype=torch.float64) * 0.9)) for h in HILA]
    return Tubes.joined([Tubes.along(stem, 8.5), *[Tubes.along(b, 6.0) for b in bronchi]])


def _aorta() -> Tubes:
    turn = torch.linspace(0, math.pi, 24, dtype=torch.float64)
    arch = torch.stack((-14 * torch.ones_like(turn), -8 + 27 * torch.cos(turn), 46 + 27 * torch.sin(turn)), -1)
    descent = torch.stack(
        [torch.tensor([-14.0, -35.0, 46.0]), torch.tensor([-14.0, -38.0, -100.0]), torch.tensor([-4.0, -36.0, -230.0])]
    ).double()
    return Tubes.joined([Tubes.along(arch, 11.5), Tubes.along(descent, 11.0)])


def _tree(side: int, terminals: int, generator: torch.Generator) -> tuple[Tubes, Tensor]:
    low, high = (0.0, -90.0, -150.0), (140.0, 90.0, 160.0)
    box = (low, high) if side == 0 else ((-140.0, *low[1:]), (0.0, *high[1:]))
    solid = lung(side)
    tubes, forks = grow_tree(lambda p: solid(p) + 5.0, box, HILA[side], 5.0, terminals, generator)
    return tubes, forks[solid(forks) < -4.0]
