"""The stand-ins for Slicer's and CTK's widgets follow the real scene."""

import numpy as np
import pytest

UI = """<ui version="4.0"><class>Panel</class>
<widget class="qMRMLWidget" name="Panel"><layout class="QVBoxLayout" name="column">
<item><widget class="{widget}" name="first"><property name="nodeTypes">
<stringlist><string>vtkMRMLScalarVolumeNode</string></stringlist></property></widget></item>
<item><widget class="qMRMLNodeComboBox" name="second"/></item></layout></widget>
<connections><connection><sender>Panel</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
<receiver>{receiver}</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection></connections></ui>"""


@pytest.fixture
def slicer(host):
    import slicer

    return slicer


def volume(slicer, name):
    return slicer.util.addVolumeFromArray(np.zeros((2, 3, 4)), name=name)


def selector(slicer, *node_types, **properties):
    box = slicer.qMRMLNodeComboBox()
    box.nodeTypes = list(node_types)
    for name, value in properties.items():
        setattr(box, name, value)
    box.setMRMLScene(slicer.mrmlScene)
    return box


def entries(box):
    return [box._box.itemText(i) for i in range(box._box.count())]


def test_node_selector_lists_the_nodes_of_its_types_as_they_come_go_and_change_names(host, slicer):
    box = selector(slicer, "vtkMRMLScalarVolumeNode", noneEnabled=True, addEnabled=False, removeEnabled=False)
    assert entries(box) == ["None"] and box.currentNode() is None
    ct, mr = volume(slicer, "CT"), volume(slicer, "MR")
    host.scene.AddNewNodeByClass("vtkMRMLModelNode", "liver")
    assert entries(box) == ["None", "CT", "MR"] and box.nodeCount() == 2
    mr.SetName("MR T2")
    assert entries(box) == ["None", "CT", "MR T2"]
    host.scene.RemoveNode(ct)
    assert entries(box) == ["None", "MR T2"]


def test_node_selector_signals_the_choice_and_the_loss_of_it(host, slicer):
    box, got = selector(slicer, "vtkMRMLScalarVolumeNode", noneEnabled=True), []
    ct = volume(slicer, "CT")
    box.connect("currentNodeChanged(vtkMRMLNode*)", got.append)
    box.connect("currentNodeChanged(bool)", got.append)
    box.currentNodeIDChanged.connect(got.append)
    host.choose(box, "CT")
    assert got == [ct, True, ct.GetID()] and box.currentNodeID == ct.GetID()
    host.scene.RemoveNode(ct)
    assert got[3:] == [None, False, ""]


def test_node_selector_creates_renames_and_deletes(host, slicer):
    box = selector(
        slicer, "vtkMRMLLinearTransformNode", "vtkMRMLGridTransformNode", renameEnabled=True, noneEnabled=True
    )
    box.baseName = "Registration"
    host.choose(box, next(text for text in entries(box) if text.startswith("Create new") and "Grid" in text))
    assert box.currentNode().IsA("vtkMRMLGridTransformNode") and box.currentNode().GetName() == "Registration"
    host.dialogs.answers.append("Breathing")
    host.choose(box, "Rename current node...")
    assert box.currentNode().GetName() == "Breathing"
    host.choose(box, "Delete current node")
    assert box.currentNode() is None and slicer.util.getNodesByClass("vtkMRMLGridTransformNode") == []


def test_node_selector_can_leave_out_derived_and_hidden_nodes_and_demand_an_attribute(host, slicer):
    ct, labels = volume(slicer, "CT"), host.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    hidden = volume(slicer, "hidden")
    hidden.SetHideFromEditors(True)
    box = selector(slicer, "vtkMRMLScalarVolumeNode", addEnabled=False, removeEnabled=False)
    assert entries(box) == ["CT", "labels"]
    box.showChildNodeTypes = False
    assert entries(box) == ["CT"]
    box.showChildNodeTypes = box.showHidden = True
    assert entries(box) == ["CT", "labels", "hidden"]
    labels.SetAttribute("phase", "inhale")
    box.addAttribute("vtkMRMLScalarVolumeNode", "phase", "inhale")
    assert entries(box) == ["labels"] and ct is not None


def test_without_none_the_first_node_is_chosen_when_the_scene_is_set(slicer):
    ct = volume(slicer, "CT")
    volume(slicer, "MR")
    assert selector(slicer, "vtkMRMLScalarVolumeNode").currentNode() is ct
    assert selector(slicer, "vtkMRMLScalarVolumeNode", noneEnabled=True).currentNode() is None


def load(tmp_path, slicer, **names):
    path = tmp_path / "panel.ui"
    path.write_text(UI.format(**({"widget": "qMRMLNodeComboBox", "receiver": "first"} | names)))
    return slicer.util.loadUI(str(path))


def test_a_ui_file_hands_the_scene_to_the_connected_widgets_only(tmp_path, slicer):
    panel = load(tmp_path, slicer)
    ui = slicer.util.childWidgetVariables(panel)
    panel.setMRMLScene(slicer.mrmlScene)
    assert ui.first.mrmlScene() is slicer.mrmlScene
    assert ui.second.mrmlScene() is None
    assert slicer.util.findChild(panel, "first") is ui.first and tuple(ui.first.nodeTypes) == (
        "vtkMRMLScalarVolumeNode",
    )


def test_a_ui_file_with_an_unknown_class_or_a_connection_to_nowhere_is_refused(tmp_path, slicer):
    with pytest.raises(RuntimeError, match="ctkFantasyWidget"):
        load(tmp_path, slicer, widget="ctkFantasyWidget")
    with pytest.raises(RuntimeError, match="leads nowhere"):
        load(tmp_path, slicer, receiver="third")


def test_slider_widget_keeps_value_limits_and_slider_together(slicer):
    import ctk

    slider, got = ctk.ctkSliderWidget(), []
    slider.minimum, slider.maximum, slider.decimals, slider.suffix = -10, 30, 1, " mm"
    slider.connect("valueChanged(double)", got.append)
    slider.value = 5.25
    assert slider.value == pytest.approx(5.3, abs=0.051) and got == [slider.value]
    slider._slider.setValue(1000)
    assert slider.value == 30
    slider.maximum = 20
    assert slider.value == 20
    with pytest.raises(AttributeError):
        slider.value = None


def test_a_collapsed_section_hides_its_contents(host, slicer):
    import ctk
    import qt

    section, inside = ctk.ctkCollapsibleButton("Advanced"), qt.QLabel("x")
    layout = qt.QVBoxLayout(section)
    layout.addWidget(inside)
    section.show()
    unfolded = section.sizeHint().height()
    section.collapsed = True
    assert not inside.isVisible() and section.sizeHint().height() < unfolded
    section.click()
    assert inside.isVisible() and not section.collapsed


def test_range_and_path_widgets(slicer):
    import ctk

    limits, got = ctk.ctkRangeWidget(), []
    limits.setRange(-5, 5)
    limits.setValues(-1, 2)
    assert (limits.minimumValue, limits.maximumValue) == (-1, 2)
    path = ctk.ctkPathLineEdit()
    path.connect("currentPathChanged(QString)", got.append)
    path.currentPath = "/data"
    assert got == ["/data"]
