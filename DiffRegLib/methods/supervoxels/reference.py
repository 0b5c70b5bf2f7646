"""The registration that carries the supervoxels of a reference to another scan, without any training."""

from __future__ import annotations

import torch

from DiffRegLib.dense.export import transforms
from DiffRegLib.dense.options import DenseOptions
from DiffRegLib.dense.recipe import align as align_images
from DiffRegLib.dense.recipe import finest_voxel
from DiffRegLib.image import Image
from DiffRegLib.transforms import Affine, Transform

OPTIONS = DenseOptions()


@torch.no_grad()
def align(scan: Image, reference: Image) -> Transform:
    """scan -> reference in RAS mm, image-driven, on the grids of the supervoxels; it begins box upon box."""
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, 3] = reference.center - scan.center
    found = align_images(scan, reference, OPTIONS, Affine(matrix))
    return transforms(found, scan, finest_voxel(scan.geometry, OPTIONS))[0]
