"""Images keep their place in the patient: geometry, sampling, files."""

import itertools

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import read_image, write_image
from DiffRegLib.image import Geometry, Image, from_itk, to_itk
from Testing.library.geometry import oblique_geometry, smooth_image


def test_world_and_voxel_are_inverse_and_normalized_ends_at_the_outer_faces():
    geometry = oblique_geometry()
    index = torch.rand(50, 3, dtype=torch.float64) * 20
    assert torch.allclose(geometry.to_voxel(geometry.to_world(index)), index, atol=1e-9)
    corners = geometry.normalize(geometry.corners())
    assert torch.allclose(corners.abs(), torch.ones_like(corners), atol=1e-9)
    assert torch.allclose(geometry.normalize(geometry.center), torch.zeros(3, dtype=torch.float64), atol=1e-9)


def test_voxel_centers_agree_with_simpleitk():
    image = smooth_image(oblique_geometry())
    itk = to_itk(image)
    lps = itk.TransformIndexToPhysicalPoint((3, 5, 7))
    ras = image.to_world(torch.tensor([3.0, 5.0, 7.0], dtype=torch.float64))
    assert np.allclose(ras.numpy() * [-1, -1, 1], lps, atol=1e-6)
    assert itk.GetPixel(3, 5, 7) == pytest.approx(float(image.data[0, 7, 5, 3]))


def test_a_linear_ramp_is_sampled_exactly_inside_and_the_border_is_held_in_the_outer_half_voxel():
    geometry = oblique_geometry()
    gradient = torch.tensor([0.5, -2.0, 1.0])
    image = Image((geometry.grid() @ gradient)[None], geometry.affine)
    inside = geometry.to_world(torch.rand(200, 3, dtype=torch.float64) * (geometry.size - 1))
    assert torch.allclose(image.sample(inside.float())[0], inside.float() @ gradient, atol=1e-3)
    corner = geometry.to_world(torch.tensor([-0.4, 0.0, 0.0], dtype=torch.float64))
    assert float(image.sample(corner[None])) == pytest.approx(float(image.data[0, 0, 0, 0]), abs=1e-3)
    beyond = geometry.to_world(torch.tensor([-0.6, 0.0, 0.0], dtype=torch.float64))
    assert float(image.sample(beyond[None], outside=-1000.0)) == -1000
    assert float(image.sample(beyond[None], outside="border")) == pytest.approx(float(image.data[0, 0, 0, 0]), abs=1e-3)


def test_nearest_returns_labels_exactly():
    geometry = oblique_geometry()
    labels = Image(torch.randint(0, 3000, (1, *geometry.shape)).float(), geometry.affine)
    index = torch.rand(300, 3, dtype=torch.float64) * (geometry.size - 1)
    i, j, k = index.round().long().unbind(-1)
    assert torch.equal(labels.sample(geometry.to_world(index), mode="nearest")[0], labels.data[0, k, j, i])


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("backward", list(itertools.product((False, True), repeat=3)))
def test_axes_are_exchanged_without_moving_a_voxel(order, backward):
    generator = torch.Generator().manual_seed(0)
    image = Image(torch.randn(2, 4, 5, 6, generator=generator), oblique_geometry().affine)
    signs = torch.tensor([-1.0 if back else 1.0 for back in backward], dtype=torch.float64)
    wanted = image.affine[:3, list(order)] * signs / torch.tensor([1.0, 2.0, 0.5])  # of any length
    turned = image.along(wanted)
    cosines = turned.affine[:3, :3] / turned.spacing
    torch.testing.assert_close(cosines, wanted / wanted.norm(dim=0))
    points = image.grid()
    torch.testing.assert_close(turned.sample(points, "nearest"), image.data)
    assert turned.along(image.affine[:3, :3]).data.equal(image.data)


def test_axes_that_run_along_already_or_nearly_so_stay():
    image = Image(torch.zeros(1, 4, 5, 6), oblique_geometry().affine)
    a = torch.tensor(0.6, dtype=torch.float64)
    tilt = torch.tensor([[1, 0, 0], [0, a.cos(), -a.sin()], [0, a.sin(), a.cos()]], dtype=torch.float64)
    assert image.along(image.affine[:3, :3]) is image and image.along(tilt @ image.affine[:3, :3]) is image


def test_resampling_equals_simpleitk():
    image = smooth_image(oblique_geometry())
    like = oblique_geometry((11, 12, 13), (2.5, 2.2, 2.0), (5.0, 10.0, -20.0))
    ours = image.resample(like, outside=-7.0)
    reference = to_itk(Image(torch.zeros(1, *like.shape), like.affine))
    theirs = sitk.GetArrayFromImage(sitk.Resample(to_itk(image), reference, sitk.Transform(), sitk.sitkLinear, -7.0))
    assert (theirs != -7).mean() > 0.2
    assert np.abs(ours.data[0].numpy() - theirs).max() < 2e-2


def test_a_resized_grid_fills_the_same_box():
    geometry = oblique_geometry()
    finer = geometry.resized(0.8)
    assert torch.allclose(finer.corners(), geometry.corners(), atol=1e-9)
    assert (finer.spacing <= 0.8 + 1e-9).all()


def test_the_grid_around_points_holds_them_with_their_margin():
    points = torch.randn(40, 3) * 30 + 100
    geometry = Geometry.around(points, 2.5, margin=5)
    assert torch.allclose(geometry.spacing, torch.full((3,), 2.5, dtype=torch.float64))
    assert geometry.contains(points + 4.9).all() and geometry.contains(points - 4.9).all()


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
def test_files_keep_values_and_oblique_geometry(tmp_path, name):
    image = smooth_image(oblique_geometry())
    write_image(image, tmp_path / name)
    back = read_image(tmp_path / name)
    assert torch.allclose(back.affine, image.affine, atol=1e-4)
    assert torch.equal(back.data, image.data)


def test_integers_are_rounded_and_clipped_not_wrapped(tmp_path):
    data = torch.tensor([-40000.0, -1.6, 0.4, 70000.0]).reshape(1, 1, 1, 4)
    write_image(Image(data, torch.eye(4)), tmp_path / "a.nii.gz", "int16")
    assert read_image(tmp_path / "a.nii.gz").data.flatten().tolist() == [-32768, -2, 0, 32767]


def test_nifti_affine_is_the_one_that_nibabel_reads(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    image = smooth_image(oblique_geometry())
    write_image(image, tmp_path / "a.nii.gz")
    assert np.allclose(nibabel.load(tmp_path / "a.nii.gz").affine, image.affine.numpy(), atol=1e-4)


def test_a_dicom_series_is_read_from_its_folder(tmp_path):
    itk = sitk.Cast(to_itk(smooth_image(oblique_geometry(angles=(0, 0, 0)))), sitk.sitkInt16)
    for k in range(itk.GetDepth()):
        part = itk[:, :, k]
        tags = {
            "0008|0060": "CT",
            "0020|000e": "1.2.826.0.1.3680043.2.1125.1",
            "0020|0032": "\\".join(f"{v:.6f}" for v in itk.TransformIndexToPhysicalPoint((0, 0, k))),
            "0020|0037": "\\".join(f"{v:g}" for v in (*itk.GetDirection()[0::3], *itk.GetDirection()[1::3])),
            "0020|0013": str(k),
        }
        for tag, value in tags.items():
            part.SetMetaData(tag, value)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(tmp_path / f"{k:03d}.dcm"))
        writer.Execute(part)
    image, expected = read_image(tmp_path), from_itk(itk)
    assert torch.allclose(image.affine, expected.affine, atol=1e-3)
    assert torch.equal(image.data, expected.data)


def _truncated(folder):
    image = smooth_image(oblique_geometry())
    write_image(image, folder / "whole.nii.gz")
    (folder / "bad.nii.gz").write_bytes((folder / "whole.nii.gz").read_bytes()[:3000])
    return folder / "bad.nii.gz"


def _four_dimensions(folder):
    sitk.WriteImage(sitk.Image([4, 4, 4, 3], sitk.sitkFloat32), str(folder / "four.nii.gz"))
    return folder / "four.nii.gz"


def _no_geometry(folder):
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.float32), None)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nibabel.save(image, folder / "bare.nii.gz")
    return folder / "bare.nii.gz"


def _not_finite(suffix, value):
    def make(folder):
        data = np.zeros((5, 6, 7), np.float32)
        data[2, 3, 4] = value
        sitk.WriteImage(sitk.GetImageFromArray(data), str(folder / f"nan{suffix}"))
        return folder / f"nan{suffix}"

    return make


def _skewed(folder):
    header = "NRRD0004\ntype: uchar\ndimension: 3\nspace: left-posterior-superior\nsizes: 4 4 4\n"
    header += "space directions: (1,0,0) (0.3,0.95,0) (0,0,1)\nkinds: domain domain domain\nencoding: raw\n"
    header += "space origin: (0,0,0)\n\n"
    (folder / "skewed.nrrd").write_bytes(header.encode() + bytes(range(64)))
    return folder / "skewed.nrrd"


@pytest.mark.parametrize(
    "make, word",
    [
        (lambda folder: folder / "absent.nii.gz", "does not exist"),
        (_skewed, "right angles"),
        (_truncated, "truncated"),
        (_four_dimensions, "4 dimensions"),
        (_no_geometry, "no geometry"),
        (_not_finite(".nii.gz", np.nan), "NaN"),
        (_not_finite(".nii", np.inf), "NaN"),
        (_not_finite(".nrrd", np.nan), "NaN"),
        (lambda folder: folder, "no DICOM series"),
    ],
)
def test_a_bad_file_is_named_with_what_to_do(tmp_path, make, word):
    path = make(tmp_path)
    with pytest.raises(RegistrationError, match=word) as error:
        read_image(path)
    assert str(path) in str(error.value)


def test_a_singular_affine_is_refused():
    affine = torch.eye(4)
    affine[:3, 1] = affine[:3, 0]
    with pytest.raises(RegistrationError, match="singular"):
        Image(torch.zeros(1, 2, 2, 2), affine)
