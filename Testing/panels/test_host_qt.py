"""The host's qt is as strict as PythonQt: what would fail in Slicer fails here."""

import pytest


@pytest.fixture
def qt(host):
    import qt

    return qt


def test_properties_are_attributes_and_methods_are_called(qt):
    button = qt.QPushButton("Apply")
    button.enabled = False
    assert (button.text, button.enabled, button.isEnabled()) == ("Apply", False, False)
    button.setText("Cancel")
    assert button.text == "Cancel"
    with pytest.raises(TypeError):
        button.text()


def test_a_plain_qt_object_takes_no_new_attribute_but_a_python_subclass_does(qt):
    with pytest.raises(AttributeError, match="creating new attributes on C"):
        qt.QPushButton().pressed_by = "me"

    class Button(qt.QPushButton):
        pass

    button = Button()
    button.pressed_by = "me"
    assert button.pressed_by == "me"


def test_none_and_wrong_types_are_refused_for_a_property(qt):
    box = qt.QSpinBox()
    for value in (None, "many"):
        with pytest.raises(AttributeError, match="does not accept an object of type"):
            box.value = value


def test_signals_connect_by_exact_signature_and_drop_surplus_arguments(qt):
    box, got = qt.QComboBox(), []
    box.addItems(["a", "b", "c"])
    box.connect("currentIndexChanged(int)", got.append)
    box.connect("currentIndexChanged(int)", lambda: got.append("called"))
    box.currentTextChanged.connect(got.append)
    box.currentIndex = 1
    assert sorted(map(str, got)) == ["1", "b", "called"]
    box.disconnect("currentIndexChanged(int)")
    box.currentIndex = 2
    assert got[3:] == ["c"]
    for unknown in ("currentIndexChanged(QString)", "changed()"):
        with pytest.raises(ValueError, match="does not exist on QComboBox"):
            box.connect(unknown, got.append)


def test_dynamic_properties_and_children_are_attributes(qt):
    parent = qt.QWidget()
    child = qt.QLabel("x", parent)
    child.setObjectName("label")
    parent.setProperty("SlicerParameterName", "fixed")
    assert parent.SlicerParameterName == "fixed"
    assert parent.label.text == "x"
    assert parent.findChildren(qt.QLabel) == [child] and parent.children() == [child]
    with pytest.raises(AttributeError):
        _ = parent.title


def test_objects_that_qt_made_have_the_same_manners(qt):
    edit = qt.QPlainTextEdit()
    bar = edit.verticalScrollBar()
    assert bar.value == 0 and bar.className() == "QScrollBar"
    with pytest.raises(AttributeError):
        bar.speed = 3


def test_a_timer_a_file_dialog_and_a_question(host, qt):
    fired = []
    qt.QTimer.singleShot(1, lambda: fired.append(True))
    host.wait_until(lambda: fired)
    host.dialogs.answers[:] = ["/data/ct.nii.gz", qt.QMessageBox.No]
    assert qt.QFileDialog.getOpenFileName(None, "Select the fixed image") == "/data/ct.nii.gz"
    import slicer

    assert slicer.util.confirmYesNoDisplay("Go on?") is False
    assert slicer.util.confirmYesNoDisplay("Really?") is True
    assert qt.QMessageBox.question(None, "Title", "Sure?") == qt.QMessageBox.Yes
    slicer.util.errorDisplay("It broke", detailedText="in line 3")
    kinds = [(shown.kind, shown.text) for shown in host.dialogs.shown]
    expected = [("file", "Select the fixed image"), ("question", "Go on?"), ("question", "Really?")]
    expected.append(("question", "Sure?"))
    assert kinds == [*expected, ("critical", "It broke")]
    assert host.dialogs.shown[-1].details == "in line 3"


def test_what_a_slot_raises_is_kept(host, qt):
    button = qt.QPushButton()
    button.connect("clicked()", lambda: 1 / 0)
    button.click()
    assert "ZeroDivisionError" in host.errors.pop()
    assert host.errors == []


def test_what_an_observer_raises_is_kept(host):
    tag = host.scene.AddObserver(host.scene.NodeAddedEvent, lambda *_: {}["missing"])
    host.scene.AddNewNodeByClass("vtkMRMLTextNode")
    host.scene.RemoveObserver(tag)
    assert "KeyError" in host.errors[0]
    host.errors.clear()


def test_reading_none_and_true_from_qt_often_is_survived(qt):
    widget, button = qt.QWidget(), qt.QPushButton()
    heard = []
    button.connect("toggled(bool)", lambda on: heard.append(on))
    for _ in range(20_000):
        assert widget.property("absent") is None and widget.layout() is None
        button.toggled.emit(True)
    assert heard == [True] * 20_000
