"""Pictures (PNG, TIFF, JPEG, BMP, ...) as shades of gray: the values as they are stored, lying as they are shown."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from DiffRegLib.errors import RegistrationError

FORMATS = ("PNG", "TIFF", "JPEG", "JPEG2000", "BMP", "GIF", "WEBP")
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0
"""A tag of TIFF and its value for pictures in which low values are shown bright."""


def read_picture(path: Path) -> tuple[np.ndarray, bool] | None:
    """Values (rows, columns), or (F, rows, columns) of several pages, and whether low ones are shown bright.

    Turned and mirrored as the file says that it is shown (Exif). None for a file that is none of these formats. Raises
    `RegistrationError` that names the file where it is cut off, colored, or transparent in places.
    """
    from PIL import Image as Picture
    from PIL import ImageSequence, UnidentifiedImageError

    try:
        with warnings.catch_warnings(), open(path, "rb") as file:  # of a path Pillow maps turned TIFF files wrongly
            warnings.simplefilter("ignore")
            picture = Picture.open(file, formats=FORMATS)
            inverted = getattr(picture, "tag_v2", {}).get(PHOTOMETRIC) == WHITE_IS_ZERO
            pages = [_gray(page, inverted, path) for page in ImageSequence.Iterator(picture)]
    except UnidentifiedImageError:
        return None
    except RegistrationError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, Picture.DecompressionBombError):
        raise RegistrationError(f"{path} cannot be read as a picture: it is truncated or damaged.", path=path) from None
    if len({page.shape for page in pages}) > 1:
        raise RegistrationError(f"{path} has pages of unequal size: give a file with one image.", path=path)
    return (pages[0] if len(pages) == 1 else np.stack(pages)), inverted


def _gray(page: Any, inverted: bool, path: Path) -> np.ndarray:
    """(rows, columns) of a page; a color picture all of whose colors are gray is one, too."""
    from PIL import ImageOps

    page.load()  # a TIFF is turned by that
    page = ImageOps.exif_transpose(page)
    if page.mode in ("LA", "PA", "RGBA") or "transparency" in page.info:
        lowest, highest = page.convert("RGBA").getextrema()[3]
        if lowest != highest:
            raise RegistrationError(
                f"{path} is transparent in places: export the X-ray without a channel of opacity.", path=path
            )
    if page.mode == "LA":
        return np.asarray(page)[..., 0]
    if len(page.getbands()) == 1 and page.mode != "P":
        values = np.asarray(page)
        return 255 - values if inverted and page.mode == "L" else values  # Pillow shows these as they are meant
    colors = np.asarray(page.convert("RGB"))
    if np.ptp(colors, axis=-1).any():
        raise RegistrationError(
            f"{path} is a color image: convert it to shades of gray, or give the original X-ray.", path=path
        )
    return colors[..., 0]
