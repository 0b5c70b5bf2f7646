"""The pose of a CT against X-rays.

C. Gao et al., Generalizing spatial transformers to projective geometry with applications to 2D/3D registration,
MICCAI 2020.
"""

from typing import Any

from DiffRegLib.methods.method import Input, Method, Training
from DiffRegLib.methods.projective.options import PoseOptions, StartOptions
from DiffRegLib.methods.projective.training_options import NetworkOptions, OrganOptions, TrainingOptions
from DiffRegLib.radiographs.options import CameraOptions, ImagingOptions
from DiffRegLib.training.options import RunOptions

__all__ = ["METHOD", "PoseOptions", "PoseRegistration", "register"]

CT = Input("ct", ("image",), "CT in HU (.nii.gz .nrrd .mha, DICOM folder)")
GEOMETRY = "JSON with the place of source and detector"

METHOD = Method(
    name="projective",
    verb="pose",
    title="X-ray Pose",
    summary="estimate where a CT was when X-rays of it were taken",
    options={"imaging": ImagingOptions, "pose": PoseOptions, "start": StartOptions},
    inputs=(
        CT,
        Input("xray", ("xray",), "2D image, one a view (DICOM .png .tif .nii.gz .mha)", many=True),
        Input(
            "geometry",
            ("geometry",),
            f"{GEOMETRY}; one for all views, or once for each (default: the DICOM tags)",
            required=False,
            many=True,
            group="geometry and start",
        ),
        Input("start", ("transform",), "start pose (CT world to C-arm world)", False, group="geometry and start"),
        Input("landmarks", ("points",), "points in the CT (RAS mm) to start from", False, group="geometry and start"),
        Input(
            "clicks",
            ("table",),
            "where the landmarks are seen in the first X-ray: .csv of column and row in pixels, row by row",
            required=False,
            group="geometry and start",
        ),
        Input("mask", ("labels",), "label map of what to project alone, see labels", False, group="geometry and start"),
        Input("network", ("weights",), "weights of a learned similarity", False, group="geometry and start"),
    ),
    run="DiffRegLib.methods.projective.run:run",
    train=Training(
        summary="train the learned similarity of pose estimation on simulated X-rays of a CT",
        inputs=(
            CT,
            Input("organs", ("labels",), "its segmentation, any grid: the tissue to look at, as bone"),
            Input("geometry", ("geometry",), f"{GEOMETRY}; goes over the view", required=False),
        ),
        options={
            "training": TrainingOptions,
            "run": RunOptions,
            "network": NetworkOptions,
            "view": CameraOptions,
            "organs": OrganOptions,
        },
        run="DiffRegLib.methods.projective.training_run:run",
    ),
)


def __getattr__(name: str) -> Any:
    """Imports the method, and torch with it, on first use: panels and the command line need the options alone."""
    if name == "register":
        from DiffRegLib.methods.projective.estimation import register

        return register
    if name == "PoseRegistration":
        from DiffRegLib.methods.projective.result import PoseRegistration

        return PoseRegistration
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
