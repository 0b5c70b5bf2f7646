"""The views are Slicer's: right place, right orientation, right hand."""

import numpy as np
import pytest

SHAPE = 60, 80, 100  # k, j, i


@pytest.fixture
def slicer(host):
    import slicer

    return slicer


@pytest.fixture
def head(host, slicer):
    """A volume in RAS with 1.5 mm voxels, centered, dark; bright blocks at the patient's right, front and top."""
    array = np.full(SHAPE, 20.0)
    array[25:35, 35:45, 80:95] = 200  # right: large i, since i runs to R
    array[25:35, 65:78, 45:55] = 150  # anterior
    array[48:58, 35:45, 45:55] = 100  # superior
    to_ras = np.diag([1.5, 1.5, 1.5, 1.0])
    to_ras[:3, 3] = [-75, -60, -45]
    node = slicer.util.addVolumeFromArray(array, ijkToRAS=to_ras, name="head")
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevelMinMax(0, 255)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    for name in ("Red", "Yellow", "Green"):
        slicer.app.layoutManager().sliceWidget(name).sliceLogic().SetSliceOffset(0)
    host.process(20)
    return node


def grey(host, view, ras):
    column, row = host.pixel_of(view, ras)
    return int(host.pixels(view)[row, column].mean())


RIGHT, ANTERIOR, SUPERIOR = (56, 0, 0), (0, 47, 0), (0, 0, 34)


def test_slices_show_the_volume_where_it_is(host, head):
    for view, ras, expected in [
        ("Red", RIGHT, 200),
        ("Red", ANTERIOR, 150),
        ("Green", RIGHT, 200),
        ("Green", SUPERIOR, 100),
        ("Yellow", ANTERIOR, 150),
        ("Yellow", SUPERIOR, 100),
    ]:
        assert grey(host, view, ras) == pytest.approx(expected, abs=2), view
        assert grey(host, view, [-x for x in ras]) == pytest.approx(20, abs=2), view


def test_radiological_orientation(host, head):
    """In axial and coronal views the patient's right is at the left; anterior and superior are up."""
    for view, up in (("Red", ANTERIOR), ("Green", SUPERIOR)):
        image = host.pixels(view).mean(axis=2)
        height, width = image.shape
        columns = np.nonzero((image > 190).any(axis=0))[0]
        assert columns.size and columns.max() < width / 2
        assert host.pixel_of(view, up)[1] < height / 2
    assert host.pixel_of("Yellow", ANTERIOR)[0] < host.view("Yellow").width / 2


def test_a_fiducial_is_drawn_at_its_point(host, slicer, head):
    ras = [21.0, -17.0, 0.0]
    before = host.pixels("Red").astype(int)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "F")
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetTextScale(0)
    node.AddControlPoint(ras)
    changed = np.argwhere(np.abs(host.pixels("Red") - before).sum(axis=2) > 60)
    column, row = host.pixel_of("Red", ras)
    assert len(changed) > 20
    assert np.abs(changed.mean(axis=0) - [row, column]).max() < 1.5
    assert len(np.argwhere(host.pixels("Green")[:, :, 0] > 250)) == 0  # it lies in another coronal slice


def test_a_fiducial_is_drawn_at_its_point_in_3d(host, slicer):
    ras = [30.0, -20.0, 40.0]
    before = host.pixels("1").astype(int)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "F")
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetTextScale(0)
    node.AddControlPoint(ras)
    changed = np.argwhere(np.abs(host.pixels("1") - before).sum(axis=2) > 60)
    column, row = host.pixel_of("1", ras)
    assert len(changed) > 5 and np.abs(changed.mean(axis=0) - [row, column]).max() < 3


def test_a_linear_transform_moves_what_is_shown(host, slicer, head):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, 3] = [-30, 0, 0]
    slicer.util.updateTransformMatrixFromArray(transform, matrix)
    head.SetAndObserveTransformNodeID(transform.GetID())
    assert grey(host, "Red", (26, 0, 0)) == pytest.approx(200, abs=2)
    assert grey(host, "Red", RIGHT) < 10  # nothing is there any more


def grid_transform(slicer, displacement):
    """Constant displacement (mm), to parent, on a grid around the head."""
    import vtk

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode")
    field = vtk.vtkImageData()
    field.SetDimensions(9, 9, 9)
    field.SetOrigin(-120, -120, -120)
    field.SetSpacing(30, 30, 30)
    field.AllocateScalars(vtk.VTK_DOUBLE, 3)
    for component, value in enumerate(displacement):
        field.GetPointData().GetScalars().FillComponent(component, value)
    grid = slicer.vtkOrientedGridTransform()
    grid.SetDisplacementGridData(field)
    node.SetAndObserveTransformToParent(grid)
    return node


def test_a_grid_transform_moves_what_is_shown(host, slicer, head):
    node = grid_transform(slicer, (-30.0, 0.0, 0.0))
    head.SetAndObserveTransformNodeID(node.GetID())
    assert grey(host, "Red", (26, 0, 0)) == pytest.approx(200, abs=2)


def test_a_grid_is_drawn_in_slices_and_in_3d(host, slicer, head):
    before = {view: host.pixels(view).astype(int) for view in ("Red", "1")}
    node = grid_transform(slicer, (0.0, 0.0, 5.0))
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetVisualizationMode(display.VIS_MODE_GRID)
    display.SetAndObserveRegionNode(head)
    display.SetVisibility(True)
    display.SetVisibility2D(True)
    display.SetVisibility3D(True)
    for view, image in before.items():
        changed = (np.abs(host.pixels(view) - image).sum(axis=2) > 30).mean()
        assert 0.005 < changed < 0.6, view


def test_wheel_and_slider_move_the_slice(host, slicer, head):
    logic = slicer.app.layoutManager().sliceWidget("Red").sliceLogic()
    host.mouse.wheel("Red", (100, 100), 2)
    assert logic.GetSliceOffset() == pytest.approx(3.0)  # two slices of 1.5 mm
    controller = slicer.app.layoutManager().sliceWidget("Red").sliceController()
    assert controller.sliceOffsetSlider().value() == 300
    controller.sliceOffsetSlider().setValue(-600)
    assert logic.GetSliceOffset() == pytest.approx(-6.0)


def test_dragging_pans_and_zooms_by_slicers_own_interaction(host, slicer, head):
    node = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    start, end = host.pixel_of("Red", (0, 0, 0)), host.pixel_of("Red", (15, 0, 0))
    host.mouse.drag("Red", start, end, modifiers=["Shift"])
    assert np.abs(np.subtract(host.pixel_of("Red", (0, 0, 0)), end)).max() <= 1
    size = node.GetFieldOfView()[0]
    host.mouse.drag("Red", (200, 150), (200, 250), button="Right")
    assert node.GetFieldOfView()[0] != pytest.approx(size)


def test_a_markup_follows_the_mouse(host, slicer, head):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "F")
    node.CreateDefaultDisplayNodes()
    node.AddControlPoint([0.0, 0.0, 0.0])
    host.process(30)
    host.mouse.drag("Red", (0, 0, 0), (18, -12, 0))
    assert node.GetNthControlPointPosition(0) == pytest.approx((18, -12, 0), abs=0.5)


def test_a_transform_is_moved_by_its_handles(host, slicer, head):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetEditorVisibility(True)
    display.SetEditorSliceIntersectionVisibility(True)
    host.process(50)
    host.mouse.drag("Red", (0, 0, 0), (20, -15, 0))
    moved = slicer.util.arrayFromTransformMatrix(node)
    assert moved[:3, 3] == pytest.approx((20, -15, 0), abs=1)
    assert moved[:3, :3] == pytest.approx(np.eye(3))


def test_a_slice_is_a_textured_plane_in_3d(host, slicer, head):
    slicer.app.layoutManager().sliceWidget("Green").sliceController().setSliceVisible(True)
    slicer.util.resetThreeDViews()
    host.process(50)
    assert grey(host, "1", RIGHT) == pytest.approx(200, abs=25)
    assert grey(host, "1", (-56, 0, 0)) == pytest.approx(20, abs=15)


def test_dragging_turns_the_3d_view(host, slicer, head):
    camera = host.view("1").cameraNode()
    before = np.array(camera.GetPosition())
    host.mouse.drag("1", (200, 200), (260, 200))
    moved = np.array(camera.GetPosition())
    assert np.linalg.norm(moved - before) > 10
    assert np.linalg.norm(moved) == pytest.approx(np.linalg.norm(before), rel=1e-6)


def test_volume_model_and_segmentation_together(host, slicer, head):
    """A sphere of 20 mm radius: its silhouette in 3D, its contour in the axial slice."""
    import vtk

    source = vtk.vtkSphereSource()
    source.SetRadius(20)
    source.SetThetaResolution(40)
    source.SetPhiResolution(40)
    source.Update()
    before = host.pixels("Red").astype(int)
    model = slicer.modules.models.logic().AddModel(source.GetOutput())
    model.GetDisplayNode().SetColor(1, 0, 0)
    model.GetDisplayNode().SetVisibility2D(True)
    slicer.util.resetThreeDViews()
    column, row = host.pixel_of("1", (0, 0, 0))
    red, green, blue = host.pixels("1")[row, column].astype(int)
    assert red > 2 * green and red > 2 * blue
    changed = np.argwhere(np.abs(host.pixels("Red") - before).sum(axis=2) > 60)
    column, row = host.pixel_of("Red", (0, 0, 0))
    radius = abs(host.pixel_of("Red", (20, 0, 0))[0] - column)
    assert np.linalg.norm(changed - [row, column], axis=1).mean() == pytest.approx(radius, abs=2)


def test_layouts_show_their_views_and_come_back(host, slicer):
    manager, kinds = slicer.app.layoutManager(), slicer.vtkMRMLLayoutNode
    manager.setLayout(kinds.SlicerLayoutOneUpRedSliceView)
    host.process()
    assert host.view("Red").isVisible() and not host.view("Green").isVisible()
    manager.setLayout(kinds.SlicerLayoutFourUpView)
    host.process()
    assert all(host.view(name).isVisible() for name in ("Red", "Yellow", "Green", "1"))
    assert manager.layout == kinds.SlicerLayoutFourUpView


def test_a_layout_of_ones_own_makes_its_views(host, slicer):
    description = (
        '<layout type="horizontal" split="true"><item><view class="vtkMRMLSliceNode" singletontag="XRay1">'
        '<property name="orientation" action="default">Coronal</property>'
        '<property name="viewlabel" action="default">X1</property>'
        '<property name="viewcolor" action="default">#FF8800</property></view></item>'
        '<item><view class="vtkMRMLViewNode" singletontag="1"/></item></layout>'
    )
    node = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
    node.AddLayoutDescription(2001, description)
    slicer.app.layoutManager().setLayout(2001)
    host.process()
    widget = slicer.app.layoutManager().sliceWidget("XRay1")
    assert widget.isVisible() and widget.sliceOrientation == "Coronal"
    assert host.pixels("XRay1").shape[:2] == (widget.sliceView().height, widget.sliceView().width)


def test_a_plot_follows_its_table(host, slicer):
    values = np.column_stack([np.arange(10.0), np.arange(10.0)])
    nodes = {}
    chart = slicer.util.plot(values, xColumnIndex=0, columnNames=["iteration", "loss"], title="Loss", nodes=nodes)
    host.process(30)
    widget = slicer.app.layoutManager().plotWidget(0)
    assert widget.isVisible() and widget.plotView().mrmlPlotChartNode() is chart
    chart.SetLegendVisibility(False)
    nodes["series"][0].SetColor(1, 0, 0)
    first = host.pixels(widget.mrmlPlotViewNode().GetLayoutName())
    drawn = np.argwhere((first[:, :, 0] > 200) & (first[:, :, 1] < 80))
    assert len(drawn) > 30 and np.corrcoef(drawn.T)[0, 1] < -0.95  # rows count downward: a rising line
    values[:, 1] = values[::-1, 1]
    slicer.util.updateTableFromArray(nodes["table"], values, ["iteration", "loss"])
    second = host.pixels(widget.mrmlPlotViewNode().GetLayoutName())
    drawn = np.argwhere((second[:, :, 0] > 200) & (second[:, :, 1] < 80))
    assert np.corrcoef(drawn.T)[0, 1] > 0.95


def test_paused_views_do_not_draw(host, slicer, head):
    view = host.view("Red")
    before = view._image.copy()
    with slicer.util.RenderBlocker():
        head.GetDisplayNode().SetWindowLevelMinMax(0, 50)
        host.process(60)
        assert np.array_equal(view._image, before)
    host.process()  # however late a frame comes
    assert not np.array_equal(view._image, before)
