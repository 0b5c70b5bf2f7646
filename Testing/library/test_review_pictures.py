"""Pictures: left is left, letters stand where they belong, lengths are millimeters, colors mean what the bar says."""

import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from DiffRegLib.errors import RegistrationError
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.points import PointCloud
from DiffRegLib.review.course import courses
from DiffRegLib.review.panels import draw_displacement, draw_grid, draw_trace, draw_veil, draw_volume_change
from DiffRegLib.review.pictures import overview, overview_figure
from DiffRegLib.review.subjects import FIXED, IDENTITY, MOVING, CloudPair, pair_of
from DiffRegLib.review.views import AXIAL, CORONAL, SAGITTAL, VIEWS, Box, box_with_best_cuts
from DiffRegLib.transforms import Affine, rotation_matrix

MARKER = torch.tensor([30.0, 18.0, 12.0])  # right, anterior, superior of the middle


def oblique(value):
    """Black but for a ball of 8 mm around MARKER, on an oblique and anisotropic grid around the origin."""
    affine = torch.eye(4, dtype=torch.float64)
    affine[:3, :3] = rotation_matrix((25.0, -15.0, 30.0)) * torch.tensor([1.5, 2.0, 4.0], dtype=torch.float64)
    shape = (35, 70, 90)
    affine[:3, 3] = -affine[:3, :3] @ (torch.tensor(shape[::-1], dtype=torch.float64) - 1) / 2
    grid = Geometry(shape, affine).grid()
    return Image(((grid - MARKER).norm(dim=-1) < 8).float()[None] * value, affine)


def translation(*shift):
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, 3] = torch.tensor(shift, dtype=torch.float64)
    return Affine(matrix)


def scaling(*factors):
    return Affine(torch.diag(torch.tensor([*factors, 1.0], dtype=torch.float64)))


def moved(image, *shift):
    return Image(image.data, translation(*shift).matrix @ image.affine)


def box(half=50.0):
    low = torch.full((3,), -half, dtype=torch.float64)
    return Box(low, -low, torch.zeros(3, dtype=torch.float64))


def cloud(count=100, size=60.0):
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(0)) * size


def pixels_of(figure, axes):
    """(rows, columns, 3) in [0, 1] of one panel as it is painted, row 0 at the top."""
    figure.canvas.draw()
    canvas = np.asarray(figure.canvas.buffer_rgba())[..., :3] / 255
    where = axes.get_window_extent()
    top, bottom = canvas.shape[0] - round(where.y1), canvas.shape[0] - round(where.y0)
    return canvas[top:bottom, round(where.x0) : round(where.x1)]


def is_orange(pixels):
    return (pixels[..., 0] > 0.5) & (pixels[..., 0] > pixels[..., 2] + 0.3)


def center_of(mask):
    """Row and column of the middle of a mask, as fractions of the panel from its top left corner."""
    rows, columns = np.nonzero(mask)
    return rows.mean() / mask.shape[0], columns.mean() / mask.shape[1]


def test_marker_on_the_patients_right_appears_on_the_left_of_the_picture():
    image = oblique(100.0)
    figure = overview_figure(IDENTITY, Image(torch.zeros_like(image.data), image.affine), image)
    extent = image.corners().abs().amax(0)
    found = {}
    for view, axes in zip(VIEWS, figure.get_axes()[:3]):
        row, column = found[view] = center_of(is_orange(pixels_of(figure, axes)))
        assert column == pytest.approx(0.5 - 0.5 * float(MARKER[view.across] / extent[view.across]), abs=0.03)
        assert row == pytest.approx(0.5 - 0.5 * float(MARKER[view.up] / extent[view.up]), abs=0.03)
    assert found[AXIAL][1] < 0.5 and found[AXIAL][0] < 0.5  # right is left, anterior is up
    assert found[CORONAL][1] < 0.5 and found[CORONAL][0] < 0.5  # right is left, superior is up
    assert found[SAGITTAL][1] < 0.5  # anterior is left


def test_cuts_pass_through_what_differs():
    image = oblique(100.0)
    pair = pair_of(image, Image(torch.zeros_like(image.data), image.affine))
    assert (pair.box(IDENTITY).cuts - MARKER).abs().max() < 8


def test_best_cut_is_where_the_weight_is():
    points = torch.tensor([[10.0, -20.0, 5.0], [12.0, -20.0, 5.0], [-30.0, 30.0, 30.0]])
    cuts = box_with_best_cuts(*(torch.full((3,), s * 50.0) for s in (-1, 1)), points, torch.ones(3)).cuts
    assert (cuts - torch.tensor([11.0, -20.0, 5.0])).abs().max() < 6


def test_letters_stand_at_their_edges():
    image = oblique(1.0)
    panels = overview_figure(IDENTITY, image, image).get_axes()[:6]
    for axes, view in zip(panels, VIEWS * 2, strict=True):
        at = {t.get_text(): t.get_position() for t in axes.texts if len(t.get_text()) == 1}
        left, right, bottom, top = (at[letter] for letter in view.letters)
        assert left[0] < 0.1 < 0.9 < right[0] and bottom[1] < 0.1 < 0.9 < top[1]
        assert axes.get_xlim()[0] > axes.get_xlim()[1] and axes.get_ylim()[0] < axes.get_ylim()[1]
    assert [view.letters for view in VIEWS] == [tuple("RLPA"), tuple("RLIS"), tuple("APIS")]


def test_scale_bar_has_the_length_that_it_says_and_pixels_are_square():
    image = oblique(1.0)
    figure = overview_figure(IDENTITY, image, image)
    figure.canvas.draw()
    for axes in figure.get_axes()[:6]:
        label = next(t.get_text() for t in axes.texts if t.get_text().endswith("mm"))
        x = axes.lines[0].get_xdata()
        assert abs(x[1] - x[0]) == pytest.approx(float(label.split()[0]))
        corner, across, up = axes.transData.transform([(0, 0), (-10, 0), (0, 10)])
        assert np.linalg.norm(across - corner) == pytest.approx(np.linalg.norm(up - corner), rel=1e-3)


def test_agreement_is_gray_and_disagreement_is_colored():
    assert np.allclose(FIXED + MOVING, 1)
    image = oblique(100.0)
    figure = overview_figure(translation(12, 0, 0), image, moved(image, 12, 0, 0))
    panels = figure.get_axes()
    before, after = (np.ptp(pixels_of(figure, axes)[20:-20, 30:-30], axis=-1).max() for axes in (panels[0], panels[3]))
    assert before > 0.5
    assert after < 0.1


def test_outlines_of_labels_coincide_after_registration():
    labels = oblique(1.0)
    figure = overview_figure(translation(0, 9, 0), labels, moved(labels, 0, 9, 0), labels=True)
    before, after = (is_orange(pixels_of(figure, figure.get_axes()[i])).sum() for i in (0, 3))
    assert before > 50 and after < 0.05 * before


def test_clouds_meet_in_white_and_slabs_hold_what_they_say():
    fixed, shift = cloud(300, 80.0), torch.tensor([0, 0, 25.0])
    figure = overview_figure(translation(0, 0, 25), PointCloud.plain(fixed), PointCloud.plain(fixed + shift))
    before, after = (pixels_of(figure, figure.get_axes()[i]) for i in (1, 4))
    share = [((p > 0.9).all(-1).sum() / (p.max(-1) > 0.5).sum()) for p in (before, after)]
    assert share[1] > 3 * share[0]
    thickness = CloudPair.thickness(box(40.0), AXIAL)
    slab = box(40.0).slab(AXIAL, thickness)
    assert thickness == 10
    assert slab.holds(torch.tensor([[0.0, 39, 4.9], [0, 0, 5.1]])).tolist() == [True, False]


def test_grid_lines_are_where_the_transform_takes_them():
    axes = Figure().subplots()
    draw_grid(axes, pair_of(cloud(), cloud()), box(), CORONAL, translation(7, 0, -3))
    drawn = np.concatenate([np.asarray(s) for s in axes.collections[-1].get_segments()])
    assert drawn.min(0) == pytest.approx([-43, -53]) and drawn.max(0) == pytest.approx([57, 47])


def test_displacement_is_in_millimeters():
    figure = Figure()
    axes = figure.subplots()
    draw_displacement(axes, box(), CORONAL, translation(3, 0, 4))
    assert axes.images[0].get_array().max() == pytest.approx(5.0, abs=1e-4)
    assert figure.axes[-1].get_ylabel() == "mm"


def test_volume_change_shows_the_determinant_and_paints_folds():
    left, right = Figure().subplots(1, 2)
    draw_volume_change(left, box(), CORONAL, scaling(2.0, 1.0, 1.0))
    assert float(left.images[0].get_array().mean()) == pytest.approx(np.log2(2.0), abs=1e-3)
    assert len(left.images) == 1
    draw_volume_change(right, box(), CORONAL, scaling(-1.0, 1.0, 1.0))
    magenta = right.images[1].get_array()
    assert np.allclose(magenta, (1, 0, 1, 1))


def test_what_no_data_drive_is_veiled():
    shown = box()
    half = float((shown.low[2] + shown.high[2]) / 2)
    support = SimpleNamespace(covers=lambda points: points[..., 2] > half)
    axes, without = Figure().subplots(1, 2)
    draw_veil(axes, shown, CORONAL, support)
    alpha = axes.images[0].get_array()[..., 3]
    rows = len(alpha)
    assert (alpha[: rows // 2 - 1] == 0.4).all() and (alpha[rows // 2 + 1 :] == 0).all()  # row 0 is at the feet
    draw_veil(without, shown, CORONAL, None)
    assert not without.images


def test_loss_curve_marks_where_levels_begin():
    Row = namedtuple("Row", "level similarity regularization stage", defaults=("fine",))
    axes = Figure().subplots()
    draw_trace(axes, [Row(0, 5.0, 0.0), Row(0, 3.0, 0.5), Row(1, 1.0, 1.0)])
    similarity, regularization, level = axes.lines
    assert list(similarity.get_ydata()) == [1.0, 0.5, 0.0]
    assert list(regularization.get_ydata()) == [0.0, 0.125, 0.25]
    assert list(level.get_xdata()) == [2, 2]


def test_every_stage_has_a_loss_of_its_own():
    """In other units and from another origin, as a correlation has them, the curves are the same."""
    Row = namedtuple("Row", "level similarity regularization stage")
    losses = [(3.0, 1.0), (1.5, 1.0), (1.0, 0.5)]
    for unit, origin in ((1.0, 0.0), (1e-4, 0.0), (0.01, -1.0)):
        first = [Row(0, *pair, "codes") for pair in losses]
        then = [Row(1, unit * similarity + origin, unit * other, "images") for similarity, other in losses]
        found = courses(first + then)
        assert [course.stage for course in found] == ["codes", "images"]
        assert [course.iterations for course in found] == [[0, 1, 2], [3, 4, 5]]
        for course in found:
            assert course.similarity == pytest.approx([1.0, 0.25, 0.0])
            assert course.regularization == pytest.approx([0.5, 0.5, 0.25])
        axes = Figure().subplots()
        draw_trace(axes, first + then)
        assert len(axes.get_legend().get_texts()) == 2
    still = courses([Row(0, 2.0, 0.0, "still"), Row(0, 2.0, 0.0, "still")])[0]
    assert still.similarity == still.regularization == [0.0, 0.0]
    assert [course.stage for course in courses([Row(0, 1, 0, ""), Row(1, 1, 0, "")])] == ["level 0", "level 1"]


def test_heading_tells_the_landmark_error():
    landmarks = (cloud(5), cloud(5) + torch.tensor([0, 3.0, 4.0]))
    figure = overview_figure(translation(0, 3, 4), cloud(), cloud(), title="Case 7", landmarks=landmarks, note="2 s")
    texts = [t.get_text() for part in figure.subfigs for t in part.texts]
    assert "Case 7" in texts
    assert "mean error of 5 landmarks: 5.00 mm before, 0.00 mm after; 2 s" in texts


@pytest.mark.parametrize("shape", [(1.0, 1.5, 2.5), (3.0, 1.0, 1.0), (0.5, 2.0, 1.0)])
def test_no_text_leaves_the_picture_or_lies_on_another(shape):
    points = cloud() * torch.tensor(shape)
    title = " onto ".join(["a_file_whose_name_somebody_made_of_all_that_is_known_of_it.nii.gz"] * 2)
    note = "within 18.5 mm of the lungs; beyond, the field is an extrapolation, continued smoothly to its affine part"
    landmarks = (points[:5], points[:5])
    figure = overview_figure(IDENTITY, points, points, title=title, note=note, landmarks=landmarks)
    figure.canvas.draw()
    shown = [t for part in figure.subfigs for t in part.texts]
    shown += [t for axes in figure.get_axes() for t in (axes.title, axes.yaxis.label, axes.xaxis.label)]
    extents = {t.get_text(): t.get_window_extent() for t in shown if t.get_text()}
    for extent in extents.values():
        assert extent.x0 >= 0 and extent.x1 <= figure.bbox.width
        assert extent.y0 >= 0 and extent.y1 <= figure.bbox.height
    names = list(extents)
    assert not [(a, b) for i, a in enumerate(names) for b in names[:i] if extents[a].overlaps(extents[b])]


def test_file_is_a_png_and_an_impossible_folder_is_named(tmp_path):
    overview(tmp_path / "overview.png", IDENTITY, cloud(), cloud())
    assert (tmp_path / "overview.png").read_bytes()[1:4] == b"PNG"
    with pytest.raises(RegistrationError, match="cannot be written"):
        overview(tmp_path / "missing" / "overview.png", IDENTITY, cloud(), cloud())
    with pytest.raises(TypeError, match="not one of each"):
        overview_figure(IDENTITY, cloud(), oblique(1.0))


def test_pyplot_is_left_alone():
    code = (
        "import sys, torch; from DiffRegLib.review.pictures import overview_figure\n"
        "from DiffRegLib.review.subjects import IDENTITY\n"
        "assert 'matplotlib' not in sys.modules\n"
        "cloud = torch.rand(50, 3) * 60; overview_figure(IDENTITY, cloud, cloud)\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[2])
