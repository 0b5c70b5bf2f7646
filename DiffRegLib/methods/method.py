"""The face of a method: what jobs, command line, panels and cohorts need to know of it. Nothing heavy is imported."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from DiffRegLib.files.kinds import Kind


@dataclass(frozen=True)
class Input:
    """A file (or a DICOM folder) that a method reads.

    role: what jobs call it; of `many` there may be several, in their order. kinds: what it may be, see
    `DiffRegLib.files`. help: a phrase for help texts and tooltips. group: the heading under which an input that is not
    required stands.
    """

    role: str
    kinds: tuple[Kind, ...]
    help: str
    required: bool = True
    many: bool = False
    group: str = ""


@dataclass(frozen=True)
class ByPath:
    """An input that the method itself reads, of a kind whose files may have any name."""

    path: str
    kind: Kind


@dataclass(frozen=True)
class Training:
    """How the networks of a method are trained.

    inputs, options: as those of a `Method`. run: "module:function", imported when it runs, called with the paths by
    role, the options by group, the folder of the training, whether to go on from its checkpoint, and a progress.
    """

    summary: str
    inputs: tuple[Input, ...]
    options: Mapping[str, type]
    run: str

    def load(self) -> Callable[..., Any]:
        """The function that trains."""
        return _load(self.run)


@dataclass(frozen=True)
class Method:
    """A method of registration.

    name: what jobs and results call it. verb: its word on the command line. title: the name of its panel. summary: what
    it does, a phrase without capital and stop.
    options: group -> frozen dataclass of a module without torch (see `DiffRegLib.options`).
    inputs: a pair of images has the roles "fixed" and "moving", see `pair_inputs`.
    run: "module:function", imported when it runs. The function takes the opened inputs by role (a tuple of them for
        `many`), the options by group, a folder for what is special beside the core of a result, and a progress; it
        returns a `Registration` and knows nothing of jobs.
    presets: preset -> group -> options; the first is the default. train: None where nothing is learned.
    """

    name: str
    verb: str
    title: str
    summary: str
    options: Mapping[str, type]
    inputs: tuple[Input, ...]
    run: str
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    train: Training | None = None

    def load(self) -> Callable[..., Any]:
        """The function that registers, with everything heavy that it needs."""
        return _load(self.run)

    def input(self, role: str) -> Input:
        """The input of a role."""
        return next(i for i in self.inputs if i.role == role)


def _load(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def pair_inputs(kinds: tuple[Kind, ...], help: str, masks: bool = False) -> tuple[Input, ...]:
    """The inputs of a method that brings one thing onto another, with what measures the result.

    kinds, help: of both sides. masks: whether a part of each side can be chosen by a label map.
    """
    landmarks = "corresponding points (.csv .npz[:key] .mrk.json .fcsv, RAS mm)"
    measured = "landmarks and labels, for the evaluation"
    both = [(side, f"of the {side} side") for side in ("fixed", "moving")]
    found = [
        Input("fixed", kinds, f"what stays: {help}"),
        Input("moving", kinds, "what is brought onto it: one of the same"),
        Input("initial", ("transform",), "transform (fixed -> moving) to start from (.h5 .tfm .nii.gz)", False),
        *(Input(f"{s}_landmarks", ("points",), f"{landmarks} {of}", False, group=measured) for s, of in both),
        *(
            Input(f"{s}_labels", ("labels",), f"label map for the Dice overlap {of}", False, group=measured)
            for s, of in both
        ),
    ]
    if masks:
        text = "label map, not 0 where the {} image is to be used"
        found += [Input(f"{s}_mask", ("labels",), text.format(s), False, group="masks") for s, _ in both]
    return tuple(found)
