"""From a CT in Hounsfield units to linear attenuation, of all of it or of a part."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from DiffRegLib.errors import RegistrationError
from DiffRegLib.image import Image

WATER = 0.02
"""Linear attenuation of water in 1/mm, at about 60 keV, the mean energy of a diagnostic beam of 100 to 120 kV."""

AIR = -1000.0  # HU
RAMP = 50.0  # HU on either side of a bone threshold, within which a voxel fades
LOW, HIGH = -50.0, 100.0  # HU; every CT has something below the one (fat, air) and above the other (bone, contrast)
SHIFT, TISSUE, MOST_SHIFTED = 1024.0, 150.0, 0.1  # of HU + 1024; around it lie soft tissue and fat, in HU only bone
PADDED = 0.95  # share of the voxels below LOW that are the padding's number
PADDING = -1500.0  # HU; noise of air stays above (-1238 in a low-dose chest), what fills an image up is -2000 or less
LOWEST, HIGHEST = -40000.0, 100000.0  # HU; padding and metal stay within
WRAPPED = 63000.0  # what a number around -1000 or less becomes in 16 bits without a sign


def attenuation(ct: Image, water: float = WATER) -> Image:
    """Linear attenuation in 1/mm of a CT (1, D, H, W) in HU: mu = water (1 + HU / 1000), at least 0.

    water: attenuation of water in 1/mm.
    """
    return Image((water * (1 + ct.data / 1000)).clamp(min=0), ct.affine)


def keep_only(
    ct: Image, mask: Image | None = None, labels: Sequence[int] = (), bone_threshold: float | None = None
) -> Image:
    """The CT (HU) with everything else as air, so that a part is projected alone.

    mask: label map on any grid in the same world; kept is what is not 0, or the `labels` where these are given.
    bone_threshold: HU below which voxels fade to air, over a ramp of 50 HU on either side, so that the edge of a bone
        stays as smooth as the scan has it.
    Without either it is the CT itself. Raises RegistrationError where nothing is left.
    """
    if labels and mask is None:
        raise RegistrationError(
            "{labels} are chosen without a label map: give one with {mask}.", option=("labels", "mask")
        )
    if mask is None and bone_threshold is None:
        return ct
    share = torch.ones_like(ct.data) if mask is None else chosen(ct, mask, labels)
    if bone_threshold is not None:
        share = share * ((ct.data - bone_threshold + RAMP) / (2 * RAMP)).clamp(0, 1)
    if not bool((share * (ct.data - AIR) > 1).any()):
        raise RegistrationError("Nothing of the CT is left to project: choose another mask, label or bone threshold.")
    return Image(AIR + share * (ct.data.clamp(min=AIR) - AIR), ct.affine)


def unpadded(ct: Image) -> Image:
    """The CT (HU) with air where its values are no measurements but fill the image up, around a round field of view."""
    padding = ct.data < PADDING
    return Image(ct.data.masked_fill(padding, AIR), ct.affine) if bool(padding.any()) else ct


def check_hounsfield(ct: Image, name: str) -> None:
    """Raises RegistrationError where an image is no CT in Hounsfield units, and says what it looks like instead."""
    fault = _fault(ct)
    if fault:
        raise RegistrationError(f"{name} {fault}", path=name)


def _fault(ct: Image) -> str:
    """What makes an image no CT in Hounsfield units and what to do about it, or ""."""
    if ct.channels != 1:
        return f"has {ct.channels} values a voxel: give a CT with one, in HU."
    if not bool(ct.data.isfinite().all()):
        broken = int((~ct.data.isfinite()).sum())
        return f"has {broken} voxels that are NaN or infinite: replace them by numbers."
    low, high = float(ct.data.min()), float(ct.data.max())
    if LOWEST <= low <= LOW and HIGH <= high <= HIGHEST:
        return _shifted(ct)
    shown = f"is not a CT in Hounsfield units, its values run from {low:g} to {high:g}"
    if low == high:
        return f"{shown}: it is constant, give another image."
    if low >= 0 and high <= 1.5:
        return f"{shown} and look like attenuation or a normalized image: convert them to HU."
    if low >= -1 and high >= WRAPPED:
        return f"{shown}, as if its negative numbers had been stored without a sign: convert it again."
    if low >= -1 and high >= 1000:
        return f"{shown} and look shifted: subtract 1024 (or apply the DICOM rescale intercept)."
    return f"{shown}: give a CT with air near -1000 and bone above 200."


def _shifted(ct: Image) -> str:
    """What is wrong where the values are HU + 1024 and padding hides it: below -50 one number, tissue near 1024.

    A CT in HU has air and fat below -50, in many numbers.
    """
    values = ct.data[0, ::2, ::2, ::2] if min(ct.shape) > 8 else ct.data[0]
    low, rest = values[values < LOW], values[values >= LOW]
    padded = float((low == low.min()).float().mean()) > PADDED if len(low) else True
    tissue = float(((rest - SHIFT).abs() < TISSUE).float().mean()) if len(rest) else 0.0
    if padded and tissue > MOST_SHIFTED:
        return (
            f"is not a CT in Hounsfield units, its tissue lies near {SHIFT:g} and what is below is padding, so it "
            "looks shifted: subtract 1024 (or apply the DICOM rescale intercept)."
        )
    return ""


def body_points(ct: Image, most: int = 4000) -> Tensor:
    """(N, 3) float64 RAS mm: voxel centers of the body (above -500 HU) on a coarse grid, or of all voxels."""
    stride = max(1, round((ct.data.numel() / most / 4) ** (1 / 3)))
    coarse = ct.data[0, ::stride, ::stride, ::stride]
    index = (coarse > -500).nonzero()
    index = index if len(index) else torch.ones_like(coarse).nonzero()
    return ct.to_world(index.flip(1).double() * stride)


def chosen(ct: Image, mask: Image, labels: Sequence[int] = ()) -> Tensor:
    """(1, D, H, W) on the grid of the CT: 1 where a label map on any grid is not 0, or has one of the labels; else 0.

    Raises RegistrationError for a label that is not there.
    """
    same = mask.shape == ct.shape and torch.allclose(mask.affine, ct.affine, atol=1e-3)
    values = (mask if same else mask.resample(ct, mode="nearest")).data.round()
    if not labels:
        return (values != 0).any(0, keepdim=True).to(ct.data)
    present = set(values.unique().long().tolist())
    absent = [label for label in labels if label not in present]
    if absent:
        raise RegistrationError(
            f"The label map has no label {', '.join(map(str, absent))} inside the CT: choose others."
        )
    return torch.isin(values.long(), torch.tensor(labels)).any(0, keepdim=True).to(ct.data)
