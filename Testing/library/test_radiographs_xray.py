"""X-rays: files that are one and files that are none, field of view, grey scales, and the CT's attenuation."""

import numpy as np
import pytest
import torch

from DiffRegLib.camera import c_arm, read_geometry
from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import read_image
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.radiographs.attenuation import attenuation, check_hounsfield, keep_only
from DiffRegLib.radiographs.field import field_of_view
from DiffRegLib.radiographs.projection import project
from DiffRegLib.radiographs.radiograph import prepare
from DiffRegLib.radiographs.xray import XRay, read_xray

SIZE = (96, 120)
CAMERA = c_arm([0.0, 0, 0], 1000.0, 600.0, (3.0, 3.0), SIZE)


def thickness():
    """Line integrals of an ellipsoidal body with a denser rod, that reaches beyond the image on two sides."""
    row, column = np.mgrid[: SIZE[0], : SIZE[1]]
    body = 4.5 * np.sqrt(np.clip(1 - ((column - 60) / 50) ** 2 - ((row - 48) / 90) ** 2, 0, None))
    return body + 1.0 * (np.abs(column - 70 - 0.2 * row) < 4)


def acquired(values):
    return XRay(np.asarray(values, dtype=np.float32), "xray.png")


def write(path, values, spacing=None):
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(values, isVector=values.ndim == 3 and values.shape[-1] == 3)
    if spacing:
        image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.dcm", "x.mha", "x.nii.gz", "x.nrrd"])
def test_any_2d_image_is_read_with_its_first_row_on_top(tmp_path, name):
    values = (thickness() * 1000).astype(np.uint16)
    assert np.array_equal(read_xray(write(tmp_path / name, values)).values, values)


def test_a_volume_of_one_slice_is_an_x_ray_and_dicom_tags_are_kept(tmp_path):
    import SimpleITK as sitk

    values = (thickness() * 1000).astype(np.uint16)
    assert np.array_equal(read_xray(write(tmp_path / "one.nii.gz", values[None])).values, values)
    image = sitk.GetImageFromArray(values)
    image.SetMetaData("0018|1110", "1000")
    sitk.WriteImage(image, str(tmp_path / "x.dcm"))
    assert float(read_xray(tmp_path / "x.dcm").tags["0018|1110"]) == 1000


def test_files_that_are_no_x_ray_are_refused_by_name(tmp_path):
    gray = (thickness() * 20).astype(np.uint8)
    broken = thickness().astype(np.float32)
    broken[3, 4] = np.nan
    (tmp_path / "text.png").write_text("no image", encoding="utf-8")
    cases = {
        "color.png": ("color", np.stack([gray, gray, gray // 2], -1)),
        "constant.png": ("constant", np.full(SIZE, 7, np.uint8)),
        "run.nii.gz": ("run of 4 frames.*with frame", np.stack([gray] * 4)),
        "strip.mha": ("single 2D image", gray[:3]),
        "broken.mha": ("1 pixels that are NaN", broken),
        "text.png": ("cannot be read", None),
        "missing.png": ("does not exist", None),
    }
    for name, (words, values) in cases.items():
        if values is not None:
            write(tmp_path / name, values)
        with pytest.raises(RegistrationError, match=words) as error:
            read_xray(tmp_path / name)
        assert name in str(error.value)


@pytest.mark.parametrize("name", ["run.dcm", "run.tif", "run.mha"])
def test_one_frame_of_a_run_is_an_x_ray(tmp_path, name):
    run = np.stack([(thickness() * 1000 + 10 * k).astype(np.uint16) for k in range(3)])
    write(tmp_path / name, run)
    for frame in (1, 3):
        assert np.array_equal(read_xray(tmp_path / name, frame).values, run[frame - 1])
    with pytest.raises(RegistrationError, match="3 frames, frame is 4"):
        read_xray(tmp_path / name, 4)
    with pytest.raises(RegistrationError, match="which one with frame, from 1 to 3"):
        read_xray(tmp_path / name)


@pytest.mark.parametrize("name", ["cut.nii", "cut.nii.gz", "cut.mha", "cut.nrrd", "cut.png", "cut.dcm"])
def test_files_that_are_cut_off_are_refused(tmp_path, name):
    whole = write(tmp_path / f"whole{name[3:]}", (thickness() * 1000).astype(np.uint16)).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RegistrationError, match=f"{name}.*(truncated|damaged)"):
        read_xray(tmp_path / name)


@pytest.mark.parametrize("gamma", [0.6, 1.0, 1.7])
@pytest.mark.parametrize("scale", ["intensity", "log", "inverted log"])
def test_any_grey_scale_comes_back_as_something_that_rises_with_attenuation(scale, gamma):
    line_integral = thickness()
    shown = {"intensity": np.exp(-line_integral), "log": line_integral, "inverted log": 9 - line_integral}[scale]
    shown = (shown - shown.min()) / np.ptp(shown)
    xray = prepare(acquired(4095 * shown**gamma), CAMERA)
    assert xray.sign == (1 if scale == "log" else -1) and xray.confidence > 0.8
    inside = xray.inside.numpy()
    from scipy.stats import spearmanr

    assert spearmanr(xray.image.numpy()[inside], line_integral[inside]).statistic > 0.999
    low, middle, high = np.quantile(xray.image.numpy()[inside], (0.25, 0.5, 0.75))
    assert (middle, high - low) == (pytest.approx(0, abs=1e-5), pytest.approx(1, abs=1e-5))


def test_brightness_contrast_and_bits_of_an_xray_do_not_matter():
    shown = np.exp(-thickness())
    images = [prepare(acquired(a * shown), CAMERA).image for a in (4095.0, 1.0, 65535.0)]
    torch.testing.assert_close(images[0], images[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(images[0], images[2], atol=1e-4, rtol=1e-4)


def test_intensities_become_line_integrals_up_to_offset_and_scale():
    counts = np.random.default_rng(0).poisson(50000 * np.exp(-thickness()))
    xray = prepare(acquired(counts), CAMERA)
    assert xray.kind == "intensity" and "logarithm was taken" in xray.report
    inside = xray.inside.numpy()
    assert np.corrcoef(xray.image.numpy()[inside], thickness()[inside])[0, 1] > 0.99


def test_line_integrals_are_left_alone():
    xray = prepare(acquired(thickness()), CAMERA, line_integrals=True)
    np.testing.assert_array_equal(xray.image.numpy(), thickness().astype(np.float32))
    assert xray.inside.all() and xray.sign == 1


def test_dicom_is_believed_about_its_grey_scale():
    upside_down = XRay(acquired(9 - thickness()).values, "x.dcm", {"0028|1040": "LOG ", "0028|1041": "1"})
    assert prepare(upside_down, CAMERA).sign == -1
    xray = prepare(XRay(acquired(thickness() + 1).values, "x.dcm", {"0028|1040": "LIN", "0028|1041": "1"}), CAMERA)
    assert (xray.kind, xray.sign, xray.confidence) == ("intensity", -1, 1.0)


@pytest.mark.parametrize("shape", ["round", "rectangular"])
@pytest.mark.parametrize("level", [0.0, 4095.0])
def test_a_collimator_is_masked_and_nothing_else(shape, level):
    row, column = np.mgrid[: SIZE[0], : SIZE[1]]
    opened = (row - 50) ** 2 + (column - 58) ** 2 < 40**2
    if shape == "rectangular":
        opened = (np.abs(row - 50) < 35) & (np.abs(column - 58) < 45)
    values = np.where(opened, 300 + 500 * thickness(), level)
    field = field_of_view(values)
    assert not (field & ~opened).any()
    assert field.sum() > 0.9 * opened.sum()


def test_air_beside_a_body_is_no_collimator():
    row, column = np.mgrid[: SIZE[0], : SIZE[1]]
    air = (column + 8 * np.sin(row / 9) < 30) | (column > 100 - 6 * np.cos(row / 7))
    field = field_of_view(np.where(air, 4095.0, 500 * thickness()))
    assert field.mean() > 0.9 and field[20:-20, 3].all()


def test_the_hard_x_rays_are_turned_the_right_way(shared_data):
    """Against the rank correlation with the radiograph of the unchanged CT at the true pose."""
    from scipy.stats import spearmanr

    volume = attenuation(read_image(shared_data / "drr_pelvis" / "ct128.nii.gz"))
    camera = read_geometry(shared_data / "drr_pelvis" / "geometry.json", [(256, 256)])[0].camera
    images = np.load(shared_data / "drr_pelvis_hard" / "xrays256.npz")["image"]
    poses = torch.from_numpy(np.load(shared_data / "drr_pelvis_hard" / "poses.npz")["M_target"])
    right = 0
    for image, pose in zip(images, poses, strict=True):
        xray = prepare(acquired(image), camera)
        collimated = (image == 0).mean() > 0.1
        assert xray.inside.float().mean() < 0.75 if collimated else xray.inside.float().mean() > 0.9
        assert not (xray.inside.numpy() & (image == 0)).mean() > 0.02
        truth = project(volume, pose, camera.resized(4), 3.0)[0, 0].numpy()
        small = xray.image.numpy()[2::4, 2::4]
        inside = xray.inside.numpy()[2::4, 2::4]
        right += spearmanr(small[inside], truth[inside]).statistic > 0
    assert right >= 18


def test_attenuation_is_that_of_the_stated_constants():
    hounsfield = torch.tensor([-3024.0, -1000.0, -500.0, 0.0, 1000.0]).reshape(1, 1, 1, 5)
    image = Image(hounsfield, torch.eye(4, dtype=torch.float64))
    assert attenuation(image).data.flatten().tolist() == pytest.approx([0, 0, 0.01, 0.02, 0.04])
    assert attenuation(image, 0.019).data[0, 0, 0, 3].item() == pytest.approx(0.019)


def test_a_mask_a_label_or_bone_is_kept_alone():
    ct = Image(torch.tensor([-1000.0, 40.0, 60.0, 700.0]).reshape(1, 1, 1, 4), torch.eye(4, dtype=torch.float64))
    labels = Image(torch.tensor([0.0, 1.0, 2.0, 2.0]).reshape(1, 1, 1, 4), ct.affine)
    assert keep_only(ct, labels).data.flatten().tolist() == [-1000, 40, 60, 700]
    assert keep_only(ct, labels, [1]).data.flatten().tolist() == [-1000, 40, -1000, -1000]
    assert keep_only(ct, bone_threshold=200.0).data.flatten().tolist() == [-1000, -1000, -1000, 700]
    coarse = Image(torch.tensor([0.0, 3.0]).reshape(1, 1, 1, 2), Geometry((1, 1, 4), ct.affine).resized(2.0).affine)
    wide = Image(ct.data.expand(1, 4, 4, 4).contiguous(), ct.affine)
    coarse = Image(coarse.data.expand(1, 4, 4, 2).contiguous(), coarse.affine)
    assert keep_only(wide, coarse, [3]).data[0, 0, 0].tolist() == [-1000, -1000, 60, 700]
    for arguments, words in (
        ({"mask": labels, "labels": [9]}, "no label 9"),
        ({"labels": [1]}, "without a label map"),
        ({"bone_threshold": 3000.0}, "Nothing of the CT"),
    ):
        with pytest.raises(RegistrationError, match=words):
            keep_only(ct, **arguments)


@pytest.mark.parametrize(
    "values, words",
    [
        ([0.0, 1024, 2500], "subtract 1024"),
        ([0.0, 0.02, 0.06], "look like attenuation"),
        ([0.0, 130, 255], "air near -1000"),
        ([5.0, 5, 5], "constant"),
        ([-1000.0, float("nan"), 500], "1 voxels"),
        ([-1000.0, 3, 1e7], "Hounsfield"),
    ],
)
def test_images_that_are_no_ct_in_hounsfield_units_are_refused(values, words):
    image = Image(torch.tensor(values).reshape(1, 1, 1, 3), torch.eye(4, dtype=torch.float64))
    with pytest.raises(RegistrationError, match=words) as error:
        check_hounsfield(image, "ct.nii.gz")
    assert "ct.nii.gz" in str(error.value)


def test_cts_with_padding_metal_or_without_air_pass():
    for values in ([-1024.0, 0, 3071], [-3024.0, 0, 1500], [-1000.0, 50, 30000], [-90.0, 40, 300]):
        check_hounsfield(Image(torch.tensor(values).reshape(1, 1, 1, 3), torch.eye(4, dtype=torch.float64)), "ct")
