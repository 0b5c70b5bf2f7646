"""What the real views draw of results: the moving volume at the fixed one, the grid, two views that scroll together."""

# ruff: noqa: E402
import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from DiffRegLib.mrml import layout, results, show, show_transform
from DiffRegLib.mrml.transforms import Grid, transform_node
from Testing.panels import mrml_nodes as nodes

SHIFT = np.array([24.0, -16.0, 0.0])  # mm by which the moving ball lies beside the fixed one


def _ball(center):
    return lambda p: (np.linalg.norm(p - center, axis=-1) < 15) * 100.0


def _pair(host):
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = -75
    fixed, moving = (
        nodes.volume(host.scene, name, (50, 50, 50), affine, _ball(center))
        for name, center in (("fixed", np.zeros(3)), ("moving", SHIFT))
    )
    for node in (fixed, moving):
        node.CreateDefaultDisplayNodes()
    vectors = np.zeros((3, 4, 4, 4)) + SHIFT[:, None, None, None]
    grid = np.diag([60.0, 60.0, 60.0, 1.0])
    grid[:3, 3] = -90
    outputs = {"t": results.Output(transform_node([Grid(vectors, grid)], "T"))}
    return fixed, moving, results.add(host.scene, outputs)["t"]


def _brightness(host, ras):
    column, row = host.pixel_of("Red", ras)
    return int(host.pixels("Red")[row, column].max())


def test_the_moving_ball_is_seen_at_the_fixed_one(host):
    fixed, moving, transform = _pair(host)
    show.blend(host.scene, fixed, moving, opacity=1.0)
    slicer.util.resetSliceViews()
    host.process(50)
    assert _brightness(host, [0, 0, 0]) < 50 < 200 < _brightness(host, list(SHIFT))
    moving.SetAndObserveTransformNodeID(transform.GetID())
    host.process(50)
    assert _brightness(host, list(SHIFT)) < 50 < 200 < _brightness(host, [0, 0, 0])


@pytest.mark.parametrize("look", ["grid", "glyphs"])
def test_the_transform_is_drawn_in_slices_and_in_3d_and_hidden_again(host, look):
    fixed, moving, transform = _pair(host)
    show.blend(host.scene, fixed, None)
    slicer.util.resetSliceViews()
    empty = {view: host.pixels(view).astype(int) for view in ("Red", "1")}
    show_transform.show_transform(transform, look, fixed)
    for view in ("Red", "1"):
        assert (np.abs(host.pixels(view) - empty[view]).max(-1) > 40).mean() > 0.01
    show_transform.hide_transform(transform)
    assert (np.abs(host.pixels("Red") - empty["Red"]).max(-1) > 40).mean() < 0.001


def test_views_side_by_side_scroll_together_and_the_old_layout_returns(host):
    fixed, moving, transform = _pair(host)
    before = layout.side_by_side(host.scene, fixed, moving)
    host.process(50)
    logics = [host.app.layoutManager().sliceWidget(v).sliceLogic() for v in (layout.FIXED_VIEW, layout.MOVING_VIEW)]
    shown = [logic.GetSliceCompositeNode().GetBackgroundVolumeID() for logic in logics]
    assert shown == [fixed.GetID(), moving.GetID()]
    for logic in logics:  # 150 mm of the volume fill the shorter side of each view, and no more
        assert min(logic.GetSliceNode().GetFieldOfView()[:2]) == pytest.approx(150, rel=0.02)
    logics[0].StartSliceOffsetInteraction()
    logics[0].SetSliceOffset(12.0)
    logics[0].EndSliceOffsetInteraction()
    host.process(50)
    assert [logic.GetSliceOffset() for logic in logics] == [12.0, 12.0]
    layout.restore(host.scene, before)
    host.process(50)
    assert layout.layout_node(host.scene).GetViewArrangement() == before
