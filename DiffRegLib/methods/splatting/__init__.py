"""Registration of two point clouds by forward splatting.

M. P. Heinrich et al., Chasing clouds: differentiable volumetric rasterisation of point clouds as a highly efficient
and accurate loss for large-scale deformable 3D registration, ICCV 2023. Patent EP4535285A3: commercial use of the
method needs a license from its holders.
"""

from typing import Any

from DiffRegLib.methods.method import Method, pair_inputs
from DiffRegLib.methods.splatting.options import PRESETS, SplattingOptions
from DiffRegLib.points.options import CloudOptions

__all__ = ["METHOD", "PRESETS", "SplattingOptions", "register"]

METHOD = Method(
    name="splatting",
    verb="splat",
    title="Splat Registration",
    summary="register two clouds, surfaces, label maps or CTs by forward splatting of points",
    options={"clouds": CloudOptions, "splatting": SplattingOptions},
    inputs=pair_inputs(
        ("image", "labels", "surface", "points"),
        "CT or label map (.nii.gz .nrrd .mha, DICOM folder), surface (.vtk .vtp .ply .stl) or cloud (.npz[:key] .csv)",
        masks=True,
    ),
    run="DiffRegLib.methods.splatting.run:run",
    presets={name: {"splatting": options} for name, options in PRESETS.items()},
)


def __getattr__(name: str) -> Any:
    """Imports `register`, and torch with it, on first use: panels and help texts need the options alone."""
    if name == "register":
        from DiffRegLib.methods.splatting.pipeline import register

        return register
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
