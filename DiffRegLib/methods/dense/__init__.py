"""Registration of two images by what they look like: self-similarity, local correlation, along a velocity field."""

from typing import Any

from DiffRegLib.dense.options import PRESETS, DenseOptions
from DiffRegLib.methods.method import Method, pair_inputs

__all__ = ["METHOD", "PRESETS", "DenseOptions", "register"]

METHOD = Method(
    name="dense",
    verb="dense",
    title="Dense Registration",
    summary="register two images by what they look like, without folds",
    options={"dense": DenseOptions},
    inputs=pair_inputs(("image",), "image (.nii.gz .nrrd .mha, DICOM folder)", masks=True),
    run="DiffRegLib.methods.dense.run:run",
    presets={name: {"dense": options} for name, options in PRESETS.items()},
)


def __getattr__(name: str) -> Any:
    """Imports `register`, and torch with it, on first use: panels and help texts need the options alone."""
    if name == "register":
        from DiffRegLib.methods.dense.pipeline import register

        return register
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
