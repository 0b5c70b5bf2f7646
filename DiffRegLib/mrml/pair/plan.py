"""From the nodes that the panel names to the files of a job, and from its result to nodes."""

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
from DiffRegLib.mrml.export import Exported, export, export_initial, in_node_names
from DiffRegLib.mrml.pair import measures, words
from DiffRegLib.mrml.pair.parameters import OUTPUTS, given_paths, node_inputs
from DiffRegLib.mrml.panel.option_parameters import read_options
from DiffRegLib.mrml.panel.review import JOB
from DiffRegLib.mrml.results import Output, add, carry, read_transform, read_warped
from DiffRegLib.mrml.seen import VOXELS, kind_of
from DiffRegLib.mrml.segments import matched_values
from DiffRegLib.options import to_dict

SIDES = ("fixed", "moving")
MATCHED = (SIDES, ("fixed_labels", "moving_labels"))
"""Roles whose segments are numbered by their names, so that the same structure is the same label on both sides."""


class PairPlan:
    """See `DiffRegLib.mrml.panel.run.Plan`. Holds the nodes as they were chosen when Apply was pressed."""

    labels = words.LABELS

    def __init__(self, parameters: Any) -> None:
        """Raises `RegistrationError` for options that cannot be."""
        method = parameters.method
        self.method, self._parameters = method.name, parameters
        self._nodes = {i.role: node for i in node_inputs(method) if (node := parameters.getValue(i.role)) is not None}
        self._paths = given_paths(parameters)
        shown_here = to_dict(OutputOptions(warped_fixed=False, overview=False))
        self.options: Mapping[str, Mapping[str, Any]] = {
            **read_options(parameters, method.options),
            "output": shown_here,
        }

    def export(self, folder: Path) -> Generator[None, None, Sequence[Exported]]:
        """Writes one node after the other."""
        values, notes = self._values()
        exported = []
        for role, node in self._nodes.items():
            if role == "initial":
                exported.append(export_initial(node, *(self._nodes[side] for side in SIDES), folder))
            else:
                exported.append(export(node, folder, role, values.get(role)))
            yield
        exported += [Exported(role, path, "", path.name) for role, path in self._paths.items()]
        exported[0] = dataclasses.replace(exported[0], notes=(*exported[0].notes, *notes))
        return exported

    def _values(self) -> tuple[dict[str, dict[str, int]], list[str]]:
        """The labels of the segments by role, and what is to be said of them."""
        values, notes = {}, []
        for roles in MATCHED:
            nodes = [self._nodes.get(role) for role in roles]
            if all(node is not None and kind_of(node) == "segmentation" for node in nodes):
                found, said = matched_values(*nodes)
                values |= dict.fromkeys(roles, found)
                notes += said
        return values, notes

    def bring(self, result: Path, exported: Sequence[Exported]) -> Generator[None, None, None]:
        """Reads everything outside the scene, then adds it in one go."""
        fixed, moving = (self._nodes[side] for side in SIDES)
        found = measures.read(result)
        found["notes"] = [in_node_names(note, exported) for note in found.get("notes", [])]
        transform = read_transform(result / "transform.h5", f"{moving.GetName()} to {fixed.GetName()}")
        yield
        inverse = read_transform(result / "inverse.h5", f"{fixed.GetName()} to {moving.GetName()}")
        yield
        warped = self._warped(result, inverse, exported)
        yield
        nodes = dict(zip(OUTPUTS, (transform, inverse, warped)))
        outputs = {name: Output(node, self._target(name, node), moving) for name, node in nodes.items()}
        for name, node in self.special(result).items():
            outputs[name] = Output(node, self._target(name, node))
        yield
        placed = add(slicer.mrmlScene, outputs)
        made = json.dumps({"method": self.method, "options": self.options})
        placed["output_transform"].SetAttribute(JOB, made)
        with slicer.util.NodeModify(self._parameters.parameterNode):
            for name, node in placed.items():
                self._parameters.setValue(name, node)
            self._parameters.result_fixed, self._parameters.result_moving = fixed, moving
            self._parameters.measures = json.dumps(found)

    def special(self, result: Path) -> dict[str, Any]:
        """Nodes outside the scene, by parameter, of what a method's result holds beside the core: nothing here."""
        return {}

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

    def _target(self, name: str, output: Any) -> Any:
        """The node that was chosen to take an output; None, for a new one, where it is gone or too narrow by now.

        Whether a transform is linear, as the node of the last result may be, is known when it is there.
        """
        node = self._parameters.getValue(name)
        if node is None or node.GetScene() is None:
            return None
        narrow = node.IsA("vtkMRMLLinearTransformNode") and not output.IsLinear()
        return None if narrow else node
