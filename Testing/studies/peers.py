"""ConvexAdam and elastix on a pair of images, as their authors set them; they are no part of the project.

They run where `convexadam` (H. Siebert, C. Grossbroehmer, L. Hansen, M. P. Heinrich) and `itk-elastix` (S. Klein,
M. Staring et al.) are installed.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.image import Image
from DiffRegLib.transforms import DisplacementField, Transform
from Testing.studies.pairs import Pair

PACKAGES = {"convexadam": "convexAdam", "elastix": "itk"}


def there(name: str) -> bool:
    """Whether a peer is installed."""
    return importlib.util.find_spec(PACKAGES[name]) is not None


def convexadam(pair: Pair) -> Transform:
    """With its defaults, on the grid of the fixed image."""
    from convexAdam.convex_adam_MIND import convex_adam_pt

    fixed, moving = _on_one_grid(pair)
    found = convex_adam_pt(fixed.data[0], moving.data[0], device=torch.device("cpu"))
    voxels = torch.as_tensor(np.asarray(found), dtype=torch.float32).movedim(-1, 0).flip(0)  # along i, j, k
    return _started(pair, torch.einsum("rx,xdhw->rdhw", fixed.affine[:3, :3].float(), voxels))


def elastix(pair: Pair) -> Transform:
    """B-splines with its defaults, on the grid of the fixed image; axes and spacing are told, the direction is not."""
    import itk

    fixed, moving = _on_one_grid(pair)
    parameters = itk.ParameterObject.New()
    parameters.AddParameterMap(parameters.GetDefaultParameterMap("bspline"))
    target = _itk(moving)
    _, result = itk.elastix_registration_method(_itk(fixed), target, parameter_object=parameters, log_to_console=False)
    field = np.asarray(itk.array_from_image(itk.transformix_deformation_field(target, result)))
    voxels = torch.as_tensor(field).movedim(-1, 0) / fixed.spacing.float()[:, None, None, None]
    return _started(pair, torch.einsum("rx,xdhw->rdhw", fixed.affine[:3, :3].float(), voxels))


def _on_one_grid(pair: Pair) -> tuple[Image, Image]:
    fixed, moving = pair.images
    return fixed, moving.resample(fixed, pair.start, outside="border")


def _itk(image: Image) -> Any:
    import itk

    made = itk.image_from_array(np.ascontiguousarray(image.data[0].numpy()))
    made.SetSpacing(image.spacing.tolist())
    return made


def _started(pair: Pair, field: Tensor) -> Transform:
    """The start after a displacement (3, D, H, W) in RAS mm on the fixed grid."""
    return pair.start @ DisplacementField(Image(field.contiguous(), pair.images[0].affine))
