"""Inputs of the panel X-ray Pose that cannot be used: one sentence for the person, and the scene stays as it was."""

import subprocess
import sys
import types

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from Testing.panels import mrml_nodes  # noqa: E402
from Testing.panels import xray_panel as xray  # noqa: E402
from Testing.panels.splat_panel import scene_as_text  # noqa: E402
from Testing.panels.xray_panel import parameters  # noqa: E402

BUTTONS = ("liveButton", "refineButton", "findButton")


@pytest.fixture
def panel(host):
    return xray.open_panel(host)


@pytest.fixture
def scene(panel):
    return xray.choose(panel)


def _refused(panel, *words):
    """The sentence under the buttons; none of them can be pressed."""
    assert not any(getattr(panel.ui, name).enabled for name in BUTTONS)
    said = panel.ui.statusLabel.text
    assert panel.ui.statusLabel.isVisible() and all(word in said for word in words), said
    return said


def _allowed(panel):
    assert all(getattr(panel.ui, name).enabled for name in BUTTONS), panel.ui.statusLabel.text
    assert not panel.ui.statusLabel.isVisible() and panel.ui.statusLabel.text == ""


def _fails(host, panel, *words):
    """Presses Live radiograph, then Refine: both say the same of the input, and nothing has come of them."""
    _allowed(panel)
    before = scene_as_text()
    for name in ("liveButton", "refineButton"):
        host.click(getattr(panel.ui, name))
        host.wait_until(lambda: not panel.registration.running, xray.SECONDS, "the end of the registration")
        said = panel.ui.statusLabel.text
        assert all(word in said for word in words), said
        assert "--" not in said and str(slicer.app.temporaryPath) not in said
        assert not panel.session.running and not panel.ui.liveButton.checked
        assert scene_as_text() == before
    assert said in panel.ui.logTextEdit.plainText
    assert all(getattr(panel.ui, button).enabled for button in BUTTONS)


def test_inputs_are_asked_for_one_after_the_other(host, panel):
    _refused(panel, "Select a CT")
    scene = xray.choose(panel)
    _allowed(panel)
    host.choose(panel.ui.xray1Selector, "Select an X-ray")
    _refused(panel, "Select an X-ray")
    assert not panel.ui.dicomButton.enabled and not panel.ui.presetComboBox.enabled
    host.choose(panel.ui.xray1Selector, scene.xrays[0].GetName())
    host.choose(panel.ui.ctSelector, "Select a CT")
    _refused(panel, "Select a CT")
    host.choose(panel.ui.ctSelector, "CT of a block")
    _allowed(panel)


def _volume(name, values):
    return slicer.util.addVolumeFromArray(np.asarray(values), name=name)


def test_an_image_of_several_slices_is_no_xray(panel, scene):
    parameters(panel).xray_1 = _volume("Run", np.random.default_rng(0).random((5, 80, 96)))
    _refused(panel, '"Run"', "96 x 80 x 5", "single 2D image")


def test_a_color_image_is_no_xray(panel, scene):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Photograph")
    slicer.util.updateVolumeFromArray(node, np.zeros((1, 80, 96), dtype=np.uint8))
    node.GetImageData().AllocateScalars(3, 3)  # three unsigned chars a pixel
    parameters(panel).xray_1 = node
    _refused(panel, '"Photograph"', "color image")


def test_a_volume_without_pixels_is_no_xray(panel, scene):
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    parameters(panel).xray_1 = empty
    _refused(panel, '"Empty"', "no pixels")
    slicer.util.updateVolumeFromArray(empty, np.random.default_rng(0).random((1, 80, 96)))
    _allowed(panel)


def test_one_node_is_not_two_things(panel, scene):
    parameters(panel).xray_2 = scene.xrays[0]
    _refused(panel, "is both X-rays")
    parameters(panel).xray_2 = None
    flat = _volume("Flat", np.random.default_rng(0).random((1, 80, 96)))
    parameters(panel).ct = parameters(panel).xray_1 = flat
    _refused(panel, '"Flat" is the CT and an X-ray')


def test_a_constant_xray(host, panel, scene):
    slicer.util.updateVolumeFromArray(scene.xrays[0], np.full((1, *xray.SIZE), 7.0))
    _fails(host, panel, '"X-ray 1 of a block"', "constant (7)")


def test_an_xray_with_pixels_that_are_no_numbers(host, panel, scene):
    slicer.util.arrayFromVolume(scene.xrays[0])[0, 3, 4] = np.nan
    slicer.util.arrayFromVolumeModified(scene.xrays[0])
    _fails(host, panel, '"X-ray 1 of a block"', "no numbers")


def test_a_ct_that_is_not_in_hounsfield_units(host, panel, scene):
    values = slicer.util.arrayFromVolume(scene.ct)
    slicer.util.updateVolumeFromArray(scene.ct, (values + 1000) / 1800)
    _fails(host, panel, '"CT of a block"', "not a CT in Hounsfield units", "from 0 to 1")


def test_a_ct_with_skewed_axes(panel, scene):
    skewed = np.diag([4.0, 4.0, 4.0, 1.0])
    skewed[0, 1] = 0.5
    scene.ct.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(skewed))
    _refused(panel, '"CT of a block"', "right angles")


@pytest.mark.parametrize("parent", [mrml_nodes.linear_parent, mrml_nodes.bent_parent])
def test_a_ct_under_another_transform(panel, scene, parent):
    node = parent(slicer.mrmlScene, scene.ct, name="Somewhere else")
    _refused(panel, '"CT of a block" is under the ', '"Somewhere else"')
    scene.ct.SetAndObserveTransformNodeID(None)
    _allowed(panel)
    assert node.GetScene() is not None


def test_a_linear_transform_over_the_ct_can_be_the_pose(host, panel, scene):
    node = mrml_nodes.linear_parent(slicer.mrmlScene, scene.ct, name="Registered before")
    _refused(panel, "choose that as the pose")
    host.choose(panel.ui.poseSelector, "Registered before")
    _allowed(panel)
    xray.go_live(host, panel)
    assert parameters(panel).pose is node and np.allclose(panel.pose.matrix, mrml_nodes.MOTION)


def _pose_node(matrix):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Given")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.array(matrix, dtype=float)))
    return node


@pytest.mark.parametrize("way", ["stretches", "shears", "mirrors"])
def test_a_pose_that_is_not_rigid(panel, scene, way):
    matrix = np.diag([-1.0 if way == "mirrors" else 1.0, 1.0, 1.2 if way == "stretches" else 1.0, 1.0])
    matrix[0, 1] = 0.2 if way == "shears" else 0.0
    node = parameters(panel).pose = _pose_node(matrix)
    _refused(panel, '"Given"', "choose a rigid transform")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.eye(4)))
    _allowed(panel)


def test_a_pose_under_another_transform(panel, scene):
    node = parameters(panel).pose = _pose_node(np.eye(4))
    mrml_nodes.linear_parent(slicer.mrmlScene, node)
    _refused(panel, '"Given" is under another transform')
    node.SetAndObserveTransformNodeID(None)
    _allowed(panel)


def test_a_pose_that_is_stretched_while_the_radiograph_is_live_ends_it_with_a_sentence(host, panel, scene):
    xray.go_live(host, panel)
    node = parameters(panel).pose
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.diag([1.0, 1.0, 1.5, 1.0])))
    host.wait_until(lambda: not panel.session.running, xray.SECONDS, "the end of the live radiograph")
    assert "choose a rigid transform" in panel.ui.statusLabel.text and not panel.ui.liveButton.checked


def _field(panel, name):
    return getattr(panel.ui, f"view_1_{name}")


@pytest.mark.parametrize(
    "name, words",
    [
        ("distance", ("source to detector", "(0018,1110)")),
        ("isocenter_distance", ("source to isocenter", "(0018,1111)")),
        ("pixel_width", ("width of a pixel", "(0018,1164)")),
    ],
)
def test_a_missing_value_of_the_c_arm_is_highlighted_until_it_is_typed(host, panel, scene, name, words):
    panel.ui.carmCollapsibleButton.collapsed = True
    _field(panel, name).value = 0
    _refused(panel, '"X-ray 1 of a block" lacks', *words)
    host.process(20)
    assert "background" in _field(panel, name).styleSheet and _field(panel, name).isVisible()
    others = {"distance", "isocenter_distance", "pixel_width", "pixel_height"} - {name}
    assert not any(_field(panel, other).styleSheet for other in others)
    _field(panel, name).value = getattr(xray.options(), name)
    _allowed(panel)
    assert _field(panel, name).styleSheet == ""


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("isocenter_distance", 1200.0, ("1200", "1000", "correct one")),
        ("principal_column", "left", ("Principal column", "'left'", "give a number")),
        ("principal_row", "nan", ("Principal row", "'nan'")),
        ("isocenter", "1 2", ("2 numbers as isocenter", "R, A and S")),
        ("isocenter", "1 2 x", ("Isocenter", "'1 2 x'")),
    ],
)
def test_a_value_of_the_c_arm_that_cannot_be_is_highlighted(host, panel, scene, name, value, words):
    widget = _field(panel, name)
    before = widget.value if widget.inherits("QDoubleSpinBox") else widget.text
    _type(widget, value)
    _refused(panel, '"X-ray 1 of a block"', *words)
    host.process(20)
    assert "background" in widget.styleSheet and widget.isVisible()
    _type(widget, before)
    _allowed(panel)
    assert widget.styleSheet == ""


def _type(widget, value):
    if widget.inherits("QDoubleSpinBox"):
        widget.value = value
    else:
        widget.text = value


def test_an_installation_of_pytorch_that_fails_is_told_once_and_the_live_radiograph_is_off(
    host, panel, scene, monkeypatch
):
    from DiffRegLib.mrml.panel import packages

    class PyTorchUtilsLogic:
        def installTorch(self, askConfirmation, torchVersionRequirement):
            raise subprocess.CalledProcessError(1, "pip")

    extension = types.ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = PyTorchUtilsLogic
    extension.__spec__ = types.SimpleNamespace(name="PyTorchUtils")
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    monkeypatch.setattr(packages, "missing", lambda: [packages.TORCH])
    host.click(panel.ui.liveButton)
    assert "PyTorch >=2.6 could not be installed" in panel.ui.statusLabel.text
    assert not parameters(panel).live and not panel.ui.liveButton.checked and not panel.session.running
    parameters(panel).over_opacity = 0.3
    parameters(panel).pose_seed = 3
    host.process(50)
    assert len(host.dialogs.shown) == 1, "a change of a setting asks again"
