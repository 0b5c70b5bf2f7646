"""The registration that carries the supervoxels of a reference to another scan, without any training."""

from __future__ import annotations

import torch

from DiffRegLib.dense.export import transforms
from DiffRegLib.dense.options import DenseOptions
from DiffRegLib.dense.recipe import align as align_images
from DiffRegLib.dense.recipe import finest_voxel
from DiffRegLib.methods.supervoxels.preparation import Boxed
from DiffRegLib.transforms import Affine, Transform

OPTIONS = DenseOptions(voxels=1.5)
"""Supervoxels are some hundred times as large."""


@torch.no_grad()
def align(scan: Boxed, reference: Boxed) -> Transform:
    """scan -> box of the reference in RAS mm, found on the scans as they were measured; it begins box upon box."""
    start: Transform = Affine.translation(reference.scan.center - scan.scan.center)
    if reference.initial is not None:
        start = reference.initial @ start
    fixed = scan.image
    found = align_images(fixed, reference.image, OPTIONS, start)
    transform = transforms(found, fixed, finest_voxel(fixed.geometry, OPTIONS))[0]
    return transform if reference.initial is None else reference.initial.inverse(reference.scan.geometry) @ transform
