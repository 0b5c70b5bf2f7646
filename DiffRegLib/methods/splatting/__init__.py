"""Registration of two point clouds by forward splatting.

M. P. Heinrich et al., Chasing clouds: differentiable volumetric rasterisation of point clouds as a highly efficient
and accurate loss for large-scale deformable 3D registration, ICCV 2023. Patent EP4535285A3: commercial use of the
method needs a license from its holders.
"""

from typing import Any

from DiffRegLib.methods.splatting.options import PRESETS, SplattingOptions

__all__ = ["PRESETS", "SplattingOptions", "register"]


def __getattr__(name: str) -> Any:
    """Imports `register`, and torch with it, on first use: panels and help texts need the options alone."""
    if name == "register":
        from DiffRegLib.methods.splatting.pipeline import register

        return register
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
