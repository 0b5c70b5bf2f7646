"""A review in another process, and its numbers, maps and pictures into the scene."""

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
from DiffRegLib.mrml.export import Exported, in_node_names
from DiffRegLib.mrml.panel.program import Program, python_program
from DiffRegLib.mrml.results import Output, add, read_volume
from RegistrationReviewLib import poses
from RegistrationReviewLib.command import arguments, why_not
from RegistrationReviewLib.parameters import VOLUMES, Map


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
        given, self._exported = arguments(parameters, folder)
        command = [python_program(), "-m", "DiffRegLib", "review", *given]
        command += ["-o", str(folder / "report.html"), "--maps", str(folder / "maps")]
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
        poses.bring(maps, json.loads(facts))
        name = parameters.transform.GetName() if parameters.transform is not None else ""
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
