"""A scan in the common box: resampled, centered on its soft tissue, its place in the patient kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool3d

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.methods.supervoxels.options import PreparationOptions
from DiffRegLib.radiographs.attenuation import AIR, check_hounsfield, unpadded
from DiffRegLib.transforms import Transform

BODY = -300.0  # HU, between fat and air
SMALLEST = 100.0  # ml; a body is larger
LARGEST = 3000.0  # mm; a body is smaller


@dataclass(frozen=True, eq=False)
class Boxed:
    """A scan on the grid of the supervoxels, HU (1, D, H, W), and as it was measured, which is what is registered.

    Beyond its own box a scan is air there; the faces at which it ends are no anatomy. initial: from the box to the
    scan as it was measured, where that lies elsewhere.
    """

    scan: Image
    image: Image
    initial: Transform | None = None

    def continued(self) -> Image:
        """The scan as a network sees it: where it ends inside of its box, its faces go on.

        Air there would be a plane that lies where the scanner was told to end, and no two scans end at the same place.
        """
        whole = _blurred(self.image, float(self.scan.spacing.max()))
        return whole.resample(self.scan, self.initial, outside="border")


def boxed(ct: Image, options: PreparationOptions, name: str = "the scan") -> Boxed:
    """A scan (1, D, H, W) in HU in its box, see `prepare`."""
    return Boxed(halved(prepare(ct, options, name)), unpadded(ct))


def prepare(ct: Image, options: PreparationOptions = PreparationOptions(), name: str = "the scan") -> Image:  # noqa: B008
    """The scan (1, D, H, W) in HU in a box along R, A, S whose center is the center of mass of its soft tissue.

    The affine of the result says where the box lies in the patient, so that what is found in it maps back; scans of
    finer voxels are averaged. Raises RegistrationError that names the scan for one that is no CT or shows no body.
    """
    _check_size(ct, name)
    check_hounsfield(ct, name)
    ct, spacing = unpadded(ct), options.spacing
    whole = _resampled(ct, Geometry.around(ct.corners(), spacing))
    weight = soft_tissue(whole.data[0])
    if float(weight.sum()) * spacing**3 / 1000 < SMALLEST:
        raise RegistrationError(
            f"{name} shows less than {SMALLEST:g} ml of soft tissue in Hounsfield units: give a CT of a body.",
            path=name,
        )
    grid = whole.grid()
    center = (grid * weight[..., None]).sum((0, 1, 2)) / weight.sum()
    size = torch.tensor(options.box, dtype=torch.float64)
    affine = torch.diag(torch.tensor([spacing, spacing, spacing, 1.0], dtype=torch.float64))
    affine[:3, 3] = center.double() - (size - 1) / 2 * spacing
    return _resampled(ct, Geometry(tuple(int(n) for n in size.flip(0)), affine))


def soft_tissue(hounsfield: Tensor) -> Tensor:
    """(D, H, W) weight of each voxel: sigmoid(10 - 10 |HU / 125 - 1|), the least of its 3x3x3 neighborhood."""
    weight = torch.sigmoid(10 - 10 * (hounsfield / 125 - 1).abs())
    return -max_pool3d(-weight[None, None], 3, stride=1, padding=1)[0, 0]


def body(scan: Image, name: str = "the scan") -> Tensor:
    """(D, H, W) bool: the largest region above -300 HU with all that it encloses.

    Raises RegistrationError that names the scan where there is none.
    """
    from scipy import ndimage

    dense = ndimage.binary_opening(scan.data[0].cpu().numpy() > BODY, iterations=2)
    regions, count = ndimage.label(dense)
    sizes = torch.bincount(torch.from_numpy(regions).flatten().long())
    if count == 0 or float(sizes[1:].max()) * float(scan.spacing.prod()) / 1000 < SMALLEST:
        raise RegistrationError(f"{name} shows no body above {BODY:g} HU: give a CT in Hounsfield units.", path=name)
    largest = regions == 1 + int(sizes[1:].argmax())
    filled = [ndimage.binary_fill_holes(section) for section in largest]
    return torch.stack([torch.from_numpy(section) for section in filled])


def halved(scan: Image) -> Image:
    """The scan on the grid of the supervoxels: voxels of twice the width, each the mean of eight."""
    affine = scan.affine.clone()
    affine[:3, :3] *= 2
    affine[:3, 3] = scan.to_world(torch.full((3,), 0.5, dtype=torch.float64))
    return Image(torch.nn.functional.avg_pool3d(scan.data[None], 2)[0], affine)


def _check_size(ct: Image, name: str) -> None:
    """Raises RegistrationError for a scan that is too small or too large to be one of a body."""
    sides = (ct.size * ct.spacing).tolist()
    if math.prod(sides) / 1000 < SMALLEST or max(sides) > LARGEST:
        shown = " x ".join(f"{side:.4g}" for side in sides)
        raise RegistrationError(
            f"{name} is {shown} mm large, which no scan of a body is: correct its spacing, or give a CT of a body.",
            path=name,
        )


def _resampled(ct: Image, grid: Geometry) -> Image:
    """Linear between voxel centers, after a blur along those axes where the voxels of the grid are wider."""
    return _blurred(ct, float(grid.spacing.max())).resample(grid, outside=AIR)


def _blurred(ct: Image, width: float) -> Image:
    from scipy import ndimage

    sigma = (0.5 * (width / ct.spacing.flip(0)).pow(2).sub(1).clamp(min=0).sqrt()).tolist()
    if max(sigma) < 0.2:
        return ct
    data = ndimage.gaussian_filter(ct.data[0].cpu().numpy(), sigma, truncate=3.0)
    return Image(torch.from_numpy(data)[None].to(ct.data), ct.affine)
