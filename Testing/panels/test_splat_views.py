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
    from SplatRegistrationLib.parameters import Display

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
    from SplatRegistrationLib.parameters import Display

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
    picture = result.runView.loss_view.widget.pixels().astype(int)
    blue = (picture[..., 2] - picture[..., 0] > 60).sum()
    assert blue > 50, "the curve of the loss is not there"


def test_surfaces_are_shown_in_3d_before_and_after(host):
    from SplatRegistrationLib.parameters import Display

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
