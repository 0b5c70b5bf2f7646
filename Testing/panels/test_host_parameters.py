"""Parameters live in a real MRML node: bound to widgets both ways, restored with the scene."""

from pathlib import Path

import numpy as np
import pytest

DEMO = Path(__file__).parent / "modules/HostDemo/HostDemo.py"
STORED = {
    "smoothness": "3.5",
    "iterations": "7",
    "invert": "True",
    "device": "cpu",
    "effort": "QUICK",
    "table": "/data/table.csv",
    "note": "second",
    "schedule.len": "2",
    "schedule.0": "8.0",
    "schedule.1": "1.5",
    "fixed.0": "",
    "output": "",
}


@pytest.fixture
def panel(host):
    return host.open_module(DEMO)


@pytest.fixture
def volume(host):
    import slicer

    return slicer.util.addVolumeFromArray(np.arange(24.0).reshape(2, 3, 4), name="CT")


def set_everything(panel, volume):
    """Values other than the defaults; returns the output transform."""
    import slicer
    from HostDemo import Effort

    node = panel._parameterNode
    node.fixed, node.output = volume, slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", "found")
    node.smoothness, node.iterations, node.invert, node.device = 3.5, 7, True, "cpu"
    node.effort, node.table, node.note, node.schedule = Effort.QUICK, Path("/data/table.csv"), "second", [8.0, 1.5]
    return node.output


def check_widgets(panel):
    ui = panel.ui
    assert ui.fixedSelector.currentNode().GetName() == "CT" and ui.outputSelector.currentNode().GetName() == "found"
    assert (ui.smoothnessSlider.value, ui.iterationsBox.value, ui.invertBox.checked) == (3.5, 7, True)
    assert (ui.deviceBox.currentText, ui.effortBox.currentText) == ("cpu", "quick")
    assert (ui.tableEdit.currentPath, ui.noteEdit.text) == ("/data/table.csv", "second")


def test_defaults_reach_the_widgets_with_their_limits(panel):
    ui = panel.ui
    assert (ui.smoothnessSlider.value, ui.smoothnessSlider.minimum, ui.smoothnessSlider.maximum) == (2.5, 0, 10)
    assert (ui.iterationsBox.value, ui.iterationsBox.minimum, ui.iterationsBox.maximum) == (30, 1, 1000)
    assert [ui.deviceBox.itemText(i) for i in range(ui.deviceBox.count)] == ["auto", "cpu", "cuda"]
    assert tuple(ui.fixedSelector.nodeTypes) == ("vtkMRMLScalarVolumeNode", "vtkMRMLModelNode")
    assert ui.effortBox.currentText == "thorough" and list(panel._parameterNode.schedule) == [4.0, 2.0]


def test_from_the_node_to_the_widgets(panel, volume):
    set_everything(panel, volume)
    check_widgets(panel)


def test_from_the_widgets_to_the_node(host, panel, volume):
    ui, node = panel.ui, panel._parameterNode
    host.choose(ui.fixedSelector, "CT")
    host.choose(ui.deviceBox, "cuda")
    ui.smoothnessSlider.value, ui.iterationsBox.value, ui.invertBox.checked = 4.5, 9, True
    ui.noteEdit.text, ui.tableEdit.currentPath = "typed", "/data/x.csv"
    assert node.fixed is volume and node.device == "cuda"
    assert (node.smoothness, node.iterations, node.invert) == (4.5, 9, True)
    assert (node.note, node.table) == ("typed", Path("/data/x.csv"))


def test_the_node_holds_slicers_own_names_and_strings(panel, volume):
    output = set_everything(panel, volume)
    node = panel._parameterNode.parameterNode
    assert node.GetClassName() == "vtkMRMLScriptedModuleNode"
    assert {name: node.GetParameter(name) for name in node.GetParameterNames()} == STORED
    assert node.GetNodeReference("fixed.0") is volume and node.GetNodeReference("output") is output


def test_wrong_values_are_refused_and_leave_the_parameter_alone(panel, volume):
    node = panel._parameterNode
    wrong = {"smoothness": 11.0, "iterations": 2.5, "device": "tpu", "note": None, "output": volume, "schedule": ["x"]}
    for name, value in wrong.items():
        before = getattr(node, name)
        with pytest.raises((ValueError, TypeError)):
            setattr(node, name, value)
        assert getattr(node, name) == before


def test_a_node_that_leaves_the_scene_leaves_the_parameter(host, panel, volume):
    panel._parameterNode.fixed = volume
    assert panel.ui.applyButton.enabled
    host.scene.RemoveNode(volume)
    host.process()
    assert panel._parameterNode.fixed is None
    assert panel.ui.fixedSelector.currentNode() is None and not panel.ui.applyButton.enabled


def test_closing_the_scene_brings_the_defaults_back(host, panel, volume):
    set_everything(panel, volume)
    host.close_scene()
    assert panel._parameterNode.iterations == 30 and panel.ui.iterationsBox.value == 30
    assert panel.ui.fixedSelector.currentNode() is None and panel.ui.noteEdit.text == "first"


@pytest.mark.parametrize("suffix", [".mrb", ".mrml"])
def test_a_saved_scene_comes_back_whole(host, panel, volume, tmp_path, suffix):
    import slicer

    set_everything(panel, volume)
    if suffix == ".mrml":
        assert slicer.util.saveNode(volume, str(tmp_path / "CT.nrrd"), {})
    host.save_scene(tmp_path / f"scene{suffix}")
    host.close_scene()
    host.load_scene(tmp_path / f"scene{suffix}")
    check_widgets(panel)
    assert list(panel._parameterNode.schedule) == [8.0, 1.5]
    assert np.array_equal(slicer.util.arrayFromVolume(panel._parameterNode.fixed).ravel(), np.arange(24))


def test_leaving_a_module_disconnects_it(host, panel):
    import slicer

    node = panel._parameterNode
    slicer.util.moduleSelector().selectModule("")
    panel.ui.iterationsBox.value = 12
    assert node.iterations == 30 and not panel.parent.isEntered
    slicer.util.selectModule("HostDemo")
    assert panel.parent.isEntered and panel.ui.iterationsBox.value == 30
