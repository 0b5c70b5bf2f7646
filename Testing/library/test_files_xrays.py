"""X-ray files say how they were taken: orientation, each frame's angles, and what their stored values mean."""

import numpy as np
import pydicom
import pytest
import torch
from PIL import Image as Picture
from pydicom.uid import ExplicitVRLittleEndian

from DiffRegLib.camera import from_dicom
from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image
from DiffRegLib.methods.projective.start import read_cameras
from DiffRegLib.radiographs.attenuation import check_hounsfield
from DiffRegLib.radiographs.radiograph import prepare
from DiffRegLib.radiographs.xray import read_xray
from Testing.library.test_cli_files import diffreg

SDD, SOD, PITCH, SIZE = 1000.0, 600.0, 0.5, (181, 201)
TAGS = {"0018|1110": str(SDD), "0018|1111": str(SOD), "0018|1164": f"{PITCH}\\{PITCH}"}
ANGLES = {"0018|1510": "0", "0018|1511": "0"}
POINT = torch.tensor([[30.0, 12.0, 25.0]], dtype=torch.float64)
LETTERS = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "H": (0, 0, 1), "F": (0, 0, -1)}


def pixel(tags) -> list[float]:
    return from_dicom(tags, SIZE, (0.0, 0.0, 0.0), "x.dcm").project(POINT)[0][0].tolist()


def seen(along: str, down: str, depth: float) -> list[float]:
    """Column and row of the point, columns and rows running along a letter each; depth: mm from the source."""
    scale = SDD / depth / PITCH
    middle = (SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2
    return [m + scale * float(POINT[0] @ torch.tensor(LETTERS[k]).double()) for m, k in zip(middle, (along, down))]


@pytest.mark.parametrize("along, down", ["LF", "RF", "LH", "RH", "HL", "HR", "FL", "FR"])
def test_an_image_lies_in_its_plane_as_its_letters_say(along, down):
    found = pixel({**TAGS, **ANGLES, "0020|0020": f"{along}\\{down}"})
    assert found == pytest.approx(seen(along, down, SOD + 12.0), abs=1e-6)


@pytest.mark.parametrize("along, down", ["AF", "PF", "FA", "HP"])
def test_the_letters_of_a_lateral_image(along, down):
    found = pixel({**TAGS, "0018|1510": "90", "0018|1511": "0", "0020|0020": f"{along}\\{down}"})
    assert found == pytest.approx(seen(along, down, SOD - 30.0), abs=1e-6)


def test_letters_of_two_directions_and_of_oblique_views():
    oblique = {**TAGS, "0018|1510": "40", "0018|1511": "0"}
    for letters in ("L\\F", "LP\\F", "P\\F"):
        assert pixel({**oblique, "0020|0020": letters}) == pytest.approx(pixel(oblique))
    assert pixel({**oblique, "0020|0020": "R\\F"})[0] > pixel(oblique)[0]


@pytest.mark.parametrize("view, depth", [("PA", SOD + 12.0), ("AP", SOD - 12.0)])
@pytest.mark.parametrize("orientation", [None, "", "L\\F"])
def test_a_named_frontal_view_shows_the_right_side_on_the_left(view, depth, orientation):
    tags = {**TAGS, "0018|5101": view} | ({} if orientation is None else {"0020|0020": orientation})
    assert pixel(tags) == pytest.approx(seen("L", "F", depth), abs=1e-6)


@pytest.mark.parametrize(
    "tags, word",
    [
        ({**ANGLES, "0020|0020": "A\\F"}, "does not fit"),
        ({**ANGLES, "0020|0020": "LE\\CD"}, "not known"),
        ({**ANGLES, "0020|0020": "L"}, "not known"),
        ({**ANGLES, "0018|5101": "AP"}, "contradicts itself"),
        ({"0018|1510": "", "0018|1511": ""}, "PositionerPrimaryAngle"),
    ],
)
def test_statements_that_contradict_each_other_are_refused(tags, word):
    with pytest.raises(RegistrationError, match=word):
        pixel({**TAGS, **tags})


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("flip", ["NO", "YES"])
def test_an_image_that_was_turned_and_flipped_on_its_detector_says_so(turn, flip):
    column, row = pixel({**TAGS, **ANGLES})
    shown = np.zeros(SIZE)
    shown[round(row), round(column)] = 1
    stored = np.rot90(shown, -turn // 90)  # clockwise
    stored = np.fliplr(stored) if flip == "YES" else stored
    tags = {**TAGS, **ANGLES, "0018|7032": str(turn), "0018|7034": flip}
    found = from_dicom(tags, stored.shape, (0.0, 0.0, 0.0)).project(POINT)[0][0].tolist()
    np.testing.assert_allclose(found[::-1], np.argwhere(stored)[0], atol=0.5)
    stated = {**tags, "0020|0020": "L\\F"}  # of the image as it is, however it came to lie so
    assert pixel(stated) == pytest.approx(seen("L", "F", SOD + 12.0), abs=1e-6)


@pytest.mark.parametrize("tags", [{"0018|7032": "45"}, {"0018|7034": "MAYBE"}])
def test_an_unknown_turn_on_the_detector_is_refused(tags):
    with pytest.raises(RegistrationError, match="FieldOfViewRotation"):
        pixel({**TAGS, **ANGLES, **tags})


Y, X = (np.indices((128, 128)) - 63.5) / 64
PATHS = 4 * np.exp(-(X**2 + Y**2) * 1.5) + 1.5 * ((abs(X - 0.3) < 0.12) | (abs(Y + 0.2) < 0.1))
LINEAR, LOGARITHMIC = 4000 * np.exp(-PATHS), 4000 - 600 * PATHS
"""Line integrals, and what a detector stores of them; in both, bone is dark."""


def write_dicom(path, values, photometric="MONOCHROME2", **tags):
    ds = pydicom.Dataset()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.12.1"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = "1.2.3"
    ds.Modality, ds.SamplesPerPixel, ds.PhotometricInterpretation = "XA", 1, photometric
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.Rows, ds.Columns = values.shape[-2:]
    if values.ndim == 3:
        ds.NumberOfFrames = len(values)
    for name, value in tags.items():
        setattr(ds, name, value)
    ds.PixelData = np.ascontiguousarray(values).astype("<u2").tobytes()
    ds.save_as(path, enforce_file_format=True)
    return path


def camera_of(xray):
    return from_dicom({**TAGS, **ANGLES}, xray.size, (0.0, 0.0, 0.0))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("slope, intercept", [(1, 0), (-1, 4095), (0.5, -100)])
@pytest.mark.parametrize(
    "values, relation, sign",
    [
        (LINEAR, "LIN", 1),
        (LINEAR, "LIN", None),
        (LOGARITHMIC, "LOG", 1),
        (LOGARITHMIC, "LOG", None),
        (4000 - LOGARITHMIC, "LOG", -1),
    ],
)
def test_tags_of_grey_values_are_about_what_is_stored(tmp_path, photometric, slope, intercept, values, relation, sign):
    tags = {"RescaleSlope": slope, "RescaleIntercept": intercept}
    tags |= {"PixelIntensityRelationship": relation} if relation else {}
    tags |= {"PixelIntensityRelationshipSign": sign} if sign else {}
    xray = read_xray(write_dicom(tmp_path / "x.dcm", values, photometric, **tags))
    found = prepare(xray, camera_of(xray))
    inside = found.inside.numpy()
    assert np.corrcoef(found.image.numpy()[inside], PATHS[inside])[0, 1] > 0.9
    assert (np.corrcoef(xray.values[inside], PATHS[inside])[0, 1] > 0) == (found.sign > 0)
    assert (found.confidence == 1.0) == (sign is not None)  # what nobody states is not sure


@pytest.mark.parametrize("photometric, shown", [("MONOCHROME2", "negative"), ("MONOCHROME1", "positive")])
def test_a_polarity_that_is_given_is_that_of_the_image_as_it_is_shown(tmp_path, photometric, shown):
    xray = read_xray(write_dicom(tmp_path / "x.dcm", LOGARITHMIC, photometric))
    found = prepare(xray, camera_of(xray), polarity=shown)
    inside = found.inside.numpy()
    assert np.corrcoef(found.image.numpy()[inside], PATHS[inside])[0, 1] > 0.9 and found.confidence == 1.0
    other = {"positive": "negative", "negative": "positive"}[shown]
    wrong = prepare(xray, camera_of(xray), polarity=other)
    assert np.corrcoef(wrong.image.numpy()[inside], PATHS[inside])[0, 1] < 0


RUN = np.stack([LINEAR + 10 * n for n in range(3)])
TAKEN = {
    "DistanceSourceToDetector": 1000,
    "DistanceSourceToPatient": 600,
    "ImagerPixelSpacing": [2, 2],
    "PositionerPrimaryAngle": 10,
    "PositionerSecondaryAngle": 5,
    "PositionerMotion": "DYNAMIC",
}


def test_each_frame_of_a_run_has_its_own_angles(tmp_path):
    steps = {"PositionerPrimaryAngleIncrement": [0, 20, 40], "PositionerSecondaryAngleIncrement": [0, -1, -2]}
    path = write_dicom(tmp_path / "run.dcm", RUN, **TAKEN, **steps)
    for frame, angles in ((1, (10, 5)), (2, (30, 4)), (3, (50, 3))):
        tags = read_xray(path, frame).tags
        assert (float(tags["0018|1510"]), float(tags["0018|1511"])) == angles


def test_a_run_that_turned_without_saying_how_far_has_no_angles(tmp_path):
    xray = read_xray(write_dicom(tmp_path / "run.dcm", RUN, **TAKEN), 2)
    with pytest.raises(RegistrationError, match="PositionerPrimaryAngle"):
        from_dicom(xray.tags, xray.size, (0.0, 0.0, 0.0), xray.name)
    still = read_xray(write_dicom(tmp_path / "still.dcm", RUN, **{**TAKEN, "PositionerMotion": "STATIC"}), 2)
    assert from_dicom(still.tags, still.size, (0.0, 0.0, 0.0)) is not None
    with pytest.raises(RegistrationError, match="3 frames and 2 angle increments"):
        read_xray(write_dicom(tmp_path / "odd.dcm", RUN, **TAKEN, PositionerPrimaryAngleIncrement=[0, 20]), 1)


@pytest.mark.parametrize(
    "moved, by",
    [
        ({"TableLongitudinalIncrement": [0, 20, 40]}, (-20, 0, 0)),
        ({"TableVerticalIncrement": [0, 15, 0]}, (0, -15, 0)),
        ({"TableLateralIncrement": [0, -30, 5]}, (0, 0, -30)),
        ({"TableTopVerticalPosition": -950}, (0, 0, 0)),  # of both frames, and of the maker's origin
    ],
)
def test_the_second_view_knows_how_far_the_table_carried_the_patient(tmp_path, moved, by):
    path = write_dicom(
        tmp_path / "run.dcm", RUN, **{**TAKEN, "PositionerMotion": "STATIC"}, TableMotion="DYNAMIC", **moved
    )
    ct = Image(torch.zeros(1, 5, 5, 5), torch.eye(4))
    (first, second), _ = read_cameras([], [read_xray(path, 1), read_xray(path, 2)], ct)
    carried = POINT + torch.tensor(by)
    assert second.project(POINT)[0][0].tolist() == pytest.approx(first.project(carried)[0][0].tolist(), abs=1e-6)


def test_a_table_that_turned_or_moved_unsaid_between_views_is_refused(tmp_path):
    ct, still = Image(torch.zeros(1, 5, 5, 5), torch.eye(4)), {**TAKEN, "PositionerMotion": "STATIC"}
    turned = [read_xray(write_dicom(tmp_path / f"{a}.dcm", RUN[0], **still, TableAngle=a)) for a in (0, 5)]
    unsaid = read_xray(write_dicom(tmp_path / "run.dcm", RUN, **still, TableMotion="DYNAMIC"), 2)
    for views, word in ((turned, "table was turned"), ([unsaid, unsaid], "the table moved, and not how far")):
        with pytest.raises(RegistrationError, match=word):
            read_cameras([], views, ct)
        assert len(read_cameras([], views[:1], ct)[0]) == 1  # alone, a view's table is where it is


def nested(**tags):
    ds = pydicom.Dataset()
    for name, value in tags.items():
        setattr(ds, name, value)
    return ds


def test_the_functional_groups_of_an_enhanced_file_are_read_frame_by_frame(tmp_path):
    shared = nested(
        XRayGeometrySequence=[nested(DistanceSourceToDetector=1000, DistanceSourceToIsocenter=600.0)],
        FramePixelDataPropertiesSequence=[nested(ImagerPixelSpacing=[2, 2])],
    )
    frames = [
        nested(
            PositionerPositionSequence=[nested(PositionerPrimaryAngle=10.0 * n, PositionerSecondaryAngle=0.0)],
            PatientOrientationInFrameSequence=[nested(PatientOrientation=["L", "F"])],
        )
        for n in range(3)
    ]
    groups = {"SharedFunctionalGroupsSequence": [shared], "PerFrameFunctionalGroupsSequence": frames}
    path = write_dicom(tmp_path / "enhanced.dcm", RUN, **groups)
    for frame in (1, 2, 3):
        xray = read_xray(path, frame)
        camera = from_dicom(xray.tags, xray.size, (0.0, 0.0, 0.0))
        beam = camera.pose[:3, 2]
        expected = np.radians(10.0 * (frame - 1))
        np.testing.assert_allclose(beam, [-np.sin(expected), np.cos(expected), 0], atol=1e-6)


def test_pictures_with_a_channel_of_opacity(tmp_path):
    gray = (PATHS / PATHS.max() * 255).astype(np.uint8)
    opaque = np.full_like(gray, 255)
    Picture.fromarray(np.stack((gray, opaque), -1), "LA").save(tmp_path / "la.png")
    assert np.array_equal(read_xray(tmp_path / "la.png").values, gray.astype(np.float32))
    holes = opaque.copy()
    holes[:9] = 0
    Picture.fromarray(np.stack((gray, holes), -1), "LA").save(tmp_path / "holes.png")
    Picture.fromarray(np.stack((gray, gray, gray // 2), -1), "RGB").save(tmp_path / "rgb.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "la.png").read_bytes()[:200])
    for name, word in (("holes.png", "transparent"), ("rgb.png", "color image"), ("cut.png", "truncated or damaged")):
        with pytest.raises(RegistrationError, match=word):
            read_xray(tmp_path / name)


def test_a_ct_that_is_shifted_and_padded_is_told_from_one_in_hounsfield_units():
    generator = torch.Generator().manual_seed(0)
    hu = torch.full((1, 24, 24, 24), -1000.0)
    hu[:, 4:20, 4:20, 4:20] = 40
    hu[:, 8:12, 8:12, 8:12] = 700
    hu += 15 * torch.randn(hu.shape, generator=generator)
    check_hounsfield(Image(hu, torch.eye(4)), "ct")
    padded = hu + 1024
    padded[:, :, :2] = -2000
    with pytest.raises(RegistrationError, match="subtract 1024"):
        check_hounsfield(Image(padded, torch.eye(4)), "ct")
    proper = hu.clone()
    proper[:, :, :2] = -2000
    check_hounsfield(Image(proper, torch.eye(4)), "ct")


def test_info_says_of_an_x_ray_what_a_camera_needs_and_lacks(tmp_path):
    path = write_dicom(
        tmp_path / "x.dcm", LINEAR, **{**TAKEN, "PositionerMotion": "STATIC", "PatientOrientation": ["L", "F"]}
    )
    text = diffreg("info", path)
    for word in ("X-ray", "128 x 128", "1000", "600", "primary 10", "L\\F", "2 x 2 mm"):
        assert word in text
    assert "table" not in text
    carried = {"TableMotion": "DYNAMIC", "TableLateralIncrement": [0, -30, 5]}
    assert "carried the patient by R 0, A 0, S 5 mm" in diffreg("info", write_dicom(tmp_path / "z.dcm", RUN, **carried))
    lacking = write_dicom(tmp_path / "y.dcm", LINEAR, DistanceSourceToDetector=1000)
    assert "PositionerPrimaryAngle" in diffreg("info", lacking)
