"""The curve of a running job: one line for each problem on a scale of its own, and none between two of them."""

import math

import pytest

CASES = {
    "stages": (
        [("a", 64, 1, 4.0), ("a", 64, 2, 24.0), ("a", 128, 1, 9.0), ("b", 128, 2, -0.8), ("b", 128, 3, -0.9)],
        [[(1, 0.0), (2, 1.0), (3, 0.25)], [(5, 1.0), (6, 0.0)]],
    ),
    "levels": (
        [(None, 64, 1, 4.0), (None, 64, 2, 3.0), (None, 128, 1, 8.0), (None, 128, 2, 4.0), (None, 128, 1, 0.2)],
        [[(1, 1.0), (2, 0.0)], [(3, 1.0), (4, 0.0)], [(5, 0.0)]],
    ),
}


@pytest.mark.parametrize("told", CASES)
def test_every_stage_is_a_curve_of_its_own_and_without_stages_every_level(host, told):
    from DiffRegLib.mrml.panel.loss_plot import LossPlot, remove_chart

    given, expected = CASES[told]
    plot = LossPlot("Loss")
    for row in given:
        plot.add(*row)
    plot.draw()
    assert _curves(plot) == expected
    remove_chart(plot.chart)
    assert not host.scene.GetNumberOfNodesByClass("vtkMRMLTableNode")


@pytest.mark.parametrize("told", CASES)
def test_what_progress_told_gives_way_to_the_whole_trace(host, told):
    """Of a quick run a step of each stage may be all that arrives, which is no curve."""
    from DiffRegLib.mrml.panel.loss_plot import LossPlot, remove_chart

    given, expected = CASES[told]
    plot = LossPlot("Loss")
    plot.add(*given[1])
    plot.add(*given[-1])
    plot.replace(given)
    assert _curves(plot) == expected
    remove_chart(plot.chart)


def _curves(plot):
    """(iteration, loss) of each curve."""
    table = plot.chart.GetNthPlotSeriesNode(0).GetTableNode().GetTable()
    rows = [tuple(table.GetValue(n, column).ToDouble() for column in range(2)) for n in range(table.GetNumberOfRows())]
    curves = [[]]
    for iteration, loss in rows:
        if math.isnan(loss):
            curves.append([])
        else:
            curves[-1].append((iteration, round(loss, 3)))
    return curves
