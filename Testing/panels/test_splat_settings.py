"""The settings of the panel: every widget holds its parameter, presets are followed, Apply says what is missing."""

import sys

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from Testing.host.standins import sample_data  # noqa: E402
from Testing.panels.splat_panel import (  # noqa: E402
    choose_points,
    cloud,
    labels_node,
    open_panel,
    parameters,
    points_node,
)

MAKER = """
import sys
from pathlib import Path
import numpy as np
import SimpleITK as sitk
folder = Path(sys.argv[1])
folder.mkdir()
for side in ("fixed", "moving"):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((5, 6, 7), dtype=np.int16)), str(folder / f"{side}_ct.nii.gz"))
    (folder / f"{side}_landmarks.csv").write_text("x,y,z\\n1,2,3\\n4,5,6\\n")
"""
BOOKKEEPING = {"followed_preset", "result_fixed", "result_moving", "measures", "loss"}


@pytest.fixture
def panel(host):
    return open_panel(host)


def _bound(panel):
    """The widgets by the parameter that they name."""
    widgets = [w for w in vars(panel.ui).values() if w.property("SlicerParameterName")]
    return {w.property("SlicerParameterName"): w for w in widgets}


def test_every_parameter_has_a_widget_and_every_widget_a_parameter(panel):
    assert set(_bound(panel)) == set(parameters(panel).allParameters) - BOOKKEEPING


def test_every_option_is_there_once_with_help_unit_and_range(panel):
    from DiffRegLib.options import option_fields

    for group, options in panel.method.options.items():
        for field in option_fields(options):
            widget = _bound(panel)[f"{group}_{field.name}"]
            assert field.help[1:] in widget.toolTip and field.unit in widget.toolTip
            if widget.inherits("QSpinBox") or widget.inherits("QDoubleSpinBox"):
                assert field.unit in widget.suffix
                assert field.low is None or widget.minimum == field.low
                assert field.high is None or widget.maximum == field.high
                assert widget.value == field.type(parameters(panel).getValue(f"{group}_{field.name}"))


def test_a_change_in_a_widget_reaches_the_parameter_and_back(host, panel):
    bound, settings = _bound(panel), parameters(panel)
    for name, widget in bound.items():
        if widget.inherits("QCheckBox"):
            before = settings.getValue(name)
            host.click(widget) if widget.isVisible() and widget.isEnabled() else widget.toggle()
            assert settings.getValue(name) is not before
            settings.setValue(name, before)
            assert widget.checked is before
        elif widget.inherits("QSpinBox") or widget.inherits("QDoubleSpinBox"):
            before = widget.value
            widget.value = before + widget.singleStep if before < widget.maximum else before - widget.singleStep
            assert settings.getValue(name) == widget.value != before
            settings.setValue(name, before)
            assert widget.value == before
        elif widget.inherits("QComboBox"):
            widget.currentIndex = widget.count - 1
            last = settings.getValue(name)
            widget.currentIndex = 0
            assert settings.getValue(name) != last
            settings.setValue(name, last)
            assert widget.currentIndex == widget.count - 1
        elif widget.inherits("QLineEdit"):
            before = settings.getValue(name)
            widget.text = "7"
            assert settings.getValue(name) == "7"
            settings.setValue(name, before)
            assert widget.text == before


def test_the_widgets_of_a_panel_that_is_left_observe_its_parameter_node_no_more(host, panel):
    """In Slicer 5.10 too, which forgets an observer with every visit of a module (run with its Python layer)."""
    node = parameters(panel).parameterNode
    for _visit in range(3):
        panel.enter()
        observers = list(panel._gui._observers)
        assert observers and all(node.GetCommand(tag) for tag in observers)
        panel.exit()
        assert not any(node.GetCommand(tag) for tag in observers)


@pytest.mark.parametrize("name", ["fixed", "moving", "fixed_mask", "moving_mask", "output_warped"])
def test_nodes_are_chosen_by_hand_and_by_script(host, panel, name):
    node = labels_node("Organ", (0, 0, 0))
    selector = _bound(panel)[name]
    host.choose(selector, "Organ")
    assert parameters(panel).getValue(name) is node
    parameters(panel).setValue(name, None)
    assert selector.currentNode() is None


def test_options_that_nobody_changed_follow_the_preset(panel):
    from DiffRegLib.methods.splatting.options import PRESETS
    from DiffRegLib.options import option_fields

    settings, names = parameters(panel), list(PRESETS)
    Preset = type(settings.preset)
    different = [
        f.name
        for f in option_fields(panel.method.options["splatting"])
        if len({getattr(PRESETS[n], f.name) for n in names[:2]}) == 2 and f.type in (int, float) and not f.repeated
    ]
    followed = different[0]
    settings.preset = Preset[names[0]]
    settings.setValue("splatting_seed", 17)
    for name in (names[1], names[0], names[1]):
        settings.preset = Preset[name]
        assert settings.getValue(f"splatting_{followed}") == getattr(PRESETS[name], followed)
        assert settings.getValue("splatting_seed") == 17
    panel.ui.resetButton.click()
    assert settings.getValue("splatting_seed") == PRESETS[names[1]].seed


def _reason(panel):
    assert not panel.ui.applyButton.enabled
    assert panel.ui.applyButton.toolTip in (panel.ui.applyButton.text, panel.ui.statusLabel.text)
    return panel.ui.applyButton.toolTip


def test_apply_says_what_is_missing(host, panel):
    assert _reason(panel) == "Select a fixed input"
    parameters(panel).fixed = points_node("A", cloud(50))
    assert _reason(panel) == "Select a moving input"
    parameters(panel).moving = parameters(panel).fixed
    assert _reason(panel).startswith('"A" is the fixed and the moving input')
    parameters(panel).moving = points_node("B", cloud(50))
    assert panel.ui.applyButton.enabled and panel.ui.applyButton.text == "Apply"


def test_apply_waits_for_points_that_are_placed_later(host, panel):
    choose_points(panel)
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Later")
    parameters(panel).moving = empty
    assert '"Later" has no placed control points' in _reason(panel)
    for position in cloud(20):
        empty.AddControlPoint(position)
    assert panel.ui.applyButton.enabled


def test_apply_waits_for_segments_that_are_drawn_later(host, panel):
    choose_points(panel)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Organs")
    parameters(panel).moving = segmentation
    assert '"Organs" has no segments' in _reason(panel)
    segmentation.GetSegmentation().AddEmptySegment("liver")
    assert panel.ui.applyButton.enabled


def test_a_volume_under_a_transform_that_bends_cannot_be_taken(host, panel):
    _, moving = choose_points(panel)
    volume = labels_node("CT", (0, 0, 0), "vtkMRMLScalarVolumeNode")
    bent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", "Bend")
    volume.SetAndObserveTransformNodeID(bent.GetID())
    parameters(panel).moving = volume
    assert '"CT" is under the non-linear transform "Bend"' in _reason(panel)
    volume.SetAndObserveTransformNodeID(None)
    assert panel.ui.applyButton.enabled


def test_landmarks_come_in_pairs(host, panel):
    choose_points(panel)
    parameters(panel).fixed_landmarks = points_node("L1", cloud(10))
    assert '"L1" has no counterpart' in _reason(panel)
    parameters(panel).moving_landmarks = points_node("L2", cloud(11))
    assert '"L1" has 10 points and "L2" has 11' in _reason(panel)
    parameters(panel).moving_landmarks.RemoveNthControlPoint(0)
    assert panel.ui.applyButton.enabled


def test_landmarks_of_the_same_names_need_not_be_of_the_same_number(host, panel):
    choose_points(panel)
    fixed, moving = points_node("L1", cloud(3)), points_node("L2", cloud(2))
    parameters(panel).fixed_landmarks, parameters(panel).moving_landmarks = fixed, moving
    assert '"L1" has 3 points and "L2" has 2' in _reason(panel)
    for node, names in ((fixed, "abc"), (moving, "ca")):
        for n, name in enumerate(names):
            node.SetNthControlPointLabel(n, name)
    host.process()
    assert panel.ui.applyButton.enabled


def test_a_landmark_that_was_skipped_keeps_its_place_in_the_order(host, panel, tmp_path):
    from DiffRegLib.files.points import read_points
    from DiffRegLib.mrml.export import export
    from DiffRegLib.points.listed import paired

    places = cloud(5)
    fixed, moving = points_node("L1", places), points_node("L2", places + 1)
    for node, skipped in ((fixed, 1), (moving, 3)):
        node.UnsetNthControlPointPosition(skipped)
        for n in range(5):
            node.SetNthControlPointLabel(n, "")
    paths = [export(node, tmp_path, role).path for node, role in ((fixed, "f"), (moving, "m"))]
    pairs = paired(*map(read_points, paths))
    assert np.abs(pairs.fixed.numpy() - places[[0, 2, 4]]).max() < 1e-4
    assert np.abs(pairs.moving.numpy() - pairs.fixed.numpy() - 1).max() < 1e-4


def test_an_output_is_neither_an_input_nor_of_another_kind(host, panel):
    _, moving = choose_points(panel)
    parameters(panel).output_warped = moving
    assert '"Moving cloud" is used twice' in _reason(panel)
    parameters(panel).output_warped = labels_node("Labels", (0, 0, 0))
    assert '"Labels" cannot take the result' in _reason(panel)
    parameters(panel).output_warped = None
    assert panel.ui.applyButton.enabled


def test_a_schedule_that_is_no_list_of_numbers_is_refused(panel):
    choose_points(panel)
    lines = [name for name, w in _bound(panel).items() if w.inherits("QLineEdit")]
    parameters(panel).setValue(lines[0], "fast")
    assert "'fast'" in _reason(panel)


@pytest.mark.parametrize("typed", ["fast", "20 900"])
def test_an_option_is_called_as_its_widget_is_labeled(panel, typed):
    choose_points(panel)
    parameters(panel).splatting_affine_sigmas = typed
    form = panel.ui.splatting_affine_sigmas.parent().layout()
    label = form.labelForField(panel.ui.splatting_affine_sigmas).text.split(" [")[0]
    assert _reason(panel).startswith(f"{label} is {typed.split()[-1]!r}" if typed == "fast" else f"{label} is 900")


def test_a_result_that_is_not_linear_goes_into_a_new_node_where_a_linear_one_was_chosen(panel):
    from DiffRegLib.mrml.pair.plan import PairPlan

    choose_points(panel)
    chosen = parameters(panel)
    chosen.output_transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Chosen")
    plan, bent = PairPlan(chosen), slicer.vtkMRMLTransformNode()
    bent.SetAndObserveTransformFromParent(slicer.vtkOrientedBSplineTransform())
    assert panel.ui.applyButton.enabled
    assert plan._target("output_transform", slicer.vtkMRMLLinearTransformNode()) is chosen.output_transform
    assert plan._target("output_transform", bent) is None


@pytest.fixture(params=sample_data.LOGICS)
def samples(request, monkeypatch):
    """What was registered in the module Sample Data of a version of Slicer."""
    module = sample_data.module(request.param)
    monkeypatch.setitem(sys.modules, "SampleData", module)
    return module.registered


def test_the_sample_is_made_in_another_process_and_loaded(host, panel, samples, monkeypatch, tmp_path):
    from DiffRegLib.mrml.panel import sample_maker

    maker = tmp_path / "maker.py"
    maker.write_text(MAKER)
    monkeypatch.setattr(sample_maker, "command", lambda given: [sys.executable, str(maker), given[-1]])
    host.app.startupCompleted.emit()
    samples[-1].customDownloader(samples[-1])
    host.wait_until(lambda: not sample_maker.Maker.running, 60, "the patient")
    names = {node.GetName() for kind in ("ScalarVolume", "MarkupsFiducial") for node in _all(kind)}
    assert names == {"Inspiration", "Expiration", "Inspiration landmarks", "Expiration landmarks"}
    assert slicer.util.getNode("Inspiration landmarks").GetNthControlPointPosition(1) == (4.0, 5.0, 6.0)


def _all(kind):
    return slicer.util.getNodesByClass(f"vtkMRML{kind}Node")
