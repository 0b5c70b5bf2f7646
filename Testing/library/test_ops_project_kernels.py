"""The compiled projector against the reference in double precision, and as operators with gradients of gradients."""

import pytest
import torch

from DiffRegLib import ops
from DiffRegLib.camera import Camera
from DiffRegLib.ops import available, last_backend
from DiffRegLib.ops.rays import tiled
from DiffRegLib.radiographs.projection import Volume, detectors_of, frames_of, project

pytestmark = pytest.mark.skipif(not available("cpu"), reason="numba is not installed: only the reference can run")


def oblique(shape, seed=1):
    """A rotated, anisotropic affine around the world's origin."""
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))[0]
    affine = torch.eye(4, dtype=torch.float64)
    affine[:3, :3] = rotation @ torch.diag(torch.tensor([2.0, 3.0, 4.5], dtype=torch.float64))
    affine[:3, 3] = -affine[:3, :3] @ (torch.tensor(shape[::-1], dtype=torch.float64) - 1) / 2
    return affine


def straight(shape):
    affine = torch.diag(torch.tensor([2.0, 3.0, 4.5, 1.0], dtype=torch.float64))
    affine[:3, 3] = -affine.diagonal()[:3] * (torch.tensor(shape[::-1], dtype=torch.float64) - 1) / 2
    return affine


def view(source, pitch=4.0, size=(13, 19)):
    return Camera.from_detector([3.0, -source, 2.0], [3.0, 450.0, 2.0], [1.0, 0, 0], [0, 0, -1.0], (pitch, pitch), size)


CASES = {
    "oblique": ((17, 20, 23), oblique, 500.0, 8.0),
    "parallel to an axis": ((17, 20, 23), straight, 500.0, 8.0),
    "one voxel thin": ((17, 1, 23), straight, 500.0, 8.0),
    "one voxel": ((1, 1, 1), straight, 500.0, 0.5),
    "source inside": ((30, 31, 32), oblique, 5.0, 8.0),
    "beside the volume": ((9, 9, 9), oblique, 500.0, 60.0),
    "truncated by the detector": ((40, 42, 44), straight, 500.0, 2.0),
}


def scene(name):
    shape, geometry, source, pitch = CASES[name]
    generator = torch.Generator().manual_seed(3)
    data = torch.rand(1, 2, *shape, generator=generator, dtype=torch.float64)
    camera = view(source, pitch)
    weights = torch.randn(1, 2, *camera.size, generator=generator, dtype=torch.float64)
    return data, geometry(shape), camera, weights


def outcome(data, affine, camera, weights, backend, step=1.3):
    data = data.clone().requires_grad_()
    pose = torch.eye(4, dtype=torch.float64, requires_grad=True)
    image = project(Volume(data, affine), pose, camera, step, backend=backend)
    return image.detach(), *torch.autograd.grad(image, (data, pose), weights)


@pytest.mark.parametrize("name", CASES)
def test_the_cpu_kernels_agree_with_the_reference(name):
    data, affine, camera, weights = scene(name)
    fast = outcome(data.float(), affine, camera, weights.float(), "cpu")
    assert last_backend("project") == last_backend("backproject") == "cpu"
    for ours, exact in zip(fast, outcome(data, affine, camera, weights, "reference"), strict=True):
        # float32 places samples to 1e-5 voxel; where that carries one over a cell's face, its slope jumps by order one
        torch.testing.assert_close(ours.double(), exact, rtol=0, atol=2e-4 * exact.abs().max().item())


@pytest.mark.parametrize("name", ["oblique", "truncated by the detector"])
def test_backprojection_is_the_adjoint_of_projection(name):
    data, affine, camera, weights = scene(name)
    image, to_volume, _ = outcome(data.float(), affine, camera, weights.float(), "cpu")
    left, right = (image.double() * weights).sum(), (to_volume.double() * data).sum()
    assert abs(left - right) <= 1e-5 * image.norm() * weights.norm()


def test_a_loss_on_the_pose_gradient_reaches_the_volume_that_made_it():
    data, affine, camera, weights = scene("oblique")

    def through(data, backend):
        data = data.clone().requires_grad_()
        pose = torch.eye(4, dtype=torch.float64, requires_grad=True)
        image = project(Volume(data, affine), pose, camera, 1.3, backend=backend)
        (push,) = torch.autograd.grad(image.square().sum(), pose, create_graph=True)
        return torch.autograd.grad(push[:3].square().sum(), data)[0]

    exact = through(data, "reference")
    ours = through(data.float(), "cpu")
    torch.testing.assert_close(ours.double(), exact, rtol=0, atol=2e-3 * exact.abs().max().item())


@pytest.mark.parametrize("name", ["oblique", "one voxel thin"])
def test_the_second_derivative_to_the_pose_agrees_with_the_reference(name):
    data, affine, camera, _ = scene(name)

    def bend(data, backend):
        pose = torch.eye(4, dtype=torch.float64, requires_grad=True)
        image = project(Volume(data, affine), pose, camera, 1.3, backend=backend)
        (push,) = torch.autograd.grad(image.square().sum(), pose, create_graph=True)
        return torch.autograd.grad(push[:3].square().sum(), pose)[0]

    exact = bend(data, "reference")
    ours = bend(data.float(), "cpu")
    assert last_backend("project_curve") == "cpu"
    torch.testing.assert_close(ours, exact, rtol=0, atol=2e-3 * exact.abs().max().item())


def test_any_number_of_threads_gives_the_same_bits():
    data, affine, camera, weights = scene("oblique")
    camera, weights = view(500.0, 1.5, (80, 90)), torch.randn(1, 2, 80, 90)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3, 2):
            torch.set_num_threads(threads)
            results.append(outcome(data.float(), affine, camera, weights, "cpu"))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, results[0], strict=True))


def test_several_volumes_and_views_agree_with_the_reference():
    data, affine, camera, _ = scene("oblique")
    data = torch.cat([data, data.flip(2)])
    poses = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
    poses[1, :3, 3] = torch.tensor([5.0, 6.0, -7.0])
    cameras = [camera, view(400.0, 6.0)]
    weights = torch.randn(2, 2, *camera.size, dtype=torch.float64)
    for volumes in (data, data[:1]):

        def run(volumes, weights, backend):
            volumes = volumes.clone().requires_grad_()
            image = project(Volume(volumes, affine), poses, cameras, 1.3, backend=backend)
            return image.detach(), torch.autograd.grad(image, volumes, weights)[0]

        fast = run(volumes.float(), weights.float(), "cpu")
        for ours, exact in zip(fast, run(volumes, weights, "reference"), strict=True):
            torch.testing.assert_close(ours.double(), exact, rtol=0, atol=1e-4 * exact.abs().max().item())


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_operators_obey_the_rules_of_torch_library(backend):
    data, affine, _, _ = scene("oblique")
    camera = view(500.0, 30.0, (3, 4))
    data = data.float().requires_grad_()
    frames = frames_of(torch.eye(4, dtype=torch.float64), affine, [camera]).requires_grad_()
    rays = (frames, detectors_of([camera], data.device), tiled(3, 4)[0], 4, 9.0)
    torch.library.opcheck(torch.ops.diffreg.project, (data, *rays, True, backend))
    torch.library.opcheck(torch.ops.diffreg.project, (data, *rays, False, backend))
    image, sums = torch.randn(1, 2, 12, requires_grad=True), torch.randn(1, 2, 12, 6, requires_grad=True)
    torch.library.opcheck(torch.ops.diffreg.backproject, (image, sums, *rays, list(data.shape), backend))
    torch.library.opcheck(torch.ops.diffreg.project_moments, (image, sums, rays[2], 4, backend))


def test_the_order_of_pixels_changes_neither_image_nor_gradient():
    data, affine, _, _ = scene("oblique")
    camera = view(500.0, 3.0, (24, 40))
    shuffled = torch.randperm(24 * 40, generator=torch.Generator().manual_seed(5))
    listed = torch.stack([shuffled // 40, shuffled % 40], 1)
    weights = torch.randn(1, 2, 24, 40)

    def run(pixels, weights):
        volume, pose = data.float().requires_grad_(), torch.eye(4, dtype=torch.float64, requires_grad=True)
        image = project(Volume(volume, affine), pose, camera, 1.3, pixels, "cpu")
        return image.detach(), *torch.autograd.grad(image, (volume, pose), weights)

    image, to_volume, to_pose = run(None, weights)
    part, part_to_volume, part_to_pose = run(listed, weights.flatten(2)[:, :, shuffled])
    # rays march 16 at a time, and which of them share the quick march decides in which order a ray is summed
    torch.testing.assert_close(part, image.flatten(2)[:, :, shuffled], rtol=0, atol=1e-5 * image.max().item())
    for ours, other in ((part_to_volume, to_volume), (part_to_pose, to_pose)):
        torch.testing.assert_close(ours, other, rtol=0, atol=1e-4 * other.abs().max().item())


def test_an_empty_list_of_pixels_gives_an_empty_image():
    data, affine, camera, _ = scene("oblique")
    frames = frames_of(torch.eye(4, dtype=torch.float64), affine, [camera]).requires_grad_()
    detector = detectors_of([camera], data.device)
    rays = ops.Rays(frames, detector, torch.zeros(0, dtype=torch.int32), 19)
    image = ops.project(data.float(), rays, 1.0, "cpu")
    assert image.shape == (1, 2, 0)
    assert not torch.autograd.grad(image.sum(), frames)[0].any()


def test_half_precision_on_the_cpu_is_read_as_float32():
    data, affine, camera, _ = scene("oblique")
    half = data.half()
    pose = torch.eye(4, dtype=torch.float64)
    expected = project(Volume(half.float(), affine), pose, camera)
    torch.testing.assert_close(project(Volume(half, affine), pose, camera), expected, rtol=0, atol=0)
