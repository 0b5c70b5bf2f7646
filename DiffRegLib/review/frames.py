"""Radiographs as files: one image, a stack, a movie, or a folder of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from DiffRegLib.errors import RegistrationError

GRAY, STACKS, MOVIES = (".png",), (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".tif", ".tiff"), (".gif",)
FRAME_MS = 80


def check_name(path: Path, frames: int) -> None:
    """Raises RegistrationError where the name stands for no format that holds so many frames."""
    name = path.name.lower()
    if not path.suffix or name.endswith((*STACKS, *MOVIES)) or (frames == 1 and name.endswith(GRAY)):
        return
    if name.endswith(GRAY):
        raise RegistrationError(
            f"{path} holds one image and there are {frames}: name a .gif, a .nii.gz, or a folder (no extension)."
        )
    known = " ".join((*GRAY, *MOVIES, *STACKS))
    raise RegistrationError(f"{path} has an unknown extension: use one of {known}, or none for a folder of .png files.")


def write_frames(path: Path, frames: np.ndarray, pixel_mm: tuple[float, float], bone_dark: bool = False) -> None:
    """Writes line integrals (F, rows, columns) in the format that the name stands for, see `check_name`.

    Stacks (.nii.gz, .nrrd, .mha, .tif) hold the float32 line integrals with the pixel pitch (column, row) in mm; images
    and movies gray values with one window for all frames, from the 1st to the 99.9th percentile.
    """
    check_name(path, len(frames))
    name = path.name.lower()
    if name.endswith(STACKS):
        _write_stack(path, frames, pixel_mm)
        return
    low, high = np.quantile(frames, (0.01, 0.999))
    gray = np.clip((frames - low) / max(high - low, 1e-12), 0, 1)
    gray = 1 - gray if bone_dark else gray
    if name.endswith(MOVIES):
        _write_movie(path, gray)
    elif path.suffix:
        _write_gray(path, gray[0])
    else:
        path.mkdir()
        for n, one in enumerate(gray):
            _write_gray(path / f"frame_{n:03d}.png", one)


def _write_stack(path: Path, frames: np.ndarray, pixel_mm: tuple[float, float]) -> None:
    import SimpleITK as sitk

    frames = frames.astype(np.float32)
    image = sitk.GetImageFromArray(frames if len(frames) > 1 else frames[0])
    image.SetSpacing([abs(s) for s in pixel_mm] + [1.0] * (image.GetDimension() - 2))
    try:
        sitk.WriteImage(image, str(path), useCompression=True)
    except RuntimeError:
        raise RegistrationError(f"{path} cannot be written: check folder, permission and disk space.") from None


def _write_movie(path: Path, gray: np.ndarray) -> None:
    from PIL import Image

    images = [Image.fromarray(np.rint(255 * one).astype(np.uint8)) for one in gray]
    images[0].save(path, save_all=True, append_images=images[1:], duration=FRAME_MS, loop=0)


def _write_gray(path: Path, gray: np.ndarray) -> None:
    """16 bits of gray."""
    from PIL import Image

    Image.fromarray(np.rint(65535 * gray).astype(np.uint16)).save(path)
