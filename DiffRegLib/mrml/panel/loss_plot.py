"""The loss of a running job: a table, a series and a chart in the scene, which grow with every line of progress."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import TypeAlias

import slicer
import vtk
from slicer.i18n import tr as _

SHORTEST_INTERVAL = 0.25  # seconds between two redraws
ITERATION, LOSS = "Iteration", "Loss"
COLOR = (0.12, 0.38, 0.66)

Loss: TypeAlias = tuple["str | None", "int | None", int, float]
"""Stage, level, iteration, and the loss as it was minimized."""


class LossPlot:
    """Made when a job starts. `remove_chart` takes everything out of the scene again."""

    def __init__(self, name: str) -> None:
        self._table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", name)
        self._series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", name)
        self.chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", name)
        self._columns = [vtk.vtkFloatArray() for _column in range(2)]
        for column, title in zip(self._columns, (ITERATION, LOSS)):
            column.SetName(title)
            self._table.AddColumn(column)
        self._columns = [self._table.GetTable().GetColumn(n) for n in range(2)]
        self._connect()
        self._forget()

    def _forget(self) -> None:
        """As before the first loss."""
        self._stage: str | None = None
        self._level, self._passed, self._last, self._iteration = None, 0, 0, 0
        self._losses: list[float] = []
        self._drawn = 0.0
        for column in self._columns:
            column.SetNumberOfTuples(0)

    def _connect(self) -> None:
        self._series.SetAndObserveTableNodeID(self._table.GetID())
        self._series.SetXColumnName(ITERATION)
        self._series.SetYColumnName(LOSS)
        self._series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        self._series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
        self._series.SetColor(*COLOR)
        self._series.SetLineWidth(2)
        self.chart.AddAndObservePlotSeriesNodeID(self._series.GetID())
        self.chart.SetTitleVisibility(False)
        self.chart.SetLegendVisibility(False)
        self.chart.SetXAxisTitle(_("Iteration"))
        self.chart.SetYAxisTitle(_("Loss, own scale"))

    @property
    def points(self) -> int:
        """How many losses have been added."""
        return self._columns[0].GetNumberOfTuples()

    def add(self, stage: str | None, level: int | None, iteration: int, loss: float) -> None:
        """One more point; iterations that begin anew are counted on.

        The losses of a new stage are another curve on a scale of its own, as it is another loss; of a method that tells
        no stages, those of a new level.
        """
        again = (stage, level) != (self._stage, self._level) or iteration <= self._iteration
        another = again if stage is None else stage != self._stage
        if another and self.points:
            self._scale()
            self._insert(self._last, math.nan)
        if another:
            self._losses = []
        if again:
            self._passed = self._last
        self._stage, self._level = stage, level
        self._iteration, self._last = iteration, self._passed + iteration
        self._losses.append(loss)
        self._insert(self._last, loss)
        if time.monotonic() - self._drawn > SHORTEST_INTERVAL:
            self.draw()

    def replace(self, losses: Iterable[Loss]) -> None:
        """These alone: all of a run of which progress told some, drawn."""
        self._forget()
        for loss in losses:
            self.add(*loss)
        self.draw()

    def _insert(self, iteration: int, loss: float) -> None:
        for column, value in zip(self._columns, (iteration, loss)):
            column.InsertNextValue(value)

    def _scale(self) -> None:
        """The losses of the stage that runs as parts of the way from the least to the largest."""
        least, first = min(self._losses, default=0.0), self.points - len(self._losses)
        span = max(self._losses, default=0.0) - least or 1.0
        for number, loss in enumerate(self._losses, first):
            self._columns[1].SetValue(number, (loss - least) / span)

    def draw(self) -> None:
        """Brings the views up to date."""
        self._drawn = time.monotonic()
        self._scale()
        for column in self._columns:
            column.Modified()  # or its range stays what it was
        self._table.GetTable().Modified()
        self._table.Modified()


def remove_chart(chart: slicer.vtkMRMLPlotChartNode) -> None:
    """Takes a chart, its series and their tables out of the scene."""
    series = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
    tables = [one.GetTableNode() for one in series if one is not None]
    for node in filter(None, (chart, *series, *tables)):
        slicer.mrmlScene.RemoveNode(node)


class LossView:
    """A plot view inside a panel; its view node belongs to no layout and is never saved."""

    def __init__(self, height: int) -> None:
        self.widget = slicer.qMRMLPlotView()
        self.widget.setMRMLScene(slicer.mrmlScene)
        self.widget.setMinimumHeight(height)
        self.widget.setMaximumHeight(height)
        self._node = None

    def show(self, chart: slicer.vtkMRMLPlotChartNode | None, owner: slicer.vtkMRMLNode | None = None) -> None:
        """Shows the chart, or nothing. owner: the parameter node, in place of a layout; needed for the first chart."""
        if chart is None:
            self.clear()
            return
        if self._node is None or self._node.GetScene() is None:
            self._node = slicer.vtkMRMLPlotViewNode()
            self._node.SetName(f"{owner.GetName()} loss")
            self._node.SetHideFromEditors(True)
            self._node.SetSaveWithScene(False)
            self._node.SetLayoutName(f"{owner.GetName()}Loss")
            self._node.SetAndObserveParentLayoutNodeID(owner.GetID())
            slicer.mrmlScene.AddNode(self._node)
            self.widget.setMRMLPlotViewNode(self._node)
        self._node.SetPlotChartNodeID(chart.GetID())

    def clear(self) -> None:
        """Takes the view node out of the scene."""
        if self._node is not None and self._node.GetScene() is not None:
            self._node.SetPlotChartNodeID(None)
            slicer.mrmlScene.RemoveNode(self._node)
        self._node = None
