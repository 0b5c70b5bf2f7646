"""What the views show after a run: the warped input over the fixed one, before and after, and the grid."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from Testing.panels import splat_panel as splat  # noqa: E402
from Testing.panels.splat_panel import parameters  # noqa: E402

SHIFT = (12.0, 0.0, 0.0)  # mm: the moving ball lies to the right of the fixed one
TOLERANCE = 0.02  # of the pixels may differ: the border of a ball whose place is right within a voxel


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The scene of a finished registration; the first test that needs it makes it."""
    return tmp_path_factory.mktemp("splat") / "registered.mrb"


@pytest.fixture
def result(host, saved):
    """A panel with a finished registration of two balls, as label maps."""
    panel = splat.open_panel(host)
    if saved.exists():
        host.load_scene(saved)
        host.process(100)
        return panel
    splat.choose(panel, splat.labels_node("Fixed ball", (0, 0, 0)), splat.labels_node("Moving ball", SHIFT))
    splat.run(host, panel)
    assert panel.ui.statusLabel.text == ""
    host.save_scene(saved)
    return panel


def _seen(host, view="Red"):
    return host.pixels(view).astype(int)


def _differing(a, b):
    """The share of pixels that differ visibly."""
    return float((np.abs(a - b).max(-1) > 40).mean())


def _width(picture):
    """Columns that something other than the black background covers."""
    return int((picture.max(-1) > 60).any(0).sum())


def test_the_moving_ball_covers_the_fixed_one_after_and_sticks_out_before(host, result):
    from DiffRegLib.mrml.pair.parameters import Display

    parameters(result).show_grid, parameters(result).overlay_opacity = False, 1.0
    pictures = {}
    for display in Display:
        parameters(result).display = display
        host.process(50)
        pictures[display] = _seen(host)
    after, before, fixed = (pictures[d] for d in (Display.AFTER, Display.BEFORE, Display.FIXED))
    assert _width(fixed) > 50
    assert abs(_width(after) - _width(fixed)) <= 0.1 * _width(fixed)
    assert _width(before) > 1.1 * _width(fixed)
    assert _differing(before, after) > TOLERANCE


def test_the_opacity_decides_how_much_of_the_moving_input_is_seen(host, result):
    from DiffRegLib.mrml.pair.parameters import Display

    parameters(result).show_grid, parameters(result).display = False, Display.BEFORE
    parameters(result).overlay_opacity = 0.0
    host.process(50)
    hidden = _seen(host)
    parameters(result).display = Display.FIXED
    host.process(50)
    assert _differing(hidden, _seen(host)) < TOLERANCE
    parameters(result).display, parameters(result).overlay_opacity = Display.BEFORE, 1.0
    host.process(50)
    assert _differing(hidden, _seen(host)) > TOLERANCE


@pytest.mark.parametrize("view", ["Red", "1"])
def test_the_grid_is_drawn_and_taken_away(host, result, view):
    with_grid = _seen(host, view)
    host.click(result.ui.gridCheckBox)
    without = _seen(host, view)
    assert _differing(with_grid, without) > 0.005
    host.click(result.ui.gridCheckBox)
    assert _differing(_seen(host, view), with_grid) < TOLERANCE


def test_the_flicker_alternates_and_ends_with_what_was_set(host, result):
    parameters(result).show_grid, parameters(result).overlay_opacity = False, 1.0
    host.process(50)
    at_rest = _seen(host)
    host.click(result.ui.flickerButton)
    seen = []
    for _ in range(3):
        turn = result.views.after
        host.wait_until(lambda turn=turn: result.views.after != turn, what="the flicker")
        host.process(50)
        seen.append(_seen(host))
    assert _differing(seen[0], seen[1]) > TOLERANCE > _differing(seen[0], seen[2])
    host.click(result.ui.flickerButton)
    assert _differing(_seen(host), at_rest) < TOLERANCE


def test_leaving_the_module_ends_the_flicker(host, result):
    host.click(result.ui.flickerButton)
    result.exit()
    assert not result.ui.flickerButton.checked and not result.views.flickers


def test_the_loss_is_drawn_in_the_panel(host, result):
    picture = result.runner.view.loss_view.widget.pixels().astype(int)
    blue = (picture[..., 2] - picture[..., 0] > 60).sum()
    assert blue > 50, "the curve of the loss is not there"


def test_surfaces_are_shown_in_3d_before_and_after(host):
    from DiffRegLib.mrml.pair.parameters import Display

    panel = splat.open_panel(host)
    splat.choose(panel, splat.model_node("Fixed organ", (0, 0, 0)), splat.model_node("Moving organ", (15, 0, 0)))
    splat.run(host, panel)
    names = ("Fixed organ", "Moving organ", "Moving organ warped")
    shown = [slicer.util.getNode(name).GetDisplayNode().GetVisibility() for name in names]
    assert shown == [1, 0, 1]
    after = _seen(host, "1")
    parameters(panel).display = Display.BEFORE
    host.process(50)
    assert _differing(after, _seen(host, "1")) > 0.01


@pytest.fixture
def images(host):
    """A panel with a finished result of two images, as the worker would have brought it: bright on the left, dark."""
    panel, nodes = splat.open_panel(host), []
    for name, left, right in (("Fixed CT", 200, 50), ("Moving CT", 90, 90), ("Warped CT", 120, 120)):
        voxels = np.zeros((30, 30, 30))
        voxels[:, :, :15], voxels[:, :, 15:] = right, left
        affine = np.diag([8.0, 8.0, 8.0, 1.0])
        affine[:3, 3] = -116
        nodes.append(slicer.util.addVolumeFromArray(voxels, ijkToRAS=affine, name=name))
        nodes[-1].CreateDefaultDisplayNodes()
        nodes[-1].GetDisplayNode().AutoWindowLevelOff()
        nodes[-1].GetDisplayNode().SetWindowLevelMinMax(0, 255)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "Result")
    chosen = parameters(panel)
    chosen.result_fixed, chosen.result_moving, chosen.output_warped = nodes
    chosen.output_transform, chosen.measures, chosen.show_grid = transform, "{}", False
    slicer.util.setSliceViewerLayers(background=nodes[0], fit=True)
    host.process(50)
    return panel


def test_a_checkerboard_has_tiles_of_both_images_and_goes_again(host, images):
    from DiffRegLib.mrml.pair.parameters import Display

    before = splat.node_names()
    parameters(images).display = Display.CHECKERBOARD
    host.process(50)
    seen = np.unique(_seen(host)[..., 0])
    assert all(np.abs(seen - value).min() <= 1 for value in (50, 120, 200))
    parameters(images).display = Display.FIXED
    host.process(50)
    assert splat.node_names() == before
    left = host.pixel_of("Red", (60, 0, 0))  # the patient's left half is dark, his right one bright
    assert abs(int(_seen(host)[left[1], left[0], 0]) - 200) <= 1


def test_side_by_side_shows_each_image_in_a_view_and_the_layout_returns(host, images):
    from DiffRegLib.mrml.pair.parameters import Display

    layout = host.app.layoutManager().layout
    parameters(images).display = Display.SIDE_BY_SIDE
    host.process(200)
    names = host.app.layoutManager().sliceViewNames()
    assert {"DiffRegFixed", "DiffRegMoving"} <= set(names) and host.app.layoutManager().layout != layout
    place = host.pixel_of("DiffRegMoving", (60, 0, 0))
    assert abs(int(_seen(host, "DiffRegMoving")[place[1], place[0], 0]) - 120) <= 1
    parameters(images).display = Display.AFTER
    host.process(100)
    assert host.app.layoutManager().layout == layout
