"""The numbers, lights and findings of a review, against SimpleITK, closed forms and cases made to be wrong."""

import math

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import open_file, read_image, read_transform
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image, to_itk
from DiffRegLib.review.agreement import likeness, local_correlation, warped_or_nan
from DiffRegLib.review.assess import assess
from DiffRegLib.review.case import Case, Drivers, LabelPair, LandmarkPairs
from DiffRegLib.review.checks import findings
from DiffRegLib.review.limits import LimitOptions, check_limits, read_limits, worst, write_limits
from DiffRegLib.review.scores import label_rows
from DiffRegLib.review.trust import distance_to_mask, distance_to_points, spread_of
from DiffRegLib.transforms import Affine, DisplacementField, rigid
from Testing.library.geometry import oblique_geometry, smooth_image

RELATIVE = 1e-3


def ball_map(center, radius=12.0, label=3, shape=(40, 40, 40)):
    geometry = Geometry(shape, torch.diag(torch.tensor([1.0, 1.0, 1.5, 1.0])))
    inside = (geometry.grid() - torch.tensor(center)).norm(dim=-1) < radius
    return Image(inside[None].float() * label, geometry.affine)


@pytest.fixture(scope="module")
def abdomen(shared_data):
    """The public case with its true field, and with the inverse that this library computes for it."""
    folder = shared_data / "abdomen_known_warp"
    arrays = np.load(folder / "landmarks.npz")
    truth = read_transform(folder / "field_mm_ras.nii.gz", ras_components=True)
    return Case(
        "abdomen",
        truth,
        None,
        read_image(folder / "fixed_ct.nii.gz"),
        read_image(shared_data / "abdomen_ct" / "ct.nii.gz"),
        LandmarkPairs(torch.from_numpy(arrays["fixed"]), torch.from_numpy(arrays["moving"])),
        LabelPair(
            open_file(folder / "fixed_seg.nii.gz", ("labels",)).content,
            open_file(shared_data / "abdomen_ct" / "seg.nii.gz", ("labels",)).content,
        ),
    )


def itk_labels(image):
    return sitk.Cast(to_itk(image), sitk.sitkUInt16)


def itk_surface_distances(a, b):
    """Both directed lists of distances between the contours of two binary maps, by SimpleITK's distance map."""
    contours = [sitk.LabelContour(image, False) for image in (a, b)]
    maps = [sitk.Abs(sitk.SignedMaurerDistanceMap(c, squaredDistance=False, useImageSpacing=True)) for c in contours]
    arrays = [sitk.GetArrayFromImage(image) for image in (*contours, *maps)]
    return arrays[3][arrays[0] > 0], arrays[2][arrays[1] > 0]


def test_dice_and_surface_distances_of_the_public_case_agree_with_simpleitk(abdomen):
    fixed, moving = abdomen.labels.fixed, abdomen.labels.moving
    chosen = [5, 2, 52]  # liver, kidney, aorta: large, small, and cut by the scan
    rows = {row.label: row for row in label_rows(abdomen.transform, abdomen.labels)}
    for n, transform in enumerate((None, abdomen.transform)):
        warped = moving.resample(fixed, transform, mode="nearest")
        for label in chosen:
            a, b = (itk_labels(image) == label for image in (fixed, warped))
            measures = sitk.LabelOverlapMeasuresImageFilter()
            measures.Execute(a, b)
            assert rows[label].dice[n] == pytest.approx(measures.GetDiceCoefficient(), rel=RELATIVE)
            there, back = itk_surface_distances(a, b)
            assert rows[label].surface[n] == pytest.approx((there.mean() + back.mean()) / 2, rel=RELATIVE)
            most = max(np.percentile(there, 95), np.percentile(back, 95))
            assert rows[label].hausdorff[n] == pytest.approx(most, rel=RELATIVE, abs=1e-6)


def test_correlation_and_information_of_the_public_case_agree_with_independent_ones(abdomen):
    fixed, moving = abdomen.images
    warped = warped_or_nan(moving, fixed, abdomen.transform)
    found = likeness(fixed, warped)
    a, b = fixed.data[0].double().numpy().ravel(), warped.data[0].double().numpy().ravel()
    kept = np.isfinite(b)
    assert found.covered == pytest.approx(kept.mean(), rel=RELATIVE)
    assert found.correlation == pytest.approx(np.corrcoef(a[kept], b[kept])[0, 1], rel=RELATIVE)
    joint = np.histogram2d(a[kept], b[kept], 64)[0]
    p, q = joint / joint.sum(), np.outer(joint.sum(1), joint.sum(0)) / joint.sum() ** 2
    assert found.information == pytest.approx((p[p > 0] * np.log2(p[p > 0] / q[p > 0])).sum(), rel=RELATIVE)


def test_true_field_of_the_public_case_is_green_and_the_identity_red(abdomen):
    review = assess(abdomen)
    assert review.score("landmarks_mean").before == pytest.approx(8.27, abs=0.01)
    assert review.score("landmarks_mean").after == pytest.approx(0.023, abs=0.002)
    assert review.score("folded").after == 0 and not review.regions
    assert review.score("dice").after == pytest.approx(0.956, abs=0.002)
    assert review.score("correlation").light == "green"
    assert {s.light for s in review.scores} <= {"green", "none"} and review.light == "green"
    errors = review.landmarks.after.numpy()
    for key, value in (("sd", errors.std()), ("median", np.median(errors)), ("max", errors.max())):
        assert review.score(f"landmarks_{key}").after == pytest.approx(value, rel=RELATIVE)
    undone = assess(Case("nothing", Affine.identity(), Affine.identity(), landmarks=abdomen.landmarks))
    assert undone.score("landmarks_mean").light == undone.light == "red"


def test_local_correlation_is_one_where_contrast_alone_differs():
    image = smooth_image(oblique_geometry((20, 24, 28)))
    found = local_correlation(image, Image(3 * image.data + 40, image.affine), None)
    assert float(found.data.nan_to_num(1.0).min()) > 1 - 1e-6
    opposite = local_correlation(image, Image(-image.data, image.affine), None)
    assert float(opposite.data.nan_to_num(-1.0).max()) < -1 + 1e-6


def test_a_transform_in_the_wrong_direction_is_detected_by_landmarks_and_by_labels():
    true = rigid((0.0, 0.0, 0.0), (9.0, 0.0, 0.0))
    points = torch.randn(12, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 20
    pairs = LandmarkPairs(points, true(points))
    right = Case("right", true, landmarks=pairs)
    wrong = Case("wrong", true.inverse(), landmarks=pairs)
    assert not findings(right)
    (found,) = findings(wrong)
    assert found.kind == "direction" and "inverse" in found.sentence and "18.00" in found.sentence
    labels = LabelPair(ball_map((15.0, 20.0, 30.0)), ball_map((24.0, 20.0, 30.0)))
    assert not [f for f in findings(Case("right", true, labels=labels)) if f.kind == "direction"]
    assert findings(Case("wrong", true.inverse(), labels=labels))[0].kind == "direction"


def test_images_that_do_not_overlap_and_a_field_that_ends_inside_are_found():
    image = smooth_image(Geometry((20, 20, 20), torch.diag(torch.tensor([4.0, 4.0, 4.0, 1.0]))))
    away = Affine.translation(torch.tensor([500.0, 0.0, 0.0]))
    review = assess(Case("away", away, away.inverse(), image, image))
    assert review.findings[0].kind == "overlap" and review.light == "red"
    half = Image(torch.zeros(3, 20, 20, 10), image.affine)
    found = findings(Case("half", DisplacementField(half), fixed=image, moving=image))
    assert [f.kind for f in found] == ["reach"] and "50 %" in found[0].sentence
    assert not findings(Case("whole", DisplacementField(Image(torch.zeros(3, 20, 20, 20), image.affine)), fixed=image))


def test_labels_of_one_side_alone_are_named_and_left_out_and_empty_maps_are_said():
    fixed, moving = ball_map((20.0, 20.0, 30.0)), ball_map((20.0, 20.0, 30.0))
    fixed.data[:, :3, :3, :3] = 9
    review = assess(Case("lone", Affine.identity(), labels=LabelPair(fixed, moving, {9: "spleen"})))
    assert "spleen" in review.findings[0].sentence
    assert review.score("dice").after == 1.0 and review.score("dice").covers == "1 of 2 labels"
    assert math.isnan(review.labels[1].dice[1]) and review.labels[1].note == "only in the fixed map"
    empty = Image(torch.zeros_like(fixed.data), fixed.affine)
    review = assess(Case("empty", Affine.identity(), labels=LabelPair(fixed, empty)))
    assert review.findings[0].light == "red" and "moving label map has no label" in review.findings[0].sentence


def test_unequal_landmarks_are_refused_with_their_counts():
    with pytest.raises(RegistrationError, match="5 landmarks on the fixed side and 4"):
        LandmarkPairs(torch.zeros(5, 3), torch.zeros(4, 3))


def test_support_is_the_distance_to_what_drove_the_field():
    mask = ball_map((20.0, 20.0, 30.0), radius=6.0)
    distance = distance_to_mask(mask, mask)
    places = distance.grid().double()
    known = ((places - torch.tensor([20.0, 20.0, 30.0])).norm(dim=-1) - 6).clamp(min=0)
    assert float((distance.data[0] - known).abs().max()) < 3.0  # half a diagonal of a voxel of 3 mm
    point = torch.tensor([[20.0, 20.0, 30.0]])
    assert torch.allclose(distance_to_points(point, mask).data[0].double(), (places - point[0]).norm(dim=-1), atol=1e-4)
    trust = assess(
        Case("driven", Affine.identity(), labels=LabelPair(mask, mask), driven_by=Drivers("the ball", mask))
    ).trust
    share = float((distance.data <= 12).double().mean())
    assert trust.share == pytest.approx(share)
    said = f"The field is supported within 12 mm of the ball ({100 * share:.0f} % of the image)"
    assert trust.sentence() == f"{said}; beyond, it is an extrapolation."


def test_spread_of_repeats_is_their_standard_deviation():
    repeats = [Affine.translation(torch.tensor([x, 0.0, 0.0])) for x in (-1.0, 0.0, 1.0)]
    spread = spread_of(repeats, ball_map((20.0, 20.0, 30.0)))
    assert torch.allclose(spread.data, torch.ones_like(spread.data), atol=1e-5)


def test_lights_follow_the_limits_and_the_worst_counts(tmp_path):
    limits = LimitOptions()
    lights = [limits.light("landmarks", value) for value in (2.0, 2.5, 3.5, math.nan)]
    assert lights == ["green", "amber", "red", "none"] and worst(lights) == "red"
    assert [limits.light("dice", value) for value in (0.95, 0.85, 0.5)] == ["green", "amber", "red"]
    assert [limits.light("folded", value) for value in (0.0, 1e-4)] == ["green", "red"]
    own = LimitOptions(landmarks_good=1.0, landmarks_tolerable=1.5)
    assert read_limits(write_limits(own, tmp_path / "own" / "limits.json")) == own
    with pytest.raises(RegistrationError, match="stricter"):
        check_limits(LimitOptions(dice_good=0.7))
    (tmp_path / "broken.json").write_text("[")
    with pytest.raises(RegistrationError, match="cannot be read as limits"):
        read_limits(tmp_path / "broken.json")
