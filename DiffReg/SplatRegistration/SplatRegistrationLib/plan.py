"""From the nodes that the panel names to the files of a splatting job, and from its result to nodes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.jobs.output import OutputOptions
from DiffRegLib.mrml.export import Exported, export, export_initial
from DiffRegLib.mrml.panel.option_parameters import read_options
from DiffRegLib.mrml.results import Output, add, carry, read_transform, read_warped
from DiffRegLib.mrml.seen import VOXELS, kind_of
from DiffRegLib.mrml.segments import matched_values
from DiffRegLib.options import to_dict
from SplatRegistrationLib import measures
from SplatRegistrationLib.parameters import GROUPS, OUTPUTS, ROLES

SIDES = ("fixed", "moving")


class SplatPlan:
    """See `DiffRegLib.mrml.panel.run.Plan`. Holds the nodes as they were chosen when Apply was pressed."""

    method = "splatting"

    def __init__(self, parameters: Any) -> None:
        """Raises `RegistrationError` for options that cannot be."""
        self._parameters = parameters
        self._nodes = {role: parameters.getValue(role) for role in ROLES}
        shown_here = to_dict(OutputOptions(warped_fixed=False, overview=False))
        self.options: Mapping[str, Mapping[str, Any]] = {**read_options(parameters, GROUPS), "output": shown_here}

    def export(self, folder: Path) -> Generator[None, None, Sequence[Exported]]:
        """Writes one node after the other."""
        pair = [self._nodes[side] for side in SIDES]
        values, notes = None, ()
        if all(kind_of(node) == "segmentation" for node in pair):
            values, notes = matched_values(*pair)
        exported = []
        for role in ROLES[:-1]:
            if self._nodes[role] is not None:
                exported.append(export(self._nodes[role], folder, role, values if role in SIDES else None))
                yield
        if self._nodes["initial"] is not None:
            exported.append(export_initial(self._nodes["initial"], *pair, folder))
            yield
        exported[0] = dataclasses.replace(exported[0], notes=(*exported[0].notes, *notes))
        return exported

    def bring(self, result: Path, exported: Sequence[Exported]) -> Generator[None, None, None]:
        """Reads everything outside the scene, then adds it in one go."""
        fixed, moving = (self._nodes[side] for side in SIDES)
        found = measures.read(result)
        transform = read_transform(result / "transform.h5", f"{moving.GetName()} to {fixed.GetName()}")
        yield
        inverse = read_transform(result / "inverse.h5", f"{fixed.GetName()} to {moving.GetName()}")
        yield
        warped = self._warped(result, inverse, exported)
        yield
        nodes = dict(zip(OUTPUTS, (transform, inverse, warped)))
        outputs = {name: Output(node, self._target(name), moving) for name, node in nodes.items()}
        placed = add(slicer.mrmlScene, outputs)
        with slicer.util.NodeModify(self._parameters.parameterNode):
            for name, node in placed.items():
                self._parameters.setValue(name, node)
            self._parameters.result_fixed, self._parameters.result_moving = fixed, moving
            self._parameters.measures = json.dumps(found)

    def _warped(self, result: Path, inverse: Any, exported: Sequence[Exported]) -> Any:
        moving = self._nodes["moving"]
        name = _("{moving} warped").format(moving=moving.GetName())
        if kind_of(moving) not in VOXELS:
            return carry(moving, inverse, name)
        path = next(result.glob("warped_moving.*"), None)
        if path is None:
            raise RegistrationError(_("The warped image is missing from the result: press Apply again."))
        values = next(item.values for item in exported if item.role == "moving")
        return read_warped(path, moving, name, values)

    def _target(self, name: str) -> Any:
        """The node that was chosen to take an output, unless it has been removed from the scene meanwhile."""
        node = self._parameters.getValue(name)
        return node if node is not None and node.GetScene() is not None else None
