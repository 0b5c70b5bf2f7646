"""Registration of two point clouds by forward splatting.

M. P. Heinrich et al., Chasing clouds: differentiable volumetric rasterisation of point clouds as a highly efficient
and accurate loss for large-scale deformable 3D registration, ICCV 2023. Patent EP4535285A3: commercial use of the
method needs a license from its holders.
"""

from typing import Any

from DiffRegLib.files.kinds import Kind
from DiffRegLib.methods.method import Input, Method, Training, pair_inputs
from DiffRegLib.methods.splatting.network_options import NetworkOptions, SplattingTrainingOptions
from DiffRegLib.methods.splatting.options import PRESETS, SplattingOptions
from DiffRegLib.points.options import CloudOptions
from DiffRegLib.training.options import RunOptions

__all__ = ["METHOD", "PRESETS", "SplattingOptions", "register"]

KINDS: tuple[Kind, ...] = ("image", "labels", "surface", "points")
WHAT = "CT or label map (.nii.gz .nrrd .mha, DICOM folder), surface (.vtk .vtp .ply .stl) or cloud (.npz[:key] .csv)"
PAIRS = ".csv of pairs: fixed, moving, where wanted fixed_landmarks, moving_landmarks, split (train, validation, test)"

METHOD = Method(
    name="splatting",
    verb="splat",
    title="Splat Registration",
    summary="register two clouds, surfaces, label maps or CTs by forward splatting of points",
    options={"clouds": CloudOptions, "splatting": SplattingOptions},
    inputs=(
        *pair_inputs(KINDS, WHAT, masks=True),
        Input("network", ("weights",), "a trained network that leads in place of the search: a name or a file", False),
    ),
    run="DiffRegLib.methods.splatting.run:run",
    presets={name: {"splatting": options} for name, options in PRESETS.items()},
    train=Training(
        summary="train the network that leads clouds to each other, on pairs and on clouds that are moved at random",
        inputs=(
            Input("scan", KINDS, f"moved at random, as random vessel trees are: {WHAT}", False, many=True),
            Input("manifest", ("table",), PAIRS, False),
        ),
        options={
            "training": SplattingTrainingOptions,
            "run": RunOptions,
            "network": NetworkOptions,
            "clouds": CloudOptions,
        },
        run="DiffRegLib.methods.splatting.training_run:run",
    ),
)


def __getattr__(name: str) -> Any:
    """Imports `register`, and torch with it, on first use: panels and help texts need the options alone."""
    if name == "register":
        from DiffRegLib.methods.splatting.pipeline import register

        return register
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
