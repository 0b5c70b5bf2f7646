"""How much two images look alike: functions of images with masks, differentiable, higher is better."""

from DiffRegLib.similarity.correlation import gradient_ncc, ncc, negative_mse, patch_ncc
from DiffRegLib.similarity.local import LocalNormalization
from DiffRegLib.similarity.local_likelihood import Linearized, LocalLikelihood
from DiffRegLib.similarity.mind import mind_ssc
from DiffRegLib.similarity.neighborhoods import Neighborhoods, lncc

__all__ = [
    "Linearized",
    "LocalLikelihood",
    "LocalNormalization",
    "Neighborhoods",
    "gradient_ncc",
    "lncc",
    "mind_ssc",
    "ncc",
    "negative_mse",
    "patch_ncc",
]
