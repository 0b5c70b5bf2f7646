"""qMRMLPlotView: a vtkMRMLPlotChartNode drawn by VTK's chart, following its series and tables."""

import slicer
import vtk

from .pythonqt import stand_in
from .render_view import RenderView

AXES = {"X": vtk.vtkAxis.BOTTOM, "Y": vtk.vtkAxis.LEFT}


@stand_in
class qMRMLPlotView(RenderView):
    def __init__(self, parent=None):
        super().__init__(parent)
        self._node, self._chart_node, self._tags = None, None, []
        self._chart = vtk.vtkChartXY()
        self._chart.GetBackgroundBrush().SetColor(255, 253, 246, 255)
        actor = vtk.vtkContextActor()
        actor.GetScene().AddItem(self._chart)
        actor.GetScene().SetRenderer(self._renderer)
        self._renderer.AddActor(actor)
        self._renderer.SetBackground(1, 1, 1)
        style = vtk.vtkContextInteractorStyle()
        style.SetScene(actor.GetScene())
        self._interactor.SetInteractorStyle(style)

    def chart(self):
        return self._chart

    def setMRMLScene(self, scene):
        """The node that is shown knows its scene."""

    def mrmlPlotViewNode(self):
        return self._node

    def setMRMLPlotViewNode(self, node):
        self._node = node
        node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._follow())
        node.AddObserver(node.ReferenceAddedEvent, lambda *_: self._follow())
        self._follow()

    def mrmlPlotChartNode(self):
        return self._chart_node

    def fitToContent(self):
        self._chart.RecalculateBounds()
        self.scheduleRender()

    def _follow(self):
        """Observe the chart that the view node now shows."""
        chart_id = self._node.GetPlotChartNodeID()
        chart_node = self._node.GetScene().GetNodeByID(chart_id) if chart_id and self._node.GetScene() else None
        if chart_node is not self._chart_node:
            for subject, tag in self._tags:
                subject.RemoveObserver(tag)
            self._chart_node, self._tags = chart_node, []
            events = [vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLPlotChartNode.PlotModifiedEvent]
            for event in events if chart_node is not None else []:
                self._tags.append((chart_node, chart_node.AddObserver(event, lambda *_: self.scheduleRender())))
        self.scheduleRender()

    def before_render(self):
        self._chart.ClearPlots()
        if self._chart_node is None:
            return
        for index in range(self._chart_node.GetNumberOfPlotSeriesNodes()):
            series = self._chart_node.GetNthPlotSeriesNode(index)
            if series is not None and series.GetTableNode() is not None:
                self._add(series)
        self._label()

    def _add(self, series):
        table, kinds = series.GetTableNode().GetTable(), slicer.vtkMRMLPlotSeriesNode
        x, y = series.GetXColumnName(), series.GetYColumnName()
        if table.GetColumnByName(y) is None or table.GetNumberOfRows() < 2:
            return
        bars = series.GetPlotType() in (kinds.PlotTypeBar, kinds.PlotTypeScatterBar)
        plot = self._chart.AddPlot(vtk.vtkChart.BAR if bars else vtk.vtkChart.LINE)
        by_index = not series.IsXColumnRequired()
        plot.SetUseIndexForXSeries(by_index)
        plot.SetInputData(table, y if by_index else x, y)
        plot.SetLabel(series.GetName())
        plot.SetColorF(*series.GetColor())
        plot.SetWidth(series.GetLineWidth())
        if series.GetLineStyle() == kinds.LineStyleNone:
            plot.GetPen().SetLineType(vtk.vtkPen.NO_PEN)
        if not bars:
            markers = (kinds.MarkerStyleNone, kinds.MarkerStyleCross, kinds.MarkerStylePlus, kinds.MarkerStyleSquare)
            markers += (kinds.MarkerStyleCircle, kinds.MarkerStyleDiamond)
            plot.SetMarkerStyle(markers.index(series.GetMarkerStyle()))

    def _label(self):
        node, chart = self._chart_node, self._chart
        chart.SetTitle(node.GetTitle() or "" if node.GetTitleVisibility() else "")
        chart.SetShowLegend(bool(node.GetLegendVisibility()))
        for letter, position in AXES.items():
            axis = chart.GetAxis(position)
            axis.SetTitle(getattr(node, f"Get{letter}AxisTitle")() or "")
            axis.SetLogScale(bool(getattr(node, f"Get{letter}AxisLogScale")()))
            axis.SetGridVisible(bool(node.GetGridVisibility()))
            fixed = not getattr(node, f"Get{letter}AxisRangeAuto")()
            axis.SetBehavior(vtk.vtkAxis.FIXED if fixed else vtk.vtkAxis.AUTO)
            if fixed:
                axis.SetRange(*getattr(node, f"Get{letter}AxisRange")())
