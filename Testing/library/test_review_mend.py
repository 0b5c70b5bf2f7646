"""Mending by hand: pairs are met, what is far stays, nothing folds, and what cannot be is refused by name."""

import time

import numpy as np
import pytest
import torch

from DiffRegLib.cli import main
from DiffRegLib.errors import RegistrationError
from DiffRegLib.files import read_transform, write_landmarks
from DiffRegLib.geometry import Geometry
from DiffRegLib.image import Image
from DiffRegLib.review.case import LandmarkPairs
from DiffRegLib.review.field import analyze
from DiffRegLib.review.mend import correct, mend, mended_field
from DiffRegLib.transforms import DisplacementField, rigid, write_transform
from DiffRegLib.transforms.compact import CompactSpline
from Testing.library.geometry import oblique_geometry, smooth_field

REACH = 30.0


def field():
    return DisplacementField(smooth_field(oblique_geometry((30, 34, 40), (3.0, 3.0, 3.0))))


def pairs_of(transform, moves, spread=60.0, seed=0):
    """Pairs at random places that ask for given moves (N, 3) in mm from where the transform takes them."""
    random = torch.rand(len(moves), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) - 0.5
    fixed = oblique_geometry((30, 34, 40), (3.0, 3.0, 3.0)).center + spread * random
    return LandmarkPairs(fixed, transform(fixed) + torch.as_tensor(moves, dtype=torch.float64))


def test_spline_meets_its_points_moves_nothing_beyond_its_reach_and_knows_its_jacobian():
    source = torch.tensor([[0.0, 0, 0], [25.0, 5, 0]], dtype=torch.float64)
    target = source + torch.tensor([[4.0, 0, 0], [0.0, -3, 2]])
    spline = CompactSpline.through(source, target, REACH)
    assert torch.allclose(spline(source), target)
    away = torch.tensor([[REACH + 26, 0, 0], [0.0, 0.0, -REACH - 0.1]], dtype=torch.float64)
    assert torch.equal(spline(away), away)
    places = torch.randn(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 15
    by_autograd = torch.stack([torch.autograd.functional.jacobian(spline, x) for x in places])
    assert torch.allclose(spline.jacobian(places), by_autograd, atol=1e-9)


def test_one_move_folds_where_theory_says():
    """The steepest slope of the kernel is 2.109 over the reach: a move folds when it is longer than reach / 2.109."""
    limit = REACH / 2.109375
    for share, folds in ((0.95, False), (1.05, True)):
        move = torch.tensor([[share * limit, 0.0, 0.0]], dtype=torch.float64)
        spline = CompactSpline.through(torch.zeros(1, 3), move, REACH)
        assert (spline.least_determinant() <= 0) == folds


def test_mended_transform_meets_the_pairs_inverts_and_does_not_fold():
    transform = field()
    pairs = pairs_of(transform, [[5.0, 0, 0], [0.0, -4, 2], [2.0, 2, -5]])
    mended = mend(transform, pairs, REACH, transform.inverse())
    assert float((mended.transform(pairs.fixed) - pairs.moving).norm(dim=1).max()) < 0.01
    assert mended.residual_mm < 0.01
    maps = analyze(mended.transform, transform.image, mended.inverse)
    assert not maps.folded.any()
    error = maps.inverse_error.data
    assert float(error[error.isfinite()].mean()) < 0.1
    far = (transform.image.grid().double().reshape(-1, 1, 3) - pairs.fixed).norm(dim=-1).amin(1) > 1.5 * REACH
    places = transform.image.grid().double().reshape(-1, 3)[far]
    assert torch.allclose(mended.transform(places), transform(places), atol=1e-6)


def test_field_of_the_mended_transform_is_the_transform_itself():
    transform = field()
    mended = mend(transform, pairs_of(transform, [[5.0, 0, 0], [0.0, -4, 2]]), REACH)
    baked = mended_field(transform, mended.correction)
    nodes = transform.image.grid().double()
    assert torch.allclose(baked(nodes), mended.transform(nodes), atol=1e-3)


def test_pairs_that_contradict_each_other_are_named():
    transform = rigid((0.0, 0.0, 5.0), (1.0, 2.0, 3.0))
    fixed = torch.tensor([[0.0, 0, 0], [50.0, 0, 0], [54.0, 0, 0]], dtype=torch.float64)
    moved = transform(fixed)
    moved[1:] = moved[[2, 1]]  # the last two change places
    pairs = LandmarkPairs(fixed, moved, ("apex", "carina", "fissure"))
    with pytest.raises(RegistrationError, match="carina and fissure contradict each other: 4.0 mm apart"):
        correct(transform, pairs, REACH)
    twice = LandmarkPairs(fixed[[0, 0]], fixed[[0, 1]], ("a", "b"))
    with pytest.raises(RegistrationError, match="a and b contradict each other: on the fixed side"):
        correct(transform, twice, REACH)


def test_a_reach_that_is_too_short_is_refused_with_one_that_is_enough():
    transform = field()
    pairs = pairs_of(transform, [[20.0, 0, 0]])
    with pytest.raises(RegistrationError, match=r"pair 1 asks for a move of 20.0 mm .* at least (\d+) mm") as refused:
        mend(transform, pairs, REACH)
    enough = float(str(refused.value).split("at least ")[1].split(" ")[0])
    assert mend(transform, pairs, enough).residual_mm < 0.01


def test_first_look_at_a_correction_of_a_large_field_takes_less_than_300_ms(one_thread):
    """Of processor time, on a field of 256^3 voxels: a coarse field first; the whole one follows."""
    geometry = Geometry((256, 256, 256), torch.eye(4))
    transform = DisplacementField(Image(torch.zeros(3, 256, 256, 256), geometry.affine))
    generator = torch.Generator().manual_seed(3)
    fixed = torch.rand(10, 3, dtype=torch.float64, generator=generator) * 150 + 50
    pairs = LandmarkPairs(fixed, fixed + 3 * torch.randn(10, 3, dtype=torch.float64, generator=generator))
    coarse = transform.displacement(geometry.resized(4.0))
    begin = time.process_time()
    shown = mended_field(coarse, correct(transform, pairs, 40.0))
    assert time.process_time() - begin < 0.3
    assert float((shown(pairs.fixed) - pairs.moving).norm(dim=1).max()) < 0.5


def test_command_line_mends_a_transform_and_its_inverse(tmp_path, capsys):
    transform = field()
    pairs = pairs_of(transform, [[4.0, 1, 0], [0.0, -3, 2]])
    write_transform(transform, tmp_path / "t.h5")
    write_landmarks(pairs.fixed, tmp_path / "fixed.csv")
    write_landmarks(pairs.moving, tmp_path / "moving.csv")
    marks = ["--fixed-landmarks", str(tmp_path / "fixed.csv"), "--moving-landmarks", str(tmp_path / "moving.csv")]
    command = ["mend", str(tmp_path / "t.h5"), *marks, "-o", str(tmp_path / "mended")]
    assert main([*command, "--reach", "30"]) == 0
    assert "2 pairs" in capsys.readouterr().out
    mended = read_transform(tmp_path / "mended" / "transform.h5")
    inverse = read_transform(tmp_path / "mended" / "inverse.h5")
    np.testing.assert_allclose(mended(pairs.fixed), pairs.moving, atol=0.02)
    np.testing.assert_allclose(inverse(pairs.moving), pairs.fixed, atol=0.3)
    assert main([*command, "--reach", "3", "--overwrite"]) == 2
    assert "would fold" in capsys.readouterr().err
    assert (
        float((read_transform(tmp_path / "mended" / "transform.h5")(pairs.fixed) - pairs.moving).norm(dim=1).max())
        < 0.02
    )
