"""From the nodes that the panel names to a review in another process, and its numbers and maps into the scene."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml.export import Exported, check_input, export, export_transform, in_node_names
from DiffRegLib.mrml.panel.option_parameters import read_options
from DiffRegLib.mrml.panel.program import Program, python_program
from DiffRegLib.mrml.results import Output, add, read_volume
from DiffRegLib.mrml.seen import kind_of
from DiffRegLib.mrml.segments import matched_values
from RegistrationReviewLib.parameters import GROUPS, INPUTS, VOLUMES, Map

TRANSFORMS = ("transform", "inverse")
PAIRED = (("fixed_labels", "moving_labels"), ("fixed_landmarks", "moving_landmarks"))


def why_not(parameters: Any) -> str:
    """Why nothing can be reviewed yet, in one sentence, or ""."""
    if parameters.fixed is None or parameters.transform is None:
        return _("Choose a fixed image and a transform.")
    for first, second in PAIRED:
        if (parameters.getValue(first) is None) != (parameters.getValue(second) is None):
            titles = (INPUTS[role][0] for role in (first, second))
            return _("{a} and {b} belong together: choose both or none.").format(**dict(zip("ab", titles)))
    try:
        for role in INPUTS:
            node = parameters.getValue(role)
            if node is not None and role not in TRANSFORMS:
                check_input(node)
        read_options(parameters, GROUPS)
    except RegistrationError as error:
        return str(error)
    return ""


class Reviewing:
    """One review at a time. ended: called with "" or the sentence of what went wrong."""

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended
        self._program: Program | None = None
        self._folder: Path | None = None
        self._parameters: Any = None
        self._exported: list[Exported] = []

    @property
    def running(self) -> bool:
        return self._program is not None

    def start(self, parameters: Any) -> None:
        """Writes the nodes and starts; raises RegistrationError where that cannot be."""
        if reason := why_not(parameters):
            raise RegistrationError(reason)
        self._parameters = parameters
        folder = Path(tempfile.mkdtemp(prefix="diffreg-review-", dir=slicer.app.temporaryPath))
        self._remove()
        self._folder = folder
        self._exported = self._export(parameters, folder)
        command = [python_program(), "-m", "DiffRegLib", "review", "-o", str(folder / "report.html")]
        command += ["--maps", str(folder / "maps")]
        for exported in self._exported:
            command += [f"--{exported.role.replace('_', '-')}", str(exported.path)]
        for name, value in read_options(parameters, GROUPS)["limits"].items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        self._program = Program(command, self._over)
        self._program.start()

    def cancel(self) -> None:
        """Ends it; the scene is as it was."""
        if self._program is not None:
            self._program.stop()
            self._program = None

    def close(self) -> None:
        """Ends it, and removes its files."""
        self.cancel()
        self._remove()

    def _remove(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _export(self, parameters: Any, folder: Path) -> list[Exported]:
        nodes = {role: node for role in INPUTS if (node := parameters.getValue(role)) is not None}
        labels = [nodes.get(role) for role in PAIRED[0]]
        values = None
        if all(node is not None and kind_of(node) == "segmentation" for node in labels):
            values, _notes = matched_values(*labels)
        exported = []
        for role, node in nodes.items():
            if role in TRANSFORMS:
                exported.append(export_transform(node, parameters.fixed, folder, role))
            else:
                exported.append(export(node, folder, role, values if role in PAIRED[0] else None))
        return exported

    def _over(self, code: int | None) -> None:
        program, self._program = self._program, None
        if code != 0:
            said = (program.complaints if program else "").strip().splitlines()
            sentence = said[-1].removeprefix("diffreg: ") if said else _("The review did not start.")
            self._ended(in_node_names(sentence, self._exported))
            return
        try:
            self._bring()
        except RegistrationError as error:
            self._ended(str(error))
            return
        self._ended("")

    def _bring(self) -> None:
        """Reads everything outside the scene, then adds it in one go."""
        parameters, maps = self._parameters, self._folder / "maps"
        facts = (maps / "review.json").read_text(encoding="utf-8")
        name = parameters.transform.GetName()
        titles = {one.name.lower(): one.value for one in Map}
        outputs = {}
        for role in VOLUMES:
            path = maps / f"{role}.nrrd"
            if path.is_file():
                title = f"{titles.get(role, role.capitalize())}, {name}"
                like = parameters.moving if role in ("warped", "start") else None
                node = read_volume(path, title, labels=role == "marks")
                outputs[role] = Output(node, self._target(role), like)
        placed = add(slicer.mrmlScene, outputs)
        with slicer.util.NodeModify(parameters.parameterNode):
            for role in VOLUMES:
                parameters.setValue(role, placed.get(role))
            parameters.review, parameters.report = facts, str(self._folder / "report.html")

    def _target(self, role: str) -> Any:
        node = self._parameters.getValue(role)
        return node if node is not None and node.GetScene() is not None else None


def facts_of(parameters: Any) -> dict[str, Any]:
    """The facts of the last review; nothing where there is none."""
    return json.loads(parameters.review) if parameters.review else {}
