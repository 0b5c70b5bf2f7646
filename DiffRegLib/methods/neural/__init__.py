"""Registration of two images by a neural field: an MLP that is asked where it is needed.

L. Tian, H. Greer, R. San Jose Estepar, R. Sengupta, M. Niethammer: NePhi: neural deformation fields for approximately
diffeomorphic medical image registration, ECCV 2024.
"""

from typing import Any

from DiffRegLib.methods.method import Input, Method, Training, pair_inputs
from DiffRegLib.methods.neural.options import PRESETS, NeuralOptions
from DiffRegLib.methods.neural.training_options import NeuralTrainingOptions
from DiffRegLib.training.options import RunOptions

__all__ = ["METHOD", "PRESETS", "NeuralOptions", "register"]

METHOD = Method(
    name="neural",
    verb="neural",
    title="Neural Registration",
    summary="register two images by a neural field that is fitted to the pair, in little memory",
    options={"neural": NeuralOptions},
    inputs=(
        *pair_inputs(("image",), "CT, MR or another volume (.nii.gz .nrrd .mha, DICOM folder)", masks=True),
        Input("field", ("weights",), "field of an earlier run on this fixed image to start from (.safetensors)", False),
        Input("model", ("weights",), "networks of diffreg train neural, which predict where to start", False),
    ),
    run="DiffRegLib.methods.neural.run:run",
    presets={name: {"neural": options} for name, options in PRESETS.items()},
    train=Training(
        summary="train the networks of neural registration on images, and what predicts the codes of a pair",
        inputs=(Input("images", ("image",), "volumes, or slices, of one kind of anatomy", many=True),),
        options={"training": NeuralTrainingOptions, "run": RunOptions},
        run="DiffRegLib.methods.neural.training_run:run",
    ),
)


def __getattr__(name: str) -> Any:
    """Imports `register`, and torch with it, on first use: panels and help texts need the options alone."""
    if name == "register":
        from DiffRegLib.methods.neural.pipeline import register

        return register
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
