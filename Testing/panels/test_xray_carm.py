"""The C-arm section of X-ray Pose: DICOM tags, geometry files and presets type its fields."""

import json
import types

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("torch", reason="torch is not installed")

from Testing.panels import xray_panel as xray  # noqa: E402
from Testing.panels.xray_panel import parameters  # noqa: E402

TAGS = {  # an angiography system: detector 25 degrees to the left and 10 toward the feet
    "0008|0060": "XA",
    "0018|1110": "1195.0",
    "0018|1111": "785.5",
    "0018|1164": "0.308\\0.154",
    "0018|1510": "25.0",
    "0018|1511": "-10.0",
}
TYPED = {
    "distance": 1195.0,
    "isocenter_distance": 785.5,
    "pixel_width": 0.154,
    "pixel_height": 0.308,
    "primary_angle": 25.0,
    "secondary_angle": -10.0,
    "image_angle": 0.0,
}


@pytest.fixture
def panel(host):
    return xray.open_panel(host)


@pytest.fixture
def scene(panel):
    """A CT and an X-ray of which nothing is known."""
    from DiffRegLib.radiographs.options import CArmOptions

    scene = xray.choose(panel)
    _write(panel, CArmOptions())
    return scene


def _write(panel, options, number=1):
    from XRayPoseLib import carm

    carm.write(parameters(panel), number, options)


def _read(panel, number=1):
    from XRayPoseLib import carm

    return carm.read(parameters(panel), number)


def _shown(panel, number=1):
    """What the fields hold."""
    return {name: getattr(panel.ui, f"view_{number}_{name}").value for name in TYPED}


def _dicom(folder, tags, name="xray.dcm"):
    """A file of 80 by 96 pixels with these tags, loaded as a volume."""
    import SimpleITK as sitk

    pixels = np.random.default_rng(0).integers(100, 4000, xray.SIZE).astype(np.uint16)
    image = sitk.GetImageFromArray(pixels)
    image.SetSpacing((0.154, 0.308))
    for tag, value in tags.items():
        image.SetMetaData(tag, value)
    folder.mkdir(exist_ok=True)
    sitk.WriteImage(image, str(folder / name))
    node = slicer.util.loadVolume(str(folder / name))
    assert np.array_equal(slicer.util.arrayFromVolume(node)[0], pixels)
    return node


def test_the_tags_of_a_dicom_file_fill_the_fields(host, panel, scene, tmp_path):
    parameters(panel).xray_1 = _dicom(tmp_path / "run", TAGS)
    assert _shown(panel) == pytest.approx(TYPED), "nobody has typed anything: the tags are read at once"
    for name in ("distance", "primary_angle"):
        getattr(panel.ui, f"view_1_{name}").value = 0
    assert not panel.ui.liveButton.enabled
    host.click(panel.ui.dicomButton)
    assert panel.ui.statusLabel.text == "" and panel.ui.liveButton.enabled
    assert _shown(panel) == pytest.approx(TYPED)
    assert not panel.ui.view_1_mirrored.checked and panel.ui.view_1_isocenter.text == ""


def test_missing_tags_are_named(host, panel, scene, tmp_path):
    tags = {tag: value for tag, value in TAGS.items() if tag not in ("0018|1110", "0018|1510")}
    parameters(panel).xray_1 = _dicom(tmp_path / "run", tags)
    before = _read(panel)
    host.click(panel.ui.dicomButton)
    said = panel.ui.statusLabel.text
    assert "DistanceSourceToDetector (0018,1110)" in said and "PositionerPrimaryAngle (0018,1510)" in said
    assert "1111" not in said and "the section C-arm" in said and "--" not in said
    assert f'"{parameters(panel).xray_1.GetName()}"' in said
    assert _read(panel) == before and not panel.ui.liveButton.enabled


def test_an_xray_that_is_no_dicom_has_no_tags(host, panel, scene):
    host.click(panel.ui.dicomButton)
    assert '"X-ray 1 of a block"' in panel.ui.statusLabel.text and "(0018,1164)" in panel.ui.statusLabel.text


@pytest.fixture
def database(monkeypatch):
    """A stand-in for Slicer's DICOM database, which is no part of the host: it knows one instance."""

    def value(uid, tag):
        assert "," in tag and "|" not in tag
        return TAGS.get(tag.replace(",", "|"), "") if uid == "1.2.826.7" else ""

    monkeypatch.setattr(slicer, "dicomDatabase", types.SimpleNamespace(instanceValue=value), raising=False)


def test_an_xray_from_the_dicom_database_fills_the_fields(host, panel, scene, database):
    scene.xrays[0].SetAttribute("DICOM.instanceUIDs", "1.2.826.7 1.2.826.8")
    host.click(panel.ui.dicomButton)
    assert panel.ui.statusLabel.text == "" and _shown(panel) == pytest.approx(TYPED)


def test_an_instance_that_is_not_in_the_database_any_more(host, panel, scene, database):
    scene.xrays[0].SetAttribute("DICOM.instanceUIDs", "1.2.826.9")
    host.click(panel.ui.dicomButton)
    assert "DICOM tags are missing" in panel.ui.statusLabel.text


def test_two_xrays_are_read_one_by_one(host, panel, tmp_path):
    xray.choose(panel, [xray.options(), xray.options(primary_angle=90.0)])
    parameters(panel).xray_2 = _dicom(tmp_path / "lateral", TAGS, "lateral.dcm")
    host.click(panel.ui.dicomButton)
    assert '"X-ray 1 of a block"' in panel.ui.statusLabel.text and "lateral" not in panel.ui.statusLabel.text
    assert _shown(panel, 2) == pytest.approx(TYPED) and _read(panel) == xray.options()


def _geometry(path, scene, pose=None):
    """The geometry file of the scene's cameras, with the pose of the patient (4,4) where one is given."""
    import torch

    from DiffRegLib.camera import write_geometry

    write_geometry(path, scene.cameras, torch.from_numpy(xray.CENTER))
    content = json.loads(path.read_text())
    if pose is not None:
        content["M"] = pose.tolist()
    path.write_text(json.dumps(content))
    return path


def test_a_geometry_file_fills_the_fields_and_leaves_the_pose_alone(host, panel, scene, tmp_path):
    panel.ui.geometryPathLineEdit.currentPath = str(_geometry(tmp_path / "carm.json", scene))
    host.process()
    assert panel.ui.statusLabel.text == "" and parameters(panel).pose is None
    xray.go_live(host, panel)
    assert np.abs(xray.picture("XRay1") - scene.drr(np.eye(4))).max() < 1e-2


def test_a_geometry_file_with_the_pose_of_the_patient_places_the_ct(host, panel, scene, tmp_path):
    panel.ui.geometryPathLineEdit.currentPath = str(_geometry(tmp_path / "carm.json", scene, scene.truth))
    host.process()
    assert np.allclose(panel.pose.matrix, scene.truth) and scene.ct.GetParentTransformNode() is parameters(panel).pose
    xray.go_live(host, panel)
    acquired = slicer.util.arrayFromVolume(scene.xrays[0])[0]
    assert np.abs(xray.picture("XRay1") - acquired).max() < 1e-2


def test_the_pose_in_a_geometry_file_does_not_replace_the_one_that_is_there(host, panel, scene, tmp_path):
    _write(panel, xray.options())
    xray.go_live(host, panel)
    panel.ui.geometryPathLineEdit.currentPath = str(_geometry(tmp_path / "carm.json", scene, scene.truth))
    host.process()
    assert np.array_equal(panel.pose.matrix, np.eye(4)) and "was not taken" in panel.ui.statusLabel.text
    assert panel.session.running


@pytest.mark.parametrize(
    "content, words",
    [
        ("{", "JSON"),
        ("[1, 2]", "JSON object"),
        ("{}", "does not place the source"),
        ('{"views": [{}, {}]}', "2 views for 1 X-ray"),
    ],
)
def test_a_damaged_geometry_file_is_named(host, panel, scene, tmp_path, content, words):
    path = tmp_path / "damaged.json"
    path.write_text(content)
    before = _read(panel)
    panel.ui.geometryPathLineEdit.currentPath = str(path)
    host.process()
    assert words in panel.ui.statusLabel.text and str(path) in panel.ui.statusLabel.text
    assert _read(panel) == before and parameters(panel).pose is None


def test_while_a_name_is_typed_nothing_is_said(host, panel, scene):
    before = panel.ui.statusLabel.text
    for end in (3, 8):
        panel.ui.geometryPathLineEdit.currentPath = "/nowhere/carm.json"[:end]
        host.process()
    assert panel.ui.statusLabel.text == before


def test_a_preset_types_the_distances_and_leaves_the_rest(host, panel, scene):
    from XRayPoseLib import carm

    _write(panel, xray.options(primary_angle=30.0, pixel_width=0.4))
    for name, preset in carm.PRESETS.items():
        host.choose(panel.ui.presetComboBox, name)
        typed = _read(panel)
        assert (typed.distance, typed.isocenter_distance) == (preset.distance, preset.isocenter_distance)
        assert (typed.primary_angle, typed.pixel_width) == (30.0, 0.4)
        assert panel.ui.view_1_distance.value == preset.distance


def test_tags_about_stored_values_say_nothing_of_values_that_slicer_inverted(host, panel, scene, tmp_path):
    """A DX image (LIN, sign 1, MONOCHROME1) arrives with bone bright, though what is stored is dark where bone is."""
    from DiffRegLib.camera import c_arm
    from DiffRegLib.mrml.xray.nodes import xray_of
    from DiffRegLib.radiographs.radiograph import prepare

    node = _dicom(tmp_path / "dx", {**TAGS, "0028|1040": "LIN", "0028|1041": "1"})
    row, column = np.indices(xray.SIZE) / np.reshape(xray.SIZE, (2, 1, 1)) - 0.5
    path = 4 * np.exp(-8 * (row**2 + column**2))
    slicer.util.updateVolumeFromArray(node, (4000 - 4000 * np.exp(-path))[None].astype(np.float32))
    prepared = prepare(xray_of(node), c_arm((0.0, 0.0, 0.0), 1000.0, 600.0, (1.0, 1.0), xray.SIZE))
    inside = prepared.inside.numpy()
    assert prepared.sign == 1 and np.corrcoef(prepared.image.numpy()[inside], path[inside])[0, 1] > 0.9
