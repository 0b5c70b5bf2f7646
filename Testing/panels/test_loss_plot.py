"""The curve of a running job: one line for each problem, none between two of them."""

import math


def test_every_level_and_every_new_problem_is_a_curve_of_its_own(host):
    from DiffRegLib.mrml.panel.loss_plot import LossPlot, remove_chart

    plot = LossPlot("Loss")
    for row in [(64, 1, 4.0), (64, 2, 3.0), (64, 3, 3.2), (128, 1, 9.0), (128, 2, 8.0), (128, 3, 20.0), (128, 1, 1.0)]:
        plot.add(*row)
    plot.draw()
    table = plot.chart.GetNthPlotSeriesNode(0).GetTableNode().GetTable()
    rows = [tuple(table.GetValue(n, column).ToDouble() for column in range(2)) for n in range(table.GetNumberOfRows())]
    curves = [[]]
    for iteration, loss in rows:
        if math.isnan(loss):
            curves.append([])
        else:
            curves[-1].append((iteration, round(loss, 3)))
    # a small rise belongs to the descent, a large one and a count that begins again do not
    assert curves == [[(1, 4.0), (2, 3.0), (3, 3.2)], [(4, 9.0), (5, 8.0)], [(6, 20.0)], [(7, 1.0)]]
    remove_chart(plot.chart)
    assert not host.scene.GetNumberOfNodesByClass("vtkMRMLTableNode")
