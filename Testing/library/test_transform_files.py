"""Transform files mean the same to SimpleITK, to Slicer and to us: checked by warping an oblique, anisotropic image."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import read_transform
from DiffRegLib.image import Image, to_itk
from DiffRegLib.transforms import (
    Affine,
    BSpline,
    DisplacementField,
    VelocityField,
    rigid,
    write_transform,
)
from Testing.library.geometry import oblique_geometry, smooth_field, smooth_image

GEOMETRY = oblique_geometry()
FIXED = oblique_geometry((13, 15, 18), (1.7, 2.1, 2.6), (10.0, -5.0, 30.0))
MOTION = rigid((4.0, -6.0, 9.0), (2.0, -3.0, 1.5), GEOMETRY.center)
CONTROL = oblique_geometry((11, 12, 13), (7.0, 7.5, 8.0), (5.0, 10.0, -20.0))


def _control_around_the_image():
    affine = CONTROL.affine.clone()
    affine[:3, 3] += GEOMETRY.center - CONTROL.center
    return Image(smooth_field(CONTROL).data, affine)


def _wide_field():
    """A field that covers both images: beyond it ITK means no displacement, Slicer and we the border's."""
    wide = oblique_geometry((22, 25, 28), (3.0, 3.5, 4.0), (20.0, -15.0, 35.0))
    affine = wide.affine.clone()
    affine[:3, 3] += GEOMETRY.center - wide.center
    return Image(smooth_field(wide).data, affine)


TRANSFORMS = {
    "affine": Affine(MOTION.matrix @ torch.diag(torch.tensor([1.1, 0.95, 1.05, 1.0], dtype=torch.float64))),
    "rigid": MOTION,
    "displacement": DisplacementField(_wide_field()),
    "bspline": BSpline(_control_around_the_image()),
    "composite": MOTION @ DisplacementField(_wide_field()),
    "other composite": DisplacementField(_wide_field()) @ MOTION,
}


@pytest.mark.parametrize("suffix", [".h5", ".tfm"])
@pytest.mark.parametrize("kind", TRANSFORMS)
def test_simpleitk_resamples_with_the_written_transform_as_we_do(tmp_path, kind, suffix):
    transform, moving = TRANSFORMS[kind], smooth_image(GEOMETRY)
    path = tmp_path / f"transform{suffix}"
    write_transform(transform, path)
    reference = to_itk(Image(torch.zeros(1, *FIXED.shape), FIXED.affine))
    itk = sitk.ReadTransform(str(path))
    theirs = sitk.GetArrayFromImage(sitk.Resample(to_itk(moving), reference, itk, sitk.sitkLinear, -999.0))
    ours = moving.resample(FIXED, transform, outside=-999.0).data[0].numpy()
    both = (theirs != -999) & (ours != -999)
    assert both.mean() > 0.4 and (both == ((theirs != -999) | (ours != -999))).mean() > 0.995
    assert np.abs(ours - theirs)[both].max() < 0.1  # of a range of 400: float32 against float64
    unmoved = moving.resample(FIXED, outside=-999.0).data[0].numpy()
    assert np.abs(unmoved - theirs)[both & (unmoved != -999)].mean() > 3  # the transform did something


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_reading_returns_what_was_written(tmp_path, kind):
    write_transform(TRANSFORMS[kind], tmp_path / "t.h5")
    back = read_transform(tmp_path / "t.h5")
    x = FIXED.grid().reshape(-1, 3)
    assert (back(x) - TRANSFORMS[kind](x)).norm(dim=-1).max() < 1e-3


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_itk_reads_a_displacement_image_with_the_right_sign(tmp_path, suffix):
    field = TRANSFORMS["displacement"]
    path = tmp_path / f"field{suffix}"
    write_transform(field, path)
    itk = sitk.DisplacementFieldTransform(sitk.ReadImage(str(path), sitk.sitkVectorFloat64))
    x = torch.tensor([[float(v) for v in GEOMETRY.center]])
    lps = np.array(itk.TransformPoint((x[0] * torch.tensor([-1.0, -1.0, 1.0])).double().tolist()))
    assert np.allclose(lps * [-1, -1, 1], field(x)[0].numpy(), atol=1e-3)
    assert (read_transform(path)(x) - field(x)).norm() < 1e-4


def test_a_velocity_field_is_written_as_the_displacement_of_its_flow(tmp_path):
    velocity = VelocityField(_wide_field())
    write_transform(velocity, tmp_path / "t.h5")
    x = FIXED.grid().reshape(-1, 3)
    assert (read_transform(tmp_path / "t.h5")(x) - velocity(x)).norm(dim=-1).max() < 0.1


@pytest.mark.parametrize("name", ["t.h5", "t.nii.gz"])
def test_slicer_reads_the_displacement_as_from_parent_with_the_same_sign(tmp_path, name):
    slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
    field = TRANSFORMS["displacement"]
    write_transform(field, tmp_path / name)
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    storage = slicer.vtkMRMLTransformStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(tmp_path / name))
    assert storage.ReadData(node)
    center = GEOMETRY.center.float()
    expected = field(center[None])[0]
    found = node.GetTransformFromParent().TransformPoint(center.tolist())
    assert np.allclose(found, expected.numpy(), atol=0.02)  # Slicer interpolates with cubics, we linearly
    assert (expected - center).norm() > 1


def test_the_shared_field_carries_landmarks_to_their_partners(shared_data):
    folder = shared_data / "abdomen_known_warp"
    transform = read_transform(folder / "field_mm_ras.nii.gz", ras_components=True)
    pairs = np.load(folder / "landmarks.npz")
    fixed, moving = torch.from_numpy(pairs["fixed"]), torch.from_numpy(pairs["moving"])
    assert (transform(fixed) - moving).norm(dim=-1).mean() < 0.03
    assert (transform.inverse(transform.image.geometry.resized(6.0))(moving) - fixed).norm(dim=-1).mean() < 0.3


@pytest.mark.parametrize(
    "name, content, word",
    [
        ("absent.h5", None, "does not exist"),
        ("broken.h5", b"not a transform", "cannot be read"),
        ("broken.tfm", b"#Insight Transform File V1.0\n#Transform 0\nTransform: Af", "cannot be read"),
        ("a.xyz", b"", "unknown extension"),
    ],
)
def test_a_bad_transform_file_is_named(tmp_path, name, content, word):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(RegistrationError, match=word) as error:
        read_transform(tmp_path / name)
    assert name in str(error.value)


def test_an_unwritable_place_is_one_sentence(tmp_path):
    with pytest.raises(RegistrationError, match="cannot be written"):
        write_transform(MOTION, tmp_path / "no" / "folder" / "t.h5")


@pytest.mark.parametrize(
    "content", [lambda whole: whole[: len(whole) // 2], lambda whole: whole[:20], lambda whole: b"x"]
)
def test_a_cut_off_h5_is_one_sentence_and_nothing_of_a_library_is_printed(tmp_path, capfd, content):
    write_transform(Affine.identity(), tmp_path / "whole.h5")
    read_transform(tmp_path / "whole.h5")
    (tmp_path / "cut.h5").write_bytes(content((tmp_path / "whole.h5").read_bytes()))
    capfd.readouterr()
    with pytest.raises(RegistrationError, match="cut.h5 cannot be read as a transform: it is truncated"):
        read_transform(tmp_path / "cut.h5")
    assert capfd.readouterr() == ("", "")
