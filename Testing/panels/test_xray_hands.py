"""The hand on the CT: dragging on the X-ray, the six numbers, pasted poses, handles in 3D, undo."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
torch = pytest.importorskip("torch", reason="torch is not installed")

from DiffRegLib.radiographs import hand  # noqa: E402
from Testing.panels import xray_panel as xray  # noqa: E402
from Testing.panels.xray_panel import CENTER, corner_error, parameters, pixel_at  # noqa: E402

CLOSE = 0.2  # mm at the corners of a block of 100 mm: an eighth of a pixel at its depth
START, END = (150, 300), (420, 110)  # on the screen


@pytest.fixture
def live(host):
    """A panel with one live X-ray, and what was made for it."""
    panel = xray.open_panel(host, bones=False)
    scene = xray.choose(panel)
    xray.go_live(host, panel)
    xray.paste(host, panel, "4 -6 3 5 10 -8")
    return panel, scene


def pixels(host, view="XRay1"):
    return pixel_at(host, view, START), pixel_at(host, view, END)


def center_of(pose):
    """(3,) where the middle of the CT is."""
    return torch.from_numpy(pose[:3, :3] @ CENTER + pose[:3, 3])


def angle_axis(pose, before):
    """Degrees and unit axis of the rotation from one pose to another."""
    rotation = pose[:3, :3] @ before[:3, :3].T
    skew = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]])
    degrees = np.degrees(np.arctan2(np.linalg.norm(skew) / 2, (np.trace(rotation) - 1) / 2))
    return degrees, skew / max(np.linalg.norm(skew), 1e-12)


def test_a_drag_takes_the_shadow_of_the_ct_along(host, live):
    panel, scene = live
    before, camera = panel.pose.matrix, scene.cameras[0]
    shadow = camera.project(center_of(before))[0].tolist()
    start, target = xray.place(host, "XRay1", shadow), (shadow[0] + 14, shadow[1] - 9)
    host.mouse.drag("XRay1", start, xray.place(host, "XRay1", target))
    xray.rest(host, panel)
    after = panel.pose.matrix
    assert np.abs(camera.project(center_of(after))[0].numpy() - target).max() < 0.5
    assert abs((center_of(after) - center_of(before)) @ camera.pose[:3, 2].double()) < 1e-6, "the depth has changed"
    assert angle_axis(after, before)[0] < 1e-4
    assert np.abs(xray.picture("XRay1") - scene.drr(after)).max() < 1e-3


def computed(what, pose, camera, start, end):
    """The pose after a drag between two pixels, from the formulas of the library."""
    pose, center = torch.from_numpy(pose), torch.from_numpy(CENTER)
    if what == "turn":
        across, down = (np.subtract(end, start) * 120 / xray.SIZE[1]).tolist()
        return hand.turned(pose, camera, center, across, down).numpy()
    return {"shift": hand.shifted, "spin": hand.spun}[what](pose, camera, center, start, end).numpy()


def test_the_pose_after_a_drag_is_the_computed_one(host):
    panel = xray.open_panel(host, bones=False)
    scene = xray.choose(panel, [xray.options(), xray.options(primary_angle=70.0, mirrored=True, image_angle=30.0)])
    xray.go_live(host, panel)
    for number, view in enumerate(("XRay1", "XRay2")):
        for what, keys in (("shift", ()), ("turn", ("Shift",)), ("spin", ("Control",))):
            before = panel.pose.matrix
            expected = computed(what, before, scene.cameras[number], *pixels(host, view))
            host.mouse.drag(view, START, END, modifiers=keys, steps=4)
            xray.rest(host, panel)
            assert corner_error(panel.pose.matrix, expected) < CLOSE, (view, what)
            assert corner_error(panel.pose.matrix, before) > 10
            assert np.abs(xray.picture(view) - scene.drr(panel.pose.matrix, number)).max() < 1e-3
            xray.paste(host, panel, "4 -6 3 5 10 -8")


def test_shift_turns_about_the_middle_and_control_about_the_beam(host, live):
    panel, scene = live
    beam = scene.cameras[0].pose[:3, 2].double().numpy()
    start, end = pixels(host)
    for keys in (("Shift",), ("Control",)):
        before = panel.pose.matrix
        host.mouse.drag("XRay1", START, END, modifiers=keys)
        xray.rest(host, panel)
        degrees, axis = angle_axis(panel.pose.matrix, before)
        assert np.linalg.norm(center_of(panel.pose.matrix) - center_of(before)) < 1e-6, "the middle has moved"
        if keys == ("Shift",):
            assert abs(degrees - np.hypot(*np.subtract(end, start)) * 120 / xray.SIZE[1]) < 0.5
            assert abs(axis @ beam) < 1e-3
        else:
            shadow = scene.cameras[0].project(center_of(before))[0].numpy()
            (ax, ay), (bx, by) = np.subtract((start, end), shadow)
            turn = np.degrees(np.arctan2(ax * by - ay * bx, ax * bx + ay * by))
            assert abs(abs(degrees) - abs(turn)) < 0.5
            assert abs(abs(axis @ beam) - 1) < 1e-3


def test_the_wheel_moves_along_the_ray(host, live):
    panel, scene = live
    camera, before = scene.cameras[0], panel.pose.matrix
    host.mouse.wheel("XRay1", START, 4)
    xray.rest(host, panel)
    far = [float((center_of(pose) - camera.source).norm()) for pose in (before, panel.pose.matrix)]
    assert far[1] - far[0] == pytest.approx(4 * 5.0, abs=1e-6)
    shadows = [camera.project(center_of(pose))[0].numpy() for pose in (before, panel.pose.matrix)]
    assert np.abs(shadows[0] - shadows[1]).max() < 1e-6
    host.mouse.wheel("XRay1", START, -4)
    xray.rest(host, panel)
    assert corner_error(panel.pose.matrix, before) < 1e-6


def test_undo_and_redo_go_through_the_drags(host, live):
    panel, _scene = live
    poses = [panel.pose.matrix]
    for keys in ((), ("Shift",)):
        host.mouse.drag("XRay1", START, END, modifiers=keys)
        xray.rest(host, panel)
        poses.append(panel.pose.matrix)
    assert not panel.ui.redoButton.enabled
    for expected in (poses[1], poses[0]):
        host.click(panel.ui.undoButton)
        xray.rest(host, panel)
        assert np.abs(panel.pose.matrix - expected).max() < 1e-9
    for expected in poses[1:]:
        host.click(panel.ui.redoButton)
        xray.rest(host, panel)
        assert np.abs(panel.pose.matrix - expected).max() < 1e-9
    assert not panel.ui.redoButton.enabled
    host.click(panel.ui.undoButton)
    host.mouse.wheel("XRay1", START, 1)
    xray.rest(host, panel)
    assert not panel.ui.redoButton.enabled, "after a new move there is nothing to redo"


def test_without_drag_in_place_mode_and_in_other_views_the_ct_stays(host, live):
    panel, scene = live
    before, picture = panel.pose.matrix, host.pixels("XRay1").astype(int)
    host.click(panel.ui.dragCheckBox)
    host.mouse.drag("XRay1", START, END)
    host.mouse.wheel("XRay1", START, 2)
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *CENTER)  # as from a list of points
    host.process(100)
    assert np.abs(host.pixels("XRay1") - picture).max() < 3, "the view has left the detector's plane"
    host.click(panel.ui.dragCheckBox)
    for view in ("Red", "Green", "1"):
        host.mouse.drag(view, (20, 30), (60, 80))
    host.process(200)
    assert np.abs(panel.pose.matrix - before).max() == 0
    panel.ui.landmarksCollapsibleButton.collapsed = False
    host.process(50)
    host.click(panel.ui.placeClicksButton)
    mark = (30, 22)
    host.mouse.click("XRay1", xray.place(host, "XRay1", mark))
    clicks = parameters(panel).clicks
    assert clicks.GetNumberOfDefinedControlPoints() == 1
    placed = np.array(clicks.GetNthControlPointPositionWorld(0))
    on_detector = scene.cameras[0].detector_points(torch.tensor([mark], dtype=torch.float64))[0].numpy()
    assert np.linalg.norm(placed - on_detector) < 1.5, "the point is not on the detector under the mouse"
    host.click(panel.ui.placeClicksButton)
    host.process(200)
    assert np.abs(panel.pose.matrix - before).max() == 0
    host.mouse.drag("XRay1", (150, 200), (250, 300))
    assert corner_error(panel.pose.matrix, before) > 5
    assert clicks.GetNumberOfDefinedControlPoints() == 1


def test_the_six_numbers_are_the_pose(host, live):
    from DiffRegLib.transforms import rigid

    panel, _scene = live
    values = np.array([12.0, -7.0, 33.0, -14.0, 25.0, 6.0])
    for name, value in zip(xray.NUMBERS, values):
        getattr(panel.ui, f"{name}Slider").value = value
        host.process(5)
    xray.rest(host, panel)
    numbers = torch.from_numpy(values)
    expected = rigid(numbers[:3], numbers[3:], torch.from_numpy(CENTER)).matrix.numpy()
    assert np.abs(panel.pose.matrix - expected).max() < 1e-9
    assert np.abs(xray.numbers(panel) - values).max() < 1e-9
    assert np.abs(center_of(panel.pose.matrix).numpy() - CENTER - values[3:]).max() < 1e-9
    moved = np.eye(4)
    moved[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    moved[:3, 3] = CENTER - moved[:3, :3] @ CENTER + [3, -4, 5]
    slicer.util.updateTransformMatrixFromArray(parameters(panel).pose, moved)
    host.process(20)
    assert np.abs(xray.numbers(panel) - [0, 0, 90, 3, -4, 5]).max() < 0.01


def test_one_slider_leaves_the_other_numbers_as_they_are_however_large_or_fine(host, live):
    panel, _scene = live
    far = np.eye(4)
    far[:3, 3] = [2500.0, 0.12345678, 0.0]
    slicer.util.updateTransformMatrixFromArray(parameters(panel).pose, far)
    xray.rest(host, panel)
    assert np.abs(xray.numbers(panel) - [0, 0, 0, 2500, 0.12, 0]).max() < 0.01
    panel.ui.shiftSSlider.value = 7.0
    xray.rest(host, panel)
    assert np.abs(panel.pose.matrix[:3, 3] - [2500, 0.12345678, 7]).max() < 1e-6


def test_a_pasted_pose_is_taken_as_numbers_and_as_a_matrix(host, live):
    panel, scene = live
    matrix = " ".join(repr(value) for value in scene.truth.ravel().tolist())
    for text in (" ".join(map(str, xray.TRUTH)), matrix):
        xray.paste(host, panel, text)
        assert np.abs(panel.pose.matrix - scene.truth).max() < 1e-6
        assert panel.ui.pasteLineEdit.text == "" and not panel.ui.pasteLabel.isVisible()
        assert np.abs(xray.numbers(panel) - xray.TRUTH).max() < 0.01
        host.click(panel.ui.undoButton)
        assert np.abs(panel.pose.matrix - scene.truth).max() > 0.1


def test_nonsense_moves_nothing_and_is_told(host, live):
    panel, _scene = live
    before, told = panel.pose.matrix, []
    for text in ("a nonsense", "1 2 3", "2 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1", "nan 0 0 0 0 0"):
        xray.paste(host, panel, text)
        assert np.abs(panel.pose.matrix - before).max() == 0, text
        assert panel.ui.pasteLabel.isVisible() and len(panel.ui.pasteLabel.text) > 20
        assert panel.ui.pasteLineEdit.text == text, "what was typed is there to be corrected"
        told.append(panel.ui.pasteLabel.text)
    assert len(set(told)) > 2, told
    xray.paste(host, panel, "0 0 0 0 0 0")
    assert not panel.ui.pasteLabel.isVisible()


@pytest.mark.parametrize("pause_ms", [0, 200], ids=["fast", "slow"])
def test_the_handles_in_3d_move_the_ct(host, live, pause_ms):
    """However slow the drag, and whether the CT rests on the way, it is one step of the history."""
    panel, scene = live
    xray.paste(host, panel, "0 0 0 0 0 0")
    before = panel.pose.matrix
    middle, above = (np.array(host.pixel_of("1", CENTER + [0, 0, z])) for z in (0, 100))
    along = (above - middle) / np.linalg.norm(above - middle)
    arrow = np.rint(middle + 40 * along).astype(int)
    color = host.pixels("1")[arrow[1], arrow[0]].astype(int)
    assert color[2] > color[0] + 60 and color[2] > color[1] + 60, "the arrow toward the head is not there"
    end = tuple(np.rint(arrow + 25 * along).astype(int).tolist())
    host.mouse.drag("1", tuple(arrow.tolist()), end, steps=5, pause_ms=pause_ms)
    xray.rest(host, panel)
    host.process(300)
    moved = panel.pose.matrix[:3, 3] - before[:3, 3]
    assert moved[2] > 20 and np.abs(moved[:2]).max() < 1e-3, moved
    assert angle_axis(panel.pose.matrix, before)[0] < 1e-4
    assert abs(xray.numbers(panel)[5] - moved[2]) < 0.01
    assert np.abs(xray.picture("XRay1") - scene.drr(panel.pose.matrix)).max() < 1e-3
    host.click(panel.ui.undoButton)
    assert np.abs(panel.pose.matrix - before).max() < 1e-9
