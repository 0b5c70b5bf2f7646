"""DICOM series: each slice where it says it is, or a sentence that names the one at fault."""

import math
import shutil

import numpy as np
import pydicom
import pytest
import torch
from pydicom.uid import ExplicitVRLittleEndian

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import open_file, read_image

GRADIENT = np.array([3.0, -2.0, 5.0])
"""Values per LPS mm: a ramp shows where each voxel lies."""
SPACING, ROWS, COLUMNS = 4.0, 20, 24
AXIAL = np.eye(3)[:2]


def value(places) -> np.ndarray:
    return (places @ GRADIENT).astype(np.int16)


def dataset(uid: str, series: str = "1.2.3") -> pydicom.Dataset:
    ds = pydicom.Dataset()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = uid
    ds.Modality, ds.StudyInstanceUID, ds.SeriesInstanceUID = "CT", "1.2", series
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 1
    ds.RescaleSlope, ds.RescaleIntercept = 1, 0
    return ds


def pixels(position, directions=AXIAL, size=(ROWS, COLUMNS)) -> np.ndarray:
    j, i = np.indices(size)
    return value(position + 2 * i[..., None] * directions[0] + 2 * j[..., None] * directions[1])


def write_slice(file, position, uid, directions=AXIAL, size=(ROWS, COLUMNS), series="1.2.3"):
    ds = dataset(f"1.2.3.{uid}", series)
    ds.Rows, ds.Columns, ds.PixelSpacing, ds.SliceThickness = *size, [2, 2], SPACING
    ds.ImagePositionPatient = [round(float(v), 4) for v in position]
    ds.ImageOrientationPatient = [round(float(v), 6) for v in directions.ravel()]
    ds.PixelData = pixels(position, directions, size).tobytes()
    file.parent.mkdir(exist_ok=True)
    ds.save_as(file, enforce_file_format=True)


def write_stack(folder, step=(0, 0, SPACING), kept=range(12), directions=AXIAL, name="{:03d}.dcm"):
    for k in kept:
        write_slice(folder / name.format(k), np.array([-20.0, -15, 40]) + k * np.array(step), k + 1, directions)
    return folder


def assert_a_ramp(image, tolerance=1.0):
    """Every voxel that is neither padding nor beside it has the value of its place."""
    lps = image.grid().double() * torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64)
    expected = lps @ torch.from_numpy(GRADIENT)
    data = image.data[0].double()
    inside = data > data.min() + 1
    inside[:, 1:-1] &= inside[:, :-2] & inside[:, 2:]
    inside[:, :, :2] = inside[:, :, -2:] = inside[:, :2] = inside[:, -2:] = False
    assert inside.double().mean() > 0.5
    assert (data - expected)[inside].abs().max() <= tolerance  # whole numbers were cut off


def test_slices_are_sorted_by_their_places_and_not_by_their_names(tmp_path):
    order = [7, 2, 11, 0, 5, 9, 1, 10, 3, 8, 4, 6]
    for name, k in enumerate(order):
        write_slice(tmp_path / "s" / f"{name:02d}", np.array([0.0, 0, k * SPACING]), k + 1)
    (tmp_path / "s" / "README.txt").write_text("no image")
    image = read_image(tmp_path / "s")
    assert image.shape == (12, ROWS, COLUMNS)
    assert_a_ramp(image)


@pytest.mark.parametrize(
    "directions", [np.array([[0.0, 1, 0], [0, 0, -1]]), np.array([[0.8, 0.6, 0], [0, 0, -1]]), -AXIAL]
)
def test_stacks_in_any_direction(tmp_path, directions):
    normal = np.cross(*directions)
    assert_a_ramp(read_image(write_stack(tmp_path / "s", normal * SPACING, directions=directions)))
    assert_a_ramp(read_image(write_stack(tmp_path / "t", -normal * SPACING, directions=directions)))


@pytest.mark.parametrize("degrees", [20.0, -12.5])
def test_a_tilted_gantry_is_resampled_and_told(tmp_path, degrees):
    a = math.radians(degrees)
    leaning = np.array([[1.0, 0, 0], [0, math.cos(a), -math.sin(a)]])
    opened = open_file(write_stack(tmp_path / "s", directions=leaning))
    assert_a_ramp(opened.content, tolerance=1.5)
    assert any(f"tilted by {abs(degrees):.1f} degrees" in note for note in opened.notes)


MIXED = [*range(0, 20, 2), *range(22, 52, 5)]
"""mm: ten slices 2 mm apart, then some 5 mm apart: fine in one part of the patient, coarse in the other."""


@pytest.mark.parametrize("degrees", [0.0, 15.0])
@pytest.mark.parametrize("heights", [MIXED, MIXED[::-1], [0, 3, 5, 8, 10, 13, 15, 18, 20, 23]])
def test_a_stack_whose_spacing_changes_is_resampled_to_where_its_slices_are(tmp_path, heights, degrees):
    a = math.radians(degrees)
    directions = np.array([[1.0, 0, 0], [0, math.cos(a), -math.sin(a)]])
    for n, height in enumerate(heights):
        write_slice(tmp_path / "s" / f"{n:03d}.dcm", np.array([-20.0, -15, 40 + height]), n + 1, directions)
    opened = open_file(tmp_path / "s")
    assert_a_ramp(opened.content, tolerance=2.5)  # whole numbers were cut off, and rounded once or twice
    reach = (opened.content.shape[0] - 1) * float(opened.content.spacing[2])
    assert reach == pytest.approx((max(heights) - min(heights)) * math.cos(a), abs=1e-3)
    assert float(opened.content.spacing[2]) <= 2.6 * math.cos(a)
    assert any("mm apart: they were resampled to" in note for note in opened.notes)


def test_the_same_slice_in_two_files_counts_once(tmp_path):
    write_stack(tmp_path / "s")
    shutil.copy(tmp_path / "s" / "004.dcm", tmp_path / "s" / "copy of 004.dcm")
    opened = open_file(tmp_path / "s")
    assert opened.content.shape[0] == 12 and "1 slices twice" in opened.notes[0]


def test_frames_of_an_enhanced_file_lie_where_their_groups_say(tmp_path):
    ds, order = dataset("1.2.9"), [3, 0, 2, 1, 4]
    positions = [np.array([-20.0, 5, 10 + k * SPACING]) for k in order]
    ds.Rows, ds.Columns, ds.NumberOfFrames = ROWS, COLUMNS, len(order)
    shared, measures, plane = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing, plane.ImageOrientationPatient = [2, 2], [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [plane]
    ds.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for position in positions:
        frame, place = pydicom.Dataset(), pydicom.Dataset()
        place.ImagePositionPatient = position.tolist()
        frame.PlanePositionSequence = [place]
        frames.append(frame)
    ds.PerFrameFunctionalGroupsSequence = frames
    ds.PixelData = np.stack([pixels(position) for position in positions]).tobytes()
    ds.save_as(tmp_path / "enhanced.dcm", enforce_file_format=True)
    image = open_file(tmp_path / "enhanced.dcm", ("image",)).content
    assert image.shape == (5, ROWS, COLUMNS)
    assert_a_ramp(image)


def _one_missing(folder):
    write_stack(folder, kept=[k for k in range(12) if k != 6])


def _several_missing(folder):
    write_stack(folder, kept=[*range(5), *range(9, 12)])


def _hole(folder):
    write_stack(folder, kept=range(8))
    write_slice(folder / "late.dcm", np.array([-20.0, -15, 40 + 7 * SPACING + 6.3]), 90)


def _turned(folder):
    write_stack(folder)
    write_slice(folder / "scout.dcm", np.array([0.0, 0, 50]), 91, np.array([[0.0, 1, 0], [0, 0, -1]]))


def _other_size(folder):
    write_stack(folder)
    write_slice(folder / "big.dcm", np.array([-20.0, -15, 40 + 12 * SPACING]), 92, size=(ROWS + 2, COLUMNS))


def _two_phases(folder):
    write_stack(folder)
    write_slice(folder / "phase.dcm", np.array([-20.0, -15, 40 + 3 * SPACING]), 93)


def _two_series(folder):
    write_stack(folder)
    write_slice(folder / "other.dcm", np.array([0.0, 0, 0]), 94, series="1.2.4")


def _shifted(folder):
    write_stack(folder, kept=[k for k in range(12) if k != 5])
    write_slice(folder / "005.dcm", np.array([-14.0, -15, 40 + 5 * SPACING]), 95)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_one_missing, ["a slice is missing between 005.dcm and 007.dcm"]),
        (_several_missing, ["4 slices are missing between 004.dcm and 009.dcm"]),
        (_hole, ["a hole of 6.3 mm", "007.dcm", "late.dcm"]),
        (_turned, ["scout.dcm", "is turned"]),
        (_other_size, ["big.dcm", "another size"]),
        (_two_phases, ["at the same place", "phase"]),
        (_two_series, ["2 DICOM series"]),
        (_shifted, ["005.dcm", "off the line"]),
        (lambda folder: write_slice(folder / "a.dcm", np.zeros(3), 1), ["a single slice"]),
    ],
)
def test_a_series_that_is_no_stack_is_refused_with_the_slice_at_fault(tmp_path, make, words):
    make(tmp_path / "s")
    with pytest.raises(RegistrationError) as error:
        read_image(tmp_path / "s")
    for word in (*words, str(tmp_path / "s")):
        assert word in str(error.value)
    assert "\n" not in str(error.value)
