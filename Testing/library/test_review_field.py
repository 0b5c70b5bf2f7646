"""Maps of a field, its folds and its volume changes, against closed forms and SimpleITK."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from DiffRegLib.files import open_file, read_transform
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.review.field import analyze, own_grid
from DiffRegLib.review.folds import folded_regions
from DiffRegLib.review.segments import volume_changes
from DiffRegLib.transforms import Affine, DisplacementField, rigid
from Testing.library.geometry import oblique_geometry, smooth_field

RELATIVE = 1e-3


def affine(matrix, offset=(0.0, 0.0, 0.0)):
    full = torch.eye(4, dtype=torch.float64)
    full[:3, :3] = torch.as_tensor(matrix, dtype=torch.float64)
    full[:3, 3] = torch.as_tensor(offset, dtype=torch.float64)
    return Affine(full)


def test_an_affine_has_its_determinant_and_displacement_everywhere_and_agrees_with_its_inverse():
    geometry = oblique_geometry()
    matrix = [[1.1, 0.1, 0.0], [0.0, 0.9, 0.2], [0.1, 0.0, 1.3]]
    transform = affine(matrix, (3.0, -4.0, 12.0))
    maps = analyze(transform, geometry, transform.inverse())
    determinant = np.linalg.det(np.array(matrix))
    assert torch.allclose(maps.determinant.data, torch.full_like(maps.determinant.data, determinant), rtol=1e-5)
    x = geometry.grid().double()
    assert torch.allclose(maps.magnitude.data[0].double(), (transform(x) - x).norm(dim=-1), rtol=1e-5)
    assert float(maps.inverse_error.data.max()) < 1e-5


def test_determinant_of_a_known_field_is_its_closed_form_inside():
    geometry = Geometry((40, 44, 48), torch.diag(torch.tensor([1.0, 1.2, 0.8, 1.0])))
    x = geometry.grid().double()
    shift = torch.stack((4 * torch.sin(x[..., 0] / 20), 3 * torch.cos(x[..., 1] / 25), 2 * torch.sin(x[..., 2] / 15)))
    maps = analyze(DisplacementField(Image(shift.float(), geometry.affine)), geometry)
    slopes = (
        4 / 20 * torch.cos(x[..., 0] / 20),
        -3 / 25 * torch.sin(x[..., 1] / 25),
        2 / 15 * torch.cos(x[..., 2] / 15),
    )
    known = (1 + slopes[0]) * (1 + slopes[1]) * (1 + slopes[2])
    inner = (slice(1, -1),) * 3
    assert torch.allclose(maps.determinant.data[0][inner].double(), known[inner], rtol=RELATIVE)


def test_slabs_meet_without_a_seam(monkeypatch):
    geometry = oblique_geometry()
    transform = DisplacementField(smooth_field(geometry))
    whole = analyze(transform, geometry).determinant.data
    monkeypatch.setattr("DiffRegLib.review.field.SLAB", 1)
    assert torch.allclose(analyze(transform, geometry).determinant.data, whole, atol=1e-6)


def test_determinant_of_the_public_field_agrees_with_simpleitk(shared_data):
    path = shared_data / "abdomen_known_warp" / "field_mm_ras.nii.gz"
    field = read_transform(path, ras_components=True)
    ours = analyze(field, field.image).determinant.data[0].numpy()
    itk = sitk.ReadImage(str(path), sitk.sitkVectorFloat64)
    vectors = sitk.GetImageFromArray(sitk.GetArrayFromImage(itk), isVector=True)
    vectors.SetSpacing(itk.GetSpacing())  # the filter differentiates along the voxel axes, which are R, A, S here
    theirs = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(vectors))
    inner = (slice(1, -1),) * 3
    np.testing.assert_allclose(ours[inner], theirs[inner], rtol=RELATIVE)
    for share in (1, 99):
        assert np.percentile(ours[inner], share) == pytest.approx(np.percentile(theirs[inner], share), rel=RELATIVE)


def test_two_folds_are_two_regions_with_their_places_and_volumes():
    geometry = Geometry((30, 30, 40), torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0])))
    shift = torch.zeros(3, 30, 30, 40)
    shift[0, 10:15, 10:15, 8:10] = torch.tensor([6.0, 0.0])  # x + u turns back between the two columns
    shift[0, 20:22, 20:22, 28:30] = torch.tensor([6.0, 0.0])
    regions = folded_regions(analyze(DisplacementField(Image(shift, geometry.affine)), geometry))
    assert len(regions) == 2 and regions[0].voxels > regions[1].voxels
    assert all(region.least <= 0 for region in regions)
    for region, middle in zip(regions, ((8.5, 12.0, 12.0), (28.5, 20.5, 20.5))):
        assert torch.allclose(region.center, 2 * torch.tensor(middle, dtype=torch.float64), atol=2.5)
        assert region.volume_ml == pytest.approx(region.voxels * 8e-3)
    assert not folded_regions(analyze(DisplacementField(Image(torch.zeros_like(shift), geometry.affine)), geometry))


def test_a_fine_fold_is_seen_on_the_grid_of_the_field():
    coarse = Geometry((10, 10, 10), torch.diag(torch.tensor([8.0, 8.0, 8.0, 1.0])))
    shift = torch.zeros(3, 80, 80, 80)
    shift[0, 40:42, 40:42, 40:42] = torch.tensor([3.0, 0.0])
    transform = DisplacementField(Image(shift, torch.eye(4)))
    grid = own_grid(transform, coarse)
    assert float(grid.spacing.max()) <= 1.001
    assert folded_regions(analyze(transform, grid))


def test_a_scaling_changes_each_segment_by_its_determinant():
    geometry = oblique_geometry((30, 30, 30))
    data = torch.zeros(1, 30, 30, 30, dtype=torch.int64)
    data[:, 5:15, 5:15, 5:15], data[:, 20:25, 5:10, 5:10] = 7, 40_000_001
    rows = volume_changes(
        analyze(affine(torch.diag(torch.tensor([1.2, 1.0, 0.9]))), geometry), Image(data, geometry.affine)
    )
    assert [row.label for row in rows] == [7, 40_000_001]
    for row, voxels in zip(rows, (1000, 125)):
        assert row.fixed_ml == pytest.approx(voxels * 9e-3)
        assert row.percent == pytest.approx(8.0, rel=RELATIVE)
        assert row.expanded_ml == pytest.approx(0.08 * row.fixed_ml, rel=RELATIVE)
        assert row.compressed_ml == pytest.approx(0.0, abs=1e-6)


def test_volume_changes_of_the_public_case_agree_with_simpleitk(shared_data):
    folder = shared_data / "abdomen_known_warp"
    field = read_transform(folder / "field_mm_ras.nii.gz", ras_components=True)
    labels = open_file(folder / "fixed_seg.nii.gz", ("labels",)).content
    maps = analyze(field, field.image)
    statistics = sitk.LabelStatisticsImageFilter()
    determinant = sitk.GetImageFromArray(maps.determinant.data[0].numpy())
    statistics.Execute(determinant, sitk.GetImageFromArray(labels.data[0].numpy().astype(np.int32)))
    for row in volume_changes(maps, labels):
        assert row.fixed_ml == pytest.approx(statistics.GetCount(row.label) * 27e-3, rel=RELATIVE)
        assert row.mapped_ml == pytest.approx(statistics.GetSum(row.label) * 27e-3, rel=RELATIVE)
        assert row.expanded_ml - row.compressed_ml == pytest.approx(row.mapped_ml - row.fixed_ml, abs=1e-6)


def test_inverse_error_is_not_counted_where_the_inverse_is_unknown():
    geometry = Geometry((20, 20, 20), torch.eye(4))
    shift = torch.zeros(3, 20, 20, 20)
    shift[0] = 5.0
    forward, back = DisplacementField(Image(shift, geometry.affine)), DisplacementField(Image(-shift, geometry.affine))
    error = analyze(forward, geometry, back).inverse_error.data[0]
    assert int(error.isnan().sum()) == 20 * 20 * 5
    assert float(error.nan_to_num().max()) < 1e-5
    turned = rigid((0.0, 0.0, 3.0), (0.0, 0.0, 0.0), geometry.center)
    assert float(analyze(turned, geometry, Affine.identity()).inverse_error.data.max()) > 0.5


def test_lattice_covers_a_box_with_its_voxels_in_place():
    geometry = oblique_geometry()
    same = geometry.covering(geometry.corners())
    assert same.shape == geometry.shape and torch.allclose(same.affine, geometry.affine)
    wider = geometry.covering(geometry.to_world(torch.tensor([[-3.4, 0.0, 0.0], [4.0, 5.0, 6.0]], dtype=torch.float64)))
    assert wider.shape == (7, 6, 8)
    assert torch.allclose(wider.to_world(torch.tensor([3.0, 0, 0])), geometry.to_world(torch.zeros(3)), atol=1e-5)
