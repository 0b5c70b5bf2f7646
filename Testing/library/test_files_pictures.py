"""Pictures of X-rays: read as they are shown, or refused for the reason that is true."""

import struct

import nibabel
import numpy as np
import pytest
from PIL import Image as Picture

from DiffRegLib.errors import RegistrationError
from DiffRegLib.radiographs.xray import read_xray

ROW, COLUMN = np.indices((40, 60))
GRAY = (3 * COLUMN + ROW).astype(np.uint8)
"""Darkest in the corner on top and to the left, and no two corners alike."""

SHOWN = {
    1: GRAY,
    2: GRAY[:, ::-1],
    3: GRAY[::-1, ::-1],
    4: GRAY[::-1],
    5: GRAY.T,
    6: np.rot90(GRAY, -1),
    7: np.rot90(GRAY, 2).T,
    8: np.rot90(GRAY),
}
"""How a picture is shown whose first row and column lie as the tag Orientation of Exif says (CIPA DC-008, 4.6.4)."""


@pytest.mark.parametrize("orientation", SHOWN)
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_a_turned_or_mirrored_picture_lies_as_it_is_shown(tmp_path, orientation, suffix):
    exif, path = Picture.Exif(), tmp_path / f"x.{suffix}"
    exif[0x112] = orientation
    lossless = {"lossless": True} if suffix == "webp" else {}
    Picture.fromarray(GRAY).save(path, exif=exif, **lossless)
    assert np.array_equal(read_xray(path).values, SHOWN[orientation])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA"])
@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_gray_that_is_stored_as_color_is_gray(tmp_path, mode, suffix):
    if suffix == "bmp" and mode in ("LA", "RGBA"):
        mode = "L"  # which that format stores with a palette
    Picture.fromarray(GRAY).convert(mode).save(tmp_path / f"x.{suffix}")
    assert np.array_equal(read_xray(tmp_path / f"x.{suffix}").values, GRAY)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.int32, np.float32])
def test_every_depth_of_a_tiff_keeps_its_numbers(tmp_path, kind):
    values = (GRAY.astype(kind) * (1 if kind == np.uint8 else 100)) - (5000 if kind in (np.int16, np.int32) else 0)
    write_tiff(tmp_path / "x.tif", values.astype(kind), 1)
    assert np.array_equal(read_xray(tmp_path / "x.tif").values, values)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_tiff_says_whether_white_is_zero(tmp_path, kind):
    for photometric, inverted in ((0, True), (1, False)):
        write_tiff(tmp_path / "x.tif", GRAY.astype(kind), photometric)
        xray = read_xray(tmp_path / "x.tif")
        assert xray.inverted == inverted and np.array_equal(xray.values, GRAY)  # as stored


def write_tiff(path, values, photometric):
    """One strip, not compressed (TIFF 6.0, section 3)."""
    form = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    height, width = values.shape
    tags = {256: width, 257: height, 258: 8 * values.itemsize, 259: 1, 262: photometric, 273: 8, 277: 1, 278: height}
    tags |= {279: values.nbytes, 339: form}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + values.nbytes) + values.tobytes() + directory)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "gif"])
def test_a_picture_that_is_cut_off_is_refused(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (80, 90)).astype(np.uint8)
    Picture.fromarray(noise).save(tmp_path / f"whole.{suffix}")
    whole = (tmp_path / f"whole.{suffix}").read_bytes()
    (tmp_path / f"cut.{suffix}").write_bytes(whole[: len(whole) * 6 // 10])
    with pytest.raises(RegistrationError, match=f"cut.{suffix}.*truncated"):
        read_xray(tmp_path / f"cut.{suffix}")


def test_an_image_in_nifti_needs_no_place_in_the_patient(tmp_path):
    image = nibabel.Nifti1Image(GRAY.T.astype(np.int16), None)
    image.header["qform_code"] = image.header["sform_code"] = 0
    nibabel.save(image, tmp_path / "image.nii.gz")
    assert np.array_equal(read_xray(tmp_path / "image.nii.gz").values, GRAY)
