"""A method outside of the repository: moves centers of mass together."""

from dataclasses import dataclass

from DiffRegLib.methods.method import Input, Method, Training, pair_inputs
from DiffRegLib.options import option


@dataclass(frozen=True)
class CenterOptions:
    """How the centers are found."""

    threshold: float = option(0.0, "what is above counts", "HU", -1000.0, 3000.0)


METHOD = Method(
    name="centers",
    verb="center",
    title="Center Registration",
    summary="move centers of mass together",
    options={"center": CenterOptions},
    inputs=pair_inputs(("image", "labels"), "an image"),
    run="center_method.run:run",
    presets={"bones": {"center": CenterOptions(threshold=200.0)}, "tissue": {"center": CenterOptions()}},
    train=Training(
        "learn where centers are",
        (Input("image", ("image",), "an image"),),
        {"center": CenterOptions},
        "center_method.run:train",
    ),
)
