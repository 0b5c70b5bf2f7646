"""How much two images look alike: functions of images with masks, differentiable, higher is better."""

from DiffRegLib.similarity.correlation import gradient_ncc, ncc, negative_mse, patch_ncc
from DiffRegLib.similarity.local import LocalNormalization, masked_blur

__all__ = ["LocalNormalization", "gradient_ncc", "masked_blur", "ncc", "negative_mse", "patch_ncc"]
