"""DICOM tags of X-rays that say nothing, say it twice, or say what cannot be."""

import numpy as np
import pytest
import torch

from DiffRegLib.camera import from_dicom, table_moves
from DiffRegLib.errors import RegistrationError
from DiffRegLib.radiographs.radiograph import prepare
from DiffRegLib.radiographs.xray import read_xray
from Testing.library.test_files_xrays import (
    ANGLES,
    LINEAR,
    LOGARITHMIC,
    PATHS,
    SDD,
    SIZE,
    SOD,
    TAGS,
    camera_of,
    pixel,
    write_dicom,
)

PRIMARY, SPACING, PATIENT, ISOCENTER, FACTOR = "0018|1510", "0018|1164", "0018|1111", "0018|9402", "0018|1114"


@pytest.mark.parametrize("text", ["nan", "inf", "1e400", "12,5", "thirty", "0\\20"])
def test_an_angle_that_is_no_number_is_refused(text):
    with pytest.raises(RegistrationError, match=r"x\.dcm has .* in the DICOM tag PositionerPrimaryAngle"):
        pixel({**TAGS, **ANGLES, PRIMARY: text})


@pytest.mark.parametrize("text", ["0\\0", "-2\\-2", "2\\-2", "nan\\2", "2,0\\2,0"])
def test_a_pixel_has_a_size(text):
    with pytest.raises(RegistrationError, match=r"x\.dcm has .* ImagerPixelSpacing"):
        pixel({**TAGS, **ANGLES, SPACING: text})


@pytest.mark.parametrize("tag, text", [("0018|1110", "0"), ("0018|1110", "-1000"), (PATIENT, "1200"), (PATIENT, "0")])
def test_the_patient_is_between_source_and_detector(tag, text):
    with pytest.raises(RegistrationError, match=r"x\.dcm puts source and detector"):
        pixel({**TAGS, **ANGLES, tag: text})


def test_the_distance_to_the_patient_is_that_to_the_isocenter_where_it_is_stated_twice():
    expected = pixel({**TAGS, **ANGLES})
    for said in ({ISOCENTER: SOD}, {FACTOR: SDD / SOD}, {FACTOR: 1}):  # devices write 1 where they know nothing
        assert pixel({**TAGS, **ANGLES} | {tag: str(value) for tag, value in said.items()}) == expected
        alone = {**TAGS, **ANGLES, PATIENT: ""} | {tag: str(value) for tag, value in said.items()}
        if said != {FACTOR: 1}:
            assert pixel(alone) == pytest.approx(expected)
    table = pixel({**TAGS, **ANGLES, PATIENT: str(SOD - 50), ISOCENTER: str(SOD)})
    assert table == expected
    for said in ({ISOCENTER: str(SOD + 100)}, {FACTOR: str(SDD / (SOD - 200))}):
        with pytest.raises(
            RegistrationError, match=f"contradicts itself, from the source to the patient.*{SOD:.0f} mm"
        ):
            pixel({**TAGS, **ANGLES, **said})


MOVED = {"0018|1135": "15", "0018|1136": "-30", "0018|1137": "20"}
"""Of a table: down, to the feet, and to the left of a patient who lies supine, head first."""
LEFT, DOWN, FEET = (-20, 0, 0), (0, -15, 0), (0, 0, -30)


@pytest.mark.parametrize(
    "lying, away, down, along",
    [
        ("", LEFT, DOWN, FEET),
        ("HFS", LEFT, DOWN, FEET),
        ("HFP", (20, 0, 0), (0, 15, 0), FEET),  # who lies on the belly sinks toward the chest
        ("FFS", (20, 0, 0), DOWN, (0, 0, 30)),
        ("FFP", LEFT, (0, 15, 0), (0, 0, 30)),
    ],
)
def test_a_table_carries_the_patient_as_they_lie_on_it(lying, away, down, along):
    views = [dict.fromkeys(MOVED, "0") | {"0018|5100": lying}, MOVED | {"0018|5100": lying}]
    assert table_moves(views, ("a", "b"))[1].tolist() == np.sum((away, down, along), 0).tolist()


def test_a_table_under_a_patient_who_lies_on_a_side_or_was_turned_over_is_refused():
    still = dict.fromkeys(MOVED, "0")
    for first, second in (
        (still | {"0018|5100": "HFDL"}, MOVED | {"0018|5100": "HFDL"}),
        (still, {"0018|5100": "FFS"}),
    ):
        with pytest.raises(RegistrationError, match="the patient lies"):
            table_moves([first, second], ("a", "b"))
    assert not any(move.any() for move in table_moves([{"0018|5100": "HFDL"}] * 2, ("a", "b")))


@pytest.mark.parametrize(
    "photometric, change, words",
    [
        ("PALETTE COLOR", {}, "is a color image"),
        ("MONOCHROME2", {"PixelData": None}, "XA.* without an image"),
        ("MONOCHROME2", {"PhotometricInterpretation": None}, "missing: PhotometricInterpretation"),
        ("MONOCHROME2", {"BitsStored": None, "SamplesPerPixel": None}, "missing: BitsStored, SamplesPerPixel"),
    ],
)
def test_a_file_whose_pixels_are_no_shades_of_gray_is_refused_for_that(tmp_path, photometric, change, words):
    import pydicom

    path = write_dicom(tmp_path / "x.dcm", LINEAR, photometric)
    file = pydicom.dcmread(path)
    for name in change:
        delattr(file, name)
    file.save_as(path)
    with pytest.raises(RegistrationError, match=words):
        read_xray(path)


@pytest.mark.parametrize("value, limit", [(0, None), (2000, None), (1900, 2100), (2100, 1900)])
def test_what_fills_an_image_up_is_no_part_of_it(tmp_path, value, limit):
    row, column = np.indices(LOGARITHMIC.shape) - 63.5
    beyond = (np.hypot(row, column) > 55) | (abs(row + column - 20) + abs(row) < 20)  # around it, and in it
    values = np.where(beyond, 2000 if limit else value, LOGARITHMIC)
    tags = {"PixelPaddingValue": value} | ({"PixelPaddingRangeLimit": limit} if limit else {})
    xray = read_xray(write_dicom(tmp_path / "x.dcm", values, **tags))
    found = prepare(xray, camera_of(xray))
    inside = found.inside.numpy()
    assert not (inside & beyond).any() and inside[~beyond].mean() > 0.8
    assert np.corrcoef(found.image.numpy()[inside], PATHS[inside])[0, 1] > 0.99


def test_the_geometry_of_a_refused_file_is_asked_for_by_the_flag():
    with pytest.raises(RegistrationError) as error:
        from_dicom({**TAGS, **ANGLES, PRIMARY: "inf"}, SIZE, torch.zeros(3), "x.dcm")
    assert error.value.worded(lambda name: f"--{name}").endswith("with --geometry.")
