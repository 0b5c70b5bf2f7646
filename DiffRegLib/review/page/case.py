"""One case of a report, from its heading to the place for the reviewer's decision."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from DiffRegLib.geometry import Lattice
from DiffRegLib.review.assess import Review
from DiffRegLib.review.case import IDENTITY
from DiffRegLib.review.course import SCALE, courses
from DiffRegLib.review.page import numbers, plots
from DiffRegLib.review.page.html import light, more, section, text
from DiffRegLib.review.page.images import image, polylines, stack
from DiffRegLib.review.page.maps import FieldMap, field_maps
from DiffRegLib.review.panels import grid_lines
from DiffRegLib.review.subjects import ImagePair, Pair, pair_of
from DiffRegLib.review.views import VIEWS, Box, View

DETERMINANTS = 2.5  # the end of the histogram
MOST_TRACE = 400  # points of a curve
VEIL = (0.55, 0.35, 0.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Place:
    """Three planes through a place worth looking at."""

    title: str
    box: Box


def case_section(review: Review, key: str) -> str:
    """The section of a reviewed case; `key` tells it from the others of the report."""
    with torch.no_grad():
        pair = _pair(review)
        places = _places(review, pair)
        content = [
            _findings(review),
            section("Numbers", numbers.scores(review), more("Limits of the lights", numbers.limits(review.limits))),
            _compare(review, pair, places) if pair else "",
            _field(review, pair, places[0].box),
            _trust(review, pair, places[0].box),
            _landmarks(review),
            _labels(review),
            section("Origin", numbers.facts(dict(review.case.provenance)), _trace(review)),
        ]
    return (
        f'<article class="case" id="{key}"><h2>{light(review.light)} {text(review.case.name)}</h2>'
        f"{decision(key)}{''.join(content)}</article>"
    )


def decision(key: str) -> str:
    """The place for the reviewer's decision, which the browser keeps and a saved copy holds."""
    choices = "".join(f"<option>{word}</option>" for word in ("", "accepted", "accepted with reservation", "rejected"))
    return (
        f'<form class="decision" data-case="{key}"><label>Decision <select name="decision">{choices}</select></label>'
        '<label>Reviewer <input name="reviewer" autocomplete="off"></label>'
        '<label class="comment">Comment <textarea name="comment" rows="2"></textarea></label></form>'
    )


def _findings(review: Review) -> str:
    rows = "".join(f"<li>{light(found.light)} {text(found.sentence)}</li>" for found in review.findings)
    return f'<ul class="findings">{rows}</ul>' if rows else ""


def _pair(review: Review) -> Pair | None:
    case = review.case
    if case.images or case.clouds:
        return pair_of(*(case.images or case.clouds))
    if case.labels is not None:
        return pair_of(case.labels.fixed, case.labels.moving, labels=True)
    return None


def _places(review: Review, pair: Pair | None) -> list[Place]:
    """Where both sides differ most, the worst landmark, the largest fold."""
    box = pair.box(review.case.transform) if pair else _box_of(review.maps.geometry)
    places = [Place("where both differ most before", box)]
    if review.landmarks is not None and pair:
        n = int(review.landmarks.after.argmax())
        name, error = review.landmarks.pairs.names[n], float(review.landmarks.after[n])
        at = review.landmarks.pairs.fixed[n]
        places.append(Place(f"the worst landmark, {name}: {error:.2f} mm", dataclasses.replace(box, cuts=at.double())))
    if review.regions and pair:
        region = review.regions[0]
        places.append(Place("the largest fold", dataclasses.replace(box, cuts=region.deepest.double())))
    return places


def _box_of(geometry: Lattice) -> Box:
    corners = geometry.corners()
    return Box(corners.amin(0), corners.amax(0), geometry.center)


def _compare(review: Review, pair: Pair, places: list[Place]) -> str:
    parts = [_viewer(review, pair, places[0].box)] if isinstance(pair, ImagePair) else []
    for place in places:
        rows = []
        for name, transform in (("before", IDENTITY), ("after", review.case.transform)):
            views = [
                stack(
                    place.box,
                    view,
                    [image(pair.colors(place.box, view, transform), f"{view.name}, {name}")],
                    caption=f"{name}, {view.cut_name(float(place.box.cuts[view.normal]))}",
                )
                for view in VIEWS
            ]
            rows.append(f'<div class="views">{"".join(views)}</div>')
        parts.append(f"<h4>Fixed in blue, moving in orange, agreement in gray: {text(place.title)}</h4>{''.join(rows)}")
    return section("Comparison", *parts)


def _viewer(review: Review, pair: ImagePair, box: Box) -> str:
    """The fixed, the moving and the warped image over one another, which the script of the page mixes."""
    views = []
    for view in VIEWS:
        fixed, before = pair.grays(box, view, IDENTITY)
        after = pair.grays(box, view, review.case.transform)[1]
        layers = [
            image(pixels, f"{view.name}, {name}", name)
            for pixels, name in ((fixed, "fixed"), (before, "before"), (after, "after"))
        ]
        views.append(stack(box, view, layers, caption=view.cut_name(float(box.cuts[view.normal]))))
    modes = "".join(f"<option>{mode}</option>" for mode in ("blend", "flicker", "curtain", "difference"))
    return (
        '<div class="viewer"><div class="controls"><label>Mode <select name="mode">' + modes + "</select></label>"
        '<label>Moving <input type="range" name="share" min="0" max="100" value="50"></label>'
        '<label>Rate <input type="range" name="rate" min="1" max="8" value="2"> per second</label>'
        '<label><input type="checkbox" name="start"> before registration (key B)</label></div>'
        f'<div class="views">{"".join(views)}</div></div>'
    )


def _backdrop(pair: Pair | None, box: Box, view: View) -> list[str]:
    if pair is None:
        return []
    gray = pair.grays(box, view, IDENTITY)[0] if isinstance(pair, ImagePair) else pair.backdrop(box, view)
    return [image(gray, f"{view.name}, fixed")]


def _field(review: Review, pair: Pair | None, box: Box) -> str:
    parts = []
    for shown in field_maps(review):
        if shown.key not in ("support", "similarity", "spread"):
            parts.append(_map(shown, pair, box))
    parts.append(_grid(review, pair, box))
    values = review.maps.determinant.data.numpy().ravel()
    values = values[:: max(1, len(values) // 1_000_000)]
    parts.append(plots.histogram("Jacobian determinant", "moving volume / fixed volume", values, -0.5, DETERMINANTS))
    return section("Field", *parts, "<h4>Folded regions</h4>", numbers.regions(review))


def _map(shown: FieldMap, pair: Pair | None, box: Box) -> str:
    views = [
        stack(
            box,
            view,
            [*_backdrop(pair, box, view), image(shown.paint(box, view), f"{view.name}, {shown.title}", "map")],
            caption=view.cut_name(float(box.cuts[view.normal])),
        )
        for view in VIEWS
    ]
    return f'<h4>{text(shown.title)}</h4>{shown.legend()}<div class="views">{"".join(views)}</div>'


def _grid(review: Review, pair: Pair | None, box: Box) -> str:
    views, mesh = [], 0.0
    for view in VIEWS:
        lines, mesh = grid_lines(box, view, review.case.transform)
        layers = [image(pair.backdrop(box, view), f"{view.name}, moving")] if pair else []
        drawing = polylines(lines, "#ffd84d", float(box.size.max()) / 400)
        views.append(stack(box, view, layers, drawing, view.cut_name(float(box.cuts[view.normal]))))
    title = f"Deformation grid of {mesh:g} mm, on the moving side"
    return f'<h4>{title}</h4><div class="views">{"".join(views)}</div>'


def _trust(review: Review, pair: Pair | None, box: Box) -> str:
    views = []
    for view in VIEWS:
        distance = review.trust.distance.sample(box.plane(view, 200), outside="border")[0].numpy()
        veil = np.zeros((*distance.shape, 4))
        veil[..., :3] = VEIL
        veil[..., 3] = 0.75 * np.clip((distance - review.trust.reach) / max(review.trust.reach, 1e-6), 0, 1)
        layers = [*_backdrop(pair, box, view), image(veil, f"{view.name}, veil over what is extrapolated", "map")]
        views.append(stack(box, view, layers, caption=view.cut_name(float(box.cuts[view.normal]))))
    maps = "".join(
        _map(shown, pair, box) for shown in field_maps(review) if shown.key in ("support", "similarity", "spread")
    )
    return section(
        "Trust",
        f"<p>{text(review.trust.sentence())}</p>",
        f'<h4>Veil over what is extrapolated</h4><div class="views">{"".join(views)}</div>',
        more("Maps of support", maps),
    )


def _landmarks(review: Review) -> str:
    found = review.landmarks
    if found is None:
        return ""
    share = [100 * (n + 1) / len(found.after) for n in range(len(found.after))]
    shown = [
        (name, color, share, sorted(values.tolist()))
        for name, color, values in (("before", plots.BEFORE, found.before), ("after", plots.AFTER, found.after))
    ]
    marks = [(review.limits.landmarks_good, "#2e7d32"), (review.limits.landmarks_tolerable, "#c98600")]
    curve = plots.curves("Landmark errors in ascending order", "share of the landmarks [%]", "error [mm]", shown, marks)
    return section("Landmarks", curve, more(f"All {len(found.after)} landmarks", numbers.landmarks(review)))


def _labels(review: Review) -> str:
    if not review.labels:
        return ""
    names = [row.name for row in review.labels]
    before, after = ([row.dice[n] for row in review.labels] for n in (0, 1))
    return section("Labels", plots.bars("Dice overlap", "Dice", names, before, after), numbers.labels(review))


def _trace(review: Review) -> str:
    return trace_plot(review.case.trace)


def trace_plot(trace: tuple[Any, ...]) -> str:
    """The loss over the iterations, one curve a stage and each on its own scale."""
    colors = ("#1f6fd0", "#e07b00", "#2e7d32", "#8e24aa", "#455a64")
    shown = []
    for n, course in enumerate(courses(trace)):
        losses = [sum(parts) for parts in zip(course.similarity, course.regularization)]
        step = slice(None, None, max(1, len(losses) // MOST_TRACE))
        shown.append((course.stage, colors[n % len(colors)], course.iterations[step], losses[step]))
    return plots.curves("Loss", "iteration", SCALE, shown) if shown else ""
