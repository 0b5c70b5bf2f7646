"""Simulated X-rays of five anatomies, none of them shared: what thresholds of a pose's end and search are chosen on.

Each set's CT is cut shorter at both ends, what is cut off belongs to the patient's body, which goes on by its mirror
image; soft tissue moves by 6 to 14 mm and bone does not, there is other gas and fluid; beam hardening, scatter, blur,
noise, saturation, instruments, collimators, a grey scale that nobody tells.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from DiffRegLib.camera import Camera, read_geometry
from DiffRegLib.files import read_image
from DiffRegLib.image import Image
from DiffRegLib.radiographs.attenuation import WATER, attenuation
from DiffRegLib.radiographs.radiograph import prepare
from DiffRegLib.radiographs.renderer import Renderer
from DiffRegLib.radiographs.xray import XRay
from DiffRegLib.transforms import rigid
from Testing.studies.anatomies import OTHER, Case
from Testing.studies.projective import DATA

CUT = 0.14  # of the body's length, cut off the CT at either end
BEYOND = 90.0  # mm of mirrored body beyond the set's own CT
BONE, LEAST = 200.0, 3000.0  # HU, and mm^3 of connected bone that stays where it is
FIRM = 12.0  # mm; within it of bone, tissue hardly moves
KINDS = ("intensity", "log", "log-inverted")
TURN, SHIFT = 15.0, 22.5  # degrees and mm; standard deviations of target and far start, as those of the shared X-rays


def simulated(folder: str, number: int) -> Case:
    """One X-ray of a set's shortened CT, the same for the same number."""
    rng = np.random.default_rng(1000 * list(OTHER).index(folder) + number + 17)
    body, ct = _body(folder)
    bone = _bone(body)
    camera = _camera(folder, rng)
    target, start = (_drawn(ct, rng) for _ in range(2))
    integrals = Renderer(_changed(body, bone, rng), [camera]).images(target[None])[0][0].double().numpy()
    name = f"{folder} {number}"
    xray = prepare(XRay(_exposed(integrals, rng), name), camera)
    return Case(name, ct, xray, {"far": start}, target, _points(body, bone, ct, rng))


def _drawn(ct: Image, rng: np.random.Generator) -> Tensor:
    return rigid(torch.from_numpy(rng.normal(0, TURN, 3)), torch.from_numpy(rng.normal(0, SHIFT, 3)), ct.center).matrix


def _body(folder: str) -> tuple[Image, Image]:
    """The patient's body (HU), and the CT of a part of it."""
    own = DATA / "drr_other" / folder / "ct.nii.gz"
    whole = read_image(own if own.exists() else DATA / "drr_pelvis" / "ct128.nii.gz")
    filled = ((whole.data[0] > -500).float().mean((1, 2)) > 0.02).nonzero().flatten()
    first, last = int(filled[0]), int(filled[-1]) + 1
    short, core = int((last - first) * CUT), whole.data[:, first:last]
    more = min(int(BEYOND / float(whole.spacing[2])), core.shape[1] - 2)
    long = torch.cat([core[:, 1 : more + 1].flip(1), core, core[:, -more - 1 : -1].flip(1)], 1).contiguous()
    ct = whole.data[:, first + short : last - short].contiguous()
    return _from(long, whole, first - more), _from(ct, whole, first + short)


def _from(data: Tensor, whole: Image, first: int) -> Image:
    """Slices of which the first has this number in the whole."""
    affine = whole.affine.clone()
    affine[:3, 3] = whole.to_world(torch.tensor([0.0, 0.0, float(first)], dtype=torch.float64))
    return Image(data, affine)


def _bone(body: Image) -> np.ndarray:
    parts, _ = ndimage.label(body.data[0].numpy() > BONE)
    voxels = np.bincount(parts.ravel())
    voxels[0] = 0
    return ndimage.binary_closing((voxels * float(body.spacing.prod()) > LEAST)[parts])


def _points(body: Image, bone: np.ndarray, ct: Image, rng: np.random.Generator) -> Tensor:
    """300 points (N,3) of bone in the CT."""
    points = body.to_world(torch.from_numpy(np.argwhere(bone)[:, ::-1].copy()).double())
    ends = ct.to_world(torch.tensor([[0.0] * 3, [n - 1.0 for n in ct.shape[::-1]]], dtype=torch.float64))
    points = points[((points >= ends.amin(0)) & (points <= ends.amax(0))).all(1)]
    return points[torch.from_numpy(rng.choice(len(points), 300))]


def _camera(folder: str, rng: np.random.Generator) -> Camera:
    root = DATA / "drr_other" / folder
    files = sorted(root.glob("geometry_*.json")) or [DATA / "drr_pelvis" / "geometry.json"]
    size = np.load(root / "xrays.npz")["image"].shape[1:]
    return read_geometry(files[rng.integers(len(files))], [size])[0].camera


def _changed(body: Image, bone: np.ndarray, rng: np.random.Generator) -> Image:
    """Attenuation of the body with moved soft tissue, other gas and other fluid."""
    mu, spacing = attenuation(body), [float(s) for s in body.spacing.flip(0)]
    away = ndimage.distance_transform_edt(~bone, sampling=spacing)
    shape, width = mu.shape, rng.uniform(25, 45)
    motion = np.stack([_smooth(rng, shape, spacing, width) for _ in range(3)]) * (1 - np.exp(-((away / FIRM) ** 2)))
    motion *= rng.uniform(6, 14) / np.percentile(np.linalg.norm(motion, axis=0), 99.9)
    place = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    at = [2 * (p + m / s + 0.5) / n - 1 for p, m, s, n in zip(place, motion, spacing, shape)]
    grid = torch.from_numpy(np.stack(at[::-1], -1)[None]).float()
    data = F.grid_sample(mu.data[None], grid, padding_mode="border", align_corners=False)[0, 0]
    soft = np.argwhere((abs(mu.data[0].numpy() - WATER) < 0.2 * WATER) & (away > 15))
    for _ in range(rng.integers(2, 6)):
        center, radii = soft[rng.integers(len(soft))], rng.uniform(8, 28, 3)
        inside = sum(((p - c) * s / r) ** 2 for p, c, s, r in zip(place, center, spacing, radii))
        share = np.clip((1 - np.sqrt(inside)) * 6, 0, 1) * np.clip((away - 4) / 6, 0, 1)
        data += torch.from_numpy(share).float() * ((0.03 if rng.random() < 0.6 else 1.05) * WATER - data)
    return Image(data[None], body.affine)


def _smooth(rng: np.random.Generator, shape: tuple[int, ...], spacing: list[float], width: float) -> np.ndarray:
    """Noise blurred to about `width` mm, made on a coarse grid."""
    step = width / 2
    coarse = [max(4, math.ceil(n * s / step)) + 4 for n, s in zip(shape, spacing)]
    blurred = ndimage.gaussian_filter(rng.standard_normal(coarse), 2.0)
    fine = [round(n * step / s) for n, s in zip(coarse, spacing)]
    whole = F.interpolate(torch.from_numpy(blurred)[None, None], size=fine, mode="trilinear", align_corners=False)
    return whole[0, 0, : shape[0], : shape[1], : shape[2]].numpy()


def _exposed(integrals: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A 12 bit X-ray of line integrals (rows, columns)."""
    width, bare = max(integrals.shape), integrals
    for _ in range(rng.integers(0, 3)):
        integrals = integrals + rng.uniform(1, 4) * _bar(integrals.shape, rng)
    through, body = (np.exp(-x / (1 + 0.03 * x)) for x in (integrals, bare))
    body[bare < 0.3] = 0
    seen = through + rng.uniform(0.05, 0.3) * ndimage.gaussian_filter(body, 0.12 * width)
    seen, quanta = ndimage.gaussian_filter(seen, rng.uniform(0.5, 1.2)), rng.uniform(15000, 60000)
    seen = np.minimum(rng.poisson(seen * quanta) / quanta, rng.uniform(0.5, 1.0))
    kind, log = KINDS[rng.integers(3)], np.log(np.maximum(seen, 1 / quanta))
    shown = {"intensity": seen, "log": -log, "log-inverted": log}[kind]
    low, high = np.percentile(shown, [0.5, 99.5])
    shown = np.round(4095 * np.clip((shown - low) / (high - low), 0, 1) ** rng.uniform(0.6, 1.7))
    return (shown * _collimated(integrals.shape, rng)).astype(np.float32)


def _bar(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    width, (row, column) = max(shape), np.mgrid[: shape[0], : shape[1]]
    turn, (down, across) = rng.uniform(0, math.pi), rng.uniform(0.2, 0.8, 2) * shape
    along = (column - across) * math.cos(turn) + (row - down) * math.sin(turn)
    beside = (row - down) * math.cos(turn) - (column - across) * math.sin(turn)
    return (abs(along) < rng.uniform(0.1, 0.5) * width) & (abs(beside) < rng.uniform(0.005, 0.02) * width)


def _collimated(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """1 in the part of the image that is exposed: all of it, a disk or a rectangle."""
    if rng.random() >= 0.6:
        return np.ones(shape)
    row, column = np.mgrid[: shape[0], : shape[1]]
    (down, across), radius = (rng.uniform(-0.1, 0.1, 2) + 0.5) * shape, rng.uniform(0.32, 0.48) * max(shape)
    if rng.random() < 0.5:
        return (column - across) ** 2 + (row - down) ** 2 < radius**2
    wide, high = radius * rng.uniform(0.7, 1.0, 2)
    return (abs(column - across) < wide) & (abs(row - down) < high)
