"""The projector against closed forms: a uniform slab, a Gaussian, the pinhole's own geometry; and its bad input."""

import math

import pytest
import torch

from DiffRegLib.camera import Camera
from DiffRegLib.errors import RegistrationError
from DiffRegLib.ops import last_backend
from DiffRegLib.radiographs.projection import Volume, default_step, project

STILL = torch.eye(4, dtype=torch.float64)


def camera(size=(9, 11), spacing=(8.0, 8.0), distance=1000.0, source=600.0):
    """Looks from `source` mm in front of the world's origin along +y, columns to +x, rows to -z."""
    middle = [0.0, distance - source, 0.0]
    return Camera.from_detector([0.0, -source, 0.0], middle, [1.0, 0.0, 0.0], [0.0, 0.0, -1.0], spacing, size)


def centered(data, spacing):
    """The volume with its middle at the world's origin."""
    size = torch.tensor(data.shape[:-4:-1], dtype=torch.float64)
    affine = torch.diag(torch.tensor([*spacing, 1.0], dtype=torch.float64))
    affine[:3, 3] = -(size - 1) / 2 * affine.diagonal()[:3]
    return Volume(data, affine)


def turned(degrees, axis, shift=(0.0, 0.0, 0.0)):
    angle, (i, j) = math.radians(degrees), [(1, 2), (2, 0), (0, 1)][axis]
    pose = STILL.clone()
    pose[i, i] = pose[j, j] = math.cos(angle)
    pose[j, i], pose[i, j] = math.sin(angle), -math.sin(angle)
    pose[:3, 3] = torch.tensor(shift)
    return pose


def distances(view):
    """Distance in mm of each pixel's ray from the world's origin."""
    row, column = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in view.size), indexing="ij")
    middle_column, middle_row = view.center
    local = torch.stack(
        [
            (column - middle_column) * view.spacing[0],
            (row - middle_row) * view.spacing[1],
            torch.full_like(row, view.distance),
        ],
        -1,
    )
    direction = local @ view.pose[:3, :3].T
    source = view.pose[:3, 3].expand_as(direction)
    return torch.linalg.cross(direction, source).norm(dim=-1) / direction.norm(dim=-1)


def gaussian(n=60, spacing=(3.0, 2.0, 2.5), sigma=14.0):
    volume = centered(torch.zeros(1, n, n, n, dtype=torch.float64), spacing)
    axes = [torch.arange(n, dtype=torch.float64) * h - (n - 1) / 2 * h for h in spacing]
    z, y, x = torch.meshgrid(*axes[::-1], indexing="ij")
    return Volume(torch.exp(-(x**2 + y**2 + z**2) / (2 * sigma**2))[None], volume.affine)


@pytest.mark.parametrize("thickness", [1, 2, 7])
def test_a_ray_across_a_uniform_slab_reads_thickness_times_value(thickness):
    slab = centered(torch.full((1, 30, thickness, 30), 0.5), (2.0, 3.0, 2.0))
    image = project(slab, STILL, camera(size=(1, 1)), step=0.125)
    assert image.item() == pytest.approx(0.5 * 3.0 * thickness, rel=1e-3)


def test_a_gaussian_gives_its_closed_form_in_every_pose():
    sigma, view = 14.0, camera()
    blob = gaussian(sigma=sigma)
    poses = torch.stack([STILL, turned(90, 0), turned(35, 1) @ turned(-20, 2)])
    expected = sigma * math.sqrt(2 * math.pi) * torch.exp(-(distances(view) ** 2) / (2 * sigma**2))
    image = project(blob, poses, view)[:, 0]
    interpolation = (9 + 4 + 6.25) / (8 * sigma**2)  # linear interpolation errs by h^2 f'' / 8 along each axis
    assert (image - expected).abs().max() < interpolation * expected.max()


def test_the_pose_gradient_of_a_gaussian_is_its_closed_form():
    sigma, view = 14.0, camera()
    shift = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    pose = torch.cat([torch.cat([torch.eye(3).double(), shift[:, None]], 1), STILL[3:]])
    image = project(gaussian(90, (1.0, 1.5, 2.0), sigma), pose, view)[0, 0]
    (slope,) = torch.autograd.grad(image[4, 7], shift)
    column, magnified = 2 * 8.0, 600.0 / 1000.0
    offset = distances(view)[4, 7]
    expected = image[4, 7].item() * offset / sigma**2 * math.cos(math.atan(column / 1000))
    assert offset == pytest.approx(column * magnified, rel=1e-3)
    # within a cell the slope is a difference quotient: off by up to h/2 |f''/f'| = 2.7 % here
    assert slope[0].item() == pytest.approx(expected.item(), rel=0.03)
    assert abs(slope[2].item()) < 1e-9


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_voxel_appears_where_the_pinhole_says(mirrored):
    data = torch.zeros(1, 21, 21, 21)
    data[0, 15, 10, 13] = 1.0  # k, j, i: 10 mm up and 6 mm to the right of the middle
    right = [-1.0, 0.0, 0.0] if mirrored else [1.0, 0.0, 0.0]
    view = Camera.from_detector([0, -500.0, 0], [0, 500.0, 0], right, [0, 0, -1.0], (2.0, 4.0), (15, 31))
    image = project(centered(data, (2.0, 2.0, 2.0)), STILL, view)[0, 0]
    row, column = divmod(image.argmax().item(), 31)
    assert (column - 15) * 2.0 == (-12.0 if mirrored else 12.0)
    assert row - 7 == -20 / 4.0
    assert torch.linalg.det(view.pose[:3, :3]).item() == pytest.approx(1.0)


def test_moving_the_volume_equals_moving_the_camera_the_other_way():
    pose, view, blob = turned(25, 2, (4.0, -7.0, 3.0)), camera(), gaussian(20)
    moved = Camera(view.distance, view.spacing, view.size, torch.linalg.inv(pose) @ view.pose)
    torch.testing.assert_close(project(blob, pose, view), project(blob, STILL, moved))


def test_a_source_inside_the_volume_sees_only_what_lies_before_it():
    block = centered(torch.ones(1, 40, 40, 40), (2.0, 2.0, 2.0))
    view = Camera.from_detector([0, 0, 0], [0, 400.0, 0], [1.0, 0, 0], [0, 0, -1.0], (1.0, 1.0), (1, 1))
    assert project(block, STILL, view, step=0.1).item() == pytest.approx(40.0, abs=0.1)


def test_a_detector_inside_the_volume_ends_the_rays():
    block = centered(torch.ones(1, 40, 40, 40), (2.0, 2.0, 2.0))
    view = Camera.from_detector([0, -10.0, 0], [0, 15.0, 0], [1.0, 0, 0], [0, 0, -1.0], (1.0, 1.0), (1, 1))
    assert project(block, STILL, view, step=0.1).item() == pytest.approx(25.0, abs=0.1)


def test_rays_that_miss_the_volume_read_zero():
    block = centered(torch.ones(1, 4, 4, 4), (1.0, 1.0, 1.0))
    pose = turned(0, 0, (500.0, 0.0, 0.0)).requires_grad_()
    image = project(block, pose, camera())
    assert not image.any()
    assert not torch.autograd.grad(image.sum(), pose)[0].any()


def test_the_error_falls_steadily_as_the_step_shrinks():
    blob, view, pose = gaussian(24), camera(), turned(25, 2) @ turned(10, 0)
    finest = project(blob, pose, view, step=0.02)
    errors = [(project(blob, pose, view, step=s) - finest).abs().max() / finest.max() for s in (4.0, 2.0, 1.0, 0.5)]
    assert all(fine < coarse for coarse, fine in zip(errors[:-1], errors[1:], strict=True))
    assert default_step(blob.affine) == 1.0 and errors[2] < 2e-3


def test_a_choice_of_pixels_reads_the_same_as_the_whole_image():
    blob, view, pose = gaussian(16), camera(), turned(15, 1)
    whole = project(blob, pose, view)
    pixels = torch.tensor([[8, 10], [0, 0], [4, 5], [4, 5]])
    torch.testing.assert_close(project(blob, pose, view, pixels=pixels), whole[:, :, pixels[:, 0], pixels[:, 1]])
    mask = torch.rand(9, 11, generator=torch.Generator().manual_seed(0)) > 0.5
    torch.testing.assert_close(project(blob, pose, view, pixels=mask), whole[:, :, mask])


def test_batches_of_poses_cameras_volumes_and_channels_are_the_single_projections():
    data = torch.rand(3, 2, 8, 9, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    affine = centered(data[0], (4.0, 5.0, 6.0)).affine
    poses = torch.stack([STILL, turned(30, 0), turned(-40, 2)])
    views = [camera(), camera(distance=900.0), camera(spacing=(6.0, 7.0))]
    together = project(Volume(data, affine), poses, views)
    assert together.shape == (3, 2, 9, 11)
    for one in range(3):
        alone = project(Volume(data[one, 1:], affine), poses[one], views[one])
        torch.testing.assert_close(together[one, 1], alone[0, 0])
    torch.testing.assert_close(
        project(Volume(data[0], affine), STILL, views), project(Volume(data[0], affine), STILL.expand(3, 4, 4), views)
    )


def small(seed=0):
    generator = torch.Generator().manual_seed(seed)
    data = torch.rand(1, 2, 3, 2, 4, generator=generator, dtype=torch.float64).requires_grad_()
    affine = centered(data[0], (14.0, 18.0, 16.0)).affine
    view = camera(size=(2, 2), spacing=(17.0, 13.0))
    pose = (turned(21, 2) @ turned(13, 0)).requires_grad_()
    return data, affine, view, pose


def test_gradients_in_double_precision():
    data, affine, view, pose = small()
    assert torch.autograd.gradcheck(lambda d, p: project(Volume(d, affine), p, view, 9.7), (data, pose))


def test_difference_quotients_close_in_on_the_gradient_of_a_volume_that_ends_at_its_border():
    block = centered(torch.ones(1, 16, 18, 20, dtype=torch.float64), (6.0, 5.0, 7.0))
    view = camera((24, 26), (9.0, 9.0))
    weights = torch.rand(1, 1, 24, 26, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    start = turned(12, 0) @ turned(-8, 2)

    def loss(shift, data=block.data):
        pose = start + torch.nn.functional.pad(shift[:, None], (3, 0, 0, 1))
        return (project(Volume(data, block.affine), pose, view, 2.5).double() * weights).sum()

    still = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(loss(still), still)
    errors = []
    for mm in (1e-2, 1e-3, 1e-5):  # the shorter, the fewer samples cross a voxel's face, where the slope jumps
        steps = mm * torch.eye(3, dtype=torch.float64)
        quotient = torch.stack([(loss(step) - loss(-step)) / (2 * mm) for step in steps])
        errors.append((quotient - slope).norm() / slope.norm())
    assert errors[0] > errors[1] > errors[2] and errors[2] < 1e-5
    (compiled,) = torch.autograd.grad(loss(still, block.data.float()), still)
    assert (compiled - slope).norm() < 1e-3 * slope.norm()


def test_gradients_of_the_gradients_in_double_precision():
    data, affine, view, pose = small()
    assert torch.autograd.gradgradcheck(lambda d, p: project(Volume(d, affine), p, view, 13.7), (data, pose))


def test_double_precision_runs_on_the_reference():
    data, affine, view, pose = small()
    project(Volume(data, affine), pose, view)
    assert last_backend("project") == "reference"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pose": torch.eye(3)}, "pose has the shape"),
        ({"affine": torch.zeros(4, 4)}, "singular"),
        ({"step": 0.0}, "step is 0"),
        ({"step": float("nan")}, "step is nan"),
        ({"data": torch.zeros(4, 4)}, "volume is"),
        ({"data": torch.zeros(2, 1, 4, 4, 4)}, "2 volumes for 1 views"),
        ({"pose": torch.eye(4).expand(2, 4, 4), "views": 3}, "2 poses for 3 cameras"),
        ({"pixels": torch.tensor([[9, 0]])}, "outside the image"),
        ({"pixels": torch.ones(3, 3, dtype=torch.bool)}, "mask of shape"),
        ({"pixels": torch.tensor([0.5])}, "pixels are"),
    ],
)
def test_bad_input_is_named(change, message):
    volume = Volume(change.get("data", torch.zeros(1, 4, 4, 4)), change.get("affine", STILL))
    views = [camera()] * change.get("views", 1)
    with pytest.raises(RegistrationError, match=message):
        project(volume, change.get("pose", STILL), views, change.get("step"), change.get("pixels"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, (1.0, 1.0), (4, 4), STILL), "distance"),
        ((1.0, (0.0, 1.0), (4, 4), STILL), "detector"),
        ((1.0, (1.0, 1.0), (4, 4), 2 * STILL), "rigid"),
    ],
)
def test_a_camera_that_cannot_be_is_named(arguments, message):
    with pytest.raises(RegistrationError, match=message):
        Camera(*arguments)
