"""A patient without symmetry, X-rays of it that are projected from known poses, and how far two poses are apart."""

import torch

from DiffRegLib.camera import Camera
from DiffRegLib.image import Image
from DiffRegLib.methods.projective import PoseOptions
from DiffRegLib.radiographs.projection import project
from DiffRegLib.radiographs.radiograph import Radiograph
from DiffRegLib.transforms import rigid

CENTER = torch.tensor([10.0, -20.0, 5.0], dtype=torch.float64)
QUICK = PoseOptions(starts=200, refined=4, levels=(32, 64))


def camera(view="frontal", size=64):
    away = {"frontal": [0.0, 1.0, 0.0], "lateral": [1.0, 0.0, 0.0]}[view]
    right = {"frontal": [-1.0, 0.0, 0.0], "lateral": [0.0, 1.0, 0.0]}[view]
    away, right = torch.tensor(away, dtype=torch.float64), torch.tensor(right, dtype=torch.float64)
    down = torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64)
    return Camera.from_detector(
        CENTER - 600 * away, CENTER + 400 * away, right, down, (300 / size, 300 / size), (size, size)
    )


def patient():
    """A body with bones without any symmetry, 48^3 voxels of 4 mm, in HU."""
    affine = torch.diag(torch.tensor([4.0, 4.0, 4.0, 1.0], dtype=torch.float64))
    affine[:3, 3] = CENTER - 4 * 23.5
    image = Image(torch.zeros(1, 48, 48, 48), affine)
    points = image.grid() - CENTER.float()
    hu = torch.full((48, 48, 48), -1000.0)
    hu[(points / torch.tensor([80.0, 60.0, 85.0])).norm(dim=-1) < 1] = 30.0
    generator = torch.Generator().manual_seed(3)
    for _ in range(14):  # edges as soft as a scanner leaves them
        middle = (torch.rand(3, generator=generator) - 0.5) * torch.tensor([110.0, 70.0, 120.0])
        radii = 6 + 16 * torch.rand(3, generator=generator)
        inside = torch.sigmoid((1 - ((points - middle) / radii).norm(dim=-1)) * radii.mean() / 2)
        hu = torch.lerp(hu, torch.full_like(hu, 300 + 700 * float(torch.rand(1, generator=generator))), inside)
    return Image(hu[None], affine)


def attenuation(ct):
    return Image((0.02 * (1 + ct.data / 1000)).clamp(min=0), ct.affine)


def xray(ct, pose, view="frontal", size=64):
    eye = camera(view, size)
    return Radiograph(project(attenuation(ct), pose.matrix, eye)[0, 0], eye)


def distance(ct, first, second):
    """Mean over the corners of the middle half of the volume, mm."""
    corners = torch.cartesian_prod(*[torch.tensor([-45.0, 45.0], dtype=torch.float64)] * 3) + CENTER
    return (first(corners) - second(corners)).norm(dim=1).mean().item()


def far(seed=0):
    return rigid([14.0, -20.0, 9.0], [20.0, -15.0, 12.0], CENTER)


def near():
    return rigid([4.0, -3.0, 5.0], [6.0, 8.0, -5.0], CENTER)
