"""A method outside of the repository: moves centers of mass together."""

from dataclasses import dataclass

from DiffRegLib.methods.method import Method, pair_inputs
from DiffRegLib.options import option


@dataclass(frozen=True)
class ToyOptions:
    """How far the centers are brought together."""

    way: float = option(1.0, "fraction of the way between the two centers", low=0.0, high=1.0)


METHOD = Method(
    name="toy",
    verb="toy",
    title="Toy Registration",
    summary="move centers of mass together",
    options={"toy": ToyOptions},
    inputs=pair_inputs(("points",), "cloud (.csv .mrk.json)"),
    run="diffreg_toy.run:run",
    presets={"all-the-way": {"toy": ToyOptions()}, "half": {"toy": ToyOptions(way=0.5)}},
)
