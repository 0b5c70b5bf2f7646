"""Fields of other programs mean what their headers say: direction, places or displacements, frame, and no NaN."""

import json

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import read_transform, write_image
from DiffRegLib.image import Image
from DiffRegLib.transforms import Affine, write_transform
from Testing.library.geometry import oblique_geometry, smooth_field
from Testing.library.test_cli_files import diffreg

GRID = oblique_geometry((12, 14, 16), (6.0, 5.0, 4.0), (10.0, -20.0, 30.0))
FIELD = smooth_field(GRID)
"""Displacements in RAS mm."""
INSIDE = GRID.center + torch.tensor([[3.0, -2.0, 4.0], [-6.0, 5.0, 1.0], [0.0, 0.0, 0.0]], dtype=torch.float64)


def lps(vectors: torch.Tensor) -> Image:
    return Image(vectors * torch.tensor([-1.0, -1.0, 1.0])[:, None, None, None], GRID.affine)


def write_nrrd(path, fields: str = ""):
    """The field in LPS as a NRRD file with further lines in its header."""
    write_image(lps(FIELD.data), path, compress=False)
    raw = path.read_bytes()
    cut = raw.index(b"\n\n")
    path.write_bytes(raw[:cut] + (f"\n{fields}" if fields else "").encode() + raw[cut:])
    return path


def write_nifti(path, vectors, intent=1007, name="", parameter=0.0):
    """Vectors (3, D, H, W) as they are, in a NIfTI file of the usual five dimensions."""
    data = vectors.permute(3, 2, 1, 0)[:, :, :, None].numpy()
    image = nibabel.Nifti1Image(np.ascontiguousarray(data), GRID.affine.numpy())
    image.header["intent_code"], image.header["intent_name"], image.header["intent_p1"] = intent, name, parameter
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return path


def test_a_modeling_field_maps_the_other_way(tmp_path):
    same = read_transform(write_nrrd(tmp_path / "r.nrrd", "displacement field type:=resampling"))
    back = read_transform(write_nrrd(tmp_path / "m.nrrd", "displacement field type:=modeling"))
    silent = read_transform(write_nrrd(tmp_path / "s.nrrd"))
    torch.testing.assert_close(silent(INSIDE), same(INSIDE))
    assert (same(INSIDE) - INSIDE).norm(dim=1).min() > 0.5
    torch.testing.assert_close(back(same(INSIDE)), INSIDE, atol=0.02, rtol=0)


def test_points_go_along_the_vectors_of_a_modeling_field(tmp_path):
    field = write_nrrd(tmp_path / "m.nrrd", "displacement field type:=modeling")
    np.savetxt(tmp_path / "p.csv", INSIDE, "%.6f", delimiter=",", header="x,y,z", comments="")
    diffreg("warp", tmp_path / "p.csv", field, "-o", tmp_path / "w.csv")
    moved = np.loadtxt(tmp_path / "w.csv", delimiter=",", skiprows=1)
    expected = read_transform(write_nrrd(tmp_path / "r.nrrd"))(INSIDE)
    np.testing.assert_allclose(moved[:, :3], expected, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "parameter", "places"), [("Mapping", 0, True), ("NREG_TRANS", 0, True), ("NREG_TRANS", 1, False)]
)
def test_fields_of_spm_and_niftyreg_are_read_as_their_intent_says(tmp_path, name, parameter, places):
    vectors = FIELD.data + (GRID.grid().movedim(-1, 0) if places else 0)
    found = read_transform(write_nifti(tmp_path / "y.nii.gz", vectors, name=name, parameter=parameter))
    torch.testing.assert_close(found(INSIDE), INSIDE + FIELD.sample(INSIDE.float()).T.double(), atol=1e-3, rtol=0)


def test_components_are_ras_in_displacement_files_and_lps_in_others(tmp_path):
    ras = read_transform(write_nifti(tmp_path / "d.nii.gz", FIELD.data, intent=1006))
    ants = read_transform(write_nifti(tmp_path / "v.nii.gz", lps(FIELD.data).data, intent=1007))
    torch.testing.assert_close(ras(INSIDE), ants(INSIDE))
    assert (ras(INSIDE) - INSIDE).norm(dim=1).min() > 0.5


def refused(make, word):
    with pytest.raises(RegistrationError, match=word) as error:
        read_transform(make)
    assert "\n" not in str(error.value)


def test_what_a_field_does_not_say_is_refused(tmp_path):
    places = FIELD.data + GRID.grid().movedim(-1, 0)
    refused(write_nifti(tmp_path / "a.nii.gz", places), "places rather than displacements")
    refused(write_nifti(tmp_path / "b.nii.gz", lps(places).data), "places rather than displacements")
    refused(write_nifti(tmp_path / "c.nii.gz", FIELD.data, intent=2006), "warp of FSL")
    refused(write_nifti(tmp_path / "d.nii.gz", FIELD.data, name="NREG_TRANS", parameter=5), "splines or velocities")
    refused(write_nrrd(tmp_path / "e.nrrd", "displacement field type:=both"), "states the displacement field type")
    refused(write_nrrd(tmp_path / "f.nrrd", 'space units: "m" "m" "m"'), "another unit")
    refused(write_nrrd(tmp_path / "g.nrrd", "measurement frame: (0,1,0) (1,0,0) (0,0,1)"), "frame of its own")
    sitk.WriteImage(sitk.Image([4, 4, 4], sitk.sitkVectorUInt8, 3), str(tmp_path / "h.nrrd"))
    refused(tmp_path / "h.nrrd", "no 3D image of vectors")


@pytest.mark.parametrize("name", ["f.nrrd", "f.nii.gz", "f.mha", "f.h5"])
def test_a_field_with_nan_is_refused_on_every_path(tmp_path, name):
    vectors = FIELD.data.clone()
    vectors[:, 4:7, 5:9, 5:9] = float("nan")
    if name.endswith(".nii.gz"):
        write_nifti(tmp_path / name, vectors)
    elif name.endswith(".h5"):
        itk = sitk.GetImageFromArray(vectors.movedim(0, -1).double().numpy(), isVector=True)
        sitk.WriteTransform(sitk.DisplacementFieldTransform(itk), str(tmp_path / name))
    else:
        write_image(Image(vectors, GRID.affine), tmp_path / name)
    refused(tmp_path / name, "NaN")
    np.savetxt(tmp_path / "p.csv", INSIDE, "%.6f", delimiter=",", header="x,y,z", comments="")
    assert "NaN" in diffreg("warp", tmp_path / "p.csv", tmp_path / name, "-o", tmp_path / "w.csv", code=2)
    assert "NaN" in diffreg("evaluate", tmp_path / name, code=2)
    assert "NaN" in diffreg("info", tmp_path / name, code=2)


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("el.txt", '(Transform "BSplineTransform")\n(NumberOfParameters 3)\n', "parameter file of elastix"),
        ("fsl.mat", "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n", "as FSL writes"),
        (
            "tps.tfm",
            "#Insight Transform File V1.0\n#Transform 0\nTransform: ThinPlateSplineKernelTransform_double_3_3\n"
            "Parameters: 0 0 0 1 0 0 0 1 0 0 0 1\nFixedParameters: 0 0 0 1 0 0 0 1 0 0 0 1\n",
            "holds a ThinPlateSplineKernelTransform",
        ),
        (
            "flat.tfm",
            "#Insight Transform File V1.0\n#Transform 0\nTransform: Euler2DTransform_double_2_2\nParameters: 0 1 2\n"
            "FixedParameters: 0 0\n",
            "of 2 dimensions",
        ),
    ],
)
def test_a_transform_that_cannot_be_read_is_told_by_its_cause(tmp_path, name, content, word):
    (tmp_path / name).write_text(content)
    refused(tmp_path / name, word)


def test_folds_are_counted_on_the_grid_of_the_field_whatever_is_named(tmp_path):
    """Waves of 7 mm along x in a field of 1 mm, in the box of an image of 16 mm: what differences of the field say."""
    x = torch.arange(160.0) - 79.5
    wave = 1.6 * torch.sin(2 * torch.pi * x / 7)
    data = torch.zeros(3, 2, 2, 160)
    data[0] = wave
    affine = torch.diag(torch.tensor([1.0, 60.0, 60.0, 1.0]))
    affine[:3, 3] = torch.tensor([-79.5, -30.0, -30.0])
    write_image(Image(data * torch.tensor([-1.0, -1.0, 1.0])[:, None, None, None], affine), tmp_path / "wave.nrrd")
    like = torch.diag(torch.tensor([16.0, 16.0, 16.0, 1.0]))
    like[:3, 3] = torch.tensor([-72.0, -56.0, -56.0])
    write_image(Image(torch.zeros(1, 8, 8, 10), like), tmp_path / "like.nrrd", "uint8")
    determinant = np.gradient((x + wave).numpy())
    found = json.loads(diffreg("evaluate", tmp_path / "wave.nrrd", "--like", tmp_path / "like.nrrd", "--json"))
    assert found["folded_percent"] == pytest.approx(100 * (determinant <= 0).mean(), abs=0.7)
    assert found["jacobian_determinant"]["min"] == pytest.approx(determinant.min(), abs=1e-3)
    assert found["folds_counted"]["spacing_mm"][0] == pytest.approx(1.0)


def test_folds_of_a_linear_transform_are_those_of_its_matrix(tmp_path):
    write_transform(Affine(torch.diag(torch.tensor([1.0, 2.0, 1.5, 1.0]))), tmp_path / "t.tfm")
    write_image(Image(torch.zeros(1, 5, 6, 7), torch.eye(4)), tmp_path / "like.nrrd", "uint8")
    found = json.loads(diffreg("evaluate", tmp_path / "t.tfm", "--like", tmp_path / "like.nrrd", "--json"))
    assert found["folded_percent"] == 0 and found["jacobian_determinant"]["max"] == pytest.approx(3.0, abs=1e-4)
