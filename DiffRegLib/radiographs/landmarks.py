"""The pose of a CT from landmarks that were clicked in an X-ray: perspective-n-point."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from DiffRegLib.camera import Camera
from DiffRegLib.errors import RegistrationError
from DiffRegLib.transforms import Affine

if TYPE_CHECKING:
    from jaxtyping import Float

FEWEST = 4
FLAT = 1e-3  # ratio of extents below which points count as lying in a plane or on a line
SINGULAR = 1e-7  # ratio of singular values below which the clicks leave a motion open
TWIN = (10.0, 1.5)  # degrees between two poses, and ratio of their errors, from which they are two answers
CLICK = 0.5  # px; nobody clicks better, so that a pose with smaller errors is an answer


@dataclass(frozen=True, eq=False)
class LandmarkPose:
    """pose: CT world to C-arm world. errors: (N,) px between the clicks and where the landmarks are projected.

    ambiguous: another pose, turned by more than 10 degrees, fits nearly as well.
    """

    pose: Affine
    errors: Tensor
    ambiguous: bool

    @property
    def rms(self) -> float:
        """Root mean square of the errors in px."""
        return float(self.errors.square().mean().sqrt())


def pose_from_landmarks(points: Float[Tensor, "N 3"], clicks: Float[Tensor, "N 2"], camera: Camera) -> LandmarkPose:
    """The pose under which points (N, 3), RAS mm of the CT, are projected onto clicks (N, 2), column and row in px.

    From six points that are in no plane the direct linear transform gives a start (Hartley and Zisserman, Multiple view
    geometry, 2004, sec. 7.1); the 24 turns of a cube give more, each with the translation that fits it. Levenberg and
    Marquardt's method on the distances in the image refines them, and the best is returned.
    Raises RegistrationError for fewer than four pairs, NaN, points on a line, and clicks that leave the pose open.
    """
    x, rays = _checked(points, clicks, camera)
    center = x.mean(0)
    scale = np.sqrt(((x - center) ** 2).sum(1).mean())
    x = (x - center) / scale
    starts = [s for s in (_linear(x, rays), *(_placed(r, x, rays) for r in _cube())) if s is not None]
    found = sorted((_refined(s, x, rays) for s in starts), key=lambda f: f[0])
    cost, vector, jacobian = found[0]
    singular = np.linalg.svd(jacobian, compute_uv=False)
    if not np.isfinite(cost) or singular[-1] < SINGULAR * singular[0]:
        raise RegistrationError("The landmarks leave the pose open: spread them wider, in all three directions.")
    seen = np.eye(4)
    seen[:3, :3] = _rotation(vector[:3])
    seen[:3, 3] = scale * vector[3:] - seen[:3, :3] @ center
    pose = camera.pose.double() @ torch.from_numpy(seen)
    projected, _ = camera.project(Affine(pose)(points.double()))
    floor = len(x) / 2 * (CLICK * min(map(abs, camera.spacing)) / camera.distance) ** 2
    return LandmarkPose(Affine(pose), (projected - clicks.double()).norm(dim=1), _has_twin(found, floor))


def _checked(points: Tensor, clicks: Tensor, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) mm and (N, 2) slopes of the rays in the camera's frame."""
    if points.ndim != 2 or points.shape[1] != 3 or clicks.shape != (len(points), 2):
        raise RegistrationError(
            f"There are {len(points)} landmarks and {len(clicks)} clicks: give pairs, row by row, of x, y, z in RAS mm "
            "and of column and row in pixels."
        )
    if len(points) < FEWEST:
        raise RegistrationError(f"{len(points)} landmarks do not fix a pose: give at least {FEWEST}, better 6.")
    if not points.isfinite().all() or not clicks.isfinite().all():
        raise RegistrationError("Landmarks or clicks are not all finite numbers: correct or remove them.")
    x = points.double().numpy()
    spread = np.linalg.svd(x - x.mean(0), compute_uv=False)
    if spread[1] <= FLAT * max(spread[0], 1e-9):
        raise RegistrationError("The landmarks lie on one line or in one place: add some beside it.")
    camera_points = torch.cat((clicks.double(), torch.ones(len(clicks), 1, dtype=torch.float64)), 1)
    rays = torch.linalg.solve(camera.intrinsics, camera_points.T).T.numpy()[:, :2]
    extent = np.linalg.svd(rays - rays.mean(0), compute_uv=False)
    if extent[0] * camera.distance < abs(camera.spacing[0]):
        raise RegistrationError("The clicks are all in one place: click each landmark where it is seen.")
    return x, rays


def _linear(x: np.ndarray, rays: np.ndarray) -> np.ndarray | None:
    """Rotation vector and translation from the direct linear transform, or None where points are too few or flat."""
    if len(x) < 6 or np.linalg.svd(x, compute_uv=False)[-1] < 0.01 * np.sqrt(len(x)):
        return None
    h = np.concatenate((x, np.ones((len(x), 1))), 1)
    zero = np.zeros_like(h)
    rows = np.concatenate(
        (np.concatenate((h, zero, -rays[:, :1] * h), 1), np.concatenate((zero, h, -rays[:, 1:] * h), 1))
    )
    p = np.linalg.svd(rows)[2][-1].reshape(3, 4)
    p = p if np.linalg.det(p[:, :3]) > 0 else -p
    u, s, vt = np.linalg.svd(p[:, :3])
    if s[0] < 1e-12:
        return None
    return np.concatenate((_vector(u @ vt), p[:, 3] / s.mean()))


def _placed(rotation: np.ndarray, x: np.ndarray, rays: np.ndarray) -> np.ndarray | None:
    """The translation that fits a rotation with linear least squares; None where it is behind the source."""
    turned = x @ rotation.T
    zero, one = np.zeros(len(x)), np.ones(len(x))
    rows = np.concatenate((np.stack((one, zero, -rays[:, 0]), 1), np.stack((zero, one, -rays[:, 1]), 1)))
    right = np.concatenate([rays[:, k] * turned[:, 2] - turned[:, k] for k in range(2)])
    shift = np.linalg.lstsq(rows, right, rcond=None)[0]
    shift[2] = max(abs(shift[2]), 2.0)
    return np.concatenate((_vector(rotation), shift))


def _refined(start: np.ndarray, x: np.ndarray, rays: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    from scipy.optimize import least_squares

    def residual(vector: np.ndarray) -> np.ndarray:
        seen = x @ _rotation(vector[:3]).T + vector[3:]
        depth = np.where(np.abs(seen[:, 2]) < 1e-6, 1e-6, seen[:, 2])
        return (seen[:, :2] / depth[:, None] - rays).ravel()

    result = least_squares(residual, start, method="lm", max_nfev=400)
    behind = (x @ _rotation(result.x[:3]).T + result.x[3:])[:, 2].min() <= 0
    return (np.inf if behind else float(result.cost)), result.x, result.jac


def _has_twin(found: list, floor: float) -> bool:
    """Whether a pose that is turned against the best one fits nearly as well."""
    degrees, ratio = TWIN
    cost, best, _ = found[0]
    for other_cost, other, _ in found[1:]:
        turn = np.degrees(np.linalg.norm(_vector(_rotation(other[:3]) @ _rotation(best[:3]).T)))
        if turn > degrees and other_cost <= max(ratio**2 * cost, floor):
            return True
    return False


def _cube() -> list[np.ndarray]:
    """The 24 rotations that map the axes onto each other."""
    matrices = (
        np.eye(3)[list(p)] * np.array(s)[:, None] for p in permutations(range(3)) for s in product((1, -1), repeat=3)
    )
    return [m for m in matrices if np.linalg.det(m) > 0]


def _rotation(vector: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return Rotation.from_rotvec(vector).as_matrix()


def _vector(rotation: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(rotation).as_rotvec()
