"""The page as a whole: what is in its head, the list of cases, the cases."""

from __future__ import annotations

import datetime
import importlib.resources
from collections.abc import Callable, Sequence
from pathlib import Path

from DiffRegLib import __version__
from DiffRegLib.errors import RegistrationError
from DiffRegLib.ops.threads import one_thread
from DiffRegLib.review.assess import Review
from DiffRegLib.review.page.case import case_section
from DiffRegLib.review.page.html import cell, light, number, table, text
from DiffRegLib.review.page.pose import pose_section
from DiffRegLib.review.poses import PoseReview

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""Nothing is loaded and nothing is sent: the browser itself sees to it."""
COLUMNS = (
    "landmarks_mean",
    "landmarks_max",
    "dice",
    "surface",
    "folded",
    "determinant_p1",
    "inverse_mean",
    "pose_point",
    "pose_depth",
)


def write_report(reviews: Sequence[Review | PoseReview], path: str | Path, title: str = "") -> None:
    """Writes the reviews of one or more cases as one HTML file; raises RegistrationError if that cannot be done."""
    page = document(reviews, title or _title(reviews))
    try:
        Path(path).write_text(page, encoding="utf-8")
    except OSError as error:
        raise RegistrationError(f"{path} cannot be written ({error.strerror}): choose another folder.") from None


def document(reviews: Sequence[Review | PoseReview], title: str) -> str:
    """The page as text."""
    if not reviews:
        raise RegistrationError("There is no case to report: name at least one result.")
    made = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    with one_thread():  # planes are small: threads would wait for each other longer than they work
        cases = "".join(_section(review)(review, f"case{n}") for n, review in enumerate(reviews, 1))
    style, script = (importlib.resources.files(__package__).joinpath(n).read_text("utf-8") for n in _RESOURCES)
    return (
        "<!DOCTYPE html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{text(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head>'
        f'<body data-report="{text(title)} {made}" class="{"many" if len(reviews) > 1 else "single"}">'
        f"<header><h1>{text(title)}</h1><p>Made on {made} with DiffReg {__version__}; a research tool, no medical "
        'device. <button id="save">Save a copy with the decisions</button> <button id="print">Print</button></p>'
        "</header>"
        f"{_index(reviews) if len(reviews) > 1 else ''}<main>{cases}</main><script>{script}</script></body></html>\n"
    )


def _section(review: Review | PoseReview) -> Callable[..., str]:
    return pose_section if isinstance(review, PoseReview) else case_section


_RESOURCES = ("style.css", "script.js")


def _title(reviews: Sequence[Review | PoseReview]) -> str:
    return f"Review of {reviews[0].case.name}" if len(reviews) == 1 else f"Review of {len(reviews)} registrations"


def _index(reviews: Sequence[Review | PoseReview]) -> str:
    """The list of cases with their lights; a press on a row opens the case."""
    keys = [key for key in COLUMNS if any(review.score(key) for review in reviews)]
    titles = {key: next(r.score(key).title for r in reviews if r.score(key)) for key in keys}
    rows = []
    for n, review in enumerate(reviews, 1):
        found = [
            cell(light(review.light), ("none", "green", "amber", "red").index(review.light)),
            cell(f'<a href="#case{n}">{text(review.case.name)}</a>', review.case.name),
        ]
        for key in keys:
            score = review.score(key)
            shown = f"{number(score.after, score.digits, score.unit)} {light(score.light)}" if score else ""
            found.append(cell(shown, score.after if score else -1e9, "number"))
        found.append(cell("", None, f"decided case{n}"))
        rows.append(tuple(found))
    header = ("", "case", *titles.values(), "decision")
    return f'<nav id="index">{table(header, rows, "cases")}</nav>'
