"""The tables of a report: numbers with lights, landmarks, labels, folded regions, provenance."""

from __future__ import annotations

import math

from DiffRegLib.review.assess import Review
from DiffRegLib.review.limits import HIGHER_IS_BETTER, MEASURES, LimitOptions
from DiffRegLib.review.page.html import cell, light, number, table, text
from DiffRegLib.review.poses import PoseReview

MOST_REGIONS = 50
MEASURE_WORDS = {
    "landmarks": ("mean landmark error", "mm"),
    "surface": ("mean surface distance", "mm"),
    "hausdorff": ("95 % Hausdorff distance", "mm"),
    "dice": ("Dice overlap", ""),
    "folded": ("folded voxels", "%"),
    "determinant": ("1st percentile of the determinant", ""),
    "inverse": ("mean inverse consistency", "mm"),
}


def scores(review: Review | PoseReview) -> str:
    rows = [
        (
            cell(light(score.light), score.light),
            cell(text(score.title)),
            cell(number(score.before, score.digits, score.unit), _key(score.before), "number"),
            cell(number(score.after, score.digits, score.unit), _key(score.after), "number"),
            cell(text(score.covers), None, "covers"),
        )
        for score in review.scores
    ]
    return table(("", "measure", "before", "after", "taken over"), rows)


def limits(chosen: LimitOptions) -> str:
    """What the lights stand for."""
    rows = []
    for measure in MEASURES:
        words, unit = MEASURE_WORDS[measure]
        sign = "\N{GREATER-THAN OR EQUAL TO}" if measure in HIGHER_IS_BETTER else "\N{LESS-THAN OR EQUAL TO}"
        values = (getattr(chosen, f"{measure}_{name}") for name in ("good", "tolerable"))
        rows.append((cell(text(words)), *(cell(f"{sign} {value:g} {unit}", None, "number") for value in values)))
    return table(("measure", "good", "tolerable"), rows)


def landmarks(review: Review) -> str:
    found = review.landmarks
    pairs = zip(found.pairs.names, found.pairs.fixed.tolist(), found.before.tolist(), found.after.tolist())
    rows = [
        (
            cell(text(name)),
            cell(_place(place), None, "number"),
            cell(number(before), before, "number"),
            cell(number(after), after, "number"),
            cell(light(review.limits.light("landmarks", after)), after),
        )
        for name, place, before, after in sorted(pairs, key=lambda row: -row[3])
    ]
    return table(("landmark", "fixed place, RAS mm", "before [mm]", "after [mm]", ""), rows)


def labels(review: Review) -> str:
    changes = {change.label: change for change in review.volumes}
    rows = []
    for row in review.labels:
        change = changes.get(row.label)
        found = [cell(text(row.name) + (f" <small>({text(row.note)})</small>" if row.note else ""))]
        for measure, digits in (("dice", 3), ("surface", 2), ("hausdorff", 2)):
            before, after = getattr(row, measure)
            found.append(cell(number(before, digits), _key(before), "number"))
            shown = f"{number(after, digits)} {light(review.limits.light(measure, after))}"
            found.append(cell(shown, _key(after), "number"))
        for value, digits in _volume(change):
            found.append(cell(number(value, digits), _key(value), "number"))
        rows.append(tuple(found))
    header = ("label", "Dice before", "after", "surface [mm] before", "after", "Hausdorff 95 % [mm] before", "after")
    return table((*header, "volume [ml]", "becomes", "%", "expansion [ml]", "compression [ml]"), rows, "wide")


def _volume(change) -> list[tuple[float | None, int]]:
    if change is None:
        return [(None, 1)] * 5
    values = (change.fixed_ml, change.mapped_ml, change.percent, change.expanded_ml, change.compressed_ml)
    return [(value, 2 if abs(change.fixed_ml) < 10 else 1) for value in values]


def regions(review: Review) -> str:
    rows = [
        (
            cell(str(n), n, "number"),
            cell(_place(region.center.tolist()), None, "number"),
            cell(number(region.volume_ml, 3), region.volume_ml, "number"),
            cell(str(region.voxels), region.voxels, "number"),
            cell(number(region.least), region.least, "number"),
        )
        for n, region in enumerate(review.regions[:MOST_REGIONS], 1)
    ]
    if not rows:
        return "<p>No voxel is folded.</p>"
    rest = len(review.regions) - len(rows)
    tail = f"<p>and {rest} smaller regions</p>" if rest > 0 else ""
    return table(("region", "center, RAS mm", "volume [ml]", "voxels", "least determinant"), rows) + tail


def facts(pairs: dict[str, str]) -> str:
    rows = "".join(f"<tr><th scope='row'>{text(name)}</th><td>{text(value)}</td></tr>" for name, value in pairs.items())
    return f"<table class='facts'><tbody>{rows}</tbody></table>" if rows else ""


def _place(point: list[float]) -> str:
    return number(point[0], 1) + ", " + number(point[1], 1) + ", " + number(point[2], 1)


def _key(value: float | None) -> float:
    return value if value is not None and not math.isnan(value) else -1e9
