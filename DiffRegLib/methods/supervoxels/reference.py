"""The registration that carries the supervoxels of a reference to another scan, without any training."""

from __future__ import annotations

import torch

from DiffRegLib.dense.export import transforms
from DiffRegLib.dense.options import DenseOptions
from DiffRegLib.dense.recipe import align as align_images
from DiffRegLib.dense.recipe import finest_voxel
from DiffRegLib.methods.supervoxels.preparation import Boxed
from DiffRegLib.transforms import Affine, Transform

OPTIONS = DenseOptions()


@torch.no_grad()
def align(scan: Boxed, reference: Boxed) -> Transform:
    """scan -> reference in RAS mm, image-driven, on the grids of the supervoxels; it begins box upon box."""
    fixed, moving = scan.scan, reference.scan
    start = Affine.translation(moving.center - fixed.center)
    found = align_images(fixed, moving, OPTIONS, start, (scan.seen, reference.seen))
    return transforms(found, fixed, finest_voxel(fixed.geometry, OPTIONS))[0]
