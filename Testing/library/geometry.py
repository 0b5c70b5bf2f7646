"""Small oblique, anisotropic images and smooth displacements that several tests share."""

import torch

from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.transforms import rotation_matrix


def oblique_geometry(shape=(14, 17, 20), spacing=(1.5, 2.0, 3.0), angles=(20.0, -15.0, 35.0)) -> Geometry:
    affine = torch.eye(4, dtype=torch.float64)
    affine[:3, :3] = rotation_matrix(angles) * torch.tensor(spacing, dtype=torch.float64)
    affine[:3, 3] = torch.tensor([-31.0, 12.0, 55.0], dtype=torch.float64)
    return Geometry(shape, affine)


def smooth_image(geometry: Geometry) -> Image:
    """A smooth function of position, different along each axis, so that a swapped or flipped axis shows."""
    x, y, z = geometry.grid().double().unbind(-1)
    return Image((torch.sin(x / 9) * 100 + y * 3 + torch.cos(z / 7) * 50 + x * z / 20).float()[None], geometry.affine)


def smooth_field(geometry: Geometry, amplitude: float = 4.0, scale: float = 25.0) -> Image:
    """(3, D, H, W) mm: sines of unequal amplitude along R, A, S."""
    p = (geometry.grid().double() - geometry.center) / scale
    field = torch.stack(
        (torch.sin(p[..., 1] + 0.3), 0.6 * torch.cos(p[..., 2]), -0.8 * torch.sin(p[..., 0] + p[..., 1]))
    )
    return Image((amplitude * field).float(), geometry.affine)
