"""The C-arm in the 3D view: source, beam and detector where they were, the X-ray the right way round, the bones."""

import numpy as np
import pytest
from vtk.util.numpy_support import vtk_to_numpy

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("torch", reason="torch is not installed")

from Testing.panels import xray_panel as xray  # noqa: E402
from Testing.panels.xray_panel import CENTER  # noqa: E402

WIDTH, HEIGHT = xray.SIZE[1] * 2.5, xray.SIZE[0] * 2.5  # mm of the detector

# source, middle of the detector, and the directions in which columns and rows run, for a C-arm with 1000 mm from the
# source to the detector and 650 mm to the middle of the CT, written down from what the settings mean
PLACES = {
    "frontal": ({}, (0, -650, 0), (0, 350, 0), (-1, 0, 0), (0, 0, -1)),
    "from the left": ({"primary_angle": 90.0}, (650, 0, 0), (-350, 0, 0), (0, -1, 0), (0, 0, -1)),
    "mirrored": ({"mirrored": True}, (0, -650, 0), (0, 350, 0), (1, 0, 0), (0, 0, -1)),
    "off center": (
        {"principal_column": 37.5, "principal_row": 39.5},
        (0, -650, 0),
        (-25, 350, 0),
        (-1, 0, 0),
        (0, 0, -1),
    ),
}


@pytest.fixture
def panel(host):
    return xray.open_panel(host)


def points(name):
    """(N,3) of a model in the scene."""
    return vtk_to_numpy(slicer.util.getNode(name).GetPolyData().GetPoints().GetData())


def on_detector(name, column, row):
    """(3,) RAS mm where a pixel of the X-ray is on its plane, by the plane's texture coordinates."""
    mesh = slicer.util.getNode(name).GetPolyData()
    corners, texture = points(name), vtk_to_numpy(mesh.GetPointData().GetTCoords())
    origin, across, down = (corners[np.argmin(np.abs(texture - uv).sum(-1))] for uv in ((0, 0), (1, 0), (0, 1)))
    rows, columns = xray.SIZE
    return origin + (across - origin) * (column + 0.5) / columns + (down - origin) * (row + 0.5) / rows


@pytest.mark.parametrize("settings, source, middle, across, down", PLACES.values(), ids=PLACES)
def test_source_beam_and_detector_are_where_the_settings_say(host, panel, settings, source, middle, across, down):
    xray.choose(panel, [xray.options(**settings)])
    xray.go_live(host, panel)
    source, middle, across, down = (np.array(v, dtype=float) for v in (source, middle, across, down))
    expected = [
        CENTER + middle + across * WIDTH / 2 * x + down * HEIGHT / 2 * y
        for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    detector = "X-ray 1 of a block detector"
    corners = [(-0.5, -0.5), (xray.SIZE[1] - 0.5, -0.5), (xray.SIZE[1] - 0.5, xray.SIZE[0] - 0.5)]
    corners.append((-0.5, xray.SIZE[0] - 0.5))
    for pixel, corner in zip(corners, expected):
        assert np.abs(on_detector(detector, *pixel) - corner).max() < 1e-3
    frame = points("X-ray 1 of a block beam")
    for corner in (*expected, CENTER + source):
        assert np.linalg.norm(frame - corner, axis=1).min() < 1e-3, "the frame has no such corner"
    ball = frame[np.linalg.norm(frame - CENTER - source, axis=1) < 8.1]
    assert np.abs(ball.mean(0) - CENTER - source).max() < 1.0


def test_the_ray_through_the_shadow_of_a_landmark_passes_the_landmark(host, panel):
    """The shadow is found in what is shown over the X-ray; the ray is that of the models in the scene."""
    scene = xray.choose(panel)
    values = slicer.util.arrayFromVolume(scene.ct)
    values[:] = -1000
    values[19:22, 29:32, 13:16] = 3000  # a ball in air
    slicer.util.arrayFromVolumeModified(scene.ct)
    xray.go_live(host, panel)
    xray.paste(host, panel, "20 10 -15 6 20 -9")
    marker = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    origin = CENTER - 94
    marker.AddControlPoint(*(origin + np.array([14, 30, 20]) * 4.0))
    marker.SetAndObserveTransformNodeID(panel.pose.node.GetID())
    landmark = np.array(marker.GetNthControlPointPositionWorld(0))
    shadow = xray.picture("XRay1").astype(float)
    weight = shadow / shadow.sum()
    rows, columns = np.indices(shadow.shape)
    pixel = (columns * weight).sum(), (rows * weight).sum()
    source = CENTER + [0, -650, 0]
    ray = on_detector("X-ray 1 of a block detector", *pixel) - source
    ray /= np.linalg.norm(ray)
    off = landmark - source - ((landmark - source) @ ray) * ray
    assert np.linalg.norm(off) < 1.0
    assert np.linalg.norm(landmark - CENTER) > 40, "in the middle nothing would be tested"


@pytest.mark.parametrize("settings", [{}, {"mirrored": True}, {"image_angle": 90.0}])
def test_a_mark_in_the_upper_left_of_the_xray_is_there_on_the_plane(host, panel, settings):
    """Seen from in front: where right of the image is right and down is down."""
    rows, columns = xray.SIZE
    places = {"mark": (8, 8), "right": (columns - 9, 8), "below": (8, rows - 9), "opposite": (columns - 9, rows - 9)}
    xray.choose(panel, [xray.options(**settings)], marks=[places["mark"]])
    xray.go_live(host, panel)
    host.click(panel.ui.handlesCheckBox)
    host.click(panel.ui.volumeCheckBox)
    look_at_detector(host, "X-ray 1 of a block detector")
    picture = host.pixels("1").astype(int)
    detector = "X-ray 1 of a block detector"
    seen = {name: host.pixel_of("1", on_detector(detector, *pixel)) for name, pixel in places.items()}
    assert seen["right"][0] - seen["mark"][0] > 60 and abs(seen["right"][1] - seen["mark"][1]) < 3
    assert seen["below"][1] - seen["mark"][1] > 50 and abs(seen["below"][0] - seen["mark"][0]) < 3
    bright = {name: int(picture[row, column].min()) for name, (column, row) in seen.items()}
    assert bright["mark"] > 200 and max(bright[name] for name in ("right", "below", "opposite")) < 120, bright


def look_at_detector(host, name):
    """Turns the camera of the 3D view to the plane, from the side from which its image is not a mirror's."""
    upper_left, upper_right, lower_left = (on_detector(name, *p) for p in ((0, 0), (90, 0), (0, 70)))
    across, up = upper_right - upper_left, upper_left - lower_left
    toward = np.cross(across, up)
    middle = on_detector(name, (xray.SIZE[1] - 1) / 2, (xray.SIZE[0] - 1) / 2)
    camera = slicer.modules.cameras.logic().GetViewActiveCameraNode(host.view("1").mrmlViewNode())
    camera.SetFocalPoint(*middle)
    camera.SetPosition(*(middle + 700 * toward / np.linalg.norm(toward)))
    camera.SetViewUp(*up)
    camera.ResetClippingRange()
    host.process(50)


def test_the_3d_view_shows_the_c_arm_only_when_asked(host, panel):
    xray.choose(panel)
    xray.go_live(host, panel)
    host.click(panel.ui.handlesCheckBox)
    host.click(panel.ui.volumeCheckBox)
    orange = [int(is_orange(host.pixels("1")).sum())]
    host.click(panel.ui.beamCheckBox)
    orange.append(int(is_orange(host.pixels("1")).sum()))
    host.click(panel.ui.beamCheckBox)
    orange.append(int(is_orange(host.pixels("1")).sum()))
    assert orange[0] == orange[2] > 300 and orange[1] == 0


def is_orange(picture):
    red, green, blue = np.moveaxis(picture.astype(int), -1, 0)
    return (red > 180) & (abs(green - 130) < 30) & (blue < 80)


def bones_alone(host, panel):
    """Where the volume rendering is seen: what it changes in the 3D view."""
    with_bones = host.pixels("1").astype(int)
    host.click(panel.ui.volumeCheckBox)
    without = host.pixels("1").astype(int)
    host.click(panel.ui.volumeCheckBox)
    host.process(50)
    rows, columns = np.nonzero(np.abs(with_bones - without).max(-1) > 25)
    return np.array([columns.mean(), rows.mean()]), len(rows)


def test_the_bones_follow_the_pose(host, panel):
    xray.choose(panel)
    xray.go_live(host, panel)
    host.click(panel.ui.handlesCheckBox)
    host.click(panel.ui.beamCheckBox)
    before, count = bones_alone(host, panel)
    assert count > 200
    assert np.linalg.norm(before - host.pixel_of("1", CENTER)) < 15
    xray.paste(host, panel, "0 0 0 0 0 150")
    after, _count = bones_alone(host, panel)
    expected = np.subtract(host.pixel_of("1", CENTER + [0, 0, 150]), host.pixel_of("1", CENTER))
    assert np.linalg.norm(expected) > 20, "too small a move to be seen"
    assert np.linalg.norm(after - before - expected) < 0.15 * np.linalg.norm(expected)


@pytest.mark.parametrize("slow", [True, False])
def test_slow_bones_make_way_while_the_ct_moves(host, panel, monkeypatch, slow):
    from DiffRegLib.mrml.xray import bones

    monkeypatch.setattr(bones, "QUICK", 0.0 if slow else 1000.0)
    monkeypatch.setattr(bones, "SLOW", 1000.0)
    scene = xray.choose(panel)
    xray.go_live(host, panel)
    host.pixels("1")
    display = slicer.modules.volumerendering.logic().GetFirstVolumeRenderingDisplayNode(scene.ct)
    assert display.GetVisibility()
    seen = []
    node = slicer.util.getNode("CT over X-ray 1 of a block")
    tag = node.AddObserver(
        slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, lambda *_: seen.append(bool(display.GetVisibility()))
    )
    host.mouse.drag("XRay1", (200, 150), (260, 190), steps=5)
    node.RemoveObserver(tag)
    xray.rest(host, panel)
    assert seen[0] is not slow, seen
    assert display.GetVisibility(), "the bones did not come back"
