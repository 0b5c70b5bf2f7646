"""The tables of the panel: numbers with their lights, landmarks, folded regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

COLORS = {"green": "#2e9d3e", "amber": "#f0a400", "red": "#d62828", "none": "#c8ced6"}
WORDS = {"green": _("good"), "amber": _("tolerable"), "red": _("not acceptable"), "none": _("not judged")}
MOST_ROWS = 200


class Table:
    """A table of which a click on a row jumps to a place. widget: a QTableWidget."""

    def __init__(self, widget: Any, header: Sequence[str]) -> None:
        self._widget = widget
        self._places: list[Sequence[float] | None] = []
        widget.setColumnCount(len(header))
        widget.setHorizontalHeaderLabels(list(header))
        widget.verticalHeader().setVisible(False)
        widget.horizontalHeader().setStretchLastSection(True)
        widget.connect("cellClicked(int,int)", self._clicked)

    def fill(self, rows: Sequence[Sequence[str]], lights: Sequence[str] = (), places: Sequence[Any] = ()) -> None:
        """rows of texts; lights: a color a row, shown in its first cell; places: RAS mm a row."""
        self._places = list(places)
        shown = rows[:MOST_ROWS]
        self._widget.setRowCount(len(shown))
        for n, row in enumerate(shown):
            for column, text in enumerate(row):
                item = qt.QTableWidgetItem(text)
                if lights and column == 0:
                    item.setBackground(qt.QBrush(qt.QColor(COLORS[lights[n]])))
                    item.setToolTip(WORDS[lights[n]])
                self._widget.setItem(n, column, item)
        self._widget.resizeColumnsToContents()

    def _clicked(self, row: int, column: int) -> None:
        if row < len(self._places) and self._places[row] is not None:
            jump(self._places[row])


def jump(place: Sequence[float]) -> None:
    """Moves all slice views, and the crosshair, to a place in RAS mm."""
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *place)
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    if crosshair is not None:
        crosshair.SetCrosshairRAS(*place)


class Tables:
    """All of them, filled from the facts of a review."""

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self.numbers = Table(ui.numbersTable, ("", _("Measure"), _("Before"), _("After")))
        self.landmarks = Table(ui.landmarksTable, ("", _("Landmark"), _("Before [mm]"), _("After [mm]")))
        self.regions = Table(ui.regionsTable, (_("Region"), _("Volume [ml]"), _("Voxels"), _("Least determinant")))
        self._facts: Any = None
        ui.regionsTable.setVisible(False)

    def show(self, facts: dict[str, Any]) -> None:
        """Fills them anew where the facts are others than before."""
        if facts == self._facts:
            return
        self._facts = facts
        rows, lights = _numbers(facts)
        self.numbers.fill(rows, lights)
        marks = sorted(facts.get("landmarks", ()), key=lambda row: -(row["after"] or 0))
        rows = [("", row["name"], _number(row["before"]), _number(row["after"])) for row in marks]
        self.landmarks.fill(rows, [row["light"] for row in marks], [row["fixed"] for row in marks])
        found = facts.get("regions", ())
        texts = (
            (str(n), _number(r["volume_ml"], 3), str(r["voxels"]), _number(r["least"])) for n, r in enumerate(found, 1)
        )
        self.regions.fill(list(texts), (), [r["deepest"] for r in found])
        self._ui.regionsTable.setVisible(bool(found))
        said = "<br>".join(f'<font color="{COLORS[f["light"]]}">&#9679;</font> {f["sentence"]}' for f in _said(facts))
        self._ui.findingsLabel.text = said or _("Nothing has been reviewed yet.")
        self._ui.trustLabel.text = facts.get("trust", {}).get("sentence", "")


def _said(facts: dict[str, Any]) -> list[dict[str, str]]:
    if not facts:
        return []
    whole = {"light": facts["light"], "sentence": _("As a whole: {word}.").format(word=WORDS[facts["light"]])}
    return [whole, *facts["findings"]]


def _numbers(facts: dict[str, Any]) -> tuple[list[tuple[str, ...]], list[str]]:
    """The scores, then two rows a label: overlap and surface."""
    rows, lights = [], []
    for score in facts.get("scores", ()):
        texts = (_number(score[when], score["digits"], score["unit"]) for when in ("before", "after"))
        rows.append(("", score["title"], *texts))
        lights.append(score["light"])
    changes = {row["label"]: row for row in facts.get("volumes", ())}
    for row in facts.get("labels", ()):
        name = f"{row['name']} ({row['note']})" if row["note"] else row["name"]
        rows.append(("", f"{name}, Dice", *(_number(v, 3) for v in row["dice"])))
        rows.append(("", f"{name}, surface", *(_number(v, 2, "mm") for v in row["surface"])))
        lights += ["none", "none"]
        if change := changes.get(row["label"]):
            after = f"{_number(change['mapped_ml'], 1, 'ml')} ({change['percent']:+.1f} %)"
            rows.append(("", f"{name}, volume", _number(change["fixed_ml"], 1, "ml"), after))
            lights.append("none")
    return rows, lights


def _number(value: float | None, digits: int = 2, unit: str = "") -> str:
    return "" if value is None else f"{value:.{digits}f} {unit}".strip()
