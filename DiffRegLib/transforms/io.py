"""Transform files: ITK's `.h5` and `.tfm`, and writing fields as images; LPS inside the file, RAS outside."""

from __future__ import annotations

import gzip
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import LPS
from DiffRegLib.image import Image, from_itk, to_itk
from DiffRegLib.transforms.base import Composite, GridTransform, Transform
from DiffRegLib.transforms.grids import BSpline, DisplacementField, VelocityField
from DiffRegLib.transforms.linear import Affine

if TYPE_CHECKING:
    import SimpleITK

ITK_SUFFIXES = (".h5", ".hdf5", ".tfm", ".txt", ".mat")
IMAGE_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd")
NIFTI_INTENT_OFFSET, NIFTI_DISPLACEMENT_VECTOR = 68, 1006


def read_itk_transform(path: str | Path) -> Transform:
    """Reads a transform file of ITK (`.h5`, `.tfm`, `.txt`, `.mat`); fields in image files are read in `files`.

    Raises `RegistrationError` that names the file when it is missing, unreadable, not finite, or of a kind that is not
    supported.
    """
    import SimpleITK as sitk

    path = Path(path)
    if not path.is_file():
        raise RegistrationError(f"{path} does not exist: check the path of the transform.", path=path)
    if not path.name.lower().endswith(ITK_SUFFIXES):
        raise RegistrationError(f"{path} has an unknown extension: give {' '.join(ITK_SUFFIXES)}.", path=path)
    if path.name.lower().endswith((".h5", ".hdf5")) and not _is_whole(path):
        raise RegistrationError(f"{path} {_cause(path, '')}", path=path)  # ITK would print pages of its own
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        transform = transform_from_itk(sitk.ReadTransform(str(path)))
    except RuntimeError as error:
        raise RegistrationError(f"{path} {_cause(path, str(error))}", path=path) from None
    except RegistrationError as error:
        raise RegistrationError(f"{path}: {error}", path=path) from None
    if not all(bool(part.isfinite().all()) for part in _numbers(transform)):
        raise RegistrationError(f"{path} holds NaN or infinite numbers: repair it or give another.", path=path)
    return transform


def _numbers(transform: Transform) -> list[Tensor]:
    """The tensors that a transform is made of."""
    if isinstance(transform, Composite):
        return [numbers for part in transform.transforms for numbers in _numbers(part)]
    if isinstance(transform, Affine):
        return [transform.matrix]
    return [transform.image.data] if isinstance(transform, GridTransform) else []


def _is_whole(path: Path) -> bool:
    """Whether an HDF5 file begins as one and is as long as it says (HDF5 file format 3.0, II.A)."""
    with open(path, "rb") as file:
        head = file.read(64)
    if not head.startswith(b"\x89HDF\r\n\x1a\n") or len(head) < 64:
        return False
    place = {0: 40, 1: 44}.get(head[8], 28)
    return struct.unpack_from("<Q", head, place)[0] <= path.stat().st_size


def _cause(path: Path, complaint: str) -> str:
    """Why ITK does not read the file, and what to do."""
    kind = re.search(r'instance of "([A-Za-z]+)_', complaint)
    if kind:
        return f"holds a {kind[1]}, which is not supported: save it as a displacement field (grid transform)."
    head = path.read_bytes()[:4096]
    if b"(Transform " in head:
        return "is a parameter file of elastix: let transformix write its deformation field (-def all) and give that."
    if re.fullmatch(rb"[\s\d.eE+-]+", head):
        return "holds mere numbers, as FSL writes a matrix: save it as a transform of ITK (.tfm), in LPS mm."
    return "cannot be read as a transform: it is truncated, damaged or of another kind."


def write_transform(transform: Transform, path: str | Path) -> None:
    """Writes `.h5` or `.tfm` (any transform) or a displacement field as an image (`.nii.gz`, `.nrrd`, `.mha`)."""
    import SimpleITK as sitk

    name = Path(path).name.lower()
    try:
        if name.endswith(IMAGE_SUFFIXES):
            _write_displacement(_as_field(transform), str(path))
        elif name.endswith(ITK_SUFFIXES):
            sitk.WriteTransform(transform_to_itk(transform), str(path))
        else:
            raise RegistrationError(
                f"{path} has an unknown extension: give {' '.join((*ITK_SUFFIXES, *IMAGE_SUFFIXES))}."
            )
    except RuntimeError:
        raise RegistrationError(f"{path} cannot be written: check folder, permission and disk space.") from None


def _write_displacement(field: DisplacementField, path: str) -> None:
    """A displacement image; in NIfTI with intent 1006, components RAS: ITK and Slicer turn them on reading."""
    import SimpleITK as sitk

    nifti = path.lower().endswith((".nii", ".nii.gz"))
    sitk.WriteImage(to_itk(field.image if nifti else _flipped(field.image)), path, useCompression=True)
    if nifti:
        opener = gzip.open if path.lower().endswith(".gz") else open
        with opener(path, "rb") as file:
            content = bytearray(file.read())
        struct.pack_into("=h", content, NIFTI_INTENT_OFFSET, NIFTI_DISPLACEMENT_VECTOR)
        with opener(path, "wb") as file:
            file.write(content)


def transform_from_itk(itk: SimpleITK.Transform) -> Transform:
    """A SimpleITK transform (LPS) as one of ours (RAS)."""
    import SimpleITK as sitk

    kind = itk.GetName()
    if itk.GetDimension() != 3:
        raise RegistrationError(f"it is a transform of {itk.GetDimension()} dimensions: give one of 3.")
    if kind == "CompositeTransform":
        composite = sitk.CompositeTransform(itk)
        return Composite(
            [transform_from_itk(composite.GetNthTransform(n)) for n in range(composite.GetNumberOfTransforms())]
        )
    if kind == "DisplacementFieldTransform":
        return DisplacementField(_flipped(from_itk(sitk.DisplacementFieldTransform(itk).GetDisplacementField())))
    if kind == "BSplineTransform":
        spline = sitk.BSplineTransform(itk)
        if spline.GetOrder() != 3:
            raise RegistrationError(
                f"it is a B-spline of order {spline.GetOrder()}: only cubic ones, order 3, are supported."
            )
        return BSpline(_flipped(from_itk(sitk.Compose(*spline.GetCoefficientImages()))))
    if itk.IsLinear():
        corners = torch.tensor(
            [itk.TransformPoint(p) for p in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))], dtype=torch.float64
        )
        matrix = torch.eye(4, dtype=torch.float64)
        matrix[:3, 3] = corners[0]
        matrix[:3, :3] = (corners[1:] - corners[0]).T
        return Affine(LPS @ matrix @ LPS)
    raise RegistrationError(
        f"a {kind} is not supported: give an affine, B-spline, displacement field or composite transform."
    )


def transform_to_itk(transform: Transform) -> SimpleITK.Transform:
    """One of our transforms (RAS) as a SimpleITK transform (LPS)."""
    import SimpleITK as sitk

    if isinstance(transform, Composite):
        return sitk.CompositeTransform([transform_to_itk(part) for part in transform.transforms])
    if isinstance(transform, Affine):
        matrix = LPS @ transform.matrix.detach().cpu() @ LPS
        return sitk.AffineTransform(matrix[:3, :3].flatten().tolist(), matrix[:3, 3].tolist())
    if isinstance(transform, BSpline):
        coefficients = to_itk(_flipped(transform.image), "float64")
        return sitk.BSplineTransform(
            [sitk.VectorIndexSelectionCast(coefficients, c, sitk.sitkFloat64) for c in range(3)], 3
        )
    vectors = _as_field(transform).image
    flipped = torch.empty(*vectors.shape, 3, dtype=torch.float64)  # as ITK keeps it: no further copy
    torch.mul(vectors.data.detach().cpu().movedim(0, -1), LPS.diagonal()[:3], out=flipped)
    return sitk.DisplacementFieldTransform(to_itk(Image(flipped.movedim(-1, 0), vectors.affine), "float64"))


def _as_field(transform: Transform) -> DisplacementField:
    if isinstance(transform, VelocityField):
        return transform.exponentiate()
    if isinstance(transform, DisplacementField):
        return transform
    geometry = transform.default_geometry()
    if geometry is None:
        raise RegistrationError(
            f"A {type(transform).__name__} has no grid of its own: sample it with displacement(geometry) first."
        )
    return transform.displacement(geometry)


def _flipped(image: Image) -> Image:
    """Vector components from RAS to LPS or back."""
    return Image(image.data * LPS.diagonal()[:3].to(image.data)[:, None, None, None], image.affine)
