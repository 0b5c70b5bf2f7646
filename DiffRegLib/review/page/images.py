"""Pictures that are part of the page: encoded in it, so that no other file is needed."""

from __future__ import annotations

import base64
import io

import numpy as np

from DiffRegLib.review.page.html import text
from DiffRegLib.review.views import Box, View

QUALITY = 88


def data_uri(pixels: np.ndarray) -> str:
    """Pixels with row 0 at the bottom, in [0, 1]: (rows, columns) gray, (.., 3) colors, (.., 4) with transparency."""
    from PIL import Image

    eight = np.rint(255 * np.clip(np.nan_to_num(pixels[::-1]), 0, 1)).astype(np.uint8)
    kind = ("PNG", {}) if eight.ndim == 3 and eight.shape[2] == 4 else ("JPEG", {"quality": QUALITY})
    stream = io.BytesIO()
    Image.fromarray(eight).save(stream, kind[0], **kind[1])
    return f"data:image/{kind[0].lower()};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def image(pixels: np.ndarray, name: str, classes: str = "") -> str:
    """An image element; `name` says what it shows to those who do not see it."""
    return f'<img src="{data_uri(pixels)}" alt="{text(name)}" class="{classes}">'


def stack(box: Box, view: View, layers: list[str], drawing: str = "", caption: str = "") -> str:
    """Layers over one another in the frame of a view, with the patient's letters at its edges.

    drawing: SVG elements in mm of the plane, (across, up).
    """
    left, right, bottom, top = box.extent(view)
    letters = "".join(
        f'<b class="letter {place}">{letter}</b>'
        for place, letter in zip(("left", "right", "bottom", "top"), view.letters)
    )
    svg = ""
    if drawing:
        flip = f"matrix(-1 0 0 -1 {left:.3f} {top:.3f})"  # from mm to pixels of a millimeter, right and down
        size = f"0 0 {left - right:.3f} {top - bottom:.3f}"
        inner = f'<g transform="{flip}">{drawing}</g>'
        svg = f'<svg viewBox="{size}" preserveAspectRatio="none" class="drawing">{inner}</svg>'
    ratio = f"{left - right:.2f} / {top - bottom:.2f}"
    return (
        f'<figure class="view"><div class="stack" style="aspect-ratio:{ratio}">{"".join(layers)}{svg}{letters}</div>'
        f"<figcaption>{text(caption)}</figcaption></figure>"
    )


def polylines(lines: list[np.ndarray], color: str, width: float) -> str:
    """Lines (N, 2) in mm for the drawing of a `stack`."""
    return "".join(
        f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in line[::4])}" fill="none" stroke="{color}" '
        f'stroke-width="{width:g}"/>'
        for line in lines
    )
