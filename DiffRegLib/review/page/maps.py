"""Maps of a field as colors over the fixed image, each with its legend."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Callable

import numpy as np

from DiffRegLib.image import Image
from DiffRegLib.review.assess import Review
from DiffRegLib.review.page.html import text
from DiffRegLib.review.views import Box, View

FOLD = (1.0, 0.0, 0.0, 1.0)
OPACITY = 0.6


@dataclasses.dataclass(frozen=True, eq=False)
class FieldMap:
    """A map and how it is painted. low, high: the ends of the color scale; ticks: (value, word) of the legend."""

    key: str
    title: str
    image: Image
    colors: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    scale: Callable[[np.ndarray], np.ndarray] = np.asarray
    folds: bool = False

    def paint(self, box: Box, view: View) -> np.ndarray:
        """(rows, columns, 4) in [0, 1] on a plane; transparent where there is nothing to say, folds in red."""
        from matplotlib import colormaps

        sampled = self.image.sample(box.plane(view, 200), outside=float("nan"))[0].numpy()
        place = (self.scale(sampled) - self.low) / (self.high - self.low)
        painted = colormaps[self.colors](np.clip(np.nan_to_num(place), 0, 1))
        painted[..., 3] = np.where(np.isfinite(sampled), OPACITY, 0.0)
        if self.folds:
            nearest = self.image.sample(box.plane(view, 200), mode="nearest", outside=1.0)[0].numpy()
            painted[nearest <= 0] = FOLD
        return painted

    def legend(self) -> str:
        """A bar of its colors with words."""
        from matplotlib import colormaps
        from PIL import Image as Picture

        strip = np.rint(255 * colormaps[self.colors](np.linspace(0, 1, 128))[None, :, :3]).astype(np.uint8)
        stream = io.BytesIO()
        Picture.fromarray(strip).save(stream, "PNG")
        source = f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
        words = "".join(
            f'<span style="left:{100 * (float(self.scale(np.asarray(v))) - self.low) / (self.high - self.low):.1f}%">'
            f"{text(word)}</span>"
            for v, word in self.ticks
        )
        fold = '<span class="key"><i style="background:#f00"></i>folded</span>' if self.folds else ""
        name = text(f"color scale of {self.title}")
        bar = f'<div class="scale"><img src="{source}" alt="{name}"><div class="ticks">{words}</div></div>'
        return f'<div class="legend">{bar}{fold}</div>'


def _logarithm(determinant: np.ndarray) -> np.ndarray:
    return np.log2(np.maximum(determinant, 1e-3))


def field_maps(review: Review) -> list[FieldMap]:
    """Displacement, determinant, inverse consistency, distance to what drove the field, local similarity, spread."""
    maps = review.maps
    reach = float(np.clip(np.quantile(np.abs(_logarithm(_some(maps.determinant))), 0.995), 0.2, 3.0))
    found = [
        _millimeters("magnitude", "displacement", maps.magnitude, "viridis"),
        FieldMap(
            "determinant",
            "volume change (Jacobian determinant)",
            maps.determinant,
            "RdBu_r",
            -reach,
            reach,
            tuple((2**t, f"{2**t:.2f}") for t in np.linspace(-reach, reach, 5)),
            _logarithm,
            folds=True,
        ),
    ]
    if maps.inverse_error is not None:
        found.append(_millimeters("inverse", "inverse consistency", maps.inverse_error, "magma"))
    found.append(_millimeters("support", f"distance to {review.trust.drivers}", review.trust.distance, "cividis"))
    if review.trust.similarity is not None:
        ticks = ((-1.0, "-1"), (0.0, "0"), (1.0, "1"))
        found.append(
            FieldMap("similarity", "local correlation after", review.trust.similarity, "PiYG", -1.0, 1.0, ticks)
        )
    if review.trust.spread is not None:
        found.append(_millimeters("spread", "spread over repeats", review.trust.spread, "magma"))
    return found


def _millimeters(key: str, title: str, image: Image, colors: str) -> FieldMap:
    some = _some(image)
    top = max(float(np.quantile(some, 0.998)), 1e-3) if len(some) else 1.0
    ticks = tuple((share * top, f"{share * top:.3g} mm") for share in (0.0, 0.5, 1.0))
    return FieldMap(key, title, image, colors, 0.0, top, ticks)


def _some(image: Image) -> np.ndarray:
    """Up to 200 000 finite values of a map, evenly drawn."""
    values = image.data.numpy().ravel()
    values = values[:: max(1, len(values) // 200_000)]
    return values[np.isfinite(values)]
