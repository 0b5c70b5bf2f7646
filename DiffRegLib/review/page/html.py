"""The few pieces of HTML that all sections are made of."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence

from DiffRegLib.review.limits import Light

WORDS = {"green": "good", "amber": "tolerable", "red": "not acceptable", "none": "not judged"}


def text(value: object) -> str:
    """A value as text that cannot be taken for markup."""
    return html.escape(str(value), quote=True)


def light(color: Light, word: bool = False) -> str:
    """A dot in the color of a light, with its meaning for those who do not see colors."""
    shown = f" {WORDS[color]}" if word else ""
    return f'<span class="light {color}" title="{WORDS[color]}" role="img" aria-label="{WORDS[color]}"></span>{shown}'


def number(value: float | None, digits: int = 2, unit: str = "") -> str:
    """A number for people, with a true minus sign; a dash where there is none."""
    if value is None or math.isnan(value):
        return "\N{EN DASH}"
    shown = f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")
    return f"{shown}&nbsp;{text(unit)}" if unit else shown


def cell(content: str, sort: float | str | None = None, classes: str = "") -> str:
    """A cell of a table; `sort` is what its column is sorted by where that is not its text."""
    key = "" if sort is None else f' data-sort="{text(sort)}"'
    return f"<td{key}{f' class={classes!r}' if classes else ''}>{content}</td>"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], classes: str = "", row_attributes=()) -> str:
    """A table of ready cells (see `cell`); a column is sorted where its head is pressed."""
    attributes = list(row_attributes)
    head = "".join(f"<th scope='col'>{text(name)}</th>" for name in header)
    body = "".join(
        f"<tr{attributes[n] if n < len(attributes) else ''}>{''.join(cells)}</tr>" for n, cells in enumerate(rows)
    )
    return f"<table class='sortable {classes}'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def section(title: str, *content: str, classes: str = "") -> str:
    """A part of a report under its heading; nothing where it has no content."""
    inner = "".join(content)
    return f'<section class="{classes}"><h3>{text(title)}</h3>{inner}</section>' if inner else ""


def more(summary: str, content: str) -> str:
    """What unfolds when it is asked for."""
    return f"<details><summary>{text(summary)}</summary>{content}</details>"
