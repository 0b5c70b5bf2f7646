"""What a finished registration says of itself, in the lines that the Result section shows."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

NUMBERS = ("rx", "ry", "rz", "tx", "ty", "tz")


def lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Title and text of every line; facts: the content of `metrics.json`."""
    change, end = facts["change"], facts["end"]
    verdict = facts["verdict"] + (f": {facts['reason']}" if facts.get("reason") else "")
    turned = ", ".join(f"{n} {v:.2f}" for n, v in zip(NUMBERS, end["rotation_degrees"]))
    shifted = ", ".join(f"{n} {v:.2f}" for n, v in zip(NUMBERS[3:], end["translation_mm"]))
    rows = [
        (_("Verdict"), verdict),
        (_("Pose"), f"{turned} °<br>{shifted} mm"),
        (_("Moved by"), f"{change['degrees']:.2f} °, {change['mm']:.2f} mm"),
        *_uncertainty(facts["uncertainty"]),
        (_("Similarity"), f"{facts['similarity']:.4f}"),
    ]
    rows += [(_("X-ray {n}").format(n=n), x["grey_scale"]) for n, x in enumerate(facts.get("xrays", []), 1)]
    return [*rows, (_("Run time"), f"{facts['seconds']:.1f} s")]


def _uncertainty(sure: dict[str, Any]) -> list[tuple[str, str]]:
    turn = [_number(v, "°") for v in sure["rotation_degrees"]]
    across, down = (_number(v, "mm") for v in sure["shift_mm"])
    return [
        (_("Uncertainty"), _("{point} of a point").format(point=_number(sure["point_mm"], "mm"))),
        (_("in the image"), _("{across} across, {down} down").format(across=across, down=down)),
        (_("in depth"), _number(sure["depth_mm"], "mm")),
        (_("of the turn"), _("{0} and {1} out of the image, {2} in it").format(*turn)),
    ]


def _number(value: float | None, unit: str) -> str:
    return _("unknown") if value is None else f"{value:.2f} {unit}"


def as_html(facts: dict[str, Any]) -> str:
    """A table for a label."""
    rows = "".join(f"<tr><td>{t}:&nbsp;&nbsp;</td><td>{text}</td></tr>" for t, text in lines(facts))
    return f"<table>{rows}</table>"
