"""What the show functions ask of the scene's views; the pictures themselves are tested with the panel."""

# ruff: noqa: E402
import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

import vtk

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml import arrays, layout, show, show_transform
from DiffRegLib.mrml.transforms import Grid, transform_node
from Testing.panels import mrml_nodes as nodes


@pytest.fixture
def scene():
    scene = nodes.new_scene()
    for name in ("Red", "Yellow", "Green"):
        composite = slicer.vtkMRMLSliceCompositeNode()
        composite.SetLayoutName(name)
        scene.AddNode(composite)
    return scene


def _volumes(scene, *values):
    return [
        nodes.volume(scene, f"v{n}", (6, 8, 10), np.diag([2.0, 3.0, 5.0, 1.0]), lambda p, v=value: p[..., 0] * 0 + v)
        for n, value in enumerate(values)
    ]


def _layers(composite):
    return composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID(), composite.GetForegroundOpacity()


def test_the_blend_reaches_all_views_or_those_that_are_named(scene):
    fixed, warped = _volumes(scene, 1, 2)
    show.blend(scene, fixed, warped, 0.3)
    assert [_layers(c) for c in show.composites(scene)] == [(fixed.GetID(), warped.GetID(), 0.3)] * 3
    show.blend(scene, warped, None, views=["Red"])
    found = {c.GetLayoutName(): _layers(c)[:2] for c in show.composites(scene)}
    assert found["Red"] == (warped.GetID(), None) and found["Green"] == (fixed.GetID(), warped.GetID())


def test_the_checkerboard_takes_turns_every_tile_in_millimeters(scene):
    fixed, warped = _volumes(scene, 10, 20)
    board = show.checkerboard(fixed, warped, "board", tile=6.0)
    data = arrays.voxels(board.GetImageData())[0]
    assert np.allclose(arrays.ijk_to_ras(board), arrays.ijk_to_ras(fixed))
    for k in range(6):
        for j in range(8):
            for i in range(10):
                odd = (int(i * 2 // 6) + int(j * 3 // 6) + int(k * 5 // 6)) % 2
                assert data[k, j, i] == (20 if odd else 10)


def test_the_tiles_look_as_the_volumes_do_in_their_windows(scene):
    fixed, warped = _volumes(scene, 40, 700)
    for node, window, level in ((fixed, 400, 40), (warped, 1000, 500)):
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetAutoWindowLevel(False)
        node.GetDisplayNode().SetWindowLevel(window, level)
    values = np.unique(arrays.voxels(show.checkerboard(fixed, warped, "board", 6.0).GetImageData()))
    assert np.allclose(values, (40, 120))  # 700 lies at 0.7 of its window [0, 1000], 120 at 0.7 of [-160, 240]


def test_a_checkerboard_of_two_grids_is_refused_by_name(scene):
    fixed, warped = _volumes(scene, 1, 2)
    nodes.linear_parent(scene, warped)
    with pytest.raises(RegistrationError, match='"v0" and "v1" lie on different grids'):
        show.checkerboard(fixed, warped, "board")


def test_linked_views_are_linked_while_the_mouse_moves(scene):
    show.link(scene, ["Red", "Green"])
    linked = {c.GetLayoutName(): (c.GetLinkedControl(), c.GetHotLinkedControl()) for c in show.composites(scene)}
    assert linked == {"Red": (1, 1), "Green": (1, 1), "Yellow": (0, 0)}


def test_side_by_side_shows_each_volume_in_its_view_and_returns(scene):
    fixed, warped = _volumes(scene, 1, 2)
    node = layout.layout_node(scene)
    node.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    before = layout.side_by_side(scene, fixed, warped)
    assert node.GetViewArrangement() == layout.LAYOUT and layout.FIXED_VIEW in node.GetLayoutDescription(layout.LAYOUT)
    left, right = (show.composites(scene, [view])[0] for view in (layout.FIXED_VIEW, layout.MOVING_VIEW))
    assert _layers(left)[:2] == (fixed.GetID(), None) and _layers(right)[:2] == (warped.GetID(), None)
    assert left.GetHotLinkedControl() and right.GetHotLinkedControl()
    layout.restore(scene, before)
    assert node.GetViewArrangement() == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
    node.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    layout.restore(scene, before)
    assert node.GetViewArrangement() == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView


def test_three_by_three_shows_both_volumes_and_their_overlay_in_each_direction_and_returns(scene):
    fixed, warped = _volumes(scene, 1, 2)
    node = layout.layout_node(scene)
    node.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    before = layout.three_by_three(scene, fixed, warped, warped, 0.4)
    for orientation in ("Axial", "Coronal", "Sagittal"):
        columns = [show.composites(scene, [f"DiffReg{name}{orientation}"])[0] for name in ("Fixed", "Moving", "Both")]
        shown = [_layers(composite)[:2] for composite in columns]
        assert shown == [(fixed.GetID(), None), (warped.GetID(), None), (fixed.GetID(), warped.GetID())]
        assert columns[2].GetForegroundOpacity() == 0.4
    assert layout.is_ours(layout.side_by_side(scene, fixed, warped)), "what came before both is what is returned to"
    layout.restore(scene, before)
    assert node.GetViewArrangement() == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView


def _shift(scene, millimeters=(6.0, 0.0, 0.0)):
    """A grid transform that shifts all by -`millimeters` from parent, so that tissue moves by +`millimeters`."""
    vectors = np.zeros((3, 4, 4, 4)) - np.array(millimeters)[:, None, None, None]
    node = transform_node([Grid(vectors, np.diag([20.0, 20.0, 20.0, 1.0]))], "shift")
    return scene.AddNode(node)


@pytest.mark.parametrize("look", ["grid", "glyphs", "contours"])
def test_the_look_is_drawn_over_the_region_in_3d(scene, look):
    (region,) = _volumes(scene, 1)
    node = _shift(scene)
    show_transform.show_transform(node, look, region, levels=(3.0, 5.0))
    display = node.GetDisplayNode()
    assert display.GetVisibility() and display.GetVisibility2D() and display.GetVisibility3D()
    assert display.GetRegionNode() is region and display.GetNumberOfContourLevels() == 2
    drawn = vtk.vtkPolyData()
    slicer.vtkSlicerTransformLogic.GetVisualization3d(drawn, display, region)
    if look == "contours":  # a displacement of 6 mm everywhere crosses neither 3 nor 5 mm
        assert drawn.GetNumberOfPoints() == 0
        return
    low, high = np.zeros(6), np.zeros(6)
    region.GetRASBounds(low)
    drawn.GetBounds(high)
    reach = display.GetGridLineDiameterMm() + display.GetGlyphDiameterMm() + display.GetGridSpacingMm()
    assert abs(high[1] - (low[1] + 6)) < reach and abs(high[3] - low[3]) < reach


def test_arrows_point_where_the_tissue_goes(scene):
    (region,) = _volumes(scene, 1)
    node = _shift(scene, (0.0, 9.0, 0.0))
    show_transform.show_transform(node, "glyphs", region, spacing=30.0)
    drawn = vtk.vtkPolyData()
    slicer.vtkSlicerTransformLogic.GetVisualization3d(drawn, node.GetDisplayNode(), region)
    bounds = np.zeros(6)
    drawn.GetBounds(bounds)
    start = np.zeros(6)
    region.GetRASBounds(start)
    assert bounds[2] > start[2] - 6 and bounds[3] > start[2] + 8  # from the first sample on, 9 mm to anterior


def test_hiding_keeps_how_it_was_shown(scene):
    (region,) = _volumes(scene, 1)
    node = _shift(scene)
    show_transform.show_transform(node, "glyphs", region, in_3d=False)
    show_transform.hide_transform(node)
    display = node.GetDisplayNode()
    assert not display.GetVisibility() and display.GetVisibility2D() and not display.GetVisibility3D()
    assert display.GetVisualizationMode() == slicer.vtkMRMLTransformDisplayNode.VIS_MODE_GLYPH


def test_an_unknown_look_and_an_empty_region_are_refused(scene):
    node = _shift(scene)
    with pytest.raises(RegistrationError, match="'wiggles'"):
        show_transform.show_transform(node, "wiggles", _volumes(scene, 1)[0])
    empty = scene.AddNewNodeByClass("vtkMRMLModelNode", "nothing")
    with pytest.raises(RegistrationError, match='"nothing" is empty'):
        show_transform.show_transform(node, "grid", empty)


def test_paint_colors_models_and_points_in_all_views(scene):
    for node in (nodes.model(scene), nodes.markups(scene, [[1, 2, 3]])):
        show.paint(node, (0.2, 0.4, 0.6), 0.5)
        display = node.GetDisplayNode()
        color = display.GetSelectedColor() if node.IsA("vtkMRMLMarkupsNode") else display.GetColor()
        assert np.allclose(color, (0.2, 0.4, 0.6)) and display.GetOpacity() == 0.5 and display.GetVisibility2D()
