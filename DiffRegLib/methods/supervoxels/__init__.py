"""Registration by supervoxels: two scans agree where the classes of a reference's overlapping divisions do.

M. P. Heinrich, Rethinking the design of learning based inter-patient registration using deformable supervoxels,
MIDL 2021.
"""

from typing import Any

from DiffRegLib.methods.method import Input, Method, Training, pair_inputs
from DiffRegLib.methods.supervoxels.options import (
    PreparationOptions,
    ReferenceOptions,
    SegmentationOptions,
    SupervoxelOptions,
    TrainingOptions,
)
from DiffRegLib.training.options import RunOptions

__all__ = ["METHOD", "SupervoxelOptions", "register"]

CT = "CT in HU (.nii.gz .nrrd .mha, DICOM folder)"

METHOD = Method(
    name="supervoxel",
    verb="supervoxel",
    title="Supervoxel Registration",
    summary="register two CTs, also of two patients, by the supervoxels of a reference that both show",
    options={
        "supervoxels": SupervoxelOptions,
        "segmentation": SegmentationOptions,
        "preparation": PreparationOptions,
    },
    inputs=(
        *pair_inputs(("image",), CT),
        Input("reference", ("image",), f"whose supervoxels are used: {CT}; the moving one by default", False),
        Input("model", ("weights",), "network of diffreg train supervoxel, or its folder", False),
    ),
    run="DiffRegLib.methods.supervoxels.run:run",
    presets={
        "within-a-patient": {"supervoxels": SupervoxelOptions()},
        "between-patients": {"supervoxels": SupervoxelOptions(stiffness=0.03)},
    },
    train=Training(
        summary="train the network that predicts the supervoxels of a reference in other scans",
        inputs=(
            Input("reference", ("image",), f"the scan that is divided: {CT}"),
            Input("scan", ("image",), "scans of other patients, of the same part of the body", False, many=True),
            Input(
                "labels",
                ("labels",),
                "label maps of the reference and of the scans, in their order, by which the training is validated",
                False,
                many=True,
            ),
            Input("start", ("weights",), "network of the same reference and division to begin with", False),
        ),
        options={
            "training": TrainingOptions,
            "run": RunOptions,
            "segmentation": SegmentationOptions,
            "preparation": PreparationOptions,
            "reference": ReferenceOptions,
        },
        run="DiffRegLib.methods.supervoxels.training_run:run",
    ),
)


def __getattr__(name: str) -> Any:
    """Imports `register`, and torch with it, on first use: panels and help texts need the options alone."""
    if name == "register":
        from DiffRegLib.methods.supervoxels.pipeline import register

        return register
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
